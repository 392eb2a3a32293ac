"""Loading by name: the tables against tiktoken's own, the search on disk, and the messages when it fails."""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiktoken
import tiktoken.model
import tiktoken_ext.openai_public as published

import peers
import tokfast
from tokfast import _encodings, _load, _places

TEXT = "Hello world, 你好! It's 12345 o'clock.\n"


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any vocabulary file; returns the folder that stands for its disk."""
    for variable in (
        "TOKFAST_CACHE_DIR",
        "TIKTOKEN_CACHE_DIR",
        "DATA_GYM_CACHE_DIR",
        "TOKFAST_OFFLINE",
        "HF_HUB_OFFLINE",
    ):
        monkeypatch.delenv(variable, raising=False)
    for variable in ("HOME", "USERPROFILE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setattr(_places, "_PACKAGES", {"tokfast_test_vocabularies": "data"})
    (tmp_path / "site").mkdir()
    monkeypatch.syspath_prepend(tmp_path / "site")
    return tmp_path


@pytest.fixture
def ranks(trained: tokfast.Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Bytes of a small file of ranks, which the table takes for that of cl100k_base."""
    path = tmp_path / "small.tiktoken"
    trained.save(path)
    data = path.read_bytes()
    path.unlink()
    small = replace(
        _encodings.ENCODINGS["cl100k_base"],
        sha256=hashlib.sha256(data).hexdigest(),
        special_tokens={"<|endoftext|>": 5000},
    )
    monkeypatch.setitem(_encodings.ENCODINGS, "cl100k_base", small)
    return data


