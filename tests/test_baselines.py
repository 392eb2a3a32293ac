"""`tokfast.baselines`: one token a character, one token a word, and what each cannot do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import peers
from tokfast.baselines import CharTokenizer, WordTokenizer

TEXT = "The cat sat, the cat ran.\nThe café\tदेवनागरी लिपि  你好 42!"


@given(st.text(), st.text(alphabet="abé你 "))
def test_characters_come_back(text: str, training: str) -> None:
    for tok in (CharTokenizer(), CharTokenizer.train([training])):
        ids = tok.encode(text)
        assert tok.decode(ids) == text
        assert tok.count(text) == len(ids)
        assert all(0 <= number < tok.vocab_size for number in ids)


@given(st.binary())
def test_any_bytes_have_characters(raw: bytes) -> None:
    tok = CharTokenizer.train([TEXT])
    assert len(tok.encode(raw)) == tok.count(raw)
    assert tok.decode(tok.encode(raw), errors="surrogateescape").encode(errors="surrogateescape") == raw


def test_alphabet_is_the_most_frequent() -> None:
    tok = CharTokenizer.train("banana", 258)
    assert tok.alphabet == ("a", "n")
    assert tok.encode("ban") == [ord("b"), 256, 257]
    assert tok.oov_rate("banana") == pytest.approx(1 / 6)
    assert CharTokenizer().oov_rate("anything") == 0


@given(st.text(alphabet="ab .,\n你é़"))
def test_known_words_come_back(text: str) -> None:
    tok = WordTokenizer.train([text])
    ids = tok.encode(text)
    assert tok.decode(ids) == text
    assert tok.count(text) == len(ids)
    assert tok.unk_id not in ids
    assert tok.oov_rate(text) == 0


def test_words() -> None:
    tok = WordTokenizer.train(TEXT)
    assert tok.decode(tok.encode(TEXT)) == TEXT
    assert tok.count("the cat sat") == 3
    assert tok.count("the cat, sat") == 5  # the, cat, comma, white space, sat
    assert tok.encode("dog") == [tok.unk_id]
    assert tok.decode(tok.encode("the dog sat")) == "the <unk> sat"
    assert tok.oov_rate("the dog sat. The bird") == pytest.approx(2 / 5)
    assert "देवनागरी".encode() in tok.vocab, "marks belong to the word"


def test_word_vocabulary_is_bounded() -> None:
    tok = WordTokenizer.train(["a a a b b c"], 3)
    assert tok.vocab == (b"<unk>", b"a", b"b")
    assert WordTokenizer.train(["a a a b b c"], min_frequency=3).vocab == (b"<unk>", b"a")


@pytest.mark.parametrize(("kind", "size"), [(CharTokenizer, 255), (WordTokenizer, 0)])
def test_too_small_a_vocabulary(kind: type[CharTokenizer | WordTokenizer], size: int) -> None:
    with pytest.raises(ValueError, match=f"vocab_size is {size}, .* pass vocab_size >= {size + 1}"):
        kind.train("text", size)


def test_subwords_stand_between(trained: object) -> None:
    import tokfast

    assert isinstance(trained, tokfast.Tokenizer)
    text = peers.code(600_000)
    seen, unseen = text[:400_000], text[400_000:]
    characters, words = CharTokenizer.train(seen), WordTokenizer.train(seen, trained.vocab_size)
    assert words.count(unseen) < trained.count(unseen) < characters.count(unseen)
    assert words.oov_rate(unseen) > 0.01
