"""Text to ids: against tiktoken and Hugging Face on real and hard text, and against the reference."""

from __future__ import annotations

import base64
import pickle
import random
import time
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import tiktoken
import tokenizers
from hypothesis import given

import peers
import tokfast
from hard_strings import HARD_BYTES, HARD_STRINGS
from tokfast import reference

SPACED = r" ?\S+|\s+"
texts = st.text(st.sampled_from("ab cd\u00e9\u4e2d\n"), max_size=60)
corpora = texts.map("ab {}".format)  # a corpus without text is refused


# ------------------------------------------------------------------------- tiktoken, Hugging Face


@pytest.mark.parametrize("language", peers.LANGUAGES)
def test_language_equals_tiktoken(real: tokfast.Tokenizer, peer: tiktoken.Encoding, language: str) -> None:
    text = peers.real_text(language)[:60_000]
    assert real.encode(text) == peer.encode_ordinary(text)


def test_code_equals_tiktoken(real: tokfast.Tokenizer, peer: tiktoken.Encoding) -> None:
    text = peers.code(500_000)
    assert real.encode(text) == peer.encode_ordinary(text)


def test_hard_strings_equal_tiktoken(real: tokfast.Tokenizer, peer: tiktoken.Encoding) -> None:
    for text in HARD_STRINGS:
        assert real.encode(text) == peer.encode_ordinary(text), ascii(text)


def test_joined_tokens_equal_tiktoken(real: tokfast.Tokenizer, peer: tiktoken.Encoding) -> None:
    random_source = random.Random(2)
    vocab = [token for token in real.vocab if token]
    for _ in range(20_000):
        text = b"".join(random_source.choices(vocab, k=2)).decode(errors="ignore")
        assert real.encode(text) == peer.encode_ordinary(text), ascii(text)


@pytest.fixture(scope="module", params=[False, True], ids=["ignore_merges=false", "ignore_merges=true"])
def llama3(request: pytest.FixtureRequest) -> tuple[tokfast.Tokenizer, tokenizers.Tokenizer]:
    """Llama 3's tokenizer.json in tokfast and in Hugging Face's library."""
    text = peers.llama3_json(ignore_merges=request.param)
    ours = tokfast.Tokenizer.from_bytes(text.encode(), format="tokenizer.json")
    return ours, tokenizers.Tokenizer.from_str(text)


Pair = tuple[tokfast.Tokenizer, tokenizers.Tokenizer]


@pytest.mark.parametrize("language", peers.LANGUAGES)
def test_language_equals_huggingface(llama3: Pair, language: str) -> None:
    ours, theirs = llama3
    text = peers.real_text(language)[:15_000]
    assert ours.encode(text) == theirs.encode(text, add_special_tokens=False).ids


def test_code_equals_huggingface(llama3: Pair) -> None:
    ours, theirs = llama3
    text = peers.code(100_000)
    assert ours.encode(text) == theirs.encode(text, add_special_tokens=False).ids


def test_hard_strings_equal_huggingface(llama3: Pair) -> None:
    ours, theirs = llama3
    for text in HARD_STRINGS:
        if "<|" not in text:  # Hugging Face always finds special tokens
            assert ours.encode(text) == theirs.encode(text, add_special_tokens=False).ids, ascii(text)


def test_added_special_tokens_equal_huggingface(llama3: Pair) -> None:
    ours, theirs = llama3
    for text in ("", "Hello", "Hello<|eot_id|>there"):
        ids = ours.encode(text, add_special_tokens=True, allowed_special="all")
        assert ids == theirs.encode(text).ids


# --------------------------------------------------------------------------------- the reference


@given(corpus=corpora, text=texts, merges=st.integers(0, 40))
def test_equals_the_reference(corpus: str, text: str, merges: int) -> None:
    learned = reference.train(corpus, 256 + merges)
    trained = tokfast.train(iter([corpus]), 256 + merges, pattern=SPACED)
    assert trained.encode(text) == reference.encode(learned, text)


@given(corpus=corpora, parts=st.lists(st.sampled_from(["<a>", "<a><b>", "<b>", "a", "b ", "<"]), max_size=9))
def test_special_tokens_equal_the_reference(corpus: str, parts: list[str]) -> None:
    special_tokens = ["<a>", "<b>", "<a><b>"]
    text = "".join(parts)
    learned = reference.train(corpus, 280, special_tokens=special_tokens)
    trained = tokfast.train(iter([corpus]), 280, pattern=SPACED, special_tokens=special_tokens)
    for allowed in ([], ["<a>"], special_tokens):
        expected = reference.encode(learned, text, allowed_special=allowed)
        assert trained.encode(text, allowed_special=set(allowed)) == expected


# ------------------------------------------------------------------- vocabularies nobody trained

few_letters = st.text("abc", max_size=40)