def place(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


# ------------------------------------------------------------------------------------------- tables


def test_encodings_are_those_of_tiktoken(monkeypatch: pytest.MonkeyPatch) -> None:
    files: list[tuple[str, str]] = []

    def load_nothing(address: str, expected_hash: str) -> dict[bytes, int]:
        files.append((address, expected_hash))
        return {}

    def load_no_pair(**_: str) -> dict[bytes, int]:
        return {}

    monkeypatch.setattr(published, "load_tiktoken_bpe", load_nothing)
    monkeypatch.setattr(published, "data_gym_to_mergeable_bpe_ranks", load_no_pair)
    assert set(_encodings.ENCODINGS) == set(published.ENCODING_CONSTRUCTORS)
    for name, encoding in _encodings.ENCODINGS.items():
        files.clear()
        theirs = published.ENCODING_CONSTRUCTORS[name]()
        assert encoding.name == name
        theirs["special_tokens"].pop("<|reserved_200018|>", None)  # a second spelling of <|endofprompt|>
        assert encoding.special_tokens == theirs["special_tokens"], name
        if name != "gpt2":  # tiktoken makes it from two other files; the ranks are those of r50k_base
            assert files == [(_encodings.PUBLISHED_AT + encoding.file_name, encoding.sha256)]


def test_models_are_those_of_tiktoken() -> None:
    assert tiktoken.model.MODEL_TO_ENCODING == _encodings.MODELS
    theirs = list(tiktoken.model.MODEL_PREFIX_TO_ENCODING.items())
    assert list(_encodings.MODEL_PREFIXES.items()) == theirs, "order counts: the first prefix that fits wins"


@pytest.mark.parametrize(
    ("model", "encoding"),
    [
        ("gpt-4o", "o200k_base"),
        ("gpt-4o-2024-05-13", "o200k_base"),
        ("gpt-4-0314", "cl100k_base"),
        ("gpt-4.1-mini", "o200k_base"),
        ("gpt-oss-20b", "o200k_harmony"),
        ("ft:gpt-4o:org:x", "o200k_base"),
        ("ft:gpt-4:org:x", "cl100k_base"),
        ("text-davinci-edit-001", "p50k_edit"),
        ("gpt2", "gpt2"),
    ],
)
def test_encoding_of_a_model(model: str, encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[tuple[str, bool]] = []
    monkeypatch.setattr(_load, "load", lambda name, *, download: loaded.append((name, download)))
    _load.encoding_for_model(model)
    _load.encoding_for_model(model, download=True)
    assert loaded == [(encoding, False), (encoding, True)]
    assert tiktoken.model.encoding_name_for_model(model) == encoding


# --------------------------------------------------------------------------------- what comes with it


def test_default() -> None:
    tok = tokfast.load("tokfast-32k")
    assert tok.name == "tokfast-32k"
    assert tok.decode(tok.encode(TEXT)) == TEXT
    assert tok.fingerprint == tokfast.load("tokfast-32k").fingerprint


def test_default_is_what_its_manifest_says() -> None:
    manifest = json.loads((_load.DATA / "tokfast-32k.json").read_text(encoding="utf-8"))
    data = (_load.DATA / "tokfast-32k.tiktoken").read_bytes()
    assert hashlib.sha256(data).hexdigest() == manifest["sha256"]
    assert tokfast.load("tokfast-32k").special_tokens == manifest["special_tokens"]


# ------------------------------------------------------------------------------------------ paths


@pytest.mark.parametrize("make", [str, Path])
def test_file_and_directory(trained: tokfast.Tokenizer, tmp_path: Path, make: type) -> None:
    trained.save(tmp_path / "tokenizer.json")
    for path in (tmp_path / "tokenizer.json", tmp_path):
        assert tokfast.load(make(path)).encode(TEXT) == trained.encode(TEXT)


def test_a_directory_may_have_a_dot_in_its_name(trained: tokfast.Tokenizer, tmp_path: Path) -> None:
    folder = tmp_path / "qwen3.5"
    folder.mkdir()
    trained.save(folder)
    assert tokfast.load(folder).fingerprint == trained.fingerprint


def test_name_wins_over_a_file(
    nowhere: Path, ranks: bytes, trained: tokfast.Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(nowhere / "home/tokfast/cl100k_base.tiktoken", ranks)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.chdir(nowhere)
    (nowhere / "cl100k_base").mkdir()
    trained.save(nowhere / "cl100k_base" / "tokenizer.json")
    assert tokfast.load("cl100k_base").name == "cl100k_base"
    assert tokfast.load("./cl100k_base").special_tokens == trained.special_tokens
    assert tokfast.load(Path("cl100k_base")).special_tokens == trained.special_tokens


def test_missing_path_is_an_oserror(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", str(tmp_path / "none"), "none.tiktoken", Path("cl100k_base.none")):
        with pytest.raises(FileNotFoundError, match="none"):
            tokfast.load(path)
    with pytest.raises(FileNotFoundError, match=r"tokenizer\.json"):
        tokfast.load(tmp_path)


@pytest.mark.parametrize("name", ["none.gguf", "none.model", "none.json", "none.tiktoken"])
def test_what_is_spelled_as_a_path_is_one(name: str) -> None:
    with pytest.raises(FileNotFoundError, match=f"'{name}'"):
        tokfast.load(name)


def test_a_repository_is_not_a_path() -> None:
    with pytest.raises(FileNotFoundError, match=r"Tokenizer\.from_pretrained.*'org/none'"):
        tokfast.load("org/none")


def test_a_folder_without_a_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds none of tokenizer\.json, tekken\.json"):
        tokfast.load(tmp_path)
    with pytest.raises(tokfast.UnknownEncodingError):
        tokfast.load("")


def test_a_folder_with_a_pair_of_files() -> None:
    path = peers.real_file("gpt2/encoder.json")
    assert tokfast.load(path.parent).fingerprint == tokfast.load(path).fingerprint


def test_wrong_type() -> None:
    wrong: Any = 5
    with pytest.raises(TypeError, match="int"):
        tokfast.load(wrong)


def test_published_file_is_known_by_its_hash(nowhere: Path, ranks: bytes) -> None:
    tok = tokfast.load(place(nowhere / "somewhere" / "renamed.tiktoken", ranks))
    assert tok.name == "cl100k_base"
    assert tok.special_tokens == {"<|endoftext|>": 5000}


def test_other_ranks_need_a_pattern(nowhere: Path, ranks: bytes) -> None:
    path = place(nowhere / "other.tiktoken", ranks.rstrip(b"\n") + b" \n")
    with pytest.raises(tokfast.TokfastError, match="pattern"):
        tokfast.load(path)


# ----------------------------------------------------------------------------------------- search


def cached_name() -> str:
    address = f"{_encodings.PUBLISHED_AT}cl100k_base.tiktoken".encode()
    return hashlib.sha1(address, usedforsecurity=False).hexdigest()


def test_cached_name_is_tiktokens() -> None:
    # As seen in the folders of packages that ship tiktoken's cache.
    assert cached_name() == "9b5ad71b2ce5302211f9c61530b329a4922fc6a4"


@pytest.mark.parametrize(
    "where",
    [
        ("linux", "own", "TOKFAST_CACHE_DIR"),
        ("linux", "home/tokfast", None),
        ("darwin", "home/Library/Caches/tokfast", None),
        ("win32", "home/tokfast/Cache", None),
        ("linux", "theirs", "TIKTOKEN_CACHE_DIR"),
        ("linux", "gym", "DATA_GYM_CACHE_DIR"),
        ("linux", "tmp/data-gym-cache", None),
        ("linux", "site/tokfast_test_vocabularies/data", None),
    ],
)
@pytest.mark.parametrize("file_name", ["cl100k_base.tiktoken", cached_name()])
def test_found_in_each_place(
    nowhere: Path,
    ranks: bytes,
    monkeypatch: pytest.MonkeyPatch,
    where: tuple[str, str, str | None],
    file_name: str,
) -> None:
    platform, folder, variable = where
    monkeypatch.setattr(sys, "platform", platform)
    if variable:
        monkeypatch.setenv(variable, str(nowhere / folder))
    place(nowhere / folder / file_name, ranks)
    tok = tokfast.load("cl100k_base")
    assert tok.name == "cl100k_base"
    assert tok.decode(tok.encode(TEXT)) == TEXT
    assert "tokfast_test_vocabularies" not in sys.modules, "a package is looked into, and not imported"


def test_file_with_another_hash_is_passed_over_and_kept(nowhere: Path, ranks: bytes) -> None:
    wrong = place(nowhere / "tmp/data-gym-cache" / cached_name(), ranks[:1000])
    with pytest.raises(tokfast.UnknownEncodingError, match="sha256") as caught:
        tokfast.load("cl100k_base")
    assert str(wrong) in str(caught.value)
    assert wrong.read_bytes() == ranks[:1000]
    place(nowhere / "site/tokfast_test_vocabularies/data/cl100k_base.tiktoken", ranks)
    assert tokfast.load("cl100k_base").name == "cl100k_base"


def test_unreadable_candidate_is_passed_over(nowhere: Path, ranks: bytes) -> None:
    (nowhere / "tmp/data-gym-cache" / "cl100k_base.tiktoken").mkdir(parents=True)
    place(nowhere / "site/tokfast_test_vocabularies/data/cl100k_base.tiktoken", ranks)
    assert tokfast.load("cl100k_base").name == "cl100k_base"


def test_not_found_says_what_to_do(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKFAST_CACHE_DIR", str(nowhere / "own"))
    with pytest.raises(tokfast.UnknownEncodingError) as caught:
        tokfast.load("o200k_base")
    message = str(caught.value)
    assert message.startswith("o200k_base needs the file o200k_base.tiktoken")
    for needed in (nowhere / "own", nowhere / "tmp" / "data-gym-cache", _encodings.PUBLISHED_AT):
        assert str(needed) in message
    assert "\n" not in message
    assert isinstance(caught.value, LookupError)


def test_no_temporary_folder(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", fail)
    with pytest.raises(tokfast.UnknownEncodingError, match=str(nowhere)):
        tokfast.load("gpt2")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("cl100k", "did you mean 'cl100k_base'"),
        ("gpt-4o", "its encoding is 'o200k_base'"),
        ("nothing-like-it", "the names are tokfast-32k, gpt2"),
    ],
)
def test_unknown_name(name: str, hint: str) -> None:
    with pytest.raises(tokfast.UnknownEncodingError, match=hint) as caught:
        tokfast.load(name)
    assert str(caught.value).startswith(f"{name!r} is no known encoding"), "no quotes around the message"


def test_unknown_model() -> None:
    with pytest.raises(tokfast.UnknownEncodingError, match="'llama-7b' is not known"):
        tokfast.encoding_for_model("llama-7b")


# ------------------------------------------------------------------------------------ the real ones


@pytest.mark.parametrize("name", ["gpt2", "cl100k_base", "o200k_base"])
def test_real_encoding_equals_tiktoken(name: str, nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = peers.real_file(f"{name}.tiktoken")
    monkeypatch.setenv("TOKFAST_CACHE_DIR", str(file.parent))
    tok = tokfast.load(name)
    theirs = peers.tiktoken_encoding(name.removesuffix("_base"))
    assert tok.encode(TEXT) == theirs.encode_ordinary(TEXT)
    assert tok.special_tokens == dict(_encodings.ENCODINGS[name].special_tokens)
    assert tok.encode("<|endoftext|>", allowed_special="all") == [tok.special_tokens["<|endoftext|>"]]
    assert nowhere.is_dir()


def test_harmony_has_all_its_special_tokens(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKFAST_CACHE_DIR", str(peers.real_file("o200k_base.tiktoken").parent))
    tok = tokfast.load("o200k_harmony")
    assert tok.encode("<|start|>user<|message|>", allowed_special="all")[0] == 200006
    assert tok.special_tokens == dict(_encodings.ENCODINGS["o200k_harmony"].special_tokens)
    assert nowhere.is_dir()
