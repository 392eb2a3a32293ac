#!/usr/bin/env python3
"""Compare tokfast with each model's own library: ids and decoded text, document by document.

usage: compare_vocabularies.py VOCABULARIES CORPORA [--only NAME]... [--bytes N] [--random N] [--seed N]
                               [--kept FOLDER] [--record FILE]

VOCABULARIES holds the models' files under their published names, CORPORA folders of text. Of each text the first N
bytes are compared, in paragraphs and whole, adversarial texts whole; then every code point, random strings, and
for each vocabulary the text of its own tokens, two of them, and its special tokens in random text.
The libraries are tiktoken, tokenizers, sentencepiece, mistral-common and transformers; llama.cpp is compared by its
own test vectors (`*.gguf.inp`, `*.gguf.out`).
FOLDER keeps hashes of what the libraries gave, so that a second run need not ask them again.
FILE is brought up to date: the rows of vocabularies that were not compared stay.

Exit status: 0 when no document differs, 1 when one does.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from hashlib import blake2b, sha256
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import tokfast
from compared_libraries import Pair, pairs
from compared_texts import code_points, documents, random_strings, strings_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    Hashes = NDArray[np.uint64]

# Of every so many documents the decoded text is compared too.
DECODED = 16
# How many characters a library is given at a time: results of some take a hundred bytes a token.
CHUNK = 2_000_000
# In the place of a hash where the library fails.
FAILED = 0


def own_texts(pair: Pair) -> list[str]:
    """Make texts of a vocabulary's own tokens, the part of each that is text."""
    tokens = [token.decode(errors="ignore") for token in pair.ours.vocab]
    return strings_of([token for token in tokens if token], list(pair.ours.special_tokens), seed=1)


def hashed(data: bytes) -> int:
    """Hash bytes to 64 bits."""
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "little")


