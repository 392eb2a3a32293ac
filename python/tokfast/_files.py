"""Files -> numbers of tokens, or shards of ids, file after file, so that a run that was stopped can go on.

Naive: hold all ids, write them at the end. Idea: documents come in batches (`tokfast._documents`); a batch is counted
or encoded by all threads and forgotten. Each file is noted when it is done, in one small file that is replaced as a
whole.
Cost: memory is a batch, and the longest document.
"""

import json
import os
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tokfast._documents import Format, StrPath, batches, paths_of
from tokfast._load import load
from tokfast._tokfast import Tokenizer

if TYPE_CHECKING:
    import numpy as np

_STATE = "index.json"
_VERSION = 1
_NARROW = 1 << 16


@dataclass(frozen=True)
class FileCount:
    """What one file holds."""

    path: str
    documents: int
    tokens: int
    bytes: int


@dataclass(frozen=True)
class FileCounts:
    """What files hold, in order, and with which tokenizer it was counted."""

    files: tuple[FileCount, ...]
    tokenizer: str | None
    fingerprint: str

    @property
    def documents(self) -> int:
        """Documents in all files."""
        return sum(file.documents for file in self.files)

    @property
    def tokens(self) -> int:
        """Tokens in all files."""
        return sum(file.tokens for file in self.files)

    @property
    def bytes(self) -> int:
        """Bytes of all files, as they lie on the disk."""
        return sum(file.bytes for file in self.files)


class _Done:
    """Which files are done, in a directory; each is known by its path, size and time of change."""

    def __init__(self, directory: StrPath | None, run: dict[str, Any], *, resume: bool) -> None:
        self.directory = None if directory is None else Path(directory)
        self.state: dict[str, Any] = {"version": _VERSION, **run, "files": []}
        self.known: dict[str, dict[str, Any]] = {}
        if self.directory is None:
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / _STATE
        if not path.exists():
            return
        if not resume:
            raise ValueError(f"{str(path)!r} is there already; pass resume=True to go on, or another directory")
        before = json.loads(path.read_text(encoding="utf-8"))
        for name, value in {"version": _VERSION, **run}.items():
            if before.get(name) != value:
                raise ValueError(
                    f"{str(path)!r} is of another run: {name} was {before.get(name)!r}, and is {value!r} now; go on "
                    "with what it was, or pass another directory"
                )
        self.known = {row["path"]: row for row in before["files"]}

    def find(self, path: str) -> dict[str, Any] | None:
        """Return what is known of a file, if it has not changed."""
        row, status = self.known.get(path), Path(path).stat()
        if row is None or (row["size"], row["modified"]) != (status.st_size, status.st_mtime_ns):
            return None
        return row

    def add(self, row: dict[str, Any]) -> None:
        """Note a file, and write all that is known."""
        self.state["files"].append(row)
        if self.directory is None:
            return
        temporary = self.directory / f"{_STATE}.tmp"
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(self.state, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.directory / _STATE)


def _started(path: str) -> dict[str, Any]:
    status = Path(path).stat()
    return {"path": path, "size": status.st_size, "modified": status.st_mtime_ns, "documents": 0, "tokens": 0}


def count_files(
    paths: StrPath | Iterable[StrPath],
    tokenizer: Tokenizer | str,
    *,
    format: Format | None = None,  # noqa: A002 (the name in the interface)
    field: str = "text",
    separator: str | None = None,
    threads: int | None = None,
    resume: StrPath | None = None,
) -> FileCounts:
    r"""Count the tokens of files, without holding more than a batch of documents.

    Parameters
    ----------
    paths, format, field, separator
        As for `read_documents`.
    tokenizer
        A tokenizer, or what `load` takes.
    threads
        How many threads count; None for one a processor, or ``TOKFAST_THREADS``.
    resume
        A directory that keeps what was counted: with it, the same call goes on after a stop.

    Returns
    -------
    FileCounts
        ``tokens``, ``documents`` and ``bytes`` of all files, and of each in ``files``.

    Raises
    ------
    ValueError, ImportError, OSError
        As for `read_documents`; ValueError also where `resume` holds another run.

    Examples
    --------
    >>> import tokfast
    >>> with open("few.jsonl", "w") as file:
    ...     _ = file.write('{"text": "one"}\n{"text": "two words"}\n')
    >>> counts = tokfast.count_files("few.jsonl", "tokfast-32k")
    >>> counts.documents, counts.tokens
    (2, 3)
    """
    loaded = tokenizer if isinstance(tokenizer, Tokenizer) else load(tokenizer)
    run = {"fingerprint": loaded.fingerprint, "format": format, "field": field, "separator": separator}
    done = _Done(resume, run, resume=True)
    for path in paths_of(paths):
        row = done.find(path)
        if row is None:
            row = _started(path)
            for batch in batches(path, format=format, field=field, separator=separator):
                row["documents"] += len(batch)
                row["tokens"] += int(loaded.count_batch(batch, threads=threads).sum())
        done.add(row)
    rows = done.state["files"]
    files = tuple(FileCount(row["path"], row["documents"], row["tokens"], row["size"]) for row in rows)
    return FileCounts(files, loaded.name, loaded.fingerprint)


