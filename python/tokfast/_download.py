"""An encoding's file from where it is published into tokfast's cache, when somebody asks for it.

Naive: write what comes over the line to the file's place. A line that breaks then leaves half a file, and whatever
stands at the address is believed. Idea: read it whole, compare its sha256 with the one in the table, and only then
write it beside its place, flush it to the disk and rename it: there is the right file, or none.

Cost: the file in memory, at most `LARGEST`.
"""

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tokfast._encodings import PUBLISHED_AT, Encoding
from tokfast._errors import UnknownEncodingError
from tokfast._places import is_offline, own_cache, sha256

if TYPE_CHECKING:
    from collections.abc import Callable

LARGEST = 64 << 20
"""Bytes after which an answer is no vocabulary file: the greatest published one has 4 MB."""

TIMEOUT = 30.0
"""Seconds without a byte after which the download is given up."""


def download(encoding: Encoding, progress: "Callable[[int], object] | None" = None) -> Path:
    """Fetch an encoding's file into the cache and return its path.

    Parameters
    ----------
    encoding
        What to fetch.
    progress
        Told how many bytes are here.

    Raises
    ------
    UnknownEncodingError
        Downloads are forbidden, or what came is not the published file.
    OSError
        There is no connection, or the cache cannot be written.
    """
    address = PUBLISHED_AT + encoding.file_name
    if is_offline():
        raise UnknownEncodingError(
            f"{encoding.name} would have to be downloaded from {address}, but TOKFAST_OFFLINE or HF_HUB_OFFLINE is "
            f"set; unset it, or save the file as {own_cache() / encoding.file_name}"
        )
    data = _read(address, progress)
    if (found := sha256(data)) != encoding.sha256:
        raise UnknownEncodingError(
            f"{address} gave {len(data)} bytes with sha256 {found}, and {encoding.sha256} was expected; nothing was "
            "kept: try again, or from another network"
        )
    path = own_cache() / encoding.file_name
    write_atomically(path, data)
    return path


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file as a whole or not at all, and flush it to the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    if os.name == "posix":  # elsewhere a folder cannot be opened
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _read(address: str, progress: "Callable[[int], object] | None") -> bytes:
    import http.client
    import urllib.request

    parts: list[bytes] = []
    size = 0
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT) as answer:  # noqa: S310 (PUBLISHED_AT is https)
            while size <= LARGEST and (part := answer.read(1 << 16)):
                parts.append(part)
                size += len(part)
                if progress:
                    progress(size)
    except (OSError, http.client.HTTPException) as error:
        raise OSError(
            f"{address} could not be downloaded ({error}); nothing was kept: try again, or get the file "
            "in another way and set TOKFAST_CACHE_DIR to its folder"
        ) from error
    return b"".join(parts)
