"""Places of tokens in text: against the text itself, tiktoken and Hugging Face tokenizers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import hypothesis.strategies as st
import pytest
import tokenizers
from hypothesis import given

import peers
import tokfast
from hard_strings import HARD_STRINGS

if TYPE_CHECKING:
    import tiktoken


def check(tok: tokfast.Tokenizer, text: str) -> None:
    """Spans are what the docstring says."""
    ids, spans = tok.encode_with_offsets(text, unit="byte")
    assert ids == tok.encode(text)
    utf8 = text.encode()
    assert [utf8[start:end] for start, end in spans] == [tok.token_bytes(number) for number in ids]
    assert [start for start, _ in spans] == [0, *(end for _, end in spans)][:-1]
    same_ids, characters = tok.encode_with_offsets(text)
    assert same_ids == ids
    for (first, last), (start, end) in zip(spans, characters, strict=True):
        before, inside, after = text[:start].encode(), text[start:end].encode(), text[end:].encode()
        assert len(before) <= first
        assert last <= len(utf8) - len(after)
        assert first - len(before) < len(text[start].encode()), "no character too many in front"
        assert last - len(before) > len(inside) - len(text[end - 1].encode()), "nor behind"


def test_hard_strings(real: tokfast.Tokenizer, peer: tiktoken.Encoding) -> None:
    for text in HARD_STRINGS:
        check(real, text)
        ids, spans = real.encode_with_offsets(text)
        assert peer.decode_with_offsets(ids) == (text, [start for start, _ in spans]), ascii(text)


@pytest.mark.parametrize("language", peers.LANGUAGES)
def test_equals_tiktoken_in_every_language(language: str) -> None:
    tok = tokfast.Tokenizer.from_file(peers.real_file("gpt2.tiktoken"), pattern="gpt2")
    text = peers.real_text(language)
    ids, spans = tok.encode_with_offsets(text)
    assert peers.tiktoken_encoding("gpt2").decode_with_offsets(ids) == (text, [start for start, _ in spans])


@pytest.mark.parametrize("language", peers.LANGUAGES)
def test_equals_tokenizers_in_every_language(language: str) -> None:
    source = peers.llama3_json(ignore_merges=False)
    tok = tokfast.Tokenizer.from_bytes(source.encode(), format="tokenizer.json")
    theirs = tokenizers.Tokenizer.from_str(source)
    theirs.post_processor = None  # it would take white space out of the spans
    text = peers.real_text(language)[:50_000]
    expected = theirs.encode(text, add_special_tokens=False)
    assert tok.encode_with_offsets(text) == (expected.ids, expected.offsets)


@given(text=st.text(max_size=40))
def test_any_text(trained: tokfast.Tokenizer, text: str) -> None:
    check(trained, text)


@given(text=st.binary(max_size=20))
def test_any_bytes(trained: tokfast.Tokenizer, text: bytes) -> None:
    ids, spans = trained.encode_with_offsets(text, unit="byte")
    assert [text[start:end] for start, end in spans] == [trained.token_bytes(number) for number in ids]
    _, characters = trained.encode_with_offsets(text)
    decoded = text.decode("utf-8", "replace")
    assert all(0 <= start < end <= len(decoded) for start, end in characters)
    if decoded:
        assert characters[0][0] == 0
        assert characters[-1][1] == len(decoded)


def test_special_tokens_span_their_spelling(trained: tokfast.Tokenizer) -> None:
    text = "é<|end|><|pad|>x<|end|>"
    ids, spans = trained.encode_with_offsets(text, allowed_special={"<|end|>"})
    assert ids == trained.encode(text, allowed_special={"<|end|>"})
    found = [text[start:end] for number, (start, end) in zip(ids, spans, strict=True) if number == 0]
    assert found == ["<|end|>", "<|end|>"]
    assert spans[-1] == (16, 23)
    with pytest.raises(tokfast.SpecialTokenError, match="end"):
        trained.encode_with_offsets(text, disallowed_special="all")


def test_template_spans_nothing() -> None:
    tok = tokfast.Tokenizer.from_file(peers.real_file("llama3.2.tokenizer.json"))
    ids, spans = tok.encode_with_offsets("é!", add_special_tokens=True)
    assert ids == tok.encode("é!", add_special_tokens=True)
    assert spans[0] == (0, 0)
    assert spans[-1] == (1, 2)


def test_empty(trained: tokfast.Tokenizer) -> None:
    assert trained.encode_with_offsets("") == ([], [])
    assert trained.encode_with_offsets(b"", unit="byte") == ([], [])


def test_unknown_unit(trained: tokfast.Tokenizer) -> None:
    with pytest.raises(ValueError, match='unit is "word"; pass "char" or "byte"'):
        trained.encode_with_offsets("a", unit="word")  # type: ignore[arg-type]
