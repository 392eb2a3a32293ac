"""Files of documents: every format gives the same counts and ids as one call for each document."""

from __future__ import annotations

import gzip
import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

import peers
import tokfast
from tokfast import _documents, _files
from tokfast._tokfast import count_text_files

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENTS = ["one two three", "", "na\u00efve \u4e2d\u6587 \U0001f600", "def f():\n    return 1", " x" * 500]
SEPARATOR = "<|sep|>"


@pytest.fixture(scope="module")
def tok() -> tokfast.Tokenizer:
    return tokfast.load("tokfast-32k")


def write(folder: Path, kind: str) -> Path:
    """Write the documents in one of the ways they can be read."""
    name, _, compression = kind.partition("+")
    path = folder / f"a.{name}{compression and '.' + compression}"
    if name == "parquet":
        pq.write_table(pa.table({"other": [0] * len(DOCUMENTS), "text": DOCUMENTS}), path, row_group_size=2)
        return path
    lines = "".join(json.dumps({"id": 1, "text": text}) + "\n" for text in DOCUMENTS)
    data = (lines if name == "jsonl" else SEPARATOR.join(DOCUMENTS)).encode()
    if compression == "gz":
        data = gzip.compress(data)
    elif compression == "zst":  # two frames, as appending makes them
        half = len(data) // 2
        data = b"".join(zstandard.ZstdCompressor().compress(part) for part in (data[:half], data[half:]))
    path.write_bytes(data)
    return path


KINDS = ["txt", "txt+gz", "txt+zst", "jsonl", "jsonl+gz", "jsonl+zst", "parquet"]


@pytest.mark.parametrize("read_bytes", [1, 3, 1 << 20])
@pytest.mark.parametrize("kind", KINDS)
def test_every_format_counts_and_encodes_each_document(
    tok: tokfast.Tokenizer, tmp_path: Path, kind: str, read_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_documents, "_READ_BYTES", read_bytes)
    monkeypatch.setattr(_documents, "BATCH_BYTES", 40)
    path = write(tmp_path, kind)
    counts = tokfast.count_files(path, tok, separator=SEPARATOR)
    assert counts.documents == len(DOCUMENTS)
    assert counts.tokens == sum(map(tok.count, DOCUMENTS))
    assert counts.fingerprint == tok.fingerprint
    index = tokfast.encode_files(path, tok, tmp_path / "ids", separator=SEPARATOR)
    assert read_shards(tmp_path / "ids", index) == [tok.encode(text) for text in DOCUMENTS]
    assert index["complete"]


def read_shards(out: Path, index: dict[str, Any]) -> list[list[int]]:
    """Read every document back."""
    documents = []
    for shard in index["shards"]:
        ids = np.load(out / shard["ids"], mmap_mode="r")
        offsets = np.load(out / shard["offsets"])
        assert ids.dtype == index["dtype"]
        assert (len(ids), len(offsets) - 1) == (shard["tokens"], shard["documents"])
        documents += [ids[begin:end].tolist() for begin, end in pairwise(offsets)]
    return documents


def test_a_folder_in_one_call(tok: tokfast.Tokenizer, tmp_path: Path) -> None:
    for kind in KINDS:
        write(tmp_path, kind)
    (tmp_path / "binary").write_bytes(b"a\0b")
    (tmp_path / "empty.jsonl").write_bytes(b"")
    counts = tokfast.count_files(tmp_path, tok, separator=SEPARATOR)
    assert len(counts.files) == len(KINDS) + 1
    assert counts.tokens == len(KINDS) * sum(map(tok.count, DOCUMENTS))
    assert [file.documents for file in counts.files if file.path.endswith("empty.jsonl")] == [0]


