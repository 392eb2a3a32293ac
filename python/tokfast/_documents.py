"""Files -> documents: plain text, JSON lines and parquet, each as it is or compressed with gzip or Zstandard.

Naive: read a file, decompress it, parse it, and have all its documents in memory at once.
Idea: a file is a stream of batches of documents. A batch is a list of texts, or an Arrow array (parquet), which the
extension reads where it lies. So a file may be larger than memory, unless it is one document.
Invariant: the documents and their order do not depend on the size of a batch.
"""

import gzip
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Literal, get_args

from tokfast._tokfast import list_files

Format = Literal["text", "jsonl", "parquet"]
StrPath = str | os.PathLike[str]

# What is given to all threads at a time.
_BATCH_BYTES = 16 << 20
_ROWS = 4096
_READ_BYTES = 1 << 20
_COMPRESSED = (".gz", ".zst")
_FORMATS: dict[str, Format] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}


def paths_of(paths: StrPath | Iterable[StrPath]) -> list[str]:
    """Return the files that paths, folders and globs name."""
    return list_files([paths] if isinstance(paths, (str, os.PathLike)) else list(paths))


def format_of(path: StrPath, format: Format | None = None) -> Format:  # noqa: A002
    """Return the format of a file, by its name where nothing is said."""
    if format is not None:
        if format not in get_args(Format):
            raise ValueError(f"format is {format!r}; pass {', '.join(map(repr, get_args(Format)))}, or None")
        return format
    name = Path(path)
    if name.suffix in _COMPRESSED:
        name = name.with_suffix("")
    return _FORMATS.get(name.suffix, "text")


def is_plain_text(path: StrPath) -> bool:
    """Whether the name of a file promises text that can be read as it lies."""
    return Path(path).suffix not in _COMPRESSED and format_of(path) == "text"


def read_documents(
    paths: StrPath | Iterable[StrPath],
    *,
    format: Format | None = None,  # noqa: A002 (the name in the interface)
    field: str = "text",
    separator: str | None = None,
) -> Iterator[str | bytes]:
    r"""Read the documents of files, one after the other.

    Parameters
    ----------
    paths
        A file, a folder, a glob, or several of them. Files that end in ``.gz`` or ``.zst`` are decompressed.
    format
        ``"text"``, ``"jsonl"`` (an object on each line) or ``"parquet"`` (needs pyarrow); None for what the name of
        each file says: ``.jsonl``, ``.ndjson``, ``.parquet``, and text for every other one.
    field
        The field of an object, or the column, that holds the text.
    separator
        What stands between two documents of a text file, such as ``"<|endoftext|>"``; None: a file is one document.

    Yields
    ------
    str or bytes
        Bytes from text files, whatever their encoding.

    Raises
    ------
    ValueError
        A line is no JSON object, or there is no such field or column: the message names the file and the line.
    ImportError
        The file needs a package that is not installed.
    OSError
        A file cannot be read.

    Examples
    --------
    >>> import tokfast
    >>> with open("few.jsonl", "w") as file:
    ...     _ = file.write('{"text": "one"}\n{"text": "two"}\n')
    >>> list(tokfast.read_documents("few.jsonl"))
    ['one', 'two']
    """
    for path in paths_of(paths):
        for batch in batches(path, format=format, field=field, separator=separator):
            yield from batch if isinstance(batch, list) else batch.to_pylist()


def batches(
    path: str,
    *,
    format: Format | None,  # noqa: A002 (the name in the interface)
    field: str,
    separator: str | None,
) -> Iterator[Any]:
    """Read a file as batches of documents: lists of texts, or Arrow arrays of them."""
    kind = format_of(path, format)
    if kind == "parquet":
        yield from _parquet(path, field)
        return
    with _open(path) as file:
        if kind == "jsonl":
            yield from _gather(_json_lines(file, path, field))
        elif separator is None:
            yield [file.read()]
        elif separator:
            yield from _gather(_split(file, separator.encode()))
        else:
            raise ValueError("separator is empty; pass what stands between two documents, or None")


def _open(path: str) -> IO[bytes]:
    suffix = Path(path).suffix
    if suffix == ".gz":
        return gzip.open(path, "rb")  # type: ignore[return-value]
    if suffix == ".zst":
        try:
            import zstandard
        except ImportError as error:
            raise ImportError(f"{path} needs the package zstandard: pip install zstandard") from error
        reader: IO[bytes] = zstandard.open(path, "rb")
        return reader
    return Path(path).open("rb")


def _gather(documents: Iterable[str | bytes]) -> Iterator[list[str | bytes]]:
    batch: list[str | bytes] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += len(document)
        if size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _split(file: IO[bytes], separator: bytes) -> Iterator[bytes]:
    rest = b""
    while chunk := file.read(_READ_BYTES):
        # Only the end of what was read before can hold the beginning of a separator.
        from_here = max(len(rest) - len(separator) + 1, 0)
        rest += chunk
        if separator in memoryview(rest)[from_here:].tobytes():
            *documents, rest = rest.split(separator)
            yield from documents
    if rest:
        yield rest


def _json_lines(file: IO[bytes], path: str, field: str) -> Iterator[str]:
    for number, line in enumerate(file, 1):
        if line.isspace():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: no JSON ({error}); pass format='text' if it is text") from error
        if not isinstance(value, dict) or field not in value:
            known = ", ".join(value) if isinstance(value, dict) else f"a {type(value).__name__}"
            raise ValueError(f"{path}, line {number}: there is no field {field!r}, but {known or 'nothing'}")
        text = value[field]
        if not isinstance(text, str):
            raise ValueError(  # noqa: TRY004 (the file is wrong, not the call)
                f"{path}, line {number}: the field {field!r} is {text!r:.100}, and no text"
            )
        yield text


def _parquet(path: str, field: str) -> Iterator[Any]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise ImportError(f"{path} needs the package pyarrow: pip install pyarrow") from error
    try:
        with pq.ParquetFile(path) as file:
            if field not in file.schema_arrow.names:
                raise ValueError(f"{path}: there is no column {field!r}, but {', '.join(file.schema_arrow.names)}")
            for batch in file.iter_batches(batch_size=_ROWS, columns=[field]):
                yield batch.column(0)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path}: no parquet file: {error}") from error