@given(tokens=st.lists(st.text("abc", min_size=2, max_size=7), unique=True, max_size=25), text=few_letters)
def test_any_ranks_equal_tiktoken(tokens: list[str], text: str) -> None:
    # Tokens that no merges lead to, or several: what merges is what the ranks say.
    ranks = {bytes([byte]): byte for byte in range(256)}
    ranks |= {token.encode(): 256 + number for number, token in enumerate(tokens)}
    theirs = tiktoken.Encoding("any", pat_str=r"\w+", mergeable_ranks=ranks, special_tokens={})
    lines = (b"%s %d\n" % (base64.b64encode(token), rank) for token, rank in ranks.items())
    ours = tokfast.Tokenizer.from_bytes(b"".join(lines), format="tiktoken", pattern=r"\w+")
    assert ours.encode(text) == theirs.encode_ordinary(text)
    assert ours.count(text) == len(ours.encode(text))


@st.composite
def merge_lists(draw: st.DrawFn) -> list[tuple[str, str]]:
    """Merges of tokens that earlier merges made, in an order of their own; a token may be made twice."""
    tokens = ["a", "b", "c"]
    merges: list[tuple[str, str]] = []
    for _ in range(draw(st.integers(0, 20))):
        left, right = draw(st.sampled_from(tokens)), draw(st.sampled_from(tokens))
        if (left, right) not in merges and len(left + right) <= 8:
            merges.append((left, right))
            tokens.append(left + right)
    return draw(st.permutations(merges))


@given(merges=merge_lists(), text=few_letters, ignore_merges=st.booleans())
def test_any_merges_equal_huggingface(merges: list[tuple[str, str]], text: str, ignore_merges: bool) -> None:
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    made = dict.fromkeys(left + right for left, right in merges)
    vocab = {token: number for number, token in enumerate([*alphabet, *made])}
    model = tokenizers.models.BPE(vocab=vocab, merges=merges, ignore_merges=ignore_merges)
    theirs = tokenizers.Tokenizer(model)
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    ours = tokfast.Tokenizer.from_bytes(theirs.to_str().encode(), format="tokenizer.json")
    assert ours.encode(text) == theirs.encode(text).ids


# ------------------------------------------------------------------------------- any text at all


@given(text=st.binary(max_size=200))
def test_any_bytes_come_back(trained: tokfast.Tokenizer, text: bytes) -> None:
    assert trained.decode_bytes(trained.encode(text)) == text


def test_any_bytes_come_back_in_real_vocabularies(real: tokfast.Tokenizer) -> None:
    random_source = random.Random(3)
    for text in [*HARD_BYTES, *(random_source.randbytes(size) for size in range(300))]:
        assert real.decode_bytes(real.encode(text)) == text, text


@given(text=st.text(max_size=200))
def test_any_text_comes_back(trained: tokfast.Tokenizer, text: str) -> None:
    assert trained.decode(trained.encode(text)) == text


def test_str_and_bytes_are_the_same_text(real: tokfast.Tokenizer) -> None:
    for text in HARD_STRINGS:
        assert real.encode(text.encode()) == real.encode(text), ascii(text)


def test_empty_text_has_no_ids(trained: tokfast.Tokenizer) -> None:
    assert trained.encode("") == []
    assert trained.encode(b"") == []


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "x" * 10_000 + "\udc00"])
def test_lone_surrogates_are_refused(trained: tokfast.Tokenizer, text: str) -> None:
    with pytest.raises(UnicodeEncodeError, match=r"lone surrogate .* text\.encode\('utf-8', 'replace'\)"):
        trained.encode(text)


@pytest.mark.parametrize("text", [None, 1, ["a"], bytearray(b"a"), memoryview(b"a")])
def test_what_is_no_text_is_refused(trained: tokfast.Tokenizer, text: object) -> None:
    with pytest.raises(TypeError, match="text must be str or bytes, not"):
        trained.encode(text)  # type: ignore[arg-type]


# --------------------------------------------------------------------------- forms of the result


def test_numpy_holds_the_same_ids(real: tokfast.Tokenizer) -> None:
    text = peers.code(20_000)
    ids = real.encode_to_numpy(text)
    assert ids.dtype == np.uint32
    assert ids.tolist() == real.encode(text)
    assert real.encode_to_numpy("").shape == (0,)