def test_null_is_an_empty_document(tok: tokfast.Tokenizer, tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a", None]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"text": [b"a", None]}), tmp_path / "b.parquet")
    (tmp_path / "a.jsonl").write_text('{"text": "a"}\n\n{"text": null}\n', encoding="utf-8")
    for name in ("a.parquet", "b.parquet", "a.jsonl"):
        counts = tokfast.count_files(tmp_path / name, tok)
        assert (counts.documents, counts.tokens) == (2, 1)


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.jsonl", b'{"text": "a"}\nno\n', "line 2: no JSON"),
        ("a.jsonl", b'{"body": "a"}\n', "no field 'text', but 'body'"),
        ("a.jsonl", b"[1]\n", "no field 'text', but a list"),
        ("a.jsonl", b'{"text": 5}\n', "holds 5, which is no text"),
        ("a.txt.gz", b"no gzip", "no whole gzip file"),
        ("a.txt.gz", gzip.compress(b"abc" * 99)[:-9], "no whole gzip file"),
        ("a.txt.zst", b"no zstd", "no whole zstd file"),
        ("a.parquet", b"no parquet", "no parquet file"),
        ("a.parquet.gz", b"", "read from its end"),
    ],
)
def test_damage_names_the_file(tok: tokfast.Tokenizer, tmp_path: Path, name: str, data: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match=said) as raised:
        tokfast.count_files(tmp_path / name, tok)
    assert name in str(raised.value)


def test_a_wrong_column_names_the_others(tok: tokfast.Tokenizer, tmp_path: Path) -> None:
    path = write(tmp_path, "parquet")
    with pytest.raises(ValueError, match="no column 'body', but 'other', 'text'"):
        tokfast.count_files(path, tok, field="body")
    with pytest.raises(ValueError, match="holds int64, which is no text"):
        tokfast.count_files(path, tok, field="other")


