"""Files of documents: every format gives the same documents, counts and ids; a stopped run goes on."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tokfast
from tokfast._documents import batches

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENTS = ["one", "", "two words", "na\u00efve caf\u00e9 \u4e2d\u6587\nand a line", "|||", "a|b"] * 50


@pytest.fixture(scope="module")
def tokenizer() -> tokfast.Tokenizer:
    return tokfast.load("tokfast-32k")


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """The documents in every format."""
    lines = "".join(json.dumps({"id": 1, "body": text}) + "\n" for text in DOCUMENTS).encode()
    paths = {name: tmp_path / name for name in ("a.jsonl", "b.ndjson.gz", "c.parquet", "d.txt", "e.txt.gz")}
    paths["a.jsonl"].write_bytes(lines + b"\n")
    paths["b.ndjson.gz"].write_bytes(gzip.compress(lines))
    pq.write_table(pa.table({"body": DOCUMENTS, "other": range(len(DOCUMENTS))}), paths["c.parquet"])
    text = "<|end|>".join(DOCUMENTS).encode()
    paths["d.txt"].write_bytes(text)
    paths["e.txt.gz"].write_bytes(gzip.compress(text))
    return paths


NAMES = ["a.jsonl", "b.ndjson.gz", "c.parquet", "d.txt", "e.txt.gz"]


@pytest.mark.parametrize("name", NAMES)
def test_every_format_gives_the_documents(
    files: dict[str, Path], name: str, tokenizer: tokfast.Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tokfast._documents._BATCH_BYTES", 100)
    monkeypatch.setattr("tokfast._documents._READ_BYTES", 5)
    monkeypatch.setattr("tokfast._documents._ROWS", 7)
    options: Any = {"field": "body", "separator": "<|end|>"}
    found = [
        text.encode() if isinstance(text, str) else text for text in tokfast.read_documents(files[name], **options)
    ]
    assert found == [text.encode() for text in DOCUMENTS]
    counts = tokfast.count_files(files[name], tokenizer, **options)
    expected = tokenizer.encode_batch(DOCUMENTS)
    assert (counts.documents, counts.tokens) == (len(DOCUMENTS), len(expected.ids))
    assert counts.bytes == files[name].stat().st_size
    assert counts.fingerprint == tokenizer.fingerprint
    out = files[name].parent / "shards"
    assert tokfast.encode_files(files[name], tokenizer, out, **options).tokens == len(expected.ids)
    ids = np.load(out / "000000.npy", mmap_mode="r")
    assert ids.dtype == np.uint16
    assert np.array_equal(ids, expected.ids)
    assert np.array_equal(np.load(out / "000000.offsets.npy"), expected.offsets)


def test_a_text_file_is_one_document_without_a_separator(tmp_path: Path, tokenizer: tokfast.Tokenizer) -> None:
    (tmp_path / "a.txt").write_bytes(b"some\n\xff text")
    (tmp_path / "b.md").write_bytes(b"more")
    counts = tokfast.count_files(tmp_path, tokenizer)
    assert [(file.documents, file.tokens) for file in counts.files] == [
        (1, tokenizer.count(b"some\n\xff text")),
        (1, tokenizer.count("more")),
    ]


@pytest.mark.parametrize("name", ["a.jsonl", "b.ndjson.gz", "c.parquet"])
def test_training_reads_them(tmp_path: Path, name: str) -> None:
    documents = ["low lower lowest", "new newer newest"] * 20
    path = tmp_path / name
    lines = "".join(json.dumps({"text": text}) + "\n" for text in documents).encode()
    if name.endswith("parquet"):
        pq.write_table(pa.table({"text": documents}), path)
    else:
        path.write_bytes(gzip.compress(lines) if name.endswith("gz") else lines)
    expected = tokfast.train(iter(documents), 270).merges
    assert tokfast.train(path, 270).merges == expected
    kept = tmp_path / "kept"
    assert tokfast.train(path, 270, checkpoint=kept).merges == expected
    assert tokfast.train(path, 270, checkpoint=kept, resume=True).merges == expected


def test_a_run_goes_on(tmp_path: Path, tokenizer: tokfast.Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        (tmp_path / f"{name}.txt").write_text(f"file {name}")
    paths = sorted(tmp_path.glob("*.txt"))
    expected = tokfast.count_files(paths, tokenizer)
    out, state = tmp_path / "out", tmp_path / "state"
    (tmp_path / "c.txt").chmod(0)

    def stop_at_c(path: str, **options: Any) -> Any:
        if path.endswith("c.txt"):
            raise KeyboardInterrupt
        return batches(path, **options)

    monkeypatch.setattr("tokfast._files.batches", stop_at_c)
    with pytest.raises(KeyboardInterrupt):
        tokfast.count_files(paths, tokenizer, resume=state)
    with pytest.raises(KeyboardInterrupt):
        tokfast.encode_files(paths, tokenizer, out)
    (tmp_path / "c.txt").chmod(0o600)
    seen = []

    def note(path: str, **options: Any) -> Any:
        seen.append(path[-5:])
        return batches(path, **options)

    monkeypatch.setattr("tokfast._files.batches", note)
    assert tokfast.count_files(paths, tokenizer, resume=state) == expected
    assert tokfast.encode_files(paths, tokenizer, out, resume=True) == expected
    assert seen == ["c.txt", "c.txt"]
    assert sorted(path.name for path in out.iterdir() if "offsets" not in path.name) == [
        "000000.npy",
        "000001.npy",
        "000002.npy",
        "index.json",
    ]
    with pytest.raises(ValueError, match="resume=True"):
        tokfast.encode_files(paths, tokenizer, out)
    with pytest.raises(ValueError, match="dtype was 'uint16', and is 'uint32'"):
        tokfast.encode_files(paths, tokenizer, out, dtype="uint32", resume=True)
    (tmp_path / "a.txt").write_text("another text, and a longer one")
    assert tokfast.count_files(paths, tokenizer, resume=state).tokens > expected.tokens


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"text": "x"}\nno json\n', "line 2: no JSON"),
        ("a.jsonl", b'{"body": "x"}\n', "no field 'text', but body"),
        ("a.jsonl", b"[1]\n", "no field 'text', but a list"),
        ("a.jsonl", b'{"text": 5}\n', "is 5, and no text"),
        ("a.parquet", b"no parquet", "no parquet file"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        tokfast.count_files(tmp_path / name, "tokfast-32k")
    assert name in str(caught.value)


def test_a_wrong_call_is_named(files: dict[str, Path], tokenizer: tokfast.Tokenizer) -> None:
    with pytest.raises(ValueError, match=r"no column 'text', but body, other"):
        tokfast.count_files(files["c.parquet"], tokenizer)
    with pytest.raises(ValueError, match="format is 'csv'"):
        tokfast.count_files(files["d.txt"], tokenizer, format="csv")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="separator is empty"):
        tokfast.count_files(files["d.txt"], tokenizer, separator="")
    with pytest.raises(FileNotFoundError):
        tokfast.count_files("no such file.txt", tokenizer)
    with pytest.raises(ValueError, match="pass uint32"):
        tokfast.encode_files(files["d.txt"], tokenizer, files["d.txt"].parent / "x", dtype="int8")  # type: ignore[arg-type]
