"""Ids to text: against tiktoken, for ids that cut characters, and for every kind of argument."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import peers
import tokfast
from hard_strings import HARD_STRINGS
from tokfast import reference

if TYPE_CHECKING:
    import tiktoken


def test_random_ids_equal_tiktoken(real: tokfast.Tokenizer, peer: tiktoken.Encoding) -> None:
    random_source = random.Random(5)
    known = [number for number, token in enumerate(real.vocab) if token]
    for length in range(1, 300):
        ids = random_source.choices(known, k=length)
        assert real.decode_bytes(ids) == peer.decode_bytes(ids)
        assert real.decode(ids) == peer.decode(ids)


def test_every_token_is_its_bytes(real: tokfast.Tokenizer, peer: tiktoken.Encoding) -> None:
    special = set(real.special_tokens.values())
    for number, token in enumerate(real.vocab):
        if token and number not in special:
            assert token == peer.decode_single_token_bytes(number) == real.token_bytes(number)
            assert real.token_id(token) == number


def test_special_tokens_decode_to_their_text(real: tokfast.Tokenizer) -> None:
    for text, number in real.special_tokens.items():
        assert real.decode([number]) == text


def test_hard_strings_come_back(real: tokfast.Tokenizer) -> None:
    for text in HARD_STRINGS:
        assert real.decode(real.encode(text)) == text, ascii(text)


@pytest.mark.parametrize("language", peers.LANGUAGES)
def test_language_comes_back(real: tokfast.Tokenizer, language: str) -> None:
    text = peers.real_text(language)
    assert real.decode(real.encode(text)) == text


@given(ids=st.lists(st.integers(0, 265), max_size=30))
def test_equals_the_reference(ids: list[int]) -> None:
    corpus = "tokenizer\ntokens\ntoken\nstoke\n" * 3
    learned = reference.train(corpus, 266)
    trained = tokfast.train(iter([corpus]), 266, pattern=r" ?\S+|\s+")
    assert len(learned.vocab) == trained.vocab_size == 266
    assert trained.decode_bytes(ids) == reference.decode_bytes(learned, ids)
    assert trained.decode(ids) == reference.decode(learned, ids)


@given(text=st.binary(max_size=20))
def test_errors_mean_what_they_mean_in_python(trained: tokfast.Tokenizer, text: bytes) -> None:
    ids = [trained.token_id(bytes([byte])) for byte in text]
    for errors in ("replace", "ignore", "backslashreplace", "surrogateescape"):
        assert trained.decode(ids, errors=errors) == text.decode(errors=errors)  # type: ignore[arg-type]


def test_half_a_character_is_refused_when_strict(trained: tokfast.Tokenizer) -> None:
    half = [trained.token_id(b"\xe4"), trained.token_id(b"\xb8")]
    assert trained.decode(half) == "\ufffd"  # type: ignore[arg-type]
    with pytest.raises(UnicodeDecodeError):
        trained.decode(half, errors="strict")  # type: ignore[arg-type]
    with pytest.raises(LookupError, match="unknown error handler"):
        trained.decode(half, errors="nonsense")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "kind",
    [
        list,
        tuple,
        iter,
        np.array,
        lambda ids: np.array(ids, dtype=np.uint16),
        lambda ids: np.array(ids, dtype=np.uint32),
        lambda ids: np.array(ids, dtype=np.int64)[::1],
        lambda ids: np.array([ids, ids]).T[:, 0],
        lambda ids: [np.int64(number) for number in ids],
    ],
    ids=["list", "tuple", "iterator", "int64", "uint16", "uint32", "slice", "strided", "numpy integers"],
)
def test_ids_of_any_kind(trained: tokfast.Tokenizer, kind: Any) -> None:
    ids = trained.encode("def f(): return 1\n")
    assert trained.decode(kind(ids)) == "def f(): return 1\n"


def test_a_list_may_change_while_it_is_read(trained: tokfast.Tokenizer) -> None:
    ids: list[Any] = list(trained.encode("def f(): return 1\n"))

    class Clears:
        def __index__(self) -> int:
            ids.clear()
            return 0

    first = ids[0]
    ids[1] = Clears()
    assert trained.decode_bytes(ids) == trained.decode_bytes([first, 0])


def test_empty_ids_are_empty_text(trained: tokfast.Tokenizer) -> None:
    assert trained.decode([]) == ""
    assert trained.decode_bytes([]) == b""
    assert trained.decode(np.array([], dtype=np.uint32)) == ""


def test_batch_equals_single_texts(trained: tokfast.Tokenizer) -> None:
    documents = ["def f():", "", "\u4e2d\u6587 'quoted'\n"]
    batch = trained.encode_batch(documents)
    assert trained.decode_batch(batch) == documents
    assert trained.decode_batch(batch.to_list()) == documents
