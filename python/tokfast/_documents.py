"""Documents out of files: text, JSON lines and parquet, compressed or not, in batches that bound the memory.

Naive: read every file into a list of strings.
Idea: a reader for each format gives one document after the other (or one Arrow array of a parquet file, handed over
as it lies), and `batches` gathers them until they hold `BATCH_BYTES`.
Cost: linear in the bytes. Memory is `BATCH_BYTES` and the largest document; a text file without a separator is one
document.
Invariant: documents come in the order of the files and of the rows, and a row without a text (null) is an empty
document, so that the n-th document is the n-th row.
"""

import io
import json
import os
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple, cast

from tokfast._tokfast import list_files

BATCH_BYTES = 16 << 20
_READ_BYTES = 1 << 20
_PROBE_BYTES = 8192
_ROWS = 4096

Format = Literal["text", "jsonl", "parquet"]
FORMATS = ("text", "jsonl", "parquet")
_BY_SUFFIX: dict[str, Format] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
_COMPRESSED = (".gz", ".zst")


class Batch(NamedTuple):
    """Some documents of one file."""

    path: str
    texts: Any
    """A list of bytes, or an Arrow array of strings or binaries."""
    n_bytes: int


class Reading(NamedTuple):
    """How files are read; `format` None goes by the suffix."""

    format: Format | None = None
    field: str = "text"
    separator: bytes | None = None

    @classmethod
    def of(cls, format: str | None, field: str, separator: str | bytes | None) -> "Reading":  # noqa: A002
        """Check what a user gave."""
        if format is not None and format not in FORMATS:
            raise ValueError(f"format is {format!r}; pass one of {', '.join(FORMATS)}, or None to go by the suffix")
        if separator is not None and not separator:
            raise ValueError("separator is empty; pass the text that stands between documents, or None")
        as_bytes = separator.encode() if isinstance(separator, str) else separator
        return cls(format, field, as_bytes)  # type: ignore[arg-type]  # checked above

    def format_of(self, path: str) -> Format:
        """Return the format that a file is read in."""
        name = Path(path)
        if name.suffix.lower() in _COMPRESSED:
            name = name.with_suffix("")
        return self.format or _BY_SUFFIX.get(name.suffix.lower(), "text")


def find_files(paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[str]:
    """Return the files that paths, directories and globs name; "-" is standard input.

    Directories are walked as git would. Of what is found there, binary files are left out, but for those whose
    suffix says how to read them.
    """
    if isinstance(paths, (str, os.PathLike)):
        paths = [paths]
    found: dict[str, None] = {}
    for path in [os.fspath(path) for path in paths]:
        if path == "-" or Path(path).is_file():
            found[path] = None
        else:
            found.update(dict.fromkeys(file for file in list_files([path], binary=True) if not _is_binary(file)))
    return list(found)


def _is_binary(path: str) -> bool:
    suffix = Path(path).suffix.lower()
    if suffix in _COMPRESSED or suffix in _BY_SUFFIX:
        return False
    try:
        with Path(path).open("rb") as file:
            return b"\0" in file.read(_PROBE_BYTES)
    except OSError:
        return False  # reading it reports why


def is_plain_text(path: str, reading: Reading = Reading()) -> bool:  # noqa: B008 - it is a tuple
    """Whether the name of a file promises text that can be read as it lies."""
    return Path(path).suffix.lower() not in _COMPRESSED and reading.format_of(path) == "text"


def read_documents(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    format: str | None = None,  # noqa: A002
    field: str = "text",
    separator: str | bytes | None = None,
) -> Iterator[str | bytes]:
    r"""Read the documents of files, one after the other: for `train`, and for loops of one's own.

    Parameters
    ----------
    paths, format, field, separator
        As for `count_files`.

    Yields
    ------
    str or bytes
        The text of each document.

    Raises
    ------
    ValueError, ImportError, OSError
        As for `count_files`.

    Examples
    --------
    >>> import pathlib, tempfile, tokfast
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "a.jsonl")
    ...     _ = path.write_text('{"body": "one two"}\n{"body": "three"}\n')
    ...     tok = tokfast.train(tokfast.read_documents(path, field="body"), 260)
    >>> tok.training_report.documents
    2
    """
    reading = Reading.of(format, field, separator)
    for path in find_files(paths):
        for batch in batches(path, reading):
            yield from batch.texts if isinstance(batch.texts, list) else batch.texts.to_pylist()


def batches(path: str, reading: Reading) -> Iterator[Batch]:
    """Give the documents of one file, in order."""
    kind = reading.format_of(path)
    if kind == "parquet":
        yield from _parquet(path, reading.field)
        return
    with _opened(path) as file:
        if kind == "jsonl":
            documents = _json_lines(path, file, reading.field)
        elif reading.separator is not None:
            documents = _separated(file, reading.separator)
        else:
            documents = iter([file.read()])
        texts: list[bytes] = []
        n_bytes = 0
        for document in documents:
            texts.append(document)
            n_bytes += len(document)
            if n_bytes >= BATCH_BYTES:
                yield Batch(path, texts, n_bytes)
                texts, n_bytes = [], 0
        if texts:
            yield Batch(path, texts, n_bytes)


@contextmanager
def _opened(path: str) -> Iterator[IO[bytes]]:
    """Open a file for its uncompressed bytes; damage in it names the file."""
    if path == "-":
        yield sys.stdin.buffer
        return
    suffix = Path(path).suffix.lower()
    if suffix == ".gz":
        import gzip

        try:
            with gzip.open(path, "rb") as file:
                yield cast("IO[bytes]", file)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"{path!r} is no whole gzip file ({error}); write it again") from error
    elif suffix == ".zst":
        zstandard = _extra("zstandard", "zstd", path)
        try:
            with Path(path).open("rb") as raw:
                yield cast("IO[bytes]", io.BufferedReader(_ZstandardFrames(raw, zstandard), _READ_BYTES))
        except (EOFError, zstandard.ZstdError) as error:
            raise ValueError(f"{path!r} is no whole zstd file ({error}); write it again") from error
    else:
        with Path(path).open("rb") as file:
            yield file


