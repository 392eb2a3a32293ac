"""Files: what is saved is read by others with equal ids, and what is damaged is refused by name."""

from __future__ import annotations

import base64
import json
import pickle
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import pytest
import tiktoken
import tokenizers
from hypothesis import given

import peers
import tokfast
from hard_strings import HARD_STRINGS
from hostile_files import (
    BYTES,
    HOSTILE_GGUF,
    HOSTILE_JSON,
    HOSTILE_PAIRS,
    HOSTILE_RANKS,
    HOSTILE_SENTENCEPIECE,
    HOSTILE_TEKKEN,
    SOUND_GGUF,
    SOUND_GGUF_OF_PIECES,
    SOUND_MODEL,
    SOUND_PAIR,
    SOUND_TEKKEN,
    gguf,
)

if TYPE_CHECKING:
    from pathlib import Path

FORMATS: dict[Any, str] = {"tokenizer.json": "t.json", "tiktoken": "t.tiktoken"}


@pytest.fixture(scope="module")
def unnamed() -> tokfast.Tokenizer:
    """A trained tokenizer without special tokens."""
    return tokfast.train(iter([peers.code(100_000)]), 1000, pattern="gpt2")


def read_back(tokenizer: tokfast.Tokenizer, path: Path) -> tokfast.Tokenizer:
    """Read a file; one of ranks is told what it does not hold."""
    if path.suffix == ".json":
        return tokfast.Tokenizer.from_file(path)
    return tokfast.Tokenizer.from_file(path, pattern=tokenizer.pattern, special_tokens=tokenizer.special_tokens)


# ------------------------------------------------------------------------------------ and back


@pytest.mark.parametrize("name", FORMATS.values())
def test_saved_and_read_is_the_same(trained: tokfast.Tokenizer, tmp_path: Path, name: str) -> None:
    trained.save(tmp_path / name)
    back = read_back(trained, tmp_path / name)
    assert back.vocab == trained.vocab
    assert back.merges == trained.merges
    assert back.special_tokens == trained.special_tokens
    assert back.pattern == trained.pattern
    for text in HARD_STRINGS[:500]:
        assert back.encode(text) == trained.encode(text), ascii(text)


@pytest.mark.parametrize("name", FORMATS.values())
def test_real_vocabulary_saved_and_read_is_the_same(real: tokfast.Tokenizer, tmp_path: Path, name: str) -> None:
    real.save(tmp_path / name)
    back = read_back(real, tmp_path / name)
    assert back.vocab == real.vocab
    for text in HARD_STRINGS:
        assert back.encode(text) == real.encode(text), ascii(text)


@pytest.mark.parametrize("pattern", [None, "gpt2", "cl100k", "o200k", "llama3", r" ?\S+|\s+", r"\d+"])
def test_any_pattern_is_saved(tmp_path: Path, pattern: str | None) -> None:
    tokenizer = tokfast.train(iter(["low lower lowest 12"]), 270, pattern=pattern)
    tokenizer.save(tmp_path / "t.json")
    back = tokfast.Tokenizer.from_file(tmp_path / "t.json")
    assert back.pattern == tokenizer.pattern
    for text in HARD_STRINGS[:300]:
        assert back.encode(text) == tokenizer.encode(text), ascii(text)


def test_fingerprint_is_that_of_the_content(trained: tokfast.Tokenizer, tmp_path: Path) -> None:
    trained.save(tmp_path / "t.json")
    back = tokfast.Tokenizer.from_file(tmp_path / "t.json", name="another name")
    assert back.fingerprint == trained.fingerprint
    assert back.with_vocab_size(1999).fingerprint != trained.fingerprint


@pytest.mark.parametrize("form", FORMATS)
def test_format_wins_over_the_ending(trained: tokfast.Tokenizer, tmp_path: Path, form: Any) -> None:
    trained.save(tmp_path / "t.model", format=form)
    trained.save(tmp_path / FORMATS[form])
    assert (tmp_path / "t.model").read_bytes() == (tmp_path / FORMATS[form]).read_bytes()


def test_format_is_sniffed(trained: tokfast.Tokenizer, tmp_path: Path) -> None:
    for form in FORMATS:
        trained.save(tmp_path / form, format=form)
        options: dict[str, Any] = (
            {"pattern": trained.pattern, "special_tokens": trained.special_tokens} if form == "tiktoken" else {}
        )
        assert tokfast.Tokenizer.from_file(tmp_path / form, **options).vocab == trained.vocab


