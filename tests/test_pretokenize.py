"""Cutting text into pieces: the named schemes against the `regex` package, and any other expression."""

from __future__ import annotations

import sys
from functools import cache

import hypothesis.strategies as st
import pytest
import regex
import tokenizers
from hypothesis import given

import peers
import tokfast
from hard_strings import HARD_BYTES, HARD_STRINGS
from tokfast._tokfast import split

SCHEMES = sorted(peers.PATTERNS)
fragments = st.sampled_from([*"aB1' \n\r\t!/_\u017f\u0301\u4e2d\u01c5\u02b0\xa0\u3000\u2028", "'s", "'LL", "don't"])


def by_huggingface(pattern: str, text: str) -> list[bytes]:
    """Pieces by Hugging Face's splitter, whose version of Unicode is that of the published tokenizers."""
    return [piece.encode() for piece, _ in splitter(pattern).pre_tokenize_str(text)]


@cache
def splitter(pattern: str) -> tokenizers.pre_tokenizers.Split:
    """Hugging Face's splitter for a pattern, compiled once."""
    return tokenizers.pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated")


def by_regex(pattern: str | regex.Pattern[str], text: str) -> list[bytes]:
    """Pieces by the `regex` package: matches, and what lies between them."""
    pieces, end = [], 0
    for match in regex.finditer(pattern, text):
        if match.start() < match.end():
            pieces += [text[end : match.start()], match.group()]
            end = match.end()
    return [piece.encode(errors="surrogateescape") for piece in [*pieces, text[end:]] if piece]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_scheme_on_hard_strings(scheme: str) -> None:
    for text in HARD_STRINGS:
        assert split(text, scheme) == by_regex(peers.PATTERNS[scheme], text), ascii(text)


@pytest.mark.parametrize("scheme", SCHEMES)
@given(text=st.lists(fragments, max_size=30).map("".join))
def test_scheme_on_mixtures(scheme: str, text: str) -> None:
    assert split(text, scheme) == by_regex(peers.PATTERNS[scheme], text)


@pytest.mark.parametrize("scheme", SCHEMES)
@given(text=st.text(max_size=40))
def test_scheme_on_any_text(scheme: str, text: str) -> None:
    assert split(text, scheme) == by_huggingface(peers.PATTERNS[scheme], text)


@pytest.mark.parametrize("scheme", ["gpt2", "o200k"])  # cl100k has the classes of gpt2
def test_scheme_on_every_code_point(scheme: str) -> None:
    pattern = regex.compile(peers.PATTERNS[scheme])
    points = [chr(point) for point in range(sys.maxunicode + 1) if not 0xD800 <= point < 0xE000]
    otherwise = []
    for start in range(0, len(points), 256):
        block = points[start : start + 256]
        if split("".join(map(in_context, block)), scheme) != by_regex(pattern, "".join(map(in_context, block))):
            texts = map(in_context, block)
            otherwise += [text for text in texts if split(text, scheme) != by_regex(pattern, text)]
    # The two know different versions of Unicode; the version that counts is that of the peers.
    wrong = [text for text in otherwise if split(text, scheme) != by_huggingface(pattern.pattern, text)]
    assert not wrong, f"{len(wrong)} code points, first {wrong[:10]!a}"


def in_context(char: str) -> str:
    """After a letter and a space, before a number and (joined) a letter: what each class decides."""
    is_in_an_empty_plane = 0x40000 <= ord(char) < 0xE0000
    return char if is_in_an_empty_plane else f"a{char}1 {char}"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_scheme_on_real_text(scheme: str) -> None:
    for language in peers.LANGUAGES:
        text = peers.real_text(language)[:30_000]
        assert split(text, scheme) == by_regex(peers.PATTERNS[scheme], text), language


@pytest.mark.parametrize("scheme", SCHEMES)
def test_scheme_on_code(scheme: str) -> None:
    text = peers.code(300_000)
    assert split(text, scheme) == by_regex(peers.PATTERNS[scheme], text)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_scheme_is_known_by_its_expression(scheme: str) -> None:
    for text in HARD_STRINGS[:1000]:
        assert split(text, peers.PATTERNS[scheme]) == split(text, scheme), ascii(text)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_bytes_that_are_no_text_are_neither_letters_nor_numbers_nor_spaces(scheme: str) -> None:
    # Python spells each such byte as a lone surrogate, which has just these properties.
    for text in HARD_BYTES:
        as_text = text.decode(errors="surrogateescape")
        assert split(text, scheme) == by_regex(peers.PATTERNS[scheme], as_text), text


@pytest.mark.parametrize("scheme", SCHEMES)
@given(text=st.binary(max_size=60))
def test_pieces_join_to_the_bytes(scheme: str, text: bytes) -> None:
    pieces = split(text, scheme)
    assert b"".join(pieces) == text
    assert all(pieces)


@pytest.mark.parametrize(
    "pattern",
    [
        r"\d+",  # leaves text between the matches
        r" ?\S+|\s+",
        r"\p{Lu}?\p{Ll}+",
        r"(?<=a)b+|c(?=a)",  # look-around
        r"(?:ab)*",  # matches nothing, too
        r"(?i:'s|'t)|\w+",
        r"[\r\n]|\s?\p{L}+|\s?\p{P}+",
        r"\s+(?!\S)|\s+|.",
    ],
)
@given(text=st.lists(st.sampled_from([*"abc1 '!\n\u4e2dS"]), max_size=20).map("".join))
def test_any_expression(pattern: str, text: str) -> None:
    assert split(text, pattern) == by_regex(pattern, text)


def test_no_pattern_cuts_nothing() -> None:
    assert split("a b\nc", None) == [b"a b\nc"]
    assert split("", None) == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_one_piece_of_a_million_bytes(scheme: str) -> None:
    assert list(map(len, split("a" * 1_000_000, scheme))) == [1_000_000]


def test_lone_surrogates_are_refused() -> None:
    with pytest.raises(UnicodeEncodeError, match="lone surrogate"):
        split("a\ud800b", "gpt2")


@pytest.mark.parametrize("pattern", ["(", "[a", r"\p{Nonsense}", "(?<a", "gtp2("])
def test_what_is_no_expression_is_refused(pattern: str) -> None:
    with pytest.raises(tokfast.PatternError, match=r"scheme name|regular expression") as caught:
        split("a", pattern)
    assert pattern in str(caught.value)
