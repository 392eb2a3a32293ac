"""The pure-Python reference: against a trainer that recounts everything, and in written-out cases."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Literal

import hypothesis.strategies as st
import pytest
import regex
from hypothesis import given

from tokfast import reference

words = st.lists(st.text("ab c", max_size=12), max_size=6)


def recount(texts: list[str], merges: int) -> list[bytes]:
    """Learn merges by counting every pair of the text anew for each one, as the textbook says."""
    pieces = [
        [bytes([byte]) for byte in match.group().encode()] for text in texts for match in reference.WORDS.finditer(text)
    ]
    ids = {bytes([byte]): number for number, byte in enumerate(reference.BYTE_ORDER["huggingface"])}
    learned: list[bytes] = []
    while len(learned) < merges:
        counts = Counter(pair for piece in pieces for pair in pairwise(piece))
        if not counts:
            break
        left, right = min(counts, key=lambda pair: (-counts[pair], ids[pair[0]], ids[pair[1]]))
        for piece in pieces:
            for at in range(len(piece)):
                if piece[at : at + 2] == [left, right]:
                    piece[at : at + 2] = [left + right]
        ids[left + right] = len(ids)
        learned.append(left + right)
    return learned


@given(texts=words, merges=st.integers(0, 12))
def test_train_equals_recounting_everything(texts: list[str], merges: int) -> None:
    assert reference.train(texts, 256 + merges).vocab[256:] == recount(texts, merges)


def test_toy_path(capsys: pytest.CaptureFixture[str]) -> None:
    tokenizer = reference.train("tokenizer\ntokens\ntoken\nstoke\ntokyo\ntop\n", 260, verbose=True)
    assert capsys.readouterr().out == "t o -> to\nto k -> tok\ntok e -> toke\ntoke n -> token\n"
    assert reference.explain(tokenizer, "tokenless") == "token l e s s"


def test_bytes_stand_in_the_order_of_gpt2() -> None:
    order = reference.BYTE_ORDER["huggingface"]
    assert sorted(order) == list(range(256))
    assert (order[0], order[93], order[94], order[105], order[106], order[187]) == (
        0x21,
        0x7E,
        0xA1,
        0xAC,
        0xAE,
        0xFF,
    )
    assert (order[188], order[220], order[221], order[254], order[255]) == (0x00, 0x20, 0x7F, 0xA0, 0xAD)


@pytest.mark.parametrize(
    ("text", "tie_break", "first"),
    [
        ("ba ab", "huggingface", b"ab"),  # the smaller left id
        ("ac ab", "huggingface", b"ab"),  # the same left id: the smaller right id
        ("a!a", "huggingface", b"!a"),
        ("a b", "huggingface", b"a "),  # the space comes after every printable byte ...
        ("a b", "bytes", b" b"),  # ... but for raw order
        ("x\x01y\x01", "huggingface", b"x\x01"),
        ("x\x01y\x01", "bytes", b"\x01y"),
    ],
)
def test_ties_go_to_the_smaller_ids(text: str, tie_break: Literal["huggingface", "bytes"], first: bytes) -> None:
    tokenizer = reference.train(text, 257, tie_break=tie_break, pattern=None)
    assert tokenizer.vocab[256] == first


def test_windows_are_counted_and_merged_from_the_left() -> None:
    # "aaa" has (a, a) twice, which beats one (b, c) and ties with two; merged, it is (aa, a).
    tokenizer = reference.train(["aaa", "bc", "bc"], 258)
    assert tokenizer.vocab[256:] == [b"aa", b"bc"]
    assert reference.encode(tokenizer, "aaa") == [256, tokenizer.id_of[b"a"]]


def test_special_tokens_are_cut_out_and_come_first() -> None:
    tokenizer = reference.train("<s>ab<s>ab", 300, special_tokens=["<s>", "<e>", "<s>"])
    assert tokenizer.vocab[:3] == [b"<s>", b"<e>", b"!"]
    assert tokenizer.vocab[258:] == [b"ab"]
    assert reference.encode(tokenizer, "<s>ab", allowed_special=["<s>"]) == [0, 258]
    assert reference.decode(tokenizer, [0, 258]) == "<s>ab"


def test_min_frequency_is_inclusive() -> None:
    assert reference.train(["ab", "ab", "cd"], 300, min_frequency=2).vocab[256:] == [b"ab"]


@pytest.mark.parametrize(("limit", "longest"), [(1, 2), (2, 2), (3, 2), (4, 3), (6, 5), (None, 8)])
def test_max_token_length_is_exclusive_but_for_two_bytes(limit: int | None, longest: int) -> None:
    # "ab" is the most frequent pair, then "abc", and so on: tokens grow by one byte.
    tokenizer = reference.train(["abcdefgh"[:size] for size in range(2, 9)], 300, max_token_length=limit)
    assert max(map(len, tokenizer.vocab)) == longest


def test_bytes_beyond_limit_alphabet_vanish() -> None:
    # x is the rarest: without it a and b are neighbours.
    assert reference.train(["axb", "ab", "ab"], 300, limit_alphabet=2).vocab[256:] == [b"ab"]
    # Equal counts: the smaller id stays.
    assert reference.train(["ba", "cb", "ac"], 300, limit_alphabet=2).vocab[256:] == [b"ba"]


def test_text_between_matches_is_kept() -> None:
    tokenizer = reference.train("12ab12ab", 300, pattern=regex.compile(r"\d+"))
    assert tokenizer.vocab[256:] == [b"12", b"ab"]
    assert reference.decode(tokenizer, reference.encode(tokenizer, "a1?")) == "a1?"


@given(text=st.binary(max_size=60), corpus=st.binary(max_size=60))
def test_any_bytes_come_back(text: bytes, corpus: bytes) -> None:
    tokenizer = reference.train(corpus, 280)
    ids = reference.encode(tokenizer, text)
    assert reference.decode_bytes(tokenizer, ids) == text
    assert reference.count(tokenizer, text) == len(ids)


def test_lone_surrogates_are_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        reference.train("\ud800", 300)


def test_too_small_a_vocabulary_is_refused() -> None:
    with pytest.raises(ValueError, match=r"vocab_size is 257, but 2 special tokens .* pass vocab_size >= 258"):
        reference.train("ab", 257, special_tokens=["<s>", "<e>"])
