"""`tokfast.tiktoken` against tiktoken: the same calls, the same results, the same kinds of error."""

from __future__ import annotations

import base64
import copy
import hashlib
import inspect
import pickle
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import numpy as np
import pytest
import tiktoken as published
import tiktoken.load
from hypothesis import given, settings

import peers
import tokfast
from hard_strings import HARD_STRINGS
from tokfast import _encodings
from tokfast import tiktoken as ours

if TYPE_CHECKING:
    from collections.abc import Callable

TEXTS = [
    *HARD_STRINGS[:40],
    "a<|endoftext|>b",
    "<|fim_prefix|>x<|fim_suffix|>",
    "\ud83d\ude00 lone \ud800",
    "",
    "naïve 🦜",
]


@pytest.fixture(scope="module")
def pair(monkeypatch_module: pytest.MonkeyPatch) -> tuple[ours.Encoding, published.Encoding]:
    """cl100k_base in both, by name in ours."""
    monkeypatch_module.setenv("TOKFAST_CACHE_DIR", str(peers.real_file("cl100k_base.tiktoken").parent))
    return ours.get_encoding("cl100k_base"), peers.tiktoken_encoding("cl100k")


@pytest.fixture(scope="module")
def monkeypatch_module() -> Any:
    """A patch that lasts for this file."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def tiny() -> tuple[ours.Encoding, published.Encoding]:
    """A small encoding made by the constructor of each, with two special tokens that share an id."""
    tok = tokfast.train(iter([peers.code(60_000)]), 700, pattern="gpt2", tie_break="bytes")
    ranks = {token: rank for rank, token in enumerate(tok.vocab)}
    special = {"<|endoftext|>": 700, "<|x|>": 705, "<|y|>": 705}
    pattern = peers.PATTERNS["gpt2"]
    return (
        ours.Encoding("tiny", pat_str=pattern, mergeable_ranks=ranks, special_tokens=special),
        published.Encoding("tiny", pat_str=pattern, mergeable_ranks=ranks, special_tokens=special),
    )


@pytest.mark.parametrize("name", ["gpt2", "cl100k", "o200k"])
def test_the_published_patterns_cut_alike(name: str) -> None:
    # Possessive repeats, and the end of a text; the tokens go across words, so that each cut shows.
    tok = tokfast.train(iter([peers.code(60_000)]), 700, pattern=None, max_token_length=8, tie_break="bytes")
    ranks = {token: rank for rank, token in enumerate(tok.vocab)}
    pattern = peers.published_pattern(name)
    mine = ours.Encoding("tiny", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    theirs = published.Encoding("tiny", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    for text in [*HARD_STRINGS, "12345678 x\n  ", "a\n \n\t", "\r\n   "]:
        assert mine.encode_ordinary(text) == theirs.encode_ordinary(text), ascii(text)


def outcome(call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """What a call gives, or the kind of its error."""
    try:
        value = call(*arguments, **options)
    except (ValueError, KeyError, OverflowError, TypeError) as error:
        kinds = (UnicodeError, KeyError, OverflowError, TypeError, ValueError)
        return next(kind for kind in kinds if isinstance(error, kind))
    return value.tolist() if isinstance(value, np.ndarray) else value


def test_the_surface_is_tiktokens() -> None:
    for name in vars(published):
        if not name.startswith("_") and callable(getattr(published, name)):
            assert hasattr(ours, name), name
    theirs = {name for name in vars(published.Encoding) if not name.startswith("_")}
    assert theirs <= set(dir(ours.Encoding))
    for name in theirs:
        method = getattr(published.Encoding, name)
        if inspect.isfunction(method):
            expected = inspect.signature(method).parameters
            found = inspect.signature(getattr(ours.Encoding, name)).parameters
            assert [(p.name, p.kind) for p in found.values()] == [(p.name, p.kind) for p in expected.values()], name


@pytest.mark.parametrize("allowed", [set(), {"<|endoftext|>"}, "all", {"<|nothing|>"}], ids=str)
@pytest.mark.parametrize("disallowed", ["all", (), {"<|fim_prefix|>"}, ["naïve"]], ids=str)
def test_encode(pair: tuple[ours.Encoding, published.Encoding], allowed: Any, disallowed: Any) -> None:
    options = {"allowed_special": allowed, "disallowed_special": disallowed}
    for text in TEXTS:
        for name in ("encode", "encode_to_numpy", "encode_with_unstable"):
            if name == "encode_with_unstable" and len(text) > 8:
                continue
            mine, theirs = (outcome(getattr(e, name), text, **options) for e in pair)
            if isinstance(mine, tuple):
                assert (mine[0], mine[1]) == (theirs[0], sorted(theirs[1])), (name, text)
            else:
                assert mine == theirs, (name, text)
    mine, theirs = (outcome(e.encode_batch, TEXTS[-5:], **options) for e in pair)
    assert mine == theirs


def test_ordinary_text(pair: tuple[ours.Encoding, published.Encoding]) -> None:
    mine, theirs = pair
    for language in peers.LANGUAGES:
        text = peers.real_text(language)[:20_000]
        ids = mine.encode_ordinary(text)
        assert ids == theirs.encode_ordinary(text)
        assert mine.decode(ids) == text
    assert mine.encode_ordinary_batch(TEXTS) == theirs.encode_ordinary_batch(TEXTS)


def test_decode(pair: tuple[ours.Encoding, published.Encoding]) -> None:
    mine, theirs = pair
    for text in TEXTS:
        ids = theirs.encode(text, disallowed_special=())
        for cut in {0, 1, len(ids) // 2, len(ids)}:
            for name in ("decode", "decode_bytes", "decode_tokens_bytes", "decode_with_offsets"):
                found, expected = (outcome(getattr(e, name), ids[:cut]) for e in pair)
                assert found == expected, (name, text, cut)
        assert mine.decode_batch([ids, ids[:1]], errors="ignore") == theirs.decode_batch(
            [ids, ids[:1]], errors="ignore"
        )
        assert mine.decode_bytes_batch([ids]) == theirs.decode_bytes_batch([ids])
    for bad in (100256, 100277, 10**9, -1, 2**32):
        found, expected = (outcome(e.decode_single_token_bytes, bad) for e in pair)
        assert found is expected, bad
        found, expected = (outcome(e.decode, [15, bad]) for e in pair)
        assert found is expected, bad


def test_the_vocabulary(pair: tuple[ours.Encoding, published.Encoding]) -> None:
    mine, theirs = pair
    for name in ("n_vocab", "max_token_value", "eot_token", "special_tokens_set"):
        assert getattr(mine, name) == getattr(theirs, name), name
    assert (mine.name, repr(mine)) == ("cl100k_base", "<Encoding 'cl100k_base'>")
    assert mine.token_byte_values() == theirs.token_byte_values()
    assert [mine.is_special_token(number) for number in (5, 100257)] == [False, True]
    for token in ("hello", b" world", "<|endoftext|>", b"\xff", "no such token"):
        found, expected = (outcome(e.encode_single_token, token) for e in pair)
        assert found == expected


@settings(max_examples=60)
@given(text=st.text("ab \n\t'sé中<|endoftx>1", max_size=12))
def test_unstable_text(tiny: tuple[ours.Encoding, published.Encoding], text: str) -> None:
    found, expected = (e.encode_with_unstable(text, disallowed_special=()) for e in tiny)
    assert found == (expected[0], sorted(expected[1]))


@given(text=st.binary(max_size=12))
def test_any_bytes(tiny: tuple[ours.Encoding, published.Encoding], text: bytes) -> None:
    mine, theirs = tiny
    assert mine._encode_bytes(text) == theirs._encode_bytes(text)  # noqa: SLF001 (tiktoken's own tests call it)


def test_two_spellings_of_one_id(tiny: tuple[ours.Encoding, published.Encoding]) -> None:
    mine, theirs = tiny
    for allowed in ("all", {"<|y|>"}, {"<|x|>"}, {"<|x|>", "<|y|>"}):
        text = "a<|y|>b<|x|><|y|>"
        found, expected = (e.encode(text, allowed_special=allowed, disallowed_special=()) for e in tiny)
        assert found == expected
    assert mine.encode_batch(["<|y|>"], allowed_special="all") == [[705]]
    assert mine.encode_to_numpy("<|y|>", allowed_special="all").tolist() == [705]
    assert mine.encode_single_token("<|y|>") == theirs.encode_single_token("<|y|>") == 705
    assert mine.special_tokens_set == theirs.special_tokens_set


def test_harmony(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKFAST_CACHE_DIR", str(peers.real_file("o200k_base.tiktoken").parent))
    enc = ours.get_encoding("o200k_harmony")
    assert enc.encode("<|reserved_200018|><|endofprompt|><|start|>", allowed_special="all") == [200018, 200018, 200006]
    assert set(_encodings.HARMONY_ALIASES) <= enc.special_tokens_set


def test_pickle_and_copy(pair: tuple[ours.Encoding, published.Encoding], tiny: tuple[ours.Encoding, Any]) -> None:
    assert pickle.loads(pickle.dumps(pair[0])) is pair[0]
    assert len(pickle.dumps(pair[0])) < 200, "a named encoding goes by its name"
    for again in (pickle.loads(pickle.dumps(tiny[0])), copy.deepcopy(tiny[0])):
        assert again.encode("def f(): <|y|>", allowed_special="all") == tiny[0].encode(
            "def f(): <|y|>", allowed_special="all"
        )
        assert again.special_tokens_set == tiny[0].special_tokens_set
        assert again.token_byte_values() == tiny[0].token_byte_values()


def test_names() -> None:
    assert ours.list_encoding_names() == published.list_encoding_names()
    assert ours.encoding_name_for_model("gpt-4o-2024-05-13") == "o200k_base"
    with pytest.raises(KeyError, match="llama"):
        ours.encoding_name_for_model("llama")
    with pytest.raises(KeyError, match="llama"):
        ours.encoding_for_model("llama")
    with pytest.raises(ValueError, match="Unknown encoding 'nothing'"):
        ours.get_encoding("nothing")


def test_a_number_of_ids_that_is_wrong(tiny: tuple[ours.Encoding, published.Encoding]) -> None:
    ranks = {token: rank for rank, token in enumerate(tiny[0].token_byte_values())}
    assert len(ranks) == 700
    for special, size in (({"<|e|>": 700}, 700), ({"<|e|>": 701}, 701)):
        with pytest.raises(ValueError, match=f"explicit_n_vocab is {size}"):
            ours.Encoding("x", pat_str="gpt2", mergeable_ranks=ranks, special_tokens=special, explicit_n_vocab=size)
    made = ours.Encoding(
        "x", pat_str="gpt2", mergeable_ranks=ranks, special_tokens={"<|e|>": 700}, explicit_n_vocab=701
    )
    assert made.n_vocab == 701


def test_files_of_ranks(tiny: tuple[ours.Encoding, published.Encoding], tmp_path: Any) -> None:
    path = tmp_path / "tiny.tiktoken"
    ranks = {token: rank for rank, token in enumerate(tiny[0].token_byte_values())}
    path.write_bytes(b"".join(b"%b %d\n" % (base64.b64encode(token), rank) for token, rank in ranks.items()))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert ours.load_tiktoken_bpe(str(path), digest) == tiktoken.load.load_tiktoken_bpe(str(path)) == ranks
    with pytest.raises(ValueError, match=f"expected {'0' * 64}"):
        ours.load_tiktoken_bpe(str(path), "0" * 64)
    path.write_bytes(b"YQ== 0\n?? 1\n")
    with pytest.raises(ValueError, match="line 2"):
        ours.load_tiktoken_bpe(str(path))
