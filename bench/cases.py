"""What is compared: one `Case` per question, as data.

A case names its input, its operation and its contenders, and says what it shows and what it does not. The
contenders of one group must give the same answer; the first one of a group that ran is what the others are
compared with, so an oracle stands first. A contender whose answer differs gets no time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Contender:
    """One system in one case."""

    system: str
    options: dict[str, Any] = field(default_factory=dict)
    group: str = "ids"
    rounds: int | None = None  # at most so many: for systems that take minutes

    @property
    def label(self) -> str:
        """Name in tables: the system, and what sets it apart."""
        return " ".join([self.system, *map(str, self.options.values())])


@dataclass(frozen=True)
class Case:
    """One question, with the input and the contenders that answer it."""

    name: str
    operation: str  # a method of the adapters in systems.py
    corpus: str  # below DATA/corpus
    shows: str
    does_not_show: str
    contenders: tuple[Contender, ...]
    vocabulary: str = ""  # a key of systems.VOCABULARIES
    vocab_size: int = 0
    threads: int = 1
    max_bytes: int | None = None


# Units and ties differ between trainers, so tokfast runs once in the manner of each group.
BY_LINE = (
    Contender("tokenizers", group="by line", rounds=1),
    Contender("gigabpe", group="by line"),
    Contender("tokfast", {"unit": "line"}, group="by line"),
)
BY_DOCUMENT = (
    Contender("gigatoken", group="by document"),
    Contender("tokfast", {"unit": "document"}, group="by document"),
)
BY_DOCUMENT_RAW_BYTES = (
    Contender("rustbpe", group="by document, raw byte ids", rounds=2),
    Contender("tokfast", {"unit": "document", "tie_break": "bytes"}, group="by document, raw byte ids"),
)
ONE_SIZE = "other corpora and sizes, patterns that only some peers have (cl100k, o200k), iterators, more cores"

CASES = (
    Case(
        "train-mixed-32k",
        "train",
        "mixed_100MB.txt",
        "from a file to 32,000 entries: 100 MB of English, code and 25 languages, GPT-2 pattern",
        ONE_SIZE,
        BY_LINE + BY_DOCUMENT + BY_DOCUMENT_RAW_BYTES,
        vocab_size=32_000,
        threads=2,
    ),
    Case(
        "train-mixed-128k",
        "train",
        "mixed_100MB.txt",
        "the same to 128,000 entries: the cost of the rare pairs",
        ONE_SIZE,
        BY_LINE,
        vocab_size=128_000,
        threads=2,
    ),
    Case(
        "train-english-32k",
        "train",
        "en_prose.txt",
        "the same on 120 MB of English, where counting weighs more than merging",
        ONE_SIZE,
        BY_LINE + BY_DOCUMENT,
        vocab_size=32_000,
        threads=2,
    ),
    Case(
        "encode-cl100k",
        "encode",
        "mixed_docs.jsonl",
        "ids of 33,000 documents (100 MB, mean 3 kB) in the most compact form that each system returns",
        "several threads, one huge document, text that a cache has seen more than once",
        (
            Contender("tiktoken", rounds=2),
            Contender("gigatoken"),
            Contender("toktok"),
            Contender("fastokens"),
            Contender("tokfast"),
        ),
        vocabulary="cl100k",
    ),
    Case(
        "encode-o200k",
        "encode",
        "mixed_docs.jsonl",
        "the same with the largest public pattern and 200,000 entries",
        "several threads, one huge document; Hugging Face reads the same vocabulary from gpt-oss",
        (
            Contender("tiktoken", rounds=2),
            Contender("tokenizers", rounds=1),
            Contender("gigatoken"),
            Contender("toktok"),
            Contender("fastokens"),
            Contender("tokfast"),
        ),
        vocabulary="o200k",
    ),
    Case(
        "encode-llama3",
        "encode",
        "mixed_docs.jsonl",
        "the same from a tokenizer.json, the format of open models",
        "several threads, one huge document; tiktoken reads the same vocabulary from its ranks",
        (
            Contender("tiktoken", rounds=2),
            Contender("tokenizers", rounds=1),
            Contender("gigatoken"),
            Contender("fastokens"),
            Contender("tokfast"),
        ),
        vocabulary="llama3",
    ),
    Case(
        "encode-qwen3",
        "encode",
        "mixed_docs.jsonl",
        "the same with a pattern of single digits and a normalizer (NFC), which tiktoken does not have",
        "several threads, one huge document",
        (
            Contender("tokenizers", rounds=1),
            Contender("gigatoken"),
            Contender("fastokens"),
            Contender("tokfast"),
        ),
        vocabulary="qwen3",
    ),
    Case(
        "count-cl100k",
        "count",
        "mixed_docs.jsonl",
        "number of tokens of each document; a system without a counter encodes and takes the lengths",
        "several threads, files on disk",
        (
            Contender("tiktoken", rounds=2),
            Contender("gigatoken"),
            Contender("toktok"),
            Contender("fastokens"),
            Contender("tokfast"),
        ),
        vocabulary="cl100k",
    ),
    Case(
        "encode-list-cl100k",
        "encode_list",
        "mixed_docs.jsonl",
        "ids as Python lists of int, which most code asks for: the cost of making the objects",
        "several threads; what happens to the lists afterwards",
        (
            Contender("tiktoken", rounds=2),
            Contender("gigatoken"),
            Contender("fastokens"),
            Contender("tokfast"),
        ),
        vocabulary="cl100k",
    ),
    Case(
        "small-calls",
        "call",
        "mixed_docs.jsonl",
        "one call for one text of 10, 100 or 1,000 characters, for a list of ids or for their number",
        "batches, threads; lambdas around a peer's call cost it about 50 ns",
        (
            Contender("tiktoken"),
            Contender("tokenizers"),
            Contender("gigatoken"),
            Contender("toktok"),
            Contender("fastokens"),
            Contender("tokfast"),
        ),
        vocabulary="o200k",
        max_bytes=10_000_000,
    ),
    Case(
        "decode",
        "decode",
        "mixed_docs.jsonl",
        "lists of ids back to text, one call for each document, str or bytes as the system gives it",
        "batches, streaming",
        (
            Contender("tiktoken"),
            Contender("tokenizers"),
            Contender("gigatoken"),
            Contender("toktok"),
            Contender("fastokens"),
            Contender("tokfast"),
        ),
        vocabulary="o200k",
        max_bytes=20_000_000,
    ),
)