def test_fingerprint_is_the_same_in_every_format(unnamed: tokfast.Tokenizer, tmp_path: Path) -> None:
    for name in ("t.json", "t.tiktoken", "t.gguf", "vocab.json"):
        unnamed.save(tmp_path / name)
        options: Any = {"pattern": "gpt2"} if name == "t.tiktoken" else {}
        assert tokfast.Tokenizer.from_file(tmp_path / name, **options).fingerprint == unnamed.fingerprint, name
    unnamed.save(tmp_path)
    assert tokfast.load(tmp_path).fingerprint == unnamed.fingerprint


def test_fingerprint_of_published_files() -> None:
    # Ranks say each merge once; the tokenizer.json has every pair that joins to a token.
    whole = json.loads(peers.llama3_json(ignore_merges=True)) | {"post_processor": None}
    read = tokfast.Tokenizer.from_bytes(json.dumps(whole).encode(), format="tokenizer.json")
    ranks = tokfast.Tokenizer.from_file(
        peers.real_file("llama3.tiktoken"), pattern="llama3", special_tokens=read.special_tokens
    )
    assert read.fingerprint == ranks.fingerprint
    assert len(read.merges) > 2 * len(ranks.merges)


def test_ranks_hold_a_tokenizer_json_of_all_pairs(tmp_path: Path) -> None:
    whole = json.loads(peers.llama3_json(ignore_merges=True)) | {"post_processor": None}
    read = tokfast.Tokenizer.from_bytes(json.dumps(whole).encode(), format="tokenizer.json")
    read.save(tmp_path / "t.tiktoken")
    assert (tmp_path / "t.tiktoken").read_bytes() == peers.real_file("llama3.tiktoken").read_bytes()


@pytest.mark.parametrize("name", ["mistral.v1.model", "mistral.v3.model"])
def test_pickle_of_equal_scores(name: str) -> None:
    # Runs of spaces have one score together: the leftmost pair goes first, and no order of merges says so.
    tokenizer = tokfast.Tokenizer.from_file(peers.real_file(name))
    back = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(tokenizer))))
    assert back.fingerprint == tokenizer.fingerprint
    for text in [*HARD_STRINGS, *(" " * count + "x" for count in range(40))]:
        assert back.encode(text) == tokenizer.encode(text), ascii(text)
        assert back.encode(text, allowed_special="all") == tokenizer.encode(text, allowed_special="all"), ascii(text)


def test_pickle_is_the_same(trained: tokfast.Tokenizer, real: tokfast.Tokenizer) -> None:
    for tokenizer in (trained, real):
        back = pickle.loads(pickle.dumps(tokenizer))
        assert back.fingerprint == tokenizer.fingerprint
        assert back.name == tokenizer.name
        assert back.encode("it's <|end|>") == tokenizer.encode("it's <|end|>")


# ---------------------------------------------------------------------------------- read by others


def test_huggingface_reads_tokenizer_json(trained: tokfast.Tokenizer, tmp_path: Path) -> None:
    trained.save(tmp_path / "t.json")
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "t.json"))
    for text in HARD_STRINGS:
        if not any(special in text for special in trained.special_tokens):
            assert theirs.encode(text).ids == trained.encode(text), ascii(text)
    text = "a<|end|>b <|pad|>"  # Hugging Face always finds special tokens
    assert theirs.encode(text).ids == trained.encode(text, allowed_special="all")
    assert theirs.decode(trained.encode(text, allowed_special="all"), skip_special_tokens=False) == text


def test_huggingface_reads_real_vocabularies(real: tokfast.Tokenizer, tmp_path: Path) -> None:
    real.save(tmp_path / "t.json")
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "t.json"))
    for text in HARD_STRINGS:
        if not any(special in text for special in real.special_tokens):
            assert theirs.encode(text, add_special_tokens=False).ids == real.encode(text), ascii(text)


