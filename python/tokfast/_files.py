"""Counting and encoding of files that may be larger than memory, and that go on where they were stopped.

Naive: read all, encode all, save one array.
Idea: documents come in batches (`tokfast._documents`). Counts are kept file by file in a journal; ids are written in
shards of whole files, and ``index.json``, replaced in one step after each shard, names what is finished.
Cost: linear in the bytes; memory is a few batches.
Invariant: what the journal or the index names is complete. What a killed run had begun besides is done again.
"""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tokfast._documents import Batch, Reading, find_files, is_plain_text, together
from tokfast._tokfast import count_text_files

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import DTypeLike

    from tokfast._tokfast import Tokenizer

__all__ = ["FileCount", "FileCounts", "count_files", "encode_files"]

StrPath = str | os.PathLike[str]

VERSION = 1
_JOURNAL = "counts.jsonl"
_INDEX = "index.json"
_SHARD_TOKENS = 1 << 27
_GROUP_BYTES = 256 << 20
_NPY_HEADER_BYTES = 128


@dataclass(frozen=True)
class FileCount:
    """What one file holds: documents, tokens, and bytes of text after decompression (of Arrow buffers, for parquet)."""

    path: str
    documents: int
    tokens: int
    bytes: int


@dataclass(frozen=True)
class FileCounts:
    """The counts of some files, in their order, and the tokenizer that counted."""

    files: tuple[FileCount, ...]
    tokenizer: str | None
    fingerprint: str

    @property
    def documents(self) -> int:
        """Documents of all files."""
        return sum(file.documents for file in self.files)

    @property
    def tokens(self) -> int:
        """Tokens of all files."""
        return sum(file.tokens for file in self.files)

    @property
    def bytes(self) -> int:
        """Bytes of text of all files."""
        return sum(file.bytes for file in self.files)


def count_files(
    paths: StrPath | Iterable[StrPath],
    tokenizer: "Tokenizer | str",
    *,
    format: str | None = None,  # noqa: A002
    field: str = "text",
    separator: str | bytes | None = None,
    threads: int | None = None,
    resume: StrPath | None = None,
) -> FileCounts:
    r"""Count the tokens of the documents in files.

    Parameters
    ----------
    paths
        One or several files, directories (walked as git would) and globs; ``"-"`` is standard input. ``.gz`` and
        ``.zst`` are decompressed.
    tokenizer
        A tokenizer, or what `load` takes. It counts each document by itself; special tokens' spellings are ordinary
        text.
    format
        ``"text"``, ``"jsonl"`` or ``"parquet"``; None goes by the suffix.
    field
        The field of a JSON line, or the parquet column, that holds the text. Null is an empty document.
    separator
        What stands between the documents of a text file; None makes a file one document.
    threads
        None for one a processor.
    resume
        A directory that keeps the count of every finished file; what it holds already is not counted again, if the
        file's size and time of change are what they were.

    Returns
    -------
    FileCounts
        A `FileCount` for each file, and the sums.

    Raises
    ------
    ValueError
        A file is not what its format asks for, or `resume` holds a count with other options.
    ImportError
        ``tokfast[parquet]`` or ``tokfast[zstd]`` is needed.
    OSError
        A file cannot be read.

    Examples
    --------
    >>> import pathlib, tempfile, tokfast
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "a.jsonl")
    ...     _ = path.write_text('{"text": "one two"}\n{"text": "three"}\n')
    ...     counts = tokfast.count_files(path, tokfast.load("tokfast-32k"))
    >>> counts.documents, counts.tokens
    (2, 4)
    """
    tokenizer = _loaded(tokenizer)
    reading = Reading.of(format, field, separator)
    files = find_files(paths)
    options = _options(tokenizer, reading)
    done: dict[str, FileCount] = {}
    stamps = {} if resume is None else {path: _stamp(path) for path in files}
    journal = None if resume is None else Path(resume) / _JOURNAL
    if journal is not None:
        done = _open_journal(journal, options, stamps)
    todo = [path for path in files if path not in done]
    for group in _groups(todo, stamps):
        for file in _count(group, tokenizer, reading, threads):
            done[file.path] = file
            if journal is not None and stamps[file.path] is not None:
                with journal.open("a", encoding="utf-8") as lines:
                    lines.write(json.dumps([stamps[file.path], vars(file)]) + "\n")
    return FileCounts(tuple(done[path] for path in files), tokenizer.name, tokenizer.fingerprint)


