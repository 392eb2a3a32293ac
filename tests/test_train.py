"""Training: against the reference on small corpora, against Hugging Face's trainer on real text."""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import pytest
import regex
from hypothesis import example, given

import peers
import tokfast
from tokfast import reference
from tokfast._checkpoint import Checkpoint

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
@example(texts=["aba b", "ab ba"], limit=2, merges=1, special_tokens=["ab"])
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


# -------------------------------------------------------------------- bounded, resumable, extendable


def many_words(path: Path, *, distinct: int = 60_000) -> Path:
    """A file with so many distinct words that a small table cannot hold them."""
    letters = str.maketrans("0123456789", "abcdefghij")
    text = "".join(f" {number * 7919 % distinct} some words" for number in range(distinct * 2))
    path.write_text(text.translate(letters), encoding="utf-8")
    return path


def test_a_memory_limit_changes_nothing(tmp_path: Path) -> None:
    source = many_words(tmp_path / "text", distinct=250_000)
    free = tokfast.count_words(source, pattern="gpt2", threads=2)
    limited = tokfast.count_words(source, pattern="gpt2", threads=2, memory_limit=2 * 256 * 1024)
    # A line of 64 bytes holds two words: more than ten times the limit.
    assert len(free) * 64 / 2 > 10 * 2 * 256 * 1024
    assert list(free) == list(limited)
    assert tokfast.train(source, 2000, pattern="gpt2", memory_limit=1 << 20, threads=2).merges == (
        tokfast.train(free, 2000).merges
    )


def test_a_memory_limit_that_is_too_small_is_refused() -> None:
    with pytest.raises(tokfast.MemoryLimitError, match="at least 524288"):
        tokfast.count_words(["text"], memory_limit=1000, threads=2)


def test_counts_are_saved_loaded_and_added_up(tmp_path: Path) -> None:
    first = tokfast.count_words(["low lower", "low"], pattern="gpt2")
    second = tokfast.count_words(["lower lowest"], pattern="gpt2")
    first.save(tmp_path / "first")
    second.save(tmp_path / "second")
    total = tokfast.WordCounts.load(tmp_path / "first").merge(tokfast.WordCounts.load(tmp_path / "second"))
    whole = tokfast.count_words(["low lower", "low", "lower lowest"], pattern="gpt2")
    assert list(total) == list(whole)
    assert (total.pattern, total.documents, total.text_bytes) == (whole.pattern, 3, 24)
    with pytest.raises(tokfast.TrainingError, match="pattern"):
        first.merge(tokfast.count_words(["x"], pattern="o200k"))
    (tmp_path / "first").write_bytes(b"tokfast word counts 1\nnull\n\x00")
    with pytest.raises(tokfast.TrainingError, match="ends too early"):
        tokfast.WordCounts.load(tmp_path / "first")


def test_no_pattern_is_remembered() -> None:
    counts = tokfast.count_words(["ab ab", "ab ab"], pattern=None)
    assert counts.knows_pattern
    assert tokfast.train(counts, 258).pattern is None