def test_tiktoken_reads_ranks(trained: tokfast.Tokenizer, tmp_path: Path) -> None:
    trained.save(tmp_path / "t.tiktoken")
    lines = (tmp_path / "t.tiktoken").read_bytes().splitlines()
    ranks = {base64.b64decode(token): int(rank) for token, rank in map(bytes.split, lines)}
    assert trained.pattern is not None
    theirs = tiktoken.Encoding(
        "t", pat_str=trained.pattern, mergeable_ranks=ranks, special_tokens=trained.special_tokens
    )
    for text in HARD_STRINGS:
        assert theirs.encode_ordinary(text) == trained.encode(text), ascii(text)


def test_the_published_files_come_out_byte_for_byte(real: tokfast.Tokenizer, vocabulary: str, tmp_path: Path) -> None:
    real.save(tmp_path / "t.tiktoken")
    assert (tmp_path / "t.tiktoken").read_bytes() == peers.real_file(peers.RANKS[vocabulary]).read_bytes()


def test_gpt2_as_huggingface_writes_it(tmp_path: Path) -> None:
    from tokenizers import models, pre_tokenizers

    vocab, merges = peers.real_file("gpt2/encoder.json"), peers.real_file("gpt2/vocab.bpe")
    theirs = tokenizers.Tokenizer(models.BPE.from_file(str(vocab), str(merges)))
    theirs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    theirs.add_special_tokens(["<|endoftext|>"])
    theirs.save(str(tmp_path / "t.json"))
    ours = tokfast.Tokenizer.from_file(tmp_path / "t.json")
    assert ours.special_tokens == {"<|endoftext|>": 50256}
    for text in HARD_STRINGS:
        if "<|endoftext|>" not in text:
            assert ours.encode(text) == theirs.encode(text).ids, ascii(text)


# --------------------------------------------------------------------------------------- all or nothing


def test_saving_leaves_one_file(trained: tokfast.Tokenizer, tmp_path: Path) -> None:
    for _ in range(2):  # new, and over an old one
        trained.save(tmp_path / "t.json")
    assert [path.name for path in tmp_path.iterdir()] == ["t.json"]


