"""Training: against the reference on small corpora, against Hugging Face's trainer on real text."""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import pytest
import regex
from hypothesis import given

import peers
import tokfast
from tokfast import reference

if TYPE_CHECKING:
    from pathlib import Path

SPACED = r" ?\S+|\s+"
COMPILED = {None: None, SPACED: regex.compile(SPACED), "gpt2": regex.compile(peers.PATTERNS["gpt2"])}

runs = st.builds(lambda unit, times: unit * times, st.text("ab", max_size=3), st.integers(0, 40))
corpora = st.one_of(
    st.lists(st.text("ab", max_size=40), max_size=8),
    st.lists(st.text("abc \n", max_size=40), max_size=8),
    st.lists(st.text("aA\u00e9\u4e2d1 '", max_size=30), max_size=8),
    st.lists(runs, max_size=6),
).map(lambda texts: [*texts, "ab ba"])  # a corpus without text is refused


def merged_bytes(tokenizer: tokfast.Tokenizer) -> list[tuple[bytes, bytes]]:
    """The merges as pairs of byte strings."""
    vocab = tokenizer.vocab
    return [(vocab[left], vocab[right]) for left, right in tokenizer.merges]


@given(
    texts=corpora,
    pattern=st.sampled_from(list(COMPILED)),
    merges=st.integers(0, 30),
    special_tokens=st.sampled_from([[], ["<s>"], ["ab", "<s>", "b "], ["ba", "baa", "aa"]]),
    min_frequency=st.sampled_from([0, 1, 1, 2, 3]),
    max_token_length=st.sampled_from([None, None, 1, 2, 3, 4, 6]),
    tie_break=st.sampled_from(["huggingface", "bytes"]),
)
def test_equals_the_reference(
    texts: list[str], pattern: str | None, merges: int, special_tokens: list[str], **options: Any
) -> None:
    size = 256 + len(special_tokens) + merges
    expected = reference.train(texts, size, pattern=COMPILED[pattern], special_tokens=special_tokens, **options)
    trained = tokfast.train(iter(texts), size, pattern=pattern, special_tokens=special_tokens, **options)
    assert trained.vocab == expected.vocab
    assert trained.merges == expected.merges
    assert trained.special_tokens == expected.special_tokens


@given(
    texts=corpora,
    limit=st.integers(1, 5),
    merges=st.integers(0, 20),
    special_tokens=st.sampled_from([[], ["ab"]]),
)
def test_limit_alphabet_equals_the_reference(
    texts: list[str], limit: int, merges: int, special_tokens: list[str]
) -> None:
    size = 256 + len(special_tokens) + merges
    options: Any = {"pattern": None, "limit_alphabet": limit, "special_tokens": special_tokens}
    expected = reference.train(texts, size, **options)
    trained = tokfast.train(iter(texts), size, initial_alphabet=b"", **options)
    assert trained.vocab == expected.vocab
    assert trained.merges == expected.merges


@given(texts=st.lists(st.binary(min_size=1, max_size=30), min_size=1, max_size=6), merges=st.integers(0, 20))
def test_any_bytes_equal_the_reference(texts: list[bytes], merges: int) -> None:
    expected = reference.train(texts, 256 + merges, pattern=COMPILED["gpt2"])
    trained = tokfast.train(iter(texts), 256 + merges, pattern="gpt2")
    assert trained.merges == expected.merges


def test_toy_path() -> None:
    corpus = "tokenizer\ntokens\ntoken\nstoke\ntokyo\ntop\n"
    tokenizer = tokfast.train(iter([corpus]), 260, pattern=SPACED)
    assert tokenizer.vocab[256:] == [b"to", b"tok", b"toke", b"token"]
    assert [tokenizer.vocab[token] for token in tokenizer.encode("tokenless")] == [
        b"token",
        b"l",
        b"e",
        b"s",
        b"s",
    ]


# ------------------------------------------------------------------------------ Hugging Face


@cache
def real_corpus() -> tuple[str, ...]:
    """Real text in every language and code, in documents of a few hundred bytes."""
    texts = [peers.real_text(language)[:20_000] for language in peers.LANGUAGES]
    texts.append(peers.code(300_000))
    return tuple(document for text in texts for document in text.split("\n\n") if document)


def huggingface_merges(pattern: str, vocab_size: int, **options: Any) -> list[tuple[bytes, bytes]]:
    """Merges of Hugging Face's trainer, its byte characters turned back into bytes."""
    trained = peers.huggingface_train(iter(real_corpus()), vocab_size, pattern=peers.PATTERNS[pattern], **options)
    order = reference.BYTE_ORDER["huggingface"]
    printable = set(order[:188])
    byte_of = {chr(byte): byte for byte in printable}
    byte_of |= {chr(0x100 + number): byte for number, byte in enumerate(order[188:])}
    merges = json.loads(trained.to_str())["model"]["merges"]
    return [(bytes(map(byte_of.__getitem__, left)), bytes(map(byte_of.__getitem__, right))) for left, right in merges]


@pytest.mark.parametrize("pattern", ["gpt2", "cl100k", "o200k"])
def test_equals_huggingface_on_real_text(pattern: str) -> None:
    trained = tokfast.train(iter(real_corpus()), 5000, pattern=pattern)
    assert merged_bytes(trained) == huggingface_merges(pattern, 5000)