def chunks(texts: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield texts a few million characters at a time, with the number of the first."""
    start, size = 0, 0
    for index, text in enumerate(texts):
        size += len(text)
        if size >= CHUNK or index == len(texts) - 1:
            yield start, list(texts[start : index + 1])
            start, size = index + 1, 0


def given(pair: Pair, texts: list[str]) -> list[list[int] | None]:
    """Return the ids that the model's library gives; None for a document at which it fails."""
    try:
        return [*pair.encode(texts)]
    except (
        BaseException
    ) as error:  # tiktoken panics where its expressions need too deep a stack, and a panic is no Exception
        if isinstance(error, KeyboardInterrupt):
            raise
        return [None] if len(texts) == 1 else [ids for text in texts for ids in given(pair, [text])]


def of_theirs(pair: Pair, texts: Sequence[str]) -> Hashes:
    """Hash what the model's library gives: ids of every document, then the decoded text of some."""
    ids: list[int] = []
    decoded: list[int] = []
    for start, part in chunks(texts):
        for index, found in enumerate(given(pair, part), start):
            ids.append(FAILED if found is None else hashed(np.array(found, np.uint32).tobytes()))
            if index % DECODED == 0:
                decoded.append(FAILED if found is None else hashed(pair.decode(found).encode(errors="surrogatepass")))
    return np.array(ids + decoded, np.uint64)


def of_ours(pair: Pair, texts: Sequence[str]) -> Hashes:
    """Hash what tokfast gives, in the same order."""
    ids: list[int] = []
    decoded: list[int] = []
    for start, part in chunks(texts):
        batch = pair.ours.encode_batch(part, allowed_special="all" if pair.finds_special else ())
        for index, found in enumerate(batch, start):
            ids.append(hashed(found.tobytes()))
            if index % DECODED == 0:
                decoded.append(hashed(pair.ours.decode(found).encode()))
    return np.array(ids + decoded, np.uint64)


class Kept:
    """Hashes of what a library gave, in a file a vocabulary, by the texts they are of."""

    def __init__(self, folder: Path | None, name: str, path: Path) -> None:
        digest = sha256(path.read_bytes()).hexdigest()[:8]
        self._file = folder / f"{name.replace('/', '-').replace(' ', '-')}-{digest}.npz" if folder else None
        known = self._file is not None and self._file.exists()
        self._hashes: dict[str, Hashes] = dict(np.load(self._file)) if self._file and known else {}

    def get(self, title: str, pair: Pair, texts: Sequence[str]) -> Hashes:
        """Return the hashes of a group of texts, made now if they are not known."""
        text = blake2b(digest_size=16)
        for document in texts:
            text.update(document.encode())
            text.update(b"\xff")
        key = f"{title} {text.hexdigest()} {version(pair.library)}"
        if key not in self._hashes:
            self._hashes[key] = of_theirs(pair, texts)
            if self._file:
                np.savez(self._file, **self._hashes)  # type: ignore[arg-type] # the names are ours
        return self._hashes[key]


def compare(name: str, pair: Pair, texts: list[tuple[str, list[str]]], kept: Kept) -> dict[str, object]:
    """Count documents whose ids differ and whose decoded text differs; name the first few of each text."""
    row: dict[str, object] = {"file": name, "library": f"{pair.library} {version(pair.library)}"}
    documents, differ, decoded = 0, 0, 0
    where: dict[str, list[str]] = {}
    fails: dict[str, int] = {}
    for title, group in [*texts, ("its own tokens", own_texts(pair))]:
        theirs = kept.get(title, pair, group)
        failed = theirs == FAILED
        if count := int(failed[: len(group)].sum()):
            fails[title] = count
        unequal = np.flatnonzero((of_ours(pair, group) != theirs) & ~failed)
        ids = unequal[unequal < len(group)]
        others = (unequal[unequal >= len(group)] - len(group)) * DECODED
        others = np.setdiff1d(others, ids)
        documents, differ, decoded = documents + len(group), differ + len(ids), decoded + len(others)
        examples = [ascii(group[index][:60]) for index in ids[:3]]
        examples += ["decode " + ascii(group[index][:60]) for index in others[:2]]
        if examples:
            where[title] = examples
    row |= {
        "documents": documents - sum(fails.values()),
        "differ": differ,
        "decoded otherwise": decoded,
        "where": where,
    }
    return row | ({"the library fails at": fails} if fails else {})


def llama_cpp(folder: Path, only: list[str]) -> Iterator[dict[str, object]]:
    """Compare with the ids that llama.cpp's own tests expect."""
    for path in sorted((folder / "gguf").glob("*.gguf")):
        expected, given = path.with_name(path.name + ".out"), path.with_name(path.name + ".inp")
        if not expected.exists() or (only and not any(name in str(path) for name in only)):
            continue
        row: dict[str, object] = {"file": path.name, "library": "llama.cpp vectors"}
        try:
            ours = tokfast.Tokenizer.from_file(path)
        except tokfast.TokfastError as error:
            yield {**row, "refused": str(error).split(": ", 1)[1]}
            continue
        with given.open(encoding="utf-8", newline="") as file:
            texts = file.read().split("\n__ggml_vocab_test__\n")
        lines = expected.read_text(encoding="utf-8").split("\n")
        ids = [[int(number) for number in line.split()] for line in lines[: len(texts)]]
        texts = texts[: len(ids)]
        differ = [text for text, row in zip(texts, ids, strict=True) if ours.encode(text, allowed_special="all") != row]
        yield {**row, "documents": len(texts), "differ": len(differ), "examples": [ascii(text) for text in differ[:3]]}


def write(record: Path, rows: dict[str, dict[str, object]]) -> None:
    """Bring the record up to date."""
    old = json.loads(record.read_text(encoding="utf-8"))["rows"] if record.exists() else []
    merged = {row["file"]: row for row in old} | rows
    content = {
        "command": "scripts/compare_vocabularies.py VOCABULARIES CORPORA, with the options of each row",
        "rows": [merged[name] for name in sorted(merged)],
    }
    record.write_text(json.dumps(content, indent=1, ensure_ascii=True) + "\n", encoding="utf-8")


def main() -> int:
    """Run the comparison, print a line a vocabulary, write the record."""
    parser = argparse.ArgumentParser(description="Compare tokfast with each model's own library.")
    parser.add_argument("vocabularies", type=Path)
    parser.add_argument("corpora", type=Path)
    parser.add_argument("--only", action="append", default=[], metavar="NAME")
    parser.add_argument("--bytes", type=int, default=200_000, metavar="N")
    parser.add_argument("--random", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--seed", type=int, default=4, metavar="N")
    parser.add_argument("--kept", type=Path, metavar="FOLDER")
    parser.add_argument("--record", type=Path, metavar="FILE")
    options = parser.parse_args()
    if options.kept:
        options.kept.mkdir(parents=True, exist_ok=True)
    texts = [("random strings", random_strings(options.random, options.seed)), ("every code point", code_points())]
    texts += documents(options.corpora, options.bytes)
    asked = {"bytes": options.bytes, "random": options.random, "seed": options.seed}
    rows: dict[str, dict[str, object]] = {}
    for name, make, path in pairs(options.vocabularies, options.only):
        started = time.perf_counter()
        try:
            pair = make(path)
        except tokfast.TokfastError as error:
            row: dict[str, object] = {"file": name, "refused": str(error).split(": ", 1)[1]}
        else:
            row = compare(name, pair, texts, Kept(options.kept, name, path)) | asked
        rows[name] = {**row, "seconds": round(time.perf_counter() - started, 1)}
        print(json.dumps(rows[name], ensure_ascii=True), flush=True)
    for row in llama_cpp(options.vocabularies, options.only):
        rows[str(row["file"])] = row
        print(json.dumps(row, ensure_ascii=True), flush=True)
    if options.record:
        write(options.record, rows)
    return int(any(row.get("differ") for row in rows.values()))


if __name__ == "__main__":
    sys.exit(main())