def test_a_failed_save_keeps_what_was_there(trained: tokfast.Tokenizer, tmp_path: Path) -> None:
    # A process that may write only 1000 bytes a file stands for a full disk.
    (tmp_path / "t.json").write_text("precious", encoding="utf-8")
    trained.save(tmp_path / "source.json")
    program = (
        "import resource, sys, tokfast\n"
        "tokenizer = tokfast.Tokenizer.from_file('source.json')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n"
        "    tokenizer.save('t.json')\n"
        "except OSError as error:\n"
        "    print(type(error).__name__)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "OSError\n"
    assert (tmp_path / "t.json").read_text(encoding="utf-8") == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source.json", "t.json"]


def test_a_link_keeps_pointing_to_the_saved_file(trained: tokfast.Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text("old", encoding="utf-8")
    (tmp_path / "t.json").symlink_to(tmp_path / "real.json")
    trained.save(tmp_path / "t.json")
    assert tokfast.Tokenizer.from_file(tmp_path / "t.json").vocab == trained.vocab


def test_saving_where_nothing_can_be_saved(trained: tokfast.Tokenizer, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        trained.save(tmp_path / "nowhere" / "t.json")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(OSError, match=r"folder\.json"):
        trained.save(tmp_path / "folder.json")
    assert [path.name for path in tmp_path.iterdir()] == ["folder.json"]


@pytest.mark.parametrize("name", ["tekken.json", "tokenizer.model"])
def test_what_is_read_only_is_not_written(trained: tokfast.Tokenizer, tmp_path: Path, name: str) -> None:
    with pytest.raises(tokfast.TokenizerFileError, match="is read, but not written"):
        trained.save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_ranks_hold_no_characters(tmp_path: Path) -> None:
    tokenizer = tokfast.Tokenizer.from_bytes(SOUND_MODEL, format="sentencepiece")
    for verify in (True, False):
        with pytest.raises(tokfast.TokenizerFileError, match="ranks are of bytes"):
            tokenizer.save(tmp_path / "t.tiktoken", verify=verify)


@pytest.mark.parametrize("name", ["t", "t.txt", "t.bin"])
def test_an_ending_without_a_format_is_refused(trained: tokfast.Tokenizer, tmp_path: Path, name: str) -> None:
    with pytest.raises(tokfast.TokenizerFileError, match=r"use \.json or \.tiktoken"):
        trained.save(tmp_path / name)


def test_ranks_cannot_hold_llama3_without_ignore_merges(tmp_path: Path) -> None:
    text = peers.llama3_json(ignore_merges=False)
    tokenizer = tokfast.Tokenizer.from_bytes(text.encode(), format="tokenizer.json")
    with pytest.raises(tokfast.TokenizerFileError, match="cannot hold this tokenizer"):
        tokenizer.save(tmp_path / "t.tiktoken")
    assert list(tmp_path.iterdir()) == []


# -------------------------------------------------------------------------------------- what is damaged


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"absent\.json"):
        tokfast.Tokenizer.from_file(tmp_path / "absent.json")
    with pytest.raises(IsADirectoryError):
        tokfast.Tokenizer.from_file(tmp_path)


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_tokenizer_json_is_refused(unnamed: tokfast.Tokenizer, tmp_path: Path, part: float) -> None:
    unnamed.save(tmp_path / "t.json")
    whole = (tmp_path / "t.json").read_bytes().rstrip()
    (tmp_path / "t.json").write_bytes(whole[: min(int(len(whole) * part), len(whole) - 1)])
    with pytest.raises(tokfast.TokenizerFileError, match=r"t\.json: .+"):
        tokfast.Tokenizer.from_file(tmp_path / "t.json")


def test_truncated_ranks_are_refused_where_it_shows(unnamed: tokfast.Tokenizer, tmp_path: Path) -> None:
    # A file that ends at the end of a line is a smaller vocabulary; one that lacks bytes is none.
    unnamed.save(tmp_path / "t.tiktoken")
    lines = (tmp_path / "t.tiktoken").read_bytes().splitlines(keepends=True)
    for damaged in (
        b"",
        b"".join(lines[:200]),
        b"".join(lines[:500]) + b"IGZ",
        b"".join(lines[:500]) + b"IGZv ",
    ):
        with pytest.raises(tokfast.TokenizerFileError, match=r"the bytes given: .+"):
            tokfast.Tokenizer.from_bytes(damaged, format="tiktoken", pattern="gpt2")


@pytest.mark.parametrize("case", HOSTILE_JSON)
def test_a_hostile_tokenizer_json_is_refused(unnamed: tokfast.Tokenizer, tmp_path: Path, case: str) -> None:
    unnamed.save(tmp_path / "t.json")
    data = HOSTILE_JSON[case](json.loads((tmp_path / "t.json").read_bytes()))
    (tmp_path / "t.json").write_bytes(data)
    with pytest.raises(tokfast.TokenizerFileError, match=r"t\.json: .+"):
        tokfast.Tokenizer.from_file(tmp_path / "t.json")
    with pytest.raises(tokfast.TokenizerFileError, match=r"the bytes given: .+"):
        tokfast.Tokenizer.from_bytes(data, format="tokenizer.json")


@pytest.mark.parametrize("case", HOSTILE_RANKS)
def test_hostile_ranks_are_refused(tmp_path: Path, case: str) -> None:
    (tmp_path / "t.tiktoken").write_bytes(HOSTILE_RANKS[case])
    with pytest.raises(tokfast.TokenizerFileError, match=r"t\.tiktoken: .+"):
        tokfast.Tokenizer.from_file(tmp_path / "t.tiktoken", format="tiktoken", pattern="gpt2")
    with pytest.raises(tokfast.TokenizerFileError, match=r"the bytes given: .+"):
        tokfast.Tokenizer.from_bytes(HOSTILE_RANKS[case], format="tiktoken", pattern="gpt2")


SOUND = {"gguf": gguf(SOUND_GGUF), "sentencepiece": SOUND_MODEL, "tekken.json": SOUND_TEKKEN}
HOSTILE = {"gguf": HOSTILE_GGUF, "sentencepiece": HOSTILE_SENTENCEPIECE, "tekken.json": HOSTILE_TEKKEN}


@pytest.mark.parametrize(("form", "case"), [(form, case) for form, cases in HOSTILE.items() for case in cases])
def test_a_hostile_file_is_refused(tmp_path: Path, form: Any, case: str) -> None:
    for data in (SOUND[form], gguf(SOUND_GGUF_OF_PIECES) if form == "gguf" else SOUND[form]):
        assert tokfast.Tokenizer.from_bytes(data, format=form).count("ab") > 0
    (tmp_path / "t").write_bytes(HOSTILE[form][case])
    with pytest.raises(tokfast.TokenizerFileError, match=r"/t: .+"):
        tokfast.Tokenizer.from_file(tmp_path / "t", format=form)
    with pytest.raises(tokfast.TokenizerFileError, match=r"the bytes given: .+"):
        tokfast.Tokenizer.from_bytes(HOSTILE[form][case], format=form)


@pytest.mark.parametrize("case", HOSTILE_PAIRS)
def test_a_hostile_pair_of_files_is_refused(tmp_path: Path, case: str) -> None:
    for vocab, merges in (SOUND_PAIR, HOSTILE_PAIRS[case]):
        (tmp_path / "vocab.json").write_bytes(vocab)
        (tmp_path / "merges.txt").write_bytes(merges)
        if vocab == SOUND_PAIR[0] and merges == SOUND_PAIR[1]:
            assert tokfast.Tokenizer.from_file(tmp_path / "vocab.json").encode("abc") == [257]
    with pytest.raises(tokfast.TokenizerFileError, match=r"vocab\.json: .+"):
        tokfast.Tokenizer.from_file(tmp_path / "vocab.json")
    (tmp_path / "merges.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"merges\.txt"):
        tokfast.Tokenizer.from_file(tmp_path / "vocab.json")


def test_ranks_without_a_pattern_are_refused() -> None:
    with pytest.raises(tokfast.TokenizerFileError, match=r"holds tokens only; pass pattern="):
        tokfast.Tokenizer.from_bytes(BYTES, format="tiktoken")


@pytest.mark.parametrize(
    ("data", "remedy"), [(b"\x1f\x8b\x08...", "unpack it first"), (b"#version: 0.2\na b\n", "name the vocab.json")]
)
def test_what_is_half_of_a_tokenizer(tmp_path: Path, data: bytes, remedy: str) -> None:
    (tmp_path / "t").write_bytes(data)
    with pytest.raises(tokfast.TokenizerFileError, match=remedy):
        tokfast.Tokenizer.from_file(tmp_path / "t")


def test_a_missing_file_is_named_as_a_str(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        tokfast.Tokenizer.from_file(tmp_path / "absent.json")
    assert caught.value.filename == str(tmp_path / "absent.json")


def test_special_tokens_are_a_mapping() -> None:
    tokens: Any = ["<s>"]
    with pytest.raises(TypeError, match="not be a list; pass a dict"):
        tokfast.Tokenizer.from_bytes(BYTES, format="tiktoken", pattern="gpt2", special_tokens=tokens)


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(BYTES)
    with pytest.raises(tokfast.TokenizerFileError, match=r"nonsense.* pass one of: tokenizer\.json, tiktoken"):
        tokfast.Tokenizer.from_file(tmp_path / "t", format="nonsense")  # type: ignore[arg-type]
    (tmp_path / "t").write_bytes(b"\x7fELF...")
    with pytest.raises(tokfast.TokenizerFileError, match="in no format this library knows"):
        tokfast.Tokenizer.from_file(tmp_path / "t")


@given(
    position=st.floats(0, 1, exclude_max=True),
    replacement=st.one_of(st.binary(max_size=4), st.sampled_from([b'"', b"{", b"}", b"null", b"-1", b"9" * 12])),
    length=st.integers(0, 8),
)
@pytest.mark.parametrize("form", FORMATS)
def test_a_damaged_file_is_read_or_refused(
    small_files: dict[str, bytes], form: Any, position: float, replacement: bytes, length: int
) -> None:
    whole = small_files[form]
    at = int(position * len(whole))
    damaged = whole[:at] + replacement + whole[at + length :]
    options: dict[str, Any] = {"pattern": "gpt2"} if form == "tiktoken" else {}
    try:
        tokenizer = tokfast.Tokenizer.from_bytes(damaged, format=form, **options)
    except tokfast.TokenizerFileError:
        return
    assert tokenizer.decode_bytes(tokenizer.encode(b"any text\xff")) == b"any text\xff"


@pytest.fixture(scope="module")
def small_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A small tokenizer in each format."""
    folder = tmp_path_factory.mktemp("small")
    tokenizer = tokfast.train(iter(["low lower lowest new newer newest"]), 270, pattern="gpt2")
    for form, name in FORMATS.items():
        tokenizer.save(folder / name, format=form)
    return {form: (folder / name).read_bytes() for form, name in FORMATS.items()}