def encode_files(
    paths: StrPath | Iterable[StrPath],
    tokenizer: Tokenizer | str,
    out: StrPath,
    *,
    dtype: Literal["uint16", "uint32"] | None = None,
    format: Format | None = None,  # noqa: A002 (the name in the interface)
    field: str = "text",
    separator: str | None = None,
    threads: int | None = None,
    resume: bool = False,
) -> FileCounts:
    r"""Encode files to shards of ids that `numpy.load` maps into memory.

    Parameters
    ----------
    paths, tokenizer, format, field, separator, threads
        As for `count_files`.
    out
        A directory. File number i becomes ``00000i.npy``, the ids of all its documents, and ``00000i.offsets.npy``
        (int64), where each begins and the last one ends. ``index.json`` lists the files that are done, with their
        shards, numbers of tokens, and the fingerprint of the tokenizer.
    dtype
        None for ``"uint16"`` where the vocabulary has at most 65,536 ids, else ``"uint32"``.
    resume
        Whether to go on with what `out` holds: files that are done and have not changed are left as they are.

    Returns
    -------
    FileCounts
        As for `count_files`.

    Raises
    ------
    ValueError
        As for `read_documents`; ids do not fit into `dtype`; or `out` holds a run and `resume` is False, or another
        run.

    Examples
    --------
    >>> import numpy as np, tokfast
    >>> with open("few.jsonl", "w") as file:
    ...     _ = file.write('{"text": "one"}\n{"text": "two words"}\n')
    >>> tokfast.encode_files("few.jsonl", "tokfast-32k", "shards").tokens
    3
    >>> np.load("shards/000000.npy", mmap_mode="r").shape, np.load("shards/000000.offsets.npy").tolist()
    ((3,), [0, 1, 3])
    """
    import numpy as np

    loaded = tokenizer if isinstance(tokenizer, Tokenizer) else load(tokenizer)
    fits = loaded.vocab_size <= _NARROW
    kind = np.dtype(dtype or ("uint16" if fits else "uint32"))
    if kind.name not in ("uint16", "uint32") or (kind.name == "uint16" and not fits):
        raise ValueError(f"dtype is {kind.name}, and the vocabulary has {loaded.vocab_size:,} ids; pass uint32 or None")
    run = {
        "fingerprint": loaded.fingerprint,
        "vocab_size": loaded.vocab_size,
        "dtype": kind.name,
        "format": format,
        "field": field,
        "separator": separator,
    }
    directory = Path(out)
    done = _Done(directory, run, resume=resume)
    for number, path in enumerate(paths_of(paths)):
        name = f"{number:06}.npy"
        row = done.find(path)
        if row is None or row["shard"] != name:
            row = {**_started(path), "shard": name}
            lengths = [np.zeros(1, dtype=np.int64)]
            with closing(_Shard(directory / name, kind)) as shard:
                for batch in batches(path, format=format, field=field, separator=separator):
                    encoded = loaded.encode_batch(batch, threads=threads)
                    shard.write(encoded.ids)
                    lengths.append(np.diff(encoded.offsets))
                    row["documents"] += len(encoded)
                    row["tokens"] += len(encoded.ids)
                shard.finish()
            with closing(_Shard(directory / f"{number:06}.offsets.npy", np.dtype(np.int64))) as shard:
                shard.write(np.cumsum(np.concatenate(lengths)))
                shard.finish()
        done.add(row)
    files = tuple(FileCount(row["path"], row["documents"], row["tokens"], row["size"]) for row in done.state["files"])
    return FileCounts(files, loaded.name, loaded.fingerprint)


class _Shard:
    """A ``.npy`` file of one dimension that grows; it gets its name when it is whole."""

    def __init__(self, path: Path, dtype: "np.dtype[Any]") -> None:
        self.path, self.temporary, self.dtype, self.length = path, path.with_suffix(".tmp"), dtype, 0
        self.file = self.temporary.open("wb")
        self._write_header()

    def _write_header(self) -> None:
        from numpy.lib import format as npy

        # numpy leaves room for the length, so that the header can be written again over itself.
        header = {"descr": npy.dtype_to_descr(self.dtype), "fortran_order": False, "shape": (self.length,)}
        npy.write_array_header_1_0(self.file, header)

    def write(self, values: "np.ndarray[Any, Any]") -> None:
        """Append values."""
        self.file.write(values.astype(self.dtype, copy=False).tobytes())
        self.length += len(values)

    def finish(self) -> None:
        """Write the length, and give the file its name."""
        self.file.seek(0)
        self._write_header()
        self.file.flush()
        os.fsync(self.file.fileno())
        self.close()
        self.temporary.replace(self.path)

    def close(self) -> None:
        """Close the file; one that is not finished stays under its temporary name, for the next run to replace."""
        self.file.close()
