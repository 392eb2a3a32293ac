"""``tokfast count``: how many tokens files hold, as ``wc`` would print it.

Naive: read a file, encode it, take the length, for one file after the other.
Idea: count without making ids, and leave the reading to the threads that count (`count_text_files`). Folders are
walked while the tokenizers are loaded. Nothing here imports numpy, which takes longer than counting a few megabytes.
Cost: linear in the bytes; memory is a block of a file for each thread.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tokfast.cli._progress import Progress
from tokfast.cli._shared import (
    JSON_SCHEMA_VERSION,
    begin_to_load,
    check_piped,
    csv_option,
    describe_tokenizer,
    json_option,
    number,
    quiet_option,
    say,
    short_names,
    threads_option,
    tokenizers_option,
    write_json,
)
from tokfast.cli._sources import Counted, Sources

if TYPE_CHECKING:
    from tokfast import Tokenizer

# What a line of --by is called; a Path for each of ten thousand files takes longer than reading them.
NAMES: dict[str, Callable[[str], str]] = {
    "dir": lambda path: str(Path(path).parent),
    "ext": lambda path: Path(path).suffix or "(none)",
    "none": lambda _path: "total",
}

EPILOG = """
\b
Examples:
  tokfast count README.md src/           a line for each file, then the total
  tokfast count -t o200k_base notes.txt  with the tokenizer of gpt-4o
  tokfast count -t gpt2 -t o200k_base .  with both, side by side
  tokfast count '**/*.py'                a glob; quote it for the shell
  git diff | tokfast count               standard input: the number alone
  tokfast count --json . | jq .total     for programs
  tokfast count --by ext --top 5 src/    where the tokens are
  tokfast count --field body a.jsonl.gz  documents: JSON lines, parquet
  tokfast count --limit 8k prompt.txt    exit status 3 when over, for CI
  tokfast count --resume state/ corpus/  run it again to go on after a stop
  tokfast count --chat talk.json -t Qwen3/   as the model reads messages

Exit status: 0 all counted, 1 a file could not be read (the others are counted), 2 wrong usage,
3 more tokens than --limit.
"""


@click.command(epilog=EPILOG, short_help="Count the tokens of files, like wc.")
@click.argument("paths", nargs=-1, type=click.Path(allow_dash=True))
@tokenizers_option
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
@click.option("--resume", metavar="DIR", help="Keep the count of each file in DIR, and take those that it has.")
@click.option(
    "--chat",
    metavar="MESSAGES.json",
    type=click.Path(allow_dash=True),
    help="Count a conversation, wrapped by the chat template beside the tokenizer.",
)
@click.option("--no-generation-prompt", is_flag=True, help="With --chat: without the beginning of the answer.")
@quiet_option
def count(
    *,
    paths: tuple[str, ...],
    tokenizers: tuple[str, ...],
    as_json: bool,
    as_csv: bool,
    by: str,
    top: int | None,
    limit: int | None,
    threads: int | None,
    field: str | None,
    hidden: bool,
    resume: str | None,
    chat: str | None,
    no_generation_prompt: bool,
    quiet: bool,
) -> None:
    """Count the tokens of files, folders, globs, and standard input (-, or no path at all).

    In folders, files that .gitignore excludes are left out, and so are binary ones (a NUL byte in the first 8
    kB); a file that is named itself is always counted. Text is data: a special token's spelling in it is
    ordinary text. Files that end in .gz or .zst are decompressed; of parquet files the column "text" is counted, or
    that of --field.
    """
    tokenizers = tuple(dict.fromkeys(tokenizers))
    if chat is not None:
        if paths or resume is not None or as_csv:
            raise click.UsageError("--chat counts one conversation; name no other file, --resume or --csv with it")
        from tokfast.cli._chat import count_chat

        totals = count_chat(chat, tokenizers, is_prompt=not no_generation_prompt, as_json=as_json, quiet=quiet)
        _check_limit(totals, limit)
        return
    if not paths:
        check_piped()
    names: list[str | None] = [*tokenizers] or [None]
    loading = begin_to_load(names, quiet=quiet)
    sources = Sources(paths, hidden=hidden, field=field, resume=resume)
    progress = Progress(quiet=quiet)
    loaded = loading()
    counted = sources.count(loaded, threads, progress)
    progress.clear()
    sources.complain(quiet=quiet)
    totals = _sum(counted, len(loaded))
    lines = _group(counted, by, top)
    if as_json or as_csv:
        described = _describe(loaded, names)
        if as_csv:
            _print_csv(lines, described)
        else:
            reports = [_report(counted, sources, tokenizer, place) for place, tokenizer in enumerate(described)]
            _print_json(reports, None if by == "file" and top is None else lines)
    else:
        _print_text(lines, totals, list(tokenizers), is_total=not paths or by == "none")
        if sys.stderr.isatty() and not quiet:
            for tokenizer in _describe(loaded, names):
                say(f"by {tokenizer['name']}, fingerprint {tokenizer['fingerprint']:.12}, exact: {tokenizer['exact']}")
    _check_limit(totals, limit)
    if sources.failed:
        click.get_current_context().exit(1)


def _describe(tokenizers: list["Tokenizer"], names: list[str | None]) -> list[dict[str, object]]:
    """Say what counted; a count by the default tokenizer is right for itself, and no model's own."""
    return [
        {**describe_tokenizer(tokenizer, name), "exact": name is not None}
        for tokenizer, name in zip(tokenizers, names, strict=True)
    ]


