"""Arrow in and out: texts of any Arrow type, ids and word counts as Arrow."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import tokfast

TEXTS = ["hello world", "", "na\u00efve caf\u00e9", "\u4e2d\u6587 text " * 3, "a\0b"]
STRINGS = [pa.string(), pa.large_string(), pa.string_view()]
BINARIES = [pa.binary(), pa.large_binary(), pa.binary_view()]


@pytest.fixture(scope="module")
def tokenizer() -> tokfast.Tokenizer:
    return tokfast.load("tokfast-32k")


def check(tokenizer: tokfast.Tokenizer, arrow: Any) -> None:
    expected = tokenizer.encode_batch(TEXTS).to_list()
    assert tokenizer.encode_batch(arrow).to_list() == expected
    assert tokenizer.count_batch(arrow).tolist() == list(map(len, expected))
    assert list(tokfast.count_words(arrow)) == list(tokfast.count_words(iter(TEXTS)))


@pytest.mark.parametrize("kind", STRINGS, ids=str)
def test_strings_are_texts(tokenizer: tokfast.Tokenizer, kind: pa.DataType) -> None:
    check(tokenizer, pa.array(TEXTS, kind))
    check(tokenizer, pa.array(["before", *TEXTS, "behind"], kind)[1:-1])


@pytest.mark.parametrize("kind", BINARIES, ids=str)
def test_binaries_are_texts(tokenizer: tokfast.Tokenizer, kind: pa.DataType) -> None:
    check(tokenizer, pa.array([text.encode() for text in TEXTS], kind))


def test_chunks_and_the_only_column_of_a_table_are_texts(tokenizer: tokfast.Tokenizer) -> None:
    chunks = pa.chunked_array([TEXTS[:2], [], TEXTS[2:]])
    check(tokenizer, chunks)
    check(tokenizer, pa.table({"text": chunks}))
    assert tokenizer.encode_batch(pa.array([], pa.string())).to_list() == []


def test_a_stream_is_trained_on_as_its_texts_are() -> None:
    texts = ["low lower lowest " * 9, "new newer newest " * 9] * 50
    reader = pa.table({"text": pa.chunked_array([texts[:70], texts[70:]])}).to_reader()
    assert tokfast.train(reader, 280).merges == tokfast.train(iter(texts), 280).merges


@pytest.mark.parametrize(
    ("arrow", "message"),
    [
        (pa.array(["a", None]), "no text at row 1"),
        (pa.chunked_array([["a", "b"], ["c", None]]), "no text at row 3"),
        (pa.table({"a": ["x"], "b": ["y"]}), r'columns \["a", "b"\]'),
        (pa.array([1, 2]), "Int64"),
        (pa.array(["a"]).dictionary_encode(), "Dictionary"),
    ],
)
def test_what_is_no_text_is_refused(tokenizer: tokfast.Tokenizer, arrow: Any, message: str) -> None:
    for call in (tokenizer.encode_batch, tokenizer.count_batch, tokfast.count_words):
        with pytest.raises((ValueError, TypeError), match=message):
            call(arrow)


def test_an_arrow_object_has_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="checkpoint"):
        tokfast.train(pa.array(TEXTS), 300, checkpoint=tmp_path)


def test_ids_are_lists_of_uint32(tokenizer: tokfast.Tokenizer) -> None:
    batch = tokenizer.encode_batch(TEXTS)
    exported = pa.array(batch)
    assert exported.type == pa.list_(pa.field("item", pa.uint32(), nullable=False))
    assert exported.to_pylist() == batch.to_list()
    assert pa.array(tokenizer.encode_batch([])).to_pylist() == []


def test_word_counts_are_a_table() -> None:
    counts = tokfast.count_words([" ".join(map(str, range(70_000)))], pattern="gpt2")
    table = pa.table(counts)
    assert table.schema.names == ["word", "count"]
    words = zip(table["word"].to_pylist(), table["count"].to_pylist(), strict=True)
    assert list(words) == list(counts)
    assert pa.table(tokfast.count_words([""])).num_rows == 0