@pytest.mark.parametrize(
    "options",
    [
        {"min_frequency": 100},
        {"max_token_length": 5},
        {"max_token_length": 9, "min_frequency": 3},
        {"special_tokens": ["<|start|>", "<|end|>"]},
    ],
    ids=",".join,
)
def test_option_equals_huggingface(options: dict[str, Any]) -> None:
    trained = tokfast.train(iter(real_corpus()), 3000, pattern="gpt2", **options)
    assert merged_bytes(trained) == huggingface_merges("gpt2", 3000, **options)


def test_limit_alphabet_equals_huggingface() -> None:
    # Hugging Face breaks ties at the cut-off at random: cut where the counts differ.
    totals = sorted(Counter(b"".join(text.encode() for text in real_corpus())).values(), reverse=True)
    limit = next(size for size in range(80, 200) if totals[size - 1] > totals[size])
    trained = tokfast.train(iter(real_corpus()), 256 + 1000, pattern="gpt2", limit_alphabet=limit, initial_alphabet=b"")
    theirs = huggingface_merges("gpt2", limit + 1000, limit_alphabet=limit, full_alphabet=False)
    assert merged_bytes(trained) == theirs


# --------------------------------------------------------------------------- the same, always


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_threads_change_nothing(threads: int) -> None:
    one = tokfast.train(iter(real_corpus()), 2000, threads=1)
    many = tokfast.train(iter(real_corpus()), 2000, threads=threads)
    assert (many.vocab, many.merges) == (one.vocab, one.merges)


def test_a_smaller_vocabulary_is_a_prefix_of_a_larger_one() -> None:
    large = tokfast.train(iter(real_corpus()), 2000, special_tokens=["<s>"])
    small = tokfast.train(iter(real_corpus()), 1000, special_tokens=["<s>"])
    cut = large.with_vocab_size(1000)
    assert (cut.vocab, cut.merges, cut.special_tokens) == (small.vocab, small.merges, small.special_tokens)


def test_special_tokens_come_first_and_are_never_merged() -> None:
    trained = tokfast.train(iter(["<s>ab<s>ab<s>"] * 9), 300, special_tokens=["<s>", "<e>", "<s>"])
    assert trained.special_tokens == {"<s>": 0, "<e>": 1}
    assert trained.vocab[:3] == [b"<s>", b"<e>", b"!"]
    assert trained.vocab[258:] == [b"ab"]


def test_training_stops_when_no_pair_is_left() -> None:
    assert tokfast.train(iter(["abc"]), 10_000).vocab_size == 256 + 2


def test_counts_beyond_32_bits() -> None:
    counts = tokfast.WordCounts.from_counts({b"ab": 2**33, b"cd": 2**33 + 1, b"abc": 5})
    assert tokfast.train(counts, 259).vocab[256:] == [b"ab", b"cd", b"abc"]


# ------------------------------------------------------------------------------------ sources


def test_every_kind_of_source_gives_the_same(tmp_path: Path) -> None:
    texts = ["low lower lowest\n", "new newer newest\n"] * 5
    expected = tokfast.train(iter(texts), 270)
    paths = [tmp_path / f"{number}.txt" for number in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text, encoding="utf-8")
    sources: dict[str, Any] = {
        "iterator of bytes": (text.encode() for text in texts),
        "paths": paths,
        "paths as str": [str(path) for path in paths],
        "directory": tmp_path,
        "glob": [str(tmp_path / "*.txt")],
        "word counts": tokfast.count_words(iter(texts)),
    }
    for kind, source in sources.items():
        trained = tokfast.train(source, 270)
        assert (trained.vocab, trained.merges) == (expected.vocab, expected.merges), kind


def test_one_path_is_one_document(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"ab ab\nab")
    by_path = tokfast.train(str(tmp_path / "a.txt"), 260, pattern=None)
    assert by_path.merges == tokfast.train(iter([b"ab ab\nab"]), 260, pattern=None).merges


def test_a_line_as_unit_ends_pieces_at_line_feeds() -> None:
    text = "a\n\nb\n\n" * 5
    assert b"\n\n" in tokfast.train(iter([text]), 260, pattern="gpt2").vocab
    assert b"\n\n" not in tokfast.train(iter([text]), 260, pattern="gpt2", unit="line").vocab


def test_word_counts_are_the_pieces_of_the_text() -> None:
    counts = tokfast.count_words(iter(["to be or not to be"]), pattern="gpt2")
    assert dict(counts) == {b"to": 1, b" be": 2, b" or": 1, b" not": 1, b" to": 1}
    assert len(counts) == 5


def test_word_counts_add_up() -> None:
    first, second = tokfast.count_words(iter(["a b"])), tokfast.count_words(iter(["a c"]))
    assert dict(first.merge(second)) == {b"a": 2, b" b": 1, b" c": 1}


def test_a_failing_iterator_raises_its_own_error() -> None:
    def texts() -> Any:
        yield "ab"
        raise RuntimeError("the disk is on fire")

    with pytest.raises(RuntimeError, match="the disk is on fire"):
        tokfast.train(texts(), 300)


def test_lone_surrogates_are_refused() -> None:
    with pytest.raises(UnicodeEncodeError, match="lone surrogate"):
        tokfast.train(iter(["ab", "\ud800"]), 300)