def _loaded(tokenizer: "Tokenizer | str") -> "Tokenizer":
    if not isinstance(tokenizer, str):
        return tokenizer
    from tokfast._load import load

    return load(tokenizer)


def _count(files: list[str], tokenizer: "Tokenizer", reading: Reading, threads: int | None) -> Iterator[FileCount]:
    """Give the count of each file once it is whole, in any order."""
    texts = [path for path in files if _is_one_text(path, reading)]
    yield from _count_texts(texts, tokenizer, threads)
    yield from _count_documents(
        [path for path in files if not _is_one_text(path, reading)], tokenizer, reading, threads
    )


def _is_one_text(path: str, reading: Reading) -> bool:
    return reading.separator is None and path != "-" and is_plain_text(path, reading)


def _count_texts(files: list[str], tokenizer: "Tokenizer", threads: int | None) -> Iterator[FileCount]:
    """Count files that are one text each, which the threads that count read themselves."""
    tokens, n_bytes, others = count_text_files(tokenizer, files, threads=threads)
    for place, count in enumerate(map(FileCount, files, repeat(1), tokens, n_bytes)):
        if place not in others:
            yield count
    for error in others.values():
        if error is not None:
            raise error


def _count_documents(
    files: list[str], tokenizer: "Tokenizer", reading: Reading, threads: int | None
) -> Iterator[FileCount]:
    path, documents, tokens, n_bytes = "", 0, 0, 0
    for group in together(files, reading):
        counts = tokenizer.count_batch(_texts(group), threads=threads)
        start = 0
        for batch in group:
            if batch.path != path:
                if path:
                    yield FileCount(path, documents, tokens, n_bytes)
                path, documents, tokens, n_bytes = batch.path, 0, 0, 0
            part = counts[start : start + len(batch.texts)]
            start += len(part)
            documents += len(part)
            tokens += int(part.sum())
            n_bytes += batch.n_bytes
    if path:
        yield FileCount(path, documents, tokens, n_bytes)


def _groups(files: list[str], stamps: dict[str, list[int] | None]) -> Iterator[list[str]]:
    """Cut a list of files where a killed run may begin again, if there is a journal; else nowhere."""
    group: list[str] = []
    n_bytes = 0
    for path in files:
        group.append(path)
        n_bytes += (stamps.get(path) or [0])[0]
        if n_bytes >= _GROUP_BYTES:
            yield group
            group, n_bytes = [], 0
    if group:
        yield group


def _texts(group: list[Batch]) -> Any:
    if len(group) == 1:
        return group[0].texts
    return [text for batch in group for text in batch.texts]


def _options(tokenizer: "Tokenizer", reading: Reading) -> dict[str, object]:
    separator = None if reading.separator is None else reading.separator.hex()
    return {
        "version": VERSION,
        "fingerprint": tokenizer.fingerprint,
        "format": reading.format,
        "field": reading.field,
        "separator": separator,
    }


def _stamp(path: str) -> list[int] | None:
    """Return size and time of change; None for what has neither, as standard input."""
    if path == "-":
        return None
    status = Path(path).stat()
    return [status.st_size, status.st_mtime_ns]