class _ZstandardFrames(io.RawIOBase):
    """The bytes of all frames of a file. zstandard's own reader takes a file that was cut off for one that ends."""

    # 4 KiB of frames hold 180 MB at most, however they were made.
    _COMPRESSED_BYTES = 1 << 12

    def __init__(self, raw: IO[bytes], zstandard: Any) -> None:
        self._raw = raw
        self._new_frame = zstandard.ZstdDecompressor().decompressobj
        self._frame: Any = None
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            ended = self._frame is not None and self._frame.eof
            compressed = (self._frame.unused_data if ended else b"") or self._raw.read(self._COMPRESSED_BYTES)
            if not compressed:
                if self._frame is not None and not ended:
                    raise EOFError("it ends inside a frame")
                return 0
            if self._frame is None or ended:
                self._frame = self._new_frame()
            self._ready = memoryview(self._frame.decompress(compressed))
        size = min(len(buffer), len(self._ready))
        buffer[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size


def _extra(module: str, extra: str, path: str) -> Any:
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(f"reading {path!r} needs {module}: pip install 'tokfast[{extra}]'") from error


def _separated(file: IO[bytes], separator: bytes) -> Iterator[bytes]:
    """Give what stands between separators; nothing after the last one is no document."""
    rest = bytearray()
    while block := file.read(_READ_BYTES):
        # Only the end of what was read before can hold the beginning of a separator.
        start = max(len(rest) - len(separator) + 1, 0)
        rest += block
        begin = 0
        while (end := rest.find(separator, max(start, begin))) >= 0:
            yield bytes(rest[begin:end])
            begin = end + len(separator)
        del rest[:begin]
    if rest:
        yield bytes(rest)


def _json_lines(path: str, file: IO[bytes], field: str) -> Iterator[bytes]:
    for number, line in enumerate(_separated(file, b"\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(
                f"{path!r}, line {number}: no JSON ({error}); pass format='text' for plain text"
            ) from error
        if not isinstance(row, dict) or field not in row:
            there = ", ".join(map(repr, row)) if isinstance(row, dict) else f"a {type(row).__name__}"
            raise ValueError(f"{path!r}, line {number}: no field {field!r}, but {there:.200}; pass field=")
        text = row[field]
        if text is None:
            text = ""
        if not isinstance(text, str):
            raise ValueError(  # noqa: TRY004 - the file is at fault, not a caller's type
                f"{path!r}, line {number}: field {field!r} holds {text!r:.80}, which is no text; pass field="
            )
        # A lone surrogate, which JSON can spell and UTF-8 cannot, is replaced.
        yield text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def _parquet(path: str, field: str) -> Iterator[Batch]:
    if path == "-" or Path(path).suffix.lower() in _COMPRESSED:
        raise ValueError(f"{path!r}: parquet is read from its end; store it in an uncompressed file of its own")
    parquet = _extra("pyarrow.parquet", "parquet", path)
    import pyarrow as pa

    with Path(path).open("rb") as raw:
        try:
            file = parquet.ParquetFile(raw)
        except pa.ArrowInvalid as error:
            raise ValueError(f"{path!r} is no parquet file ({error})") from error
        names = file.schema_arrow.names
        if field not in names:
            raise ValueError(f"{path!r} has no column {field!r}, but {', '.join(map(repr, names)):.200}; pass field=")
        for rows in file.iter_batches(batch_size=_ROWS, columns=[field]):
            column = rows.column(0)
            if pa.types.is_dictionary(column.type):
                column = column.dictionary_decode()
            if not _is_text(pa.types, column.type):
                raise ValueError(f"{path!r}: column {field!r} holds {column.type}, which is no text; pass field=")
            if column.null_count:
                column = column.fill_null(pa.scalar("", column.type))
            yield Batch(path, column, column.nbytes)


def _is_text(types: Any, kind: Any) -> bool:
    return bool(
        types.is_string(kind) or types.is_large_string(kind) or types.is_binary(kind) or types.is_large_binary(kind)
    )


def together(files: Sequence[str], reading: Reading) -> Iterator[list[Batch]]:
    """Give the documents of many files in groups of about `BATCH_BYTES`, so that all threads have work.

    A group holds lists of bytes from one or more files, or one Arrow array. A file without documents is in it too.
    """
    group: list[Batch] = []
    for path in files:
        is_empty = True
        for batch in batches(path, reading):
            is_empty = False
            if not isinstance(batch.texts, list):
                if group:
                    yield group
                yield [batch]
                group = []
                continue
            group.append(batch)
            if sum(part.n_bytes for part in group) >= BATCH_BYTES or len(group) >= _ROWS:
                yield group
                group = []
        if is_empty:
            group.append(Batch(path, [], 0))
    if group:
        yield group
