"""The compiled path against the pure-Python reference, on real text.

    pytest bench --benchmark-only

Both train on, encode, count and decode the Python standard library of the interpreter that runs this. Results
are compared before anything is timed. The reference gets as much text as it can do in a second or so.
"""

from __future__ import annotations

import sysconfig
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import regex

import tokfast
from tokfast import reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_benchmark.fixture import BenchmarkFixture

# What the scheme "gpt2" cuts at, in the words of the `regex` package.
GPT2 = regex.compile(r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
TRAINING_BYTES = 200_000
VOCAB_SIZE = 256 + 256
ENCODING_BYTES = 100_000


@cache
def text(n_bytes: int) -> str:
    """Return the beginning of the standard library, its modules in alphabetical order."""
    parts: list[str] = []
    size = 0
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        parts.append(path.read_text(encoding="utf-8"))
        size += len(parts[-1].encode())
        if size >= n_bytes:
            break
    return "".join(parts)[:n_bytes]


@cache
def tokenizers() -> tuple[tokfast.Tokenizer, reference.ReferenceTokenizer]:
    """Train both, and make sure that they learned the same."""
    corpus = text(TRAINING_BYTES)
    fast = tokfast.train(iter([corpus]), VOCAB_SIZE, pattern="gpt2")
    slow = reference.train(corpus, VOCAB_SIZE, pattern=GPT2)
    assert fast.vocab == slow.vocab
    assert fast.merges == slow.merges
    return fast, slow


def time(benchmark: BenchmarkFixture, function: Callable[[], Any], *, n_bytes: int) -> Any:
    """Time a function, and note how much text it went through."""
    benchmark.extra_info["n_bytes"] = n_bytes
    return benchmark.pedantic(function, rounds=5, warmup_rounds=1)  # type: ignore[no-untyped-call]


@pytest.mark.benchmark(group="train")
@pytest.mark.parametrize("path", ["tokfast", "reference"])
def test_train(benchmark: BenchmarkFixture, path: str) -> None:
    fast, _ = tokenizers()
    corpus = text(TRAINING_BYTES)

    def train() -> Any:
        if path == "tokfast":
            return tokfast.train(iter([corpus]), VOCAB_SIZE, pattern="gpt2")
        return reference.train(corpus, VOCAB_SIZE, pattern=GPT2)

    assert time(benchmark, train, n_bytes=len(corpus.encode())).merges == fast.merges


@pytest.mark.benchmark(group="encode")
@pytest.mark.parametrize("path", ["tokfast", "reference"])
def test_encode(benchmark: BenchmarkFixture, path: str) -> None:
    fast, slow = tokenizers()
    sample = text(ENCODING_BYTES)
    ids = reference.encode(slow, sample)
    assert fast.encode(sample) == ids

    def encode() -> list[int]:
        return fast.encode(sample) if path == "tokfast" else reference.encode(slow, sample)

    assert time(benchmark, encode, n_bytes=len(sample.encode())) == ids


@pytest.mark.benchmark(group="count")
@pytest.mark.parametrize("path", ["tokfast", "reference"])
def test_count(benchmark: BenchmarkFixture, path: str) -> None:
    fast, slow = tokenizers()
    sample = text(ENCODING_BYTES)
    expected = reference.count(slow, sample)
    assert fast.count(sample) == expected

    def count() -> int:
        return fast.count(sample) if path == "tokfast" else reference.count(slow, sample)

    assert time(benchmark, count, n_bytes=len(sample.encode())) == expected


@pytest.mark.benchmark(group="decode")
@pytest.mark.parametrize("path", ["tokfast", "reference"])
def test_decode(benchmark: BenchmarkFixture, path: str) -> None:
    fast, slow = tokenizers()
    sample = text(ENCODING_BYTES)
    ids = reference.encode(slow, sample)
    assert reference.decode(slow, ids) == fast.decode(ids) == sample

    def decode() -> str:
        return fast.decode(ids) if path == "tokfast" else reference.decode(slow, ids)

    assert time(benchmark, decode, n_bytes=len(sample.encode())) == sample