@pytest.mark.parametrize("as_file", [True, False])
def test_a_stopped_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, as_file: bool) -> None:
    monkeypatch.setattr("tokfast._train._BLOCKS_BETWEEN", 1)
    monkeypatch.setattr("tokfast._train._BATCHES_BETWEEN", 1)
    monkeypatch.setattr("tokfast._train._BATCH_SIZE", 1 << 20)
    path = many_words(tmp_path / "text", distinct=100_000)
    lines = path.read_text(encoding="utf-8").split("some")
    expected = tokfast.train(path if as_file else iter(lines), 1000, pattern="gpt2")

    class StopError(Exception):
        pass

    saves = []
    save = Checkpoint.save

    def save_and_stop(self: Checkpoint, *arguments: Any, **more: Any) -> None:
        save(self, *arguments, **more)
        saves.append(arguments)
        if len(saves) == 2:
            raise StopError

    monkeypatch.setattr(Checkpoint, "save", save_and_stop)
    state = tmp_path / "state"
    options: dict[str, Any] = {"pattern": "gpt2", "checkpoint": state, "resume": True}
    with pytest.raises(StopError):
        tokfast.train(path if as_file else iter(lines), 1000, **options)
    kept = json.loads((state / "checkpoint.json").read_text(encoding="utf-8"))
    assert kept["done"] > 0
    assert kept["runs"]
    # What a killed process leaves: a run that no state names.
    (state / "000099.words").write_bytes(b"half a run")
    with pytest.raises(tokfast.TrainingError, match="resume=True"):
        tokfast.train(path, 1000, pattern="gpt2", checkpoint=state)
    steps: list[tuple[str, int, int]] = []
    options["progress"] = lambda phase, done, total: steps.append((phase, done, total))
    resumed = tokfast.train(path if as_file else iter(lines), 1000, **options)
    assert resumed.merges == expected.merges
    assert len(saves) > 3
    assert all(done <= total for _, done, total in steps)
    assert sorted(file.name for file in state.iterdir()) == ["checkpoint.json", "counts.words"]
    # Again: the counts are all there.
    again = tokfast.train(path if as_file else iter(lines), 1000, **options)
    assert again.merges == expected.merges
    assert again.training_report is not None
    assert again.training_report.text_bytes == sum(map(len, lines)) + (4 * (len(lines) - 1) if as_file else 0)


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("some text", encoding="utf-8")
    state = tmp_path / "state"
    tokfast.train(path, 260, checkpoint=state)
    with pytest.raises(tokfast.TrainingError, match=r"vocab_size was 260, and is 261 now"):
        tokfast.train(path, 261, checkpoint=state, resume=True)
    with pytest.raises(tokfast.TrainingError, match=r"pattern was 'cl100k', and is 'gpt2' now"):
        tokfast.train(path, 260, pattern="gpt2", checkpoint=state, resume=True)
    path.write_text("another text", encoding="utf-8")
    with pytest.raises(tokfast.TrainingError, match=r"corpus was .*text', 9, .*text', 12, "):
        tokfast.train(path, 260, checkpoint=state, resume=True)
    other = tmp_path / "other"
    tokfast.train(iter(["a text", "b"]), 257, checkpoint=other)
    with pytest.raises(tokfast.TrainingError, match="first 2 documents"):
        tokfast.train(iter(["a text", "c"]), 257, checkpoint=other, resume=True)
    (other / "checkpoint.json").write_text("[]", encoding="utf-8")
    with pytest.raises(tokfast.TrainingError, match="no checkpoint of this version"):
        tokfast.train(iter(["a text", "c"]), 257, checkpoint=other, resume=True)


@given(texts=corpora, more=corpora, merges=st.integers(0, 12), added=st.integers(0, 12))
def test_a_base_is_kept(texts: list[str], more: list[str], merges: int, added: int) -> None:
    base = tokfast.train(iter(texts), 258 + merges, pattern=None, special_tokens=["<s>", "ba b"])
    extended = tokfast.train(iter(more), 259 + merges + added, base=base, special_tokens=["<new>"])
    size = base.vocab_size
    assert extended.vocab[:size] == base.vocab
    assert extended.merges[: len(base.merges)] == base.merges
    assert extended.special_tokens == {**base.special_tokens, "<new>": size}
    tokens = [token for token in extended.vocab if token]
    assert len(set(tokens)) == len(tokens)


def test_a_base_and_the_same_text_give_what_one_run_gives() -> None:
    texts = real_corpus()
    small = tokfast.train(iter(texts), 1000, pattern="gpt2")
    assert (
        tokfast.train(iter(texts), 3000, base=small).merges == tokfast.train(iter(texts), 3000, pattern="gpt2").merges
    )


def test_counts_of_another_pattern_than_the_base_are_refused() -> None:
    base = tokfast.train(["text text"], 258, pattern="gpt2")
    with pytest.raises(tokfast.TrainingError, match="count with that"):
        tokfast.train(tokfast.count_words(["text"], pattern="o200k"), 260, base=base)
    with pytest.raises(tokfast.TrainingError, match="pass vocab_size >= 258"):
        tokfast.train(["text"], 257, base=base)


def test_special_tokens_may_be_left_in_the_text() -> None:
    texts = ["<|end|>text<|end|>"] * 3
    cut = tokfast.train(iter(texts), 270, pattern=None, special_tokens=["<|end|>"])
    read = tokfast.train(iter(texts), 270, pattern=None, special_tokens=["<|end|>"], split_special_tokens=False)
    assert not any(b"|" in token for token in cut.vocab[257:] if len(token) > 1)
    assert any(b"end|" in token for token in read.vocab[257:])
    # No merge makes a special token: one string would have two ids.
    assert b"<|end|>" not in read.vocab[1:]