def test_count_goes_on(tok: tokfast.Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [tmp_path / f"{number}.txt" for number in range(3)]
    for path in paths:
        path.write_text(path.name, encoding="utf-8")
    state = tmp_path / "state"
    whole = tokfast.count_files(paths, tok)
    tokfast.count_files(paths[:2], tok, resume=state)
    with (state / "counts.jsonl").open("a", encoding="utf-8") as journal:
        journal.write("[[1, 2], {")  # killed while writing
    counted: list[str] = []
    plain = _files._count  # noqa: SLF001 - to see which files are counted again

    def watched(files: list[str], *rest: Any) -> Any:
        counted.extend(files)
        return plain(files, *rest)

    monkeypatch.setattr(_files, "_count", watched)
    assert tokfast.count_files(paths, tok, resume=state) == whole
    assert counted == [str(paths[2])]
    paths[0].write_text("changed since", encoding="utf-8")
    counted.clear()
    assert tokfast.count_files(paths, tok, resume=state) == tokfast.count_files(paths, tok)
    assert counted[0] == str(paths[0])
    assert str(paths[1]) not in counted[:1]
    with pytest.raises(ValueError, match="made with separator None"):
        tokfast.count_files(paths, tok, separator="x", resume=state)


def test_encoding_goes_on_after_a_failure(
    tok: tokfast.Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_files, "_SHARD_TOKENS", 1)
    monkeypatch.setattr(_files, "_some_files", lambda files: files[:1])
    texts = ["one", "two three", "four"]
    paths = [tmp_path / f"{number}.jsonl" for number in range(3)]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(json.dumps({"text": text}), encoding="utf-8")
    paths[2].write_text("broken", encoding="utf-8")
    out = tmp_path / "ids"
    with pytest.raises(ValueError, match="no JSON"):
        tokfast.encode_files(paths, tok, out)
    index = json.loads((out / "index.json").read_text(encoding="utf-8"))
    assert (len(index["shards"]), index["complete"]) == (2, False)
    assert not list(out.glob("*.tmp"))
    paths[2].write_text(json.dumps({"text": texts[2]}), encoding="utf-8")
    with pytest.raises(ValueError, match="resume=True"):
        tokfast.encode_files(paths, tok, out)
    index = tokfast.encode_files(paths, tok, out, resume=True)
    assert read_shards(out, index) == [tok.encode(text) for text in texts]
    paths[0].write_text(json.dumps({"text": "other"}), encoding="utf-8")
    with pytest.raises(ValueError, match="have changed"):
        tokfast.encode_files(paths, tok, out, resume=True)


def test_dtype_holds_every_id(tok: tokfast.Tokenizer, tmp_path: Path) -> None:
    path = write(tmp_path, "jsonl")
    index = tokfast.encode_files(path, tok, tmp_path / "wide", dtype="uint32")
    assert read_shards(tmp_path / "wide", index) == [tok.encode(text) for text in DOCUMENTS]
    with pytest.raises(ValueError, match="uint16"):
        tokfast.encode_files(path, tok, tmp_path / "other", dtype="int8")


def test_bad_options(tok: tokfast.Tokenizer, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="format is 'csv'"):
        tokfast.count_files(tmp_path, tok, format="csv")
    with pytest.raises(ValueError, match="separator is empty"):
        tokfast.count_files(tmp_path, tok, separator="")
    with pytest.raises(FileNotFoundError):
        tokfast.count_files(tmp_path / "missing", tok)


def test_documents_one_after_the_other(tmp_path: Path) -> None:
    for kind in KINDS:
        found = tokfast.read_documents(write(tmp_path, kind), separator=SEPARATOR)
        assert [text.encode() if isinstance(text, str) else text for text in found] == [
            text.encode() for text in DOCUMENTS
        ]


@pytest.mark.parametrize("kind", ["txt+gz", "jsonl", "jsonl+zst", "parquet"])
def test_training_reads_documents(tmp_path: Path, kind: str) -> None:
    path, kept = write(tmp_path, kind), tmp_path / "kept"
    documents = [SEPARATOR.join(DOCUMENTS)] if kind.startswith("txt") else DOCUMENTS
    expected = tokfast.train(iter(documents), 270).merges
    assert tokfast.train(path, 270).merges == expected
    assert tokfast.train(path, 270, checkpoint=kept).merges == expected
    assert tokfast.train(path, 270, checkpoint=kept, resume=True).merges == expected


def test_a_tokenizer_may_be_named(tok: tokfast.Tokenizer, tmp_path: Path) -> None:
    path = write(tmp_path, "jsonl")
    assert tokfast.count_files(path, "tokfast-32k") == tokfast.count_files(path, tok)
    assert tokfast.encode_files(path, "tokfast-32k", tmp_path / "ids")["fingerprint"] == tok.fingerprint


@pytest.mark.parametrize("kind", ["txt+gz", "txt+zst", "jsonl+gz", "jsonl+zst"])
def test_a_file_that_was_cut_off_is_named(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path, kind)
    whole = path.read_bytes()
    for length in (len(whole) - 1, len(whole) - 5, 20):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="no whole") as caught:
            tokfast.count_files(path, "tokfast-32k")
        assert path.name in str(caught.value)


def test_files_of_text_are_read_by_the_threads_that_count(tmp_path: Path) -> None:
    tok = tokfast.load("tokfast-32k")
    large = peers.code(3_000_000).encode()  # in blocks
    contents = {"large": large, "binary": b"a\0b", "late NUL": b"a" * 9000 + b"\0", "latin": b"caf\xe9", "empty": b""}
    paths = [tmp_path / name for name in contents]
    for path in paths:
        path.write_bytes(contents[path.name])
    calls: list[tuple[str, int, int, str]] = []
    tokens, n_bytes, others = count_text_files(
        tok, [*paths, tmp_path / "none"], threads=2, progress=lambda *call: calls.append(call)
    )
    assert tokens == [*map(tok.count, contents.values()), 0]
    assert n_bytes == [*map(len, contents.values()), 0]
    assert [*others] == [len(paths)]
    error = others[len(paths)]
    assert isinstance(error, FileNotFoundError)
    assert str(error.filename) == str(tmp_path / "none")
    assert {(phase, total) for phase, _, total, _ in calls} <= {("encode", sum(map(len, contents.values())))}
    assert count_text_files(tok, paths[1:3], binary=[False, False]) == ([0, tokens[2]], [0, n_bytes[2]], {0: None})
    with pytest.raises(ValueError, match="threads is 0"):
        count_text_files(tok, paths, threads=0)