def _open_journal(
    journal: Path, options: dict[str, object], stamps: dict[str, list[int] | None]
) -> dict[str, FileCount]:
    """Read what was counted, and leave the journal ready for more: without the line that a killed run began."""
    journal.parent.mkdir(parents=True, exist_ok=True)
    lines = journal.read_text(encoding="utf-8").splitlines(keepends=True) if journal.exists() else []
    lines = [line for line in lines if line.endswith("\n")]
    if not lines:
        lines = [json.dumps(options) + "\n"]
    try:
        before = json.loads(lines[0])
        rows = [(stamp, FileCount(**file)) for stamp, file in map(json.loads, lines[1:])]
    except (ValueError, TypeError) as error:
        raise ValueError(f"{str(journal)!r} is damaged ({error}); remove it to count anew") from error
    _refuse_difference(before, options, journal)
    with _replaced(journal) as file:
        file.write("".join(lines).encode())
    return {file.path: file for stamp, file in rows if stamps.get(file.path) == stamp}


def _refuse_difference(before: Any, options: dict[str, object], path: Path) -> None:
    there = before if isinstance(before, dict) else {}
    for name, value in options.items():
        if there.get(name) != value:
            raise ValueError(
                f"{str(path)!r} was made with {name} {there.get(name)!r}, not {value!r}; "
                "use the same, or another directory"
            )


