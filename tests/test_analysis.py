"""`tokfast.analysis`: figures against those computed with the peers, and against their definitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import peers
import tokfast
from tokfast.analysis import compare, vocab_sizes
from tokfast.attention import attention_cost
from tokfast.attention.cost import ModelShape

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PARALLEL = sorted(path.removeprefix("parallel/") for path in peers.PARALLEL)


def parallel(language: str) -> str:
    return peers.real_file(f"parallel/{language}.txt").read_text(encoding="utf-8")


# ---------------------------------------------------------------------------------------- compare


def independent_counts() -> dict[str, tuple[tokfast.Tokenizer, Callable[[str], int]]]:
    """Tokenizers, and how a peer counts with them."""
    import tokenizers

    found: dict[str, tuple[tokfast.Tokenizer, Callable[[str], int]]] = {}
    for name in ("cl100k", "o200k", "llama3"):
        path = peers.real_file(peers.RANKS[name])
        encoding = peers.tiktoken_encoding(name)
        tok = tokfast.Tokenizer.from_file(path, pattern=name, special_tokens=peers.SPECIAL_TOKENS[name])
        found[name] = tok, lambda text, encoding=encoding: len(encoding.encode_ordinary(text))  # type: ignore[misc]
    default = tokfast.load("tokfast-32k")
    found["tokfast-32k"] = default, _through_huggingface(default)
    path = peers.real_file("qwen3.tokenizer.json")
    qwen = tokenizers.Tokenizer.from_file(str(path))
    found["qwen"] = tokfast.load(path), lambda text: len(qwen.encode(text, add_special_tokens=False).ids)
    return found


def _through_huggingface(tok: tokfast.Tokenizer) -> Callable[[str], int]:
    import tempfile
    from pathlib import Path

    import tokenizers

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "tokenizer.json")
        tok.save(path)
        peer = tokenizers.Tokenizer.from_file(str(path))
    return lambda text: len(peer.encode(text, add_special_tokens=False).ids)


def test_figures_are_those_of_the_peers() -> None:
    texts = {language: parallel(language) for language in PARALLEL}
    assert len(texts) >= 20
    systems = independent_counts()
    result = compare({name: tok for name, (tok, _) in systems.items()}, texts)
    counts = {name: {language: count(text) for language, text in texts.items()} for name, (_, count) in systems.items()}
    assert len(result.languages) == len(systems) * len(texts)
    for row in result.languages:
        text, expected = texts[row.language], counts[row.tokenizer][row.language]
        assert row.n_tokens == expected, (row.tokenizer, row.language)
        assert row.n_bytes == len(text.encode())
        assert row.n_characters == len(text)
        assert row.tokens_per_byte == expected / len(text.encode())
        assert row.bytes_per_token == len(text.encode()) / expected
        assert row.tokens_per_character == expected / len(text)
        assert row.inflation == expected / counts[row.tokenizer]["en"]


@pytest.mark.parametrize("language", ["en", "el", "he"])
def test_words_are_those_of_the_definition(language: str) -> None:
    import regex

    text = parallel(language)
    encoding = peers.tiktoken_encoding("cl100k")
    words = regex.findall(r"[\p{L}\p{M}\p{N}]+", text)
    tok = tokfast.Tokenizer.from_file(peers.real_file(peers.RANKS["cl100k"]), pattern="cl100k")
    [row] = compare([tok], {language: text}).languages
    assert row.n_words == len(words)
    assert row.tokens_per_word == len(encoding.encode_ordinary(text)) / len(words)
    whole = sum(len(encoding.encode_ordinary(f" {word}")) == 1 for word in words)
    assert row.whole_word_share == whole / len(words)
    ids = encoding.encode_ordinary(text)
    pieces = [encoding.decode_single_token_bytes(number) for number in ids]
    assert row.byte_token_share == sum(len(piece) == 1 and piece[0] > 127 for piece in pieces) / len(ids)


def test_text_without_spaces_has_no_words() -> None:
    rows = {
        row.language: row for row in compare(["tokfast-32k"], {"en": "some words", "ja": "日本語の文章です"}).languages
    }
    assert (rows["en"].n_words, rows["ja"].n_words, rows["ja"].tokens_per_word) == (2, None, None)


def test_vocabulary_use() -> None:
    tok = tokfast.train(["ab ab abc"], 260, pattern="gpt2", special_tokens=["<|end|>"])
    [use] = compare({"x": tok}, {"en": "ab abc"}).vocabularies
    used = set(tok.encode("ab abc"))
    assert (use.n_used, use.vocab_size) == (len(used), tok.vocab_size)
    assert use.used_share == len(used) / sum(map(bool, tok.vocab))
    assert use.longest[0] == max((tok.token_bytes(number) for number in used), key=len)
    assert not {tok.token_id(token) for token in use.unused} & used


def test_baselines_stand_around() -> None:
    texts = {language: parallel(language) for language in ("en", "de", "el")}
    rows = compare(["tokfast-32k"], texts, baselines=True).languages
    tokens = {(row.tokenizer, row.language): row for row in rows}
    for language in texts:
        characters, subwords, words = (tokens[name, language] for name in ("characters", "tokfast-32k", "words"))
        assert words.n_tokens < characters.n_tokens
        assert subwords.n_tokens < characters.n_tokens
        assert subwords.oov_rate is None
        assert characters.oov_rate is not None
        assert words.oov_rate is not None
        assert characters.oov_rate < 0.01 < words.oov_rate


@pytest.mark.parametrize(
    ("tokenizers", "data", "message"),
    [
        ([], {"en": "x"}, "no tokenizer"),
        (["tokfast-32k"], {}, "data is empty"),
        (["tokfast-32k"], {"en": ""}, "the text of 'en' is empty"),
        (["tokfast-32k", "tokfast-32k"], {"en": "x"}, "two tokenizers are called 'tokfast-32k'"),
    ],
)
def test_compare_refuses(tokenizers: list[str], data: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compare(tokenizers, data)


def test_tables() -> None:
    result = compare(["tokfast-32k"], {"en": "one two", "de": "eins zwei"})
    rows, columns = result.rows(), result.to_dict()
    assert [row["language"] for row in rows] == columns["language"] == ["en", "de"]
    assert list(rows[0]) == list(columns)
    assert all(len(column) == 2 for column in columns.values())


def test_plots(tmp_path: Path) -> None:
    from tokfast.analysis.plot import plot_comparison, plot_vocab_sizes

    plot_comparison(compare(["tokfast-32k"], {"en": "one two", "de": "eins zwei"}), tmp_path / "a.png")
    (tmp_path / "corpus.txt").write_text(peers.code(1_000_000), encoding="utf-8")
    plot_vocab_sizes(vocab_sizes(tmp_path / "corpus.txt", [300, 500, 1000]), tmp_path / "b.svg")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    svg = (tmp_path / "b.svg").read_text(encoding="utf-8")
    assert "<svg" in svg


# ------------------------------------------------------------------------------------- vocab_sizes


def test_each_size_is_the_training_to_that_size(tmp_path: Path) -> None:
    corpus, text = tmp_path / "corpus.txt", peers.code(500_000)
    corpus.write_text(text, encoding="utf-8")
    held_out = {"en": parallel("en")[:20_000], "el": parallel("el")[:20_000]}
    result = vocab_sizes(corpus, [2000, 300, 900], hidden=64, held_out=held_out)
    assert [(row.vocab_size, row.language) for row in result.sizes] == [
        (size, language) for size in (300, 900, 2000) for language in ("all", "en", "el")
    ]
    for row in result.sizes:
        if row.language != "all":
            alone = tokfast.train([corpus], row.vocab_size)
            assert row.n_tokens == alone.count(held_out[row.language])
            assert row.bytes_per_token == row.n_bytes / row.n_tokens


def test_costs_are_those_of_the_formulas(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text(peers.code(300_000), encoding="utf-8")
    held_out = {"en": "def f(x): return x\n" * 1000}
    options: dict[str, Any] = {"hidden": 256, "held_out": held_out, "document_bytes": 10_000}
    for is_tied, matrices in ((True, 1), (False, 2)):
        result = vocab_sizes(corpus, [300, 600], is_tied=is_tied, **options)
        first, second = (row for row in result.sizes if row.language == "en")
        assert (first.vocabulary_parameters, second.vocabulary_parameters) == (
            300 * 256 * matrices,
            600 * 256 * matrices,
        )
        assert second.vocabulary_bytes == 2 * second.vocabulary_parameters
        assert second.sequence_tokens == round(10_000 / second.bytes_per_token)
        shape = ModelShape(32, 256, 2, head_dim=128)
        assert second.attention_flops == attention_cost(second.sequence_tokens, shape).total_flops
        saved = (first.n_tokens - second.n_tokens) / first.n_bytes * 1e6
        assert second.gain == pytest.approx(saved / (300 * 256 * matrices / 1e6))
        assert first.gain is None


def test_held_out_text_is_not_trained_on(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("".join(f"{number:x} " * 9 + "\n" for number in range(100_000)), encoding="utf-8")
    result = vocab_sizes(corpus, [1000], pattern="gpt2")
    share = result.sizes[0].n_bytes / corpus.stat().st_size
    assert 0.03 < share < 0.07
    assert [row.mark for row in vocab_sizes(corpus, [300, 400, 800]).sizes] == ["small", "medium", "large"]


def test_progress(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text(peers.code(1_000_000), encoding="utf-8")
    size = corpus.stat().st_size
    calls: list[tuple[str, int, int]] = []
    vocab_sizes(corpus, [300], progress=lambda *call: calls.append(call))
    assert ("count", size, size) in calls
    calls.clear()
    compare(["tokfast-32k"], {"en": "x"}, progress=lambda *call: calls.append(call))
    assert calls == [("compare", 1, 1)]


def test_vocab_sizes_refuses(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("small\n", encoding="utf-8")
    with pytest.raises(ValueError, match="too small to hold out"):
        vocab_sizes(corpus, [300])
    with pytest.raises(ValueError, match="each 256 or more"):
        vocab_sizes(corpus, [100])
    with pytest.raises(OSError, match="none"):
        vocab_sizes(tmp_path / "none.txt", [300])
