"""``tokfast count``: how many tokens files hold, as ``wc`` would print it.

Naive: read a file, encode it, take the length, for one file after the other.
Idea: count without making ids, and hand over many files at once, so that all threads have work: files are
gathered until they hold `BATCH_BYTES`, which bounds the memory, whatever the size of the tree (a file larger
than that is read whole: a text is counted as one). A small batch is counted here and now, because the batch
call returns a numpy array and importing numpy takes longer than counting a few megabytes.
Cost: linear in the bytes; memory is the larger of `BATCH_BYTES` and the largest file.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from tokfast._tokfast import list_files
from tokfast.cli._shared import (
    JSON_SCHEMA_VERSION,
    Progress,
    check_piped,
    csv_option,
    describe_tokenizer,
    json_option,
    load_tokenizer,
    number,
    quiet_option,
    say,
    threads_option,
    tokenizer_option,
    write_json,
)

if TYPE_CHECKING:
    from tokfast import Tokenizer

BATCH_BYTES = 64 << 20
SMALL_BYTES = 8 << 20
BINARY_PROBE_BYTES = 8192
DOCUMENT_SUFFIXES = (".parquet", ".gz", ".zst")

EPILOG = """
\b
Examples:
  tokfast count README.md src/           a line for each file, then the total
  tokfast count -t o200k_base notes.txt  with the tokenizer of gpt-4o
  tokfast count '**/*.py'                a glob; quote it for the shell
  git diff | tokfast count               standard input: the number alone
  tokfast count --json . | jq .total     for programs
  tokfast count --by ext --top 5 src/    where the tokens are
  tokfast count --field body a.jsonl.gz  documents: JSON lines, parquet
  tokfast count --limit 8k prompt.txt    exit status 3 when over, for CI

