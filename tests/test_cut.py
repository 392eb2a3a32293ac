"""Texts cut to a number of tokens: `truncate` and `split_by_tokens`."""

from __future__ import annotations

import time
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

import peers
import tokfast
from hard_strings import HARD_STRINGS

# White space is cut by what stands after it, contractions by what stands before: cutting there changes tokens.
PARTS = st.sampled_from(
    ["def ", "f", "(x):", "   ", "\n", "\n\n    ", "'s", "'", "12", "345", "é", "中文", "🦜", "<|end|>"]
)
TEXTS = st.one_of(st.lists(PARTS, max_size=25).map("".join), st.text(max_size=30))
OPTIONS = st.sampled_from([{}, {"allowed_special": "all"}])


def floor(text: bytes, at: int) -> int:
    """Move a cut back to a character."""
    while at < len(text) and 0x80 <= text[at] < 0xC0:
        at -= 1
    return at


@given(text=TEXTS, n=st.integers(0, 30), options=OPTIONS)
def test_truncate_is_what_it_says(trained: tokfast.Tokenizer, text: str, n: int, options: dict[str, Any]) -> None:
    utf8 = text.encode()
    ids, spans = trained.encode_with_offsets(text, unit="byte", **options)
    candidates = {floor(utf8, end) for _, end in spans[:n]} | {0} | ({len(utf8)} if len(ids) <= n else set())
    fitting = [cut for cut in candidates if trained.count(utf8[:cut], **options) <= n]
    assert trained.truncate(text, n, **options) == utf8[: max(fitting)].decode()
    assert trained.truncate(utf8, n, **options) == utf8[: max(fitting)]


@given(text=st.binary(max_size=30), n=st.integers(0, 30))
def test_truncate_any_bytes(trained: tokfast.Tokenizer, text: bytes, n: int) -> None:
    kept = trained.truncate(text, n)
    assert text.startswith(kept)
    assert trained.count(kept) <= n
    assert kept == text or trained.count(text) > n


def test_truncate_real_text(real: tokfast.Tokenizer) -> None:
    for language in ("en", "th", "zh-Hans"):
        text = peers.real_text(language)[:3000]
        total = real.count(text)
        lengths = [len(real.truncate(text, n)) for n in range(0, total + 1, 7)]
        assert lengths == sorted(lengths)
        assert real.truncate(text, total) == text
        assert real.truncate(text, total + 5) is text


def test_truncate_hard_strings(real: tokfast.Tokenizer) -> None:
    for text in HARD_STRINGS:
        for n in (1, 2, 3, 10, 100):
            kept = real.truncate(text, n)
            assert text.startswith(kept)
            assert real.count(kept) <= n


def test_truncate_counts_the_template() -> None:
    tok = tokfast.Tokenizer.from_file(peers.real_file("llama3.2.tokenizer.json"))
    assert tok.truncate("one two three", 3, add_special_tokens=True) == "one two"
    assert tok.truncate("one two three", 1, add_special_tokens=True) == ""
    with pytest.raises(ValueError, match="adds 1 to any text"):
        tok.truncate("one", 0, add_special_tokens=True)


def test_truncate_reads_no_further_than_it_must(trained: tokfast.Tokenizer) -> None:
    text = "def f(x): return x + 1\n" * 400_000
    start = time.perf_counter()
    trained.count(text)
    all_of_it = time.perf_counter() - start
    start = time.perf_counter()
    assert trained.count(trained.truncate(text, 100)) == 100
    assert time.perf_counter() - start < all_of_it / 5


def test_what_cannot_be_asked(trained: tokfast.Tokenizer) -> None:
    with pytest.raises(ValueError, match="max_tokens is -1; pass a number from 0"):
        trained.truncate("a", -1)
    with pytest.raises(tokfast.SpecialTokenError):
        trained.truncate("a" * 9999 + "<|end|>", 1, disallowed_special="all")
    with pytest.raises(ValueError, match="size is 3 and overlap is 3"):
        trained.split_by_tokens("a", 3, 3)
    with pytest.raises(ValueError, match="overlap is -2"):
        trained.split_by_tokens("a", 3, -2)
    with pytest.raises(ValueError, match="character at byte 1 has more than size = 1 tokens"):
        trained.split_by_tokens("a\U0010ffff", 1)


@given(text=TEXTS, size=st.integers(4, 12), overlap=st.integers(0, 3), options=OPTIONS)
def test_parts_cover_the_text(
    trained: tokfast.Tokenizer, text: str, size: int, overlap: int, options: dict[str, Any]
) -> None:
    parts = trained.split_by_tokens(text, size, overlap, **options)
    assert parts == [part.decode() for part in trained.split_by_tokens(text.encode(), size, overlap, **options)]
    assert all(part and trained.count(part, **options) <= size for part in parts)
    covered = [0]  # where the text that all parts so far make may end: a part can stand in several places
    for part in parts:
        covered = [
            start + len(part)
            for end in dict.fromkeys(covered)
            for start in range(max(0, end - len(part) + 1), end + 1)
            if text.startswith(part, start) and (overlap or start == end)
        ]
        assert covered
    assert len(text) in covered or not text


@pytest.mark.parametrize("overlap", [0, 5, 31])
def test_parts_of_real_text(real: tokfast.Tokenizer, overlap: int) -> None:
    for language in ("en", "ru", "hi", "ja"):
        text = peers.real_text(language)[:5000]
        parts = real.split_by_tokens(text, 32, overlap)
        counts = real.count_batch(parts)
        assert counts.max() <= 32
        # Full, but for the end and the few tokens of a character that would have been cut.
        assert counts[:-1].min() >= 26
        if not overlap:
            assert "".join(parts) == text


def test_a_part_gets_beyond_the_one_before(trained: tokfast.Tokenizer) -> None:
    # With the shared token in front the last character's four tokens would find no room.
    assert trained.split_by_tokens("01\U00010000", 4, 1) == ["01", "\U00010000"]


def test_parts_share_tokens(trained: tokfast.Tokenizer) -> None:
    text = peers.code(3000)
    ids = trained.encode(text)
    parts = trained.split_by_tokens(text, 50, 10)
    assert len(parts) >= len(ids) // 40
    shared = trained.encode(parts[0])[-10:]
    assert trained.encode(parts[1])[:10] == shared


def test_empty(trained: tokfast.Tokenizer) -> None:
    assert trained.truncate("", 0) == ""
    assert trained.split_by_tokens("", 5) == []
    assert trained.split_by_tokens(b"abc", 5) == [b"abc"]
