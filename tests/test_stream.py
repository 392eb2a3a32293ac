"""Text out of ids that arrive one by one: joined, it is the decoding of all of them."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import peers
import tokfast
from hard_strings import HARD_STRINGS


def test_hard_strings(real: tokfast.Tokenizer) -> None:
    for text in HARD_STRINGS:
        stream = real.stream_decoder()
        assert "".join(map(stream.feed, real.encode(text))) == text, ascii(text)
        assert stream.finish() == ""


@pytest.mark.parametrize("language", peers.LANGUAGES)
def test_every_language(language: str) -> None:
    tok = tokfast.Tokenizer.from_file(peers.real_file("gpt2.tiktoken"), pattern="gpt2")
    text = peers.real_text(language)[:20_000]
    stream = tok.stream_decoder()
    parts = [stream.feed(number) for number in tok.encode(text)]
    assert "".join(parts) == text
    assert "\ufffd" not in "".join(parts)


@given(
    ids=st.lists(st.integers(0, 258), max_size=40),
    sizes=st.lists(st.integers(0, 4), min_size=40, max_size=40),
    errors=st.sampled_from(["replace", "ignore", "backslashreplace", "surrogateescape"]),
)
def test_any_bytes_in_any_calls(trained: tokfast.Tokenizer, ids: list[int], sizes: list[int], errors: str) -> None:
    stream = trained.stream_decoder(errors=errors)
    text, at = "", 0
    for size in sizes:
        text += stream.feed(ids[at : at + size])
        at += size
    text += stream.feed(ids[at:]) + stream.finish()
    assert text == trained.decode(ids, errors=errors)


def test_a_character_comes_with_its_last_byte(trained: tokfast.Tokenizer) -> None:
    stream = trained.stream_decoder()
    ids = [trained.token_id(bytes([byte])) for byte in "é🦜".encode()]
    assert [stream.feed(number) for number in ids if number is not None] == ["", "é", "", "", "", "🦜"]


def test_the_end_is_not_lost_and_the_stream_begins_anew(trained: tokfast.Tokenizer) -> None:
    stream = trained.stream_decoder()
    ids = [trained.token_id(bytes([byte])) or 0 for byte in "é".encode()]
    assert stream.feed(ids[0]) == ""
    assert stream.finish() == "\ufffd"
    assert stream.finish() == ""
    assert stream.feed(ids) == "é"


def test_ids_of_any_kind(trained: tokfast.Tokenizer) -> None:
    ids = trained.encode("def f(): return 1\n")
    for kind in (list, tuple, iter, np.array):
        assert trained.stream_decoder().feed(kind(ids)) == "def f(): return 1\n"
    stream = trained.stream_decoder()
    assert "".join(stream.feed(number) for number in np.array(ids, dtype=np.uint32)) == "def f(): return 1\n"


def test_an_error_takes_nothing(trained: tokfast.Tokenizer) -> None:
    stream = trained.stream_decoder(errors="strict")
    first, second = (trained.token_id(bytes([byte])) or 0 for byte in "é".encode())
    stream.feed(first)
    with pytest.raises(tokfast.TokenIdError, match="1000000"):
        stream.feed([second, 10**6])
    with pytest.raises(tokfast.TokenIdError, match="-1"):
        stream.feed(-1)
    with pytest.raises(UnicodeDecodeError):
        stream.feed(trained.encode("a"))
    with pytest.raises(TypeError, match="ids must be integers, not a str"):
        stream.feed("a")  # type: ignore[arg-type]
    assert stream.feed(second) == "é"


def test_special_tokens_are_their_spelling(trained: tokfast.Tokenizer) -> None:
    assert trained.stream_decoder().feed(0) == "<|end|>"


def test_many_streams_of_one_tokenizer(trained: tokfast.Tokenizer) -> None:
    texts = [f"def f{number}(): return '中文 🦜 {number}'\n" * 50 for number in range(32)]

    def stream_of(text: str) -> str:
        stream = trained.stream_decoder()
        return "".join(map(stream.feed, trained.encode(text))) + stream.finish()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(stream_of, texts)) == texts


def test_a_stream_is_no_data(trained: tokfast.Tokenizer) -> None:
    with pytest.raises(TypeError):
        pickle.dumps(trained.stream_decoder())