Exit status: 0 all counted, 1 a file could not be read (the others are counted), 2 wrong usage,
3 more tokens than --limit.
"""


class Counted(NamedTuple):
    """One line of the result."""

    path: str
    n_tokens: int
    n_bytes: int


class Sources:
    """The texts behind the arguments, in order, and what became of those that are not counted."""

    def __init__(self, paths: tuple[str, ...], *, hidden: bool, field: str | None) -> None:
        self.field = field
        self.binary: list[str] = []
        self.failed: list[tuple[str, str]] = []
        # Each file once, however often it is reached (``src ./src/main.py``); a Path, so that ./a is a. True:
        # named itself, and so counted in any case.
        self.files: dict[Path, tuple[str, bool]] = {}
        for path in paths or ("-",):
            self._add(path, hidden=hidden)

    def _add(self, path: str, *, hidden: bool) -> None:
        try:
            if path == "-" or (Path(path).exists() and not Path(path).is_dir()):
                self.files[Path(path)] = (path, True)
            else:
                for found in list_files([path], hidden=hidden, binary=True):
                    self.files.setdefault(Path(found), (found, False))
        except OSError as error:
            self._fail(path, error)

    def texts(self) -> Iterator[tuple[str, bytes]]:
        """Read one after the other, going on after a file that cannot be read."""
        for path, is_named in self.files.values():
            if self._holds_documents(path):
                continue
            try:
                text = self._read(path, is_named=is_named)
            except OSError as error:
                self._fail(path, error)
                continue
            if text is None:
                self.binary.append(path)
            else:
                yield path, text

    def _holds_documents(self, path: str) -> bool:
        """Whether a file is read by `count_files`: those that no text can be, and all others of a --field."""
        if path == "-":
            return False
        ends = Path(path).suffix in DOCUMENT_SUFFIXES
        return ends or (self.field is not None and Path(path).suffix in (".jsonl", ".ndjson"))

    def count_documents(self, tokenizer: "Tokenizer", threads: int | None) -> Iterator[Counted]:
        """Count the files that hold documents: parquet, JSON lines, and compressed ones."""
        paths = [path for path, _ in self.files.values() if self._holds_documents(path)]
        if not paths:
            return
        from tokfast._documents import Reading
        from tokfast._files import count_files

        for path in paths:
            # Without a field, JSON lines are the text they are written in.
            is_lines = Reading().format_of(path) == "jsonl"
            format_ = "text" if self.field is None and is_lines else None
            try:
                found = count_files(path, tokenizer, format=format_, field=self.field or "text", threads=threads)
            except (OSError, ValueError, ImportError) as error:
                # The line begins with the path already.
                reason = str(error).removeprefix(repr(path)).lstrip(" ,:")
                self.failed.append((path, getattr(error, "strerror", None) or reason))
            else:
                yield Counted(path, found.tokens, found.bytes)

    def _read(self, path: str, *, is_named: bool) -> bytes | None:
        with click.open_file(path, "rb") as file:
            start = b"" if is_named else file.read(BINARY_PROBE_BYTES)
            return None if b"\0" in start else start + file.read()

    def complain(self, *, quiet: bool) -> None:
        """Say which files were not counted."""
        for path, reason in self.failed:
            say(f"error: {path}: {reason}")
        if self.binary and not quiet:
            say(f"left out {len(self.binary):,} binary file{'s'[: len(self.binary) > 1]}")

    def _fail(self, path: str, error: OSError) -> None:
        self.failed.append((path, error.strerror or str(error)))


@click.command(epilog=EPILOG, short_help="Count the tokens of files, like wc.")
@click.argument("paths", nargs=-1, type=click.Path(allow_dash=True))
@tokenizer_option
@json_option
@threads_option
@csv_option
@click.option(
    "--by",
    type=click.Choice(["file", "dir", "ext", "none"]),
    default="file",
    show_default=True,
    help="A line for each file, folder or ending; none: the total alone.",
)
@click.option("--top", type=click.IntRange(min=1), metavar="N", help="Only the N lines with the most tokens.")
@click.option("--limit", type=number, metavar="N", help="Exit with 3 when the total is over N; 8k = 8,000.")
@click.option("--field", metavar="NAME", help="Count this field of JSON lines, or this column of parquet files.")
@click.option("--hidden", is_flag=True, help="Also count hidden files found in folders.")
@quiet_option
def count(
    *,
    paths: tuple[str, ...],
    tokenizer: str | None,
    as_json: bool,
    as_csv: bool,
    by: str,
    top: int | None,
    limit: int | None,
    threads: int | None,
    field: str | None,
    hidden: bool,
    quiet: bool,
) -> None:
    """Count the tokens of files, folders, globs, and standard input (-, or no path at all).

    In folders, files that .gitignore excludes are left out, and so are binary ones (a NUL byte in the first 8
    kB); a file that is named itself is always counted. Text is data: a special token's spelling in it is
    ordinary text. Files that end in .gz or .zst are decompressed; of parquet files the column "text" is counted, or
    that of --field.
    """
    if not paths:
        check_piped()
    sources = Sources(paths, hidden=hidden, field=field)
    progress = Progress(quiet=quiet)
    loaded = load_tokenizer(tokenizer, quiet=quiet)
    counted = []
    for batch in _batches(sources.texts()):
        counts = _count_batch(loaded, [text for _, text in batch], threads)
        counted += [Counted(path, n, len(text)) for (path, text), n in zip(batch, counts, strict=True)]
        progress.update(f"counted {len(counted):,} of {len(sources.files):,} files")
    counted += sources.count_documents(loaded, threads)
    order = {path: place for place, (path, _) in enumerate(sources.files.values())}
    counted.sort(key=lambda line: order[line.path])
    progress.clear()
    sources.complain(quiet=quiet)
    total = sum(line.n_tokens for line in counted)
    lines = _group(counted, by, top)
    if as_json:
        report = _report(counted, sources, describe_tokenizer(loaded, tokenizer))
        write_json(report if by == "file" and top is None else {**report, "lines": _as_dicts(lines, "name")})
    elif as_csv:
        _print_csv(lines)
    elif not paths or by == "none":
        click.echo(total)
    else:
        _print_lines(lines, total)
    if limit is not None and total > limit:
        say(f"error: {total:,} tokens are more than the limit of {limit:,}")
        click.get_current_context().exit(3)
    if sources.failed:
        click.get_current_context().exit(1)


def _batches(texts: Iterable[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    batch, n_bytes = [], 0
    for path, text in texts:
        batch.append((path, text))
        n_bytes += len(text)
        if n_bytes >= BATCH_BYTES:
            yield batch
            batch, n_bytes = [], 0
    if batch:
        yield batch


def _count_batch(tokenizer: "Tokenizer", texts: list[bytes], threads: int | None) -> list[int]:
    if threads == 1 or sum(map(len, texts)) < SMALL_BYTES:
        return [tokenizer.count(text) for text in texts]
    counts: list[int] = tokenizer.count_batch(texts, threads=threads).tolist()
    return counts


def _group(counted: list[Counted], by: str, top: int | None) -> list[Counted]:
    """Add up the files of a folder or of an ending, and keep the largest lines if so asked."""
    lines = counted
    if by != "file":
        sums: dict[str, Counted] = {}
        for path, n_tokens, n_bytes in counted:
            name = {"dir": str(Path(path).parent), "ext": Path(path).suffix or "(none)"}.get(by, "total")
            before = sums.get(name, Counted(name, 0, 0))
            sums[name] = Counted(name, before.n_tokens + n_tokens, before.n_bytes + n_bytes)
        lines = list(sums.values())
    return lines if top is None else sorted(lines, key=lambda line: -line.n_tokens)[:top]


def _as_dicts(lines: list[Counted], name: str) -> list[dict[str, object]]:
    return [{name: _as_text(line.path), "tokens": line.n_tokens, "bytes": line.n_bytes} for line in lines]


def _print_csv(lines: list[Counted]) -> None:
    from tokfast.cli._tables import write_csv

    write_csv(_as_dicts(lines, "path"))


def _print_lines(counted: list[Counted], n_tokens: int) -> None:
    total = Counted("total", n_tokens, 0)
    lines = counted if len(counted) == 1 and counted[0].n_tokens == n_tokens else [*counted, total]
    width = len(str(total.n_tokens))
    # As bytes, because a file name need not be valid text.
    click.echo(b"".join(os.fsencode(f"{line.n_tokens:>{width}} {line.path}\n") for line in lines), nl=False)


def _report(counted: list[Counted], sources: Sources, tokenizer: dict[str, object]) -> dict[str, object]:
    """Everything the lines say, and more.

    ``exact`` is False for the default tokenizer: its count is right for itself, and no model's own.
    """
    return {
        "schema_version": JSON_SCHEMA_VERSION,
        "tokenizer": tokenizer,
        "exact": not tokenizer["default"],
        "files": [{"path": _as_text(line.path), "tokens": line.n_tokens, "bytes": line.n_bytes} for line in counted],
        "total": {
            "files": len(counted),
            "tokens": sum(line.n_tokens for line in counted),
            "bytes": sum(line.n_bytes for line in counted),
        },
        "binary": [_as_text(path) for path in sources.binary],
        "failed": [{"path": _as_text(path), "error": reason} for path, reason in sources.failed],
    }


def _as_text(path: str) -> str:
    # Bytes of a file name that are no UTF-8 would become lone surrogates, which JSON readers refuse.
    return os.fsencode(path).decode("utf-8", "replace")
