"""Counting tokens: always the number of ids that encoding gives."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import peers
import tokfast
from hard_strings import HARD_BYTES, HARD_STRINGS
from tokfast import reference


def test_hard_strings_have_as_many_tokens_as_ids(real: tokfast.Tokenizer) -> None:
    for text in [*HARD_STRINGS, *HARD_BYTES]:
        assert real.count(text) == len(real.encode(text)), ascii(text)


@pytest.mark.parametrize("language", peers.LANGUAGES)
def test_language_has_as_many_tokens_as_ids(real: tokfast.Tokenizer, language: str) -> None:
    text = peers.real_text(language)
    assert real.count(text) == len(real.encode(text))


@given(text=st.binary(max_size=200))
def test_any_bytes_have_as_many_tokens_as_ids(trained: tokfast.Tokenizer, text: bytes) -> None:
    assert trained.count(text) == len(trained.encode(text))


@given(corpus=st.text("ab c", min_size=1, max_size=60), text=st.text("ab c", max_size=60))
def test_equals_the_reference(corpus: str, text: str) -> None:
    learned = reference.train(corpus, 280)
    trained = tokfast.train(iter([corpus]), 280, pattern=r" ?\S+|\s+")
    assert trained.count(text) == reference.count(learned, text)


@pytest.mark.parametrize(
    "options",
    [
        {"allowed_special": "all"},
        {"allowed_special": {"<|end|>"}},
        {"add_special_tokens": True},
        {"disallowed_special": {"<|pad|>"}},
    ],
    ids=str,
)
def test_options_mean_the_same_as_in_encode(trained: tokfast.Tokenizer, options: dict[str, Any]) -> None:
    text = "x<|end|>y<|end|>"
    assert trained.count(text, **options) == len(trained.encode(text, **options))


def test_a_disallowed_special_token_is_refused(trained: tokfast.Tokenizer) -> None:
    with pytest.raises(tokfast.SpecialTokenError, match=r"'?<\|end\|>"):
        trained.count("x<|end|>", disallowed_special="all")
    with pytest.raises(tokfast.SpecialTokenError, match=r"'?<\|end\|>"):
        trained.count_batch(["x<|end|>"], disallowed_special="all")


@pytest.mark.parametrize("threads", [None, 1, 2, 5])
def test_batch_equals_single_texts(real: tokfast.Tokenizer, threads: int | None) -> None:
    documents: list[str | bytes] = [*HARD_STRINGS, *HARD_BYTES, peers.code(100_000), ""]
    counts = real.count_batch(documents, threads=threads)
    assert counts.dtype == np.int64
    assert counts.tolist() == [real.count(text) for text in documents]


def test_batch_of_nothing(trained: tokfast.Tokenizer) -> None:
    assert trained.count_batch([]).shape == (0,)


def test_up_to_a_limit_is_the_count_or_one_more(real: tokfast.Tokenizer) -> None:
    for text in [*HARD_STRINGS, *HARD_BYTES, peers.code(20_000)]:
        count = real.count(text)
        for limit in {0, 1, count - 1, count, count + 1, 10**30} - {-1}:
            assert real.count_up_to(text, limit) == min(count, limit + 1), (ascii(text), limit)


def test_up_to_a_limit_heeds_special_tokens(trained: tokfast.Tokenizer) -> None:
    text = "<|end|>" * 10
    assert trained.count_up_to(text, 5, allowed_special="all") == 6
    assert trained.count_up_to(text, 10, allowed_special="all") == 10
    with pytest.raises(tokfast.SpecialTokenError):
        trained.count_up_to(text, 5, disallowed_special="all")


def test_a_negative_limit_is_refused(trained: tokfast.Tokenizer) -> None:
    with pytest.raises(ValueError, match="limit is -1"):
        trained.count_up_to("a", -1)


def test_what_is_kept_changes_no_count(trained: tokfast.Tokenizer) -> None:
    text = peers.code(50_000)
    trained.clear_cache()
    first = trained.count(text)
    stats = trained.cache_stats()
    assert 0 < stats["misses"] < stats["lookups"]
    assert stats["entries"] > 0
    assert 0 < stats["bytes"] <= stats["process_bytes"] <= stats["budget"]
    assert trained.count(text) == first
    again = trained.cache_stats()
    assert again["misses"] < stats["misses"] * 1.2, "the second pass merges next to nothing"
    assert again["lookups"] == 2 * stats["lookups"]
    trained.clear_cache()
    empty = trained.cache_stats()
    assert empty["lookups"] == empty["misses"] == empty["entries"] == empty["bytes"] == 0
    assert trained.count(text) == first


def test_empty_text_has_no_tokens(trained: tokfast.Tokenizer) -> None:
    assert trained.count("") == trained.count(b"") == 0


def test_lone_surrogates_are_refused(trained: tokfast.Tokenizer) -> None:
    with pytest.raises(UnicodeEncodeError, match="lone surrogate"):
        trained.count("\ud800")
    with pytest.raises(UnicodeEncodeError, match="lone surrogate"):
        trained.count_batch(["a", "\ud800"])