@contextmanager
def _replaced(path: Path) -> Iterator[IO[bytes]]:
    """Write a file that is there as a whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def encode_files(
    paths: StrPath | Iterable[StrPath],
    tokenizer: "Tokenizer | str",
    out: StrPath,
    *,
    dtype: "DTypeLike | None" = None,
    format: str | None = None,  # noqa: A002
    field: str = "text",
    separator: str | bytes | None = None,
    threads: int | None = None,
    resume: bool = False,
) -> dict[str, Any]:
    r"""Encode the documents of files into shards of ids that `numpy.load` can map into memory.

    Parameters
    ----------
    paths, format, field, separator, threads
        As for `count_files`.
    tokenizer
        A tokenizer, or what `load` takes. It encodes each document by itself; nothing is put between them.
    out
        A directory, made if it is not there. Shard n is ``n.ids.npy``, all ids in a row, and ``n.offsets.npy``
        (int64), where each document begins, and the end. ``index.json`` names the shards, their files, the dtype and
        the tokenizer's fingerprint.
    dtype
        ``"uint16"`` or ``"uint32"``; None for the smaller one that holds every id.
    resume
        Whether to go on after the shards that `out` holds. Without it, an `out` that holds an index is refused.

    Returns
    -------
    dict
        What ``index.json`` holds.

    Raises
    ------
    ValueError
        As for `count_files`; `dtype` cannot hold the ids; `out` holds other options or other files.
    ImportError, OSError
        As for `count_files`; or `out` cannot be written.

    Examples
    --------
    >>> import pathlib, tempfile, numpy, tokfast
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "a.txt")
    ...     _ = path.write_text("one two\nthree")
    ...     index = tokfast.encode_files(path, tokfast.load("tokfast-32k"), folder + "/ids", separator="\n")
    ...     offsets = numpy.load(folder + "/ids/00000.offsets.npy")
    >>> index["dtype"], offsets.tolist()
    ('uint16', [0, 2, 4])
    """
    tokenizer = _loaded(tokenizer)
    reading = Reading.of(format, field, separator)
    files = find_files(paths)
    target = Path(out)
    kind = _dtype(tokenizer, dtype)
    stamped = [[path, _stamp(path)] for path in files]
    index: dict[str, Any] = {**_options(tokenizer, reading), "dtype": kind.name, "tokenizer": tokenizer.name}
    options = dict(index)
    index.update(shards=[], complete=False)
    if (target / _INDEX).exists():
        if not resume:
            raise ValueError(f"{str(target)!r} holds ids already; pass resume=True to go on, or another directory")
        index = _read_index(target / _INDEX, options, stamped)
    target.mkdir(parents=True, exist_ok=True)
    start = sum(len(shard["files"]) for shard in index["shards"])
    while start < len(files):
        name = f"{len(index['shards']):05}"
        shard = _write_shard(
            target, name, files[start:], tokenizer=tokenizer, reading=reading, kind=kind, threads=threads
        )
        n_files = shard.pop("n_files")
        index["shards"].append({**shard, "files": stamped[start : start + n_files]})
        start += n_files
        _write_index(target / _INDEX, index)
    index["complete"] = True
    _write_index(target / _INDEX, index)
    return index


def _dtype(tokenizer: "Tokenizer", dtype: "DTypeLike | None") -> "np.dtype[Any]":
    import numpy as np

    largest = max(tokenizer.vocab_size - 1, *tokenizer.special_tokens.values(), 0)
    kind = np.dtype(dtype if dtype is not None else np.uint16 if largest < 1 << 16 else np.uint32)
    if kind not in {np.dtype("<u2"), np.dtype("<u4")}:
        raise ValueError(f"dtype is {kind}; pass 'uint16', 'uint32' or None")
    if largest > np.iinfo(kind).max:
        raise ValueError(f"dtype is {kind}, which cannot hold the id {largest}; pass 'uint32' or None")
    return kind


def _read_index(path: Path, options: dict[str, object], stamped: list[Any]) -> dict[str, Any]:
    try:
        index = dict(json.loads(path.read_text(encoding="utf-8")))
        done = [file for shard in index["shards"] for file in shard["files"]]
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{str(path)!r} is damaged ({error}); encode into another directory") from error
    _refuse_difference(index, options, path)
    if done != stamped[: len(done)]:
        raise ValueError(f"{str(path)!r} was made of other files, or they have changed; encode into another directory")
    return index


def _write_index(path: Path, index: dict[str, Any]) -> None:
    with _replaced(path) as file:
        file.write(json.dumps(index, indent=1).encode())


def _write_shard(
    target: Path,
    name: str,
    files: list[str],
    *,
    tokenizer: "Tokenizer",
    reading: Reading,
    kind: "np.dtype[Any]",
    threads: int | None,
) -> dict[str, Any]:
    """Write whole files until the shard is full; a group of small files is never left half written."""
    import numpy as np

    lengths: list[np.ndarray[Any, Any]] = []
    n_tokens = n_files = 0
    with _replaced(target / f"{name}.ids.npy") as ids:
        ids.write(b" " * _NPY_HEADER_BYTES)
        while n_files < len(files) and n_tokens < _SHARD_TOKENS:
            # One large file, or small ones that share a batch: a shard ends with a file.
            some = _some_files(files[n_files:])
            for group in together(some, reading):
                batch = tokenizer.encode_batch(_texts(group), threads=threads)
                ids.write(batch.ids.astype(kind).tobytes())
                lengths.append(np.diff(batch.offsets))
                n_tokens += len(batch.ids)
            n_files += len(some)
        ids.seek(0)
        ids.write(_npy_header(kind, n_tokens))
    offsets = np.concatenate([np.zeros(1, np.int64), *lengths]).cumsum()
    with _replaced(target / f"{name}.offsets.npy") as file:
        np.save(file, offsets)
    return {
        "ids": f"{name}.ids.npy",
        "offsets": f"{name}.offsets.npy",
        "documents": len(offsets) - 1,
        "tokens": n_tokens,
        "n_files": n_files,
    }


def _some_files(files: list[str], n_bytes: int = 16 << 20) -> list[str]:
    total = 0
    for number, path in enumerate(files, 1):
        total += 0 if path == "-" else Path(path).stat().st_size
        if total >= n_bytes:
            return files[:number]
    return files


def _npy_header(kind: "np.dtype[Any]", length: int) -> bytes:
    """Return the header of version 1.0 (numpy.lib.format), always of the same length."""
    start = b"\x93NUMPY\x01\x00" + (_NPY_HEADER_BYTES - 10).to_bytes(2, "little")
    text = repr({"descr": kind.newbyteorder("<").str, "fortran_order": False, "shape": (length,)})
    return start + text.encode().ljust(_NPY_HEADER_BYTES - 11) + b"\n"