def _check_limit(totals: tuple[int, ...], limit: int | None) -> None:
    if limit is not None and max(totals) > limit:
        say(f"error: {max(totals):,} tokens are more than the limit of {limit:,}")
        click.get_current_context().exit(3)


def _sum(lines: list[Counted], n_tokenizers: int) -> tuple[int, ...]:
    return tuple(sum(line.n_tokens[place] for line in lines) for place in range(n_tokenizers))


def _group(counted: list[Counted], by: str, top: int | None) -> list[Counted]:
    """Add up the files of a folder or of an ending, and keep the largest lines if so asked."""
    lines = counted
    if by != "file":
        name_of = NAMES[by]
        sums: dict[str, list[Counted]] = {}
        for line in counted:
            sums.setdefault(name_of(line.path), []).append(line)
        lines = [
            Counted(name, _sum(some, len(some[0].n_tokens)), sum(line.n_bytes for line in some))
            for name, some in sums.items()
        ]
    return lines if top is None else sorted(lines, key=lambda line: -line.n_tokens[0])[:top]


def _as_dicts(lines: list[Counted], name: str, place: int) -> list[dict[str, object]]:
    return [{name: _as_text(line.path), "tokens": line.n_tokens[place], "bytes": line.n_bytes} for line in lines]


def _print_json(reports: list[dict[str, object]], lines: list[Counted] | None) -> None:
    for place, report in enumerate(reports):
        if lines is not None:
            report["lines"] = _as_dicts(lines, "name", place)
    # Several tokenizers: what each would give alone.
    together = {"schema_version": JSON_SCHEMA_VERSION, "tokenizers": reports}
    write_json(reports[0] if len(reports) == 1 else together)


def _print_csv(lines: list[Counted], tokenizers: list[dict[str, object]]) -> None:
    from tokfast.cli._tables import write_csv

    write_csv(
        [
            {
                **row,
                "tokenizer": tokenizer["name"],
                "fingerprint": tokenizer["fingerprint"],
                "exact": tokenizer["exact"],
            }
            for place, tokenizer in enumerate(tokenizers)
            for row in _as_dicts(lines, "path", place)
        ]
    )


def _print_text(lines: list[Counted], totals: tuple[int, ...], names: list[str], *, is_total: bool) -> None:
    if len(names) > 1:
        _print_columns(lines, totals, names, is_total=is_total)
    elif is_total:
        click.echo(totals[0])
    else:
        _print_lines(lines, totals[0])


def _print_lines(counted: list[Counted], n_tokens: int) -> None:
    total = Counted("total", (n_tokens,), 0)
    lines = counted if len(counted) == 1 and counted[0].n_tokens == total.n_tokens else [*counted, total]
    width = len(str(n_tokens))
    # As bytes, because a file name need not be valid text.
    click.echo(b"".join(os.fsencode(f"{line.n_tokens[0]:>{width}} {line.path}\n") for line in lines), nl=False)


def _print_columns(counted: list[Counted], totals: tuple[int, ...], names: list[str], *, is_total: bool) -> None:
    """Print a column for each tokenizer, under its name."""
    total = Counted("total", totals, 0)
    lines = [total] if is_total or counted == [total] else [*counted, total]
    short = short_names(names)
    widths = [max(len(short[name]), len(str(n_tokens))) for name, n_tokens in zip(names, totals, strict=True)]
    head = "  ".join(f"{short[name]:>{width}}" for name, width in zip(names, widths, strict=True))
    rows = (
        "  ".join(f"{n_tokens:>{width}}" for n_tokens, width in zip(line.n_tokens, widths, strict=True))
        + f"  {line.path}\n"
        for line in lines
    )
    click.echo(b"".join(map(os.fsencode, (head + "\n", *rows))), nl=False)


def _report(counted: list[Counted], sources: Sources, tokenizer: dict[str, object], place: int) -> dict[str, object]:
    """Everything the lines say, and more."""
    return {
        "schema_version": JSON_SCHEMA_VERSION,
        "tokenizer": {name: value for name, value in tokenizer.items() if name != "exact"},
        "exact": tokenizer["exact"],
        "files": _as_dicts(counted, "path", place),
        "total": {
            "files": len(counted),
            "tokens": sum(line.n_tokens[place] for line in counted),
            "bytes": sum(line.n_bytes for line in counted),
        },
        "binary": [_as_text(path) for path in sources.binary],
        "failed": [{"path": _as_text(path), "error": reason} for path, reason in sources.failed],
    }


def _as_text(path: str) -> str:
    # Bytes of a file name that are no UTF-8 would become lone surrogates, which JSON readers refuse.
    return os.fsencode(path).decode("utf-8", "replace")