def test_the_report_tells_what_was_counted() -> None:
    texts = ["low low lower lowest", "low"]
    tokenizer = tokfast.train(iter(texts), 260, pattern="gpt2", special_tokens=["<s>"])
    report = tokenizer.training_report
    assert report is not None
    assert (report.documents, report.text_bytes, report.distinct_words) == (2, 23, 4)
    assert report.merge_counts.tolist() == [5, 5, 3]
    ids = Counter(token for text in texts for token in tokenizer.encode(text))
    assert {token: count for token, count in enumerate(report.token_counts.tolist()) if count} == dict(ids)
    assert tokfast.load("tokfast-32k").training_report is None


def test_an_estimate_is_of_the_right_size(tmp_path: Path) -> None:
    path = many_words(tmp_path / "text")
    guess = tokfast.estimate(path, 2000, pattern="gpt2", sample_bytes=1 << 20)
    counts = tokfast.count_words(path, pattern="gpt2")
    assert guess.text_bytes == path.stat().st_size
    assert guess.sample_bytes < guess.text_bytes
    assert len(counts) / 3 < guess.distinct_words < len(counts) * 3
    assert guess.seconds > 0
    with pytest.raises(tokfast.TrainingError, match="only once"):
        tokfast.estimate(iter(["text"]), 300)
    with pytest.raises(tokfast.TrainingError, match="no text"):
        tokfast.estimate([""], 300)


def test_progress_may_ask_for_detail(tmp_path: Path) -> None:
    path = many_words(tmp_path / "text", distinct=300_000)
    details = []
    tokfast.train(path, 60_000, progress=lambda phase, _done, _total, detail: details.append((phase, detail)))
    assert any(phase == "merge" and detail.startswith('"') for phase, detail in details)


@pytest.mark.parametrize("unit", ["a", "ab"])
def test_one_word_of_a_repeated_unit(unit: str) -> None:
    tokenizer = tokfast.train(iter([unit * (400_000 // len(unit))]), 4000, pattern=None)
    assert tokenizer.count(unit * (400_000 // len(unit))) < 20
    assert max(len(token) for token in tokenizer.vocab) >= 262_144


def test_superwords_go_across_words(tmp_path: Path) -> None:
    texts = [
        "the cat and the dog of the house\nin the year 2024 of the cat of the dog\n" * 3,
        "of the of the of the 12 x",
    ]
    base = tokfast.train(texts, 280, pattern="gpt2")
    tokenizer = tokfast.train(texts, 300, base=base, superwords=True)

    # The textbook way: the base's merges inside the pieces of the second stage, then pair after pair.
    vocab = {token: base.token_bytes(token) for token in range(280)}
    rank = {pair: number for number, pair in enumerate(base.merges)}
    made = {pair: base.encode(vocab[pair[0]] + vocab[pair[1]])[0] for pair in rank}
    pieces = [piece for text in texts for piece in re.findall(r"[0-9]{1,3}|[^\r\n0-9]+|[\r\n]+", text)]
    words = [
        [next(token for token in vocab if vocab[token] == bytes([byte])) for byte in piece.encode()] for piece in pieces
    ]

    def join(word: list[int], pair: tuple[int, int], new: int) -> None:
        at = 0
        while at + 1 < len(word):
            if (word[at], word[at + 1]) == pair:
                word[at : at + 2] = [new]
            at += 1

    for word in words:
        while known := [pair for pair in pairwise(word) if pair in rank]:
            pair = min(known, key=rank.__getitem__)
            join(word, pair, made[pair])
    merges = []
    while len(vocab) < 300:
        # Neighbours of a run overlap, as Hugging Face counts them.
        counts = Counter(pair for word in words for pair in pairwise(word))
        taken = set(vocab.values())
        allowed = [pair for pair in counts if vocab[pair[0]] + vocab[pair[1]] not in taken]
        best = min(allowed, key=lambda pair: (-counts[pair], pair))
        merges.append(best)
        vocab[len(vocab)] = vocab[best[0]] + vocab[best[1]]
        for word in words:
            join(word, best, len(vocab) - 1)
    assert tokenizer.merges == base.merges + merges
    assert any(b" " in token.strip() for token in tokenizer.vocab)
    assert tokenizer.decode(tokenizer.encode(texts[0])) == texts[0]
    tokenizer.save(tmp_path / "tokenizer.json")
    again = tokfast.load(tmp_path / "tokenizer.json")
    assert again.fingerprint == tokenizer.fingerprint
    assert tokenizer.count(texts[0]) < base.count(texts[0])


def test_superwords_need_a_base() -> None:
    with pytest.raises(tokfast.TrainingError, match="second stage"):
        tokfast.train(["a b"], 300, superwords=True)