def test_lists_are_the_same_once_many_were_given(trained: tokfast.Tokenizer) -> None:
    # One that has given out nothing yet makes a number for every id; later it takes them from its own.
    fresh = pickle.loads(pickle.dumps(trained))
    text = peers.code(2_000)
    ids = fresh.encode_to_numpy(text).tolist()
    for _ in range(2 * fresh.vocab_size // len(ids) + 2):
        assert fresh.encode(text) == ids
        assert fresh.encode_batch([text, "", text]).to_list() == [ids, [], ids]
    batch = fresh.encode_batch([text])
    batch.ids[:9] = 4_000_000_000  # the array is the user's; what no vocabulary has is a number too
    assert batch.to_list() == [[4_000_000_000] * 9 + ids[9:]]


@pytest.mark.parametrize("threads", [None, 1, 2, 5])
def test_batch_equals_single_texts(real: tokfast.Tokenizer, threads: int | None) -> None:
    documents: list[str | bytes] = [*HARD_STRINGS, *HARD_BYTES, peers.code(100_000), ""]
    batch = real.encode_batch(documents, threads=threads)
    assert batch.to_list() == [real.encode(text) for text in documents]


def test_batch_is_flat_ids_with_offsets(trained: tokfast.Tokenizer) -> None:
    documents = ["def f():", "", "return 1"]
    single = [trained.encode(text) for text in documents]
    batch = trained.encode_batch(documents)
    assert batch.ids.dtype == np.uint32
    assert batch.offsets.dtype == np.int64
    assert batch.ids.tolist() == [*single[0], *single[2]]
    assert batch.offsets.tolist() == [0, len(single[0]), len(single[0]), len(single[0]) + len(single[2])]
    assert len(batch) == 3
    assert [row.tolist() for row in batch] == single
    assert batch[2].tolist() == batch[-1].tolist() == single[2]
    assert np.shares_memory(batch[0], batch.ids)
    with pytest.raises(IndexError):
        batch[3]


def test_batch_of_nothing(trained: tokfast.Tokenizer) -> None:
    batch = trained.encode_batch([])
    assert (len(batch), batch.ids.tolist(), batch.offsets.tolist()) == (0, [], [0])


# ---------------------------------------------------------------------------------- special tokens

SPECIAL_TEXTS = [
    "<|endoftext|>",
    "a<|endoftext|>b",
    "<|endoftext|><|endoftext|>",
    "<|endofprompt|> <|endoftext|",
    "<|fim_prefix|>x<|fim_suffix|>",
    "no special token",
]


@pytest.mark.parametrize("text", SPECIAL_TEXTS)
@pytest.mark.parametrize("allowed", [set(), {"<|endoftext|>"}, "all"], ids=str)
@pytest.mark.parametrize("disallowed", [set(), {"<|endoftext|>"}, "all"], ids=str)
@pytest.mark.parametrize("vocabulary", ["gpt2", "cl100k", "o200k"], indirect=True)
def test_special_tokens_equal_tiktoken(
    real: tokfast.Tokenizer, peer: tiktoken.Encoding, text: str, allowed: Any, disallowed: Any
) -> None:
    try:
        expected = peer.encode(text, allowed_special=allowed, disallowed_special=disallowed)
    except ValueError:
        with pytest.raises(tokfast.SpecialTokenError, match=r"special token .* allowed_special"):
            real.encode(text, allowed_special=allowed, disallowed_special=disallowed)
    else:
        assert real.encode(text, allowed_special=allowed, disallowed_special=disallowed) == expected


def test_special_tokens_are_text_unless_allowed(trained: tokfast.Tokenizer) -> None:
    ids = trained.encode("a<|end|>b")
    assert trained.special_tokens["<|end|>"] not in ids
    assert trained.decode(ids) == "a<|end|>b"
    assert trained.special_tokens["<|end|>"] in trained.encode("a<|end|>b", allowed_special="all")


def test_batch_follows_the_rule_of_special_tokens(trained: tokfast.Tokenizer) -> None:
    batch = trained.encode_batch(["<|end|>", "x"], allowed_special={"<|end|>"})
    assert batch[0].tolist() == [trained.special_tokens["<|end|>"]]
    with pytest.raises(tokfast.SpecialTokenError):
        trained.encode_batch(["x", "<|end|>"], disallowed_special="all")


# ---------------------------------------------------------------------------------------- long runs


@pytest.mark.parametrize("vocabulary", ["o200k"], indirect=True)
@pytest.mark.parametrize(
    "unit", ["a", " ", "\n", "^", "_", "0", "ab", "\u4e2d", "\U0001f600", "'s", " a", "\xff"], ids=ascii
)
def test_a_run_of_a_million_bytes_takes_about_linear_time(real: tokfast.Tokenizer, unit: str) -> None:
    def seconds(size: int) -> float:
        text = unit.encode() * (size // len(unit.encode()))
        start = time.process_time()
        ids = real.encode(text)
        spent = time.process_time() - start
        assert real.decode_bytes(ids) == text
        return spent

    # Quadratic time would be 256 times as long; a heap that leaves the caches takes up to 50 times.
    assert seconds(1_000_000) < 128 * max(seconds(1_000_000 // 16), 0.005)


def test_a_random_piece_of_a_million_bytes_comes_back(trained: tokfast.Tokenizer) -> None:
    text = "".join(random.Random(4).choices("abcdefghijklmnopqrstuvwxyz", k=1_000_000))
    assert trained.decode(trained.encode(text)) == text
