"""The files behind the arguments of ``tokfast count``: which are counted, how, and what became of the rest."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tokfast._tokfast import count_text_files, list_files
from tokfast.cli._progress import Clock, describe
from tokfast.cli._shared import read_file, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokfast import Tokenizer
    from tokfast.cli._progress import Progress

BINARY_PROBE_BYTES = 8192
DOCUMENT_SUFFIXES = (".parquet", ".gz", ".zst")
LINES_SUFFIXES = (".jsonl", ".ndjson")
RESUMED_FILES = 4096


class Counted(NamedTuple):
    """One line of the result: a name, its tokens by each tokenizer, its bytes."""

    path: str
    n_tokens: tuple[int, ...]
    n_bytes: int


def _plainly(path: str) -> str:
    """Spell a path as `Path` does, so that ./a is a; ten thousand of those would take as long as reading the files."""
    path = path.removeprefix(os.curdir + os.sep)
    return str(Path(path)) if os.sep * 2 in path or f"{os.sep}{os.curdir}{os.sep}" in path else path


class Sources:
    """The texts behind the arguments, in order, and what became of those that are not counted."""

    def __init__(self, paths: tuple[str, ...], *, hidden: bool, field: str | None, resume: str | None) -> None:
        self.field = field
        # Files that `count_files` reads: those that no text can be, and all others of a --field.
        self.document_suffixes = DOCUMENT_SUFFIXES + (LINES_SUFFIXES if field is not None else ())
        self.resume = resume
        self.binary: list[str] = []
        self.failed: list[tuple[str, str]] = []
        # Each file once, however often it is reached (``src ./src/main.py``). True: named itself, and so counted in
        # any case.
        self.files: dict[str, tuple[str, bool]] = {}
        for path in paths or ("-",):
            self._add(path, hidden=hidden)

    def _add(self, path: str, *, hidden: bool) -> None:
        try:
            if path == "-" or (Path(path).exists() and not Path(path).is_dir()):
                self.files[_plainly(path)] = (path, True)
            else:
                found = list_files([path], hidden=hidden, binary=True)
                # They begin alike, and are plain after it.
                is_plain = found[:1] == [*map(_plainly, found[:1])]
                for file in found:
                    self.files.setdefault(file if is_plain else _plainly(file), (file, False))
        except OSError as error:
            self._fail(path, error)

    def count(self, tokenizers: list[Tokenizer], threads: int | None, progress: Progress) -> list[Counted]:
        """Count every file with every tokenizer; what cannot be read is kept in `failed`."""
        files = self.files.values()
        # By the ends of strings: a Path for each of ten thousand files takes as long as reading them.
        documents = [path for path, _ in files if path.endswith(self.document_suffixes)]
        streams = [path for path, is_named in files if is_named and self._is_stream(path)]
        others = {*documents, *streams}
        texts = [file for file in files if file[0] not in others] if others else [*files]
        count_texts = self._count_texts if self.resume is None else self._count_resumed
        counted = [
            *self._count_streams(streams, tokenizers),
            *count_texts(texts, tokenizers, threads, progress),
            *self._count_documents(documents, tokenizers, threads),
        ]
        if not others:
            return counted
        order = {path: place for place, (path, _) in enumerate(files)}
        return sorted(counted, key=lambda line: order[line.path])

    def _is_stream(self, path: str) -> bool:
        """Whether a file that is named can be read once only: standard input, a pipe. None is found in folders."""
        return path == "-" or not (path.endswith(self.document_suffixes) or Path(path).is_file())

    def _count_streams(self, paths: list[str], tokenizers: list[Tokenizer]) -> Iterator[Counted]:
        for path in paths:
            try:
                text = sys.stdin.buffer.read() if path == "-" else read_file(path)
            except OSError as error:
                self._fail(path, error)
                continue
            yield Counted(path, tuple(tokenizer.count(text) for tokenizer in tokenizers), len(text))

    def _count_texts(
        self, files: list[tuple[str, bool]], tokenizers: list[Tokenizer], threads: int | None, progress: Progress
    ) -> list[Counted]:
        """Count files that are one text each; of those that are not named themselves, binary ones are left out."""
        paths = [path for path, _ in files]
        binary = [is_named for _, is_named in files]
        found = []
        for number, tokenizer in enumerate(tokenizers, 1):
            which = f" with tokenizer {number} of {len(tokenizers)}" if len(tokenizers) > 1 else ""
            clock = Clock()

            def show(phase: str, done: int, total: int, _detail: str, which: str = which, clock: Clock = clock) -> None:
                progress.update(f"{describe(phase, done, total)}{which}{clock.left(phase, done, total)}")

            found.append(
                count_text_files(
                    tokenizer, paths, binary=binary, threads=threads, progress=show if progress.shown else None
                )
            )
        counted = [*map(Counted, paths, zip(*(n_tokens for n_tokens, _, _ in found), strict=True), found[0][1])]
        others: dict[int, OSError | None] = {}
        for *_, some in found:
            others |= {place: others.get(place) or error for place, error in some.items()}
        for place, error in sorted(others.items()):
            if error is None:
                self.binary.append(paths[place])
            else:
                self._fail(paths[place], error)
        return [line for place, line in enumerate(counted) if place not in others] if others else counted

    def _count_documents(self, paths: list[str], tokenizers: list[Tokenizer], threads: int | None) -> Iterator[Counted]:
        """Count files that hold documents: parquet, JSON lines, and compressed ones."""
        if not paths:
            return
        from tokfast._documents import Reading
        from tokfast._files import count_files

        for path in paths:
            # Without a field, JSON lines are the text they are written in.
            is_lines = Reading().format_of(path) == "jsonl"
            format_ = "text" if self.field is None and is_lines else None
            field = self.field or "text"
            try:
                found = [
                    count_files(
                        path,
                        tokenizer,
                        format=format_,
                        field=field,
                        threads=threads,
                        resume=self._journal(tokenizer, f"{format_ or 'documents'}-{field}"),
                    )
                    for tokenizer in tokenizers
                ]
            except (OSError, ValueError, ImportError) as error:
                # The line begins with the path already.
                reason = str(error).removeprefix(repr(path)).lstrip(" ,:").replace("pass field=", "pass --field")
                self.failed.append((path, getattr(error, "strerror", None) or reason))
            else:
                yield Counted(path, tuple(counts.tokens for counts in found), found[0].bytes)

    def _count_resumed(
        self, files: list[tuple[str, bool]], tokenizers: list[Tokenizer], threads: int | None, progress: Progress
    ) -> Iterator[Counted]:
        """Do as `_count_texts`, but take the counts that --resume has, and keep the new ones there."""
        paths: list[str] = []
        for path, is_named in files:
            try:
                with Path(path).open("rb") as file:
                    is_text = is_named or b"\0" not in file.read(BINARY_PROBE_BYTES)
            except OSError as error:
                self._fail(path, error)
                continue
            (paths if is_text else self.binary).append(path)
        if not paths:
            return
        from tokfast._files import count_files

        for start in range(0, len(paths), RESUMED_FILES):
            some = paths[start : start + RESUMED_FILES]
            found = [
                count_files(some, tokenizer, format="text", threads=threads, resume=self._journal(tokenizer, "text"))
                for tokenizer in tokenizers
            ]
            for counts in zip(*(counts.files for counts in found), strict=True):
                yield Counted(counts[0].path, tuple(count.tokens for count in counts), counts[0].bytes)
            progress.update(f"counted {start + len(some):,} of {len(self.files):,} files")

    def _journal(self, tokenizer: Tokenizer, reading: str) -> Path | None:
        """Return the folder of what was counted with one tokenizer and one way of reading."""
        if self.resume is None:
            return None
        from urllib.parse import quote

        return Path(self.resume) / f"{tokenizer.fingerprint[:16]}-{quote(reading, safe='')}"

    def complain(self, *, quiet: bool) -> None:
        """Say which files were not counted."""
        for path, reason in self.failed:
            say(f"error: {path}: {reason}")
        if self.binary and not quiet:
            say(f"left out {len(self.binary):,} binary file{'s'[: len(self.binary) > 1]}")

    def _fail(self, path: str, error: OSError) -> None:
        self.failed.append((path, error.strerror or str(error)))
