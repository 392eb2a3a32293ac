"""One adapter for each system: the same operations through each one's own interface.

An adapter is made with a data folder, a vocabulary and a number of threads (no vocabulary: it will train),
and has the methods of the operations that its system can do:

- ``encode(documents)``: ids of all documents, as compact as the system gives them; ``flat`` makes one array;
- ``encode_list(documents)``: a list of ids for each document;
- ``count(documents)``: number of tokens of each document;
- ``call(text)``: ids of one text;
- ``count_one(text)``: how many there are;
- ``decode(ids)``: text or bytes of one list of ids;
- ``train(path, vocab_size)``: whatever training returns; ``merges`` makes it a list of pairs of bytes.

``flat`` and ``merges`` run outside the timed part. Documents are `str` for every system. A special token's
spelling is ordinary text for every system: those that think otherwise are told.
"""
# ruff: noqa: D101, D102 (every method is described above, once for all classes)

from __future__ import annotations

import json
import re
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

Merges = list[tuple[bytes, bytes]]


class Vocabulary(NamedTuple):
    """Files below DATA/vocab that hold one vocabulary, and its pattern in the words of each system."""

    ranks: str
    json: str | None
    pattern: str
    gigatoken: str | None  # its name of the pattern; None: load the json
    toktok: str | None = None
    fastokens: str | None = None


GPT2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
CL100K = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
    r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)
O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
VOCABULARIES = {
    "cl100k": Vocabulary("cl100k_base.tiktoken", None, CL100K, "cl100k", "cl100k_base", "cl100k_base"),
    "o200k": Vocabulary("o200k_base.tiktoken", "gptoss.tokenizer.json", O200K, "o200k", "o200k_base", "o200k_base"),
    "llama3": Vocabulary("llama3_tokenizer.model.tiktoken", "llama3_1.tokenizer.json", CL100K, None),
    "qwen3": Vocabulary("qwen.tiktoken", "qwen-3.tokenizer.json", CL100K.replace("{1,3}+", ""), None),
}


class Adapter:
    """What the adapters share."""

    distribution: ClassVar[str]  # name on PyPI
    module: ClassVar[str]
    call: Callable[[str], Any]

    def __init__(self, data: Path, vocabulary: str, threads: int) -> None:
        import_module(self.module)  # here, so that no timed part holds an import
        self.threads = threads
        if vocabulary:
            self.load(data / "vocab", VOCABULARIES[vocabulary])

    def load(self, folder: Path, vocabulary: Vocabulary) -> None:
        """Load the vocabulary."""
        raise NotImplementedError

    def count_one(self, text: str) -> int:
        """Count the tokens of one text."""
        return len(self.call(text))

    def flat(self, encoded: Any) -> NDArray[np.uint32]:
        """Join lists of ids to one array."""
        return np.concatenate([np.asarray(ids, dtype=np.uint32) for ids in encoded])


class Tiktoken(Adapter):
    distribution = "tiktoken"
    module = "tiktoken"

    def load(self, folder: Path, vocabulary: Vocabulary) -> None:
        import tiktoken
        from tiktoken.load import load_tiktoken_bpe

        ranks = load_tiktoken_bpe(str(folder / vocabulary.ranks))
        self.encoding = tiktoken.Encoding("bench", pat_str=vocabulary.pattern, mergeable_ranks=ranks, special_tokens={})
        self.call = self.encoding.encode_ordinary
        self.decode = self.encoding.decode

    def encode(self, documents: list[str]) -> list[Any]:
        return [self.encoding.encode_to_numpy(text, disallowed_special=()) for text in documents]

    def encode_list(self, documents: list[str]) -> list[list[int]]:
        return self.encoding.encode_ordinary_batch(documents, num_threads=self.threads)

    def count(self, documents: list[str]) -> list[int]:
        return list(map(len, self.encode_list(documents)))


class Tokenizers(Adapter):
    distribution = "tokenizers"
    module = "tokenizers"

    def load(self, folder: Path, vocabulary: Vocabulary) -> None:
        from tokenizers import Tokenizer

        self.tokenizer = Tokenizer.from_file(str(folder / str(vocabulary.json)))
        self.tokenizer.encode_special_tokens = True  # so named: their spelling is encoded as text
        self.decode = self.tokenizer.decode

    def encode(self, documents: list[str]) -> list[list[int]]:
        return [found.ids for found in self.tokenizer.encode_batch_fast(documents, add_special_tokens=False)]

    def call(self, text: str) -> Any:
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def train(self, path: str, vocab_size: int) -> Any:
        from tokenizers import Tokenizer, models, pre_tokenizers, trainers

        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=vocab_size, initial_alphabet=alphabet, show_progress=False)
        tokenizer.train([path], trainer)
        return tokenizer

    def merges(self, trained: Any) -> Merges:
        return [byte_pair(*pair) for pair in json.loads(trained.to_str())["model"]["merges"]]


class Gigatoken(Adapter):
    distribution = "gigatoken"
    module = "gigatoken"

    def load(self, folder: Path, vocabulary: Vocabulary) -> None:
        import gigatoken

        self.awkward = import_module("awkward")  # what its batches come as
        if vocabulary.gigatoken:
            self.tokenizer = gigatoken.Tokenizer.from_tiktoken(
                folder / vocabulary.ranks, pretokenizer=vocabulary.gigatoken, special_tokens={}
            )
        else:
            self.tokenizer = gigatoken.Tokenizer(folder / str(vocabulary.json))
        self.call = self.tokenizer.encode
        self.decode = self.tokenizer.decode

    def encode(self, documents: list[str]) -> Any:
        return self.tokenizer.encode_batch(documents, parallel=self.threads > 1)

    def flat(self, encoded: Any) -> NDArray[np.uint32]:
        return np.asarray(self.awkward.flatten(encoded), dtype=np.uint32)

    def encode_list(self, documents: list[str]) -> Any:
        return self.tokenizer.encode_batch_list(documents, parallel=self.threads > 1)

    def count(self, documents: list[str]) -> Any:
        return np.asarray(self.awkward.num(self.encode(documents)))

    def train(self, path: str, vocab_size: int) -> Any:
        from gigatoken import train_bpe

        return train_bpe(Path(path), vocab_size, [])

    def merges(self, trained: Any) -> Merges:
        return list(trained[1])


class Toktok(Adapter):
    distribution = "toktok-rs"
    module = "toktok"

    def load(self, folder: Path, vocabulary: Vocabulary) -> None:
        import toktok

        del folder  # its vocabularies are compiled in
        self.name = str(vocabulary.toktok)
        self.toktok = toktok
        # The public interface only counts; its source offers the class beneath to those who want ids.
        self.tokenizer = toktok._encoding(self.name)  # noqa: SLF001
        self.call = self.tokenizer.encode_ordinary
        self.decode = self.tokenizer.decode

    def encode(self, documents: list[str]) -> Any:
        return self.tokenizer.encode_batch_to_numpy(documents, threads=self.threads)

    def flat(self, encoded: Any) -> NDArray[np.uint32]:
        return np.asarray(encoded[0], dtype=np.uint32)

    def count(self, documents: list[str]) -> Any:
        return self.toktok.batch_count(documents, self.name, threads=self.threads)


class Fastokens(Adapter):
    distribution = "fastokens"
    module = "fastokens"

    def load(self, folder: Path, vocabulary: Vocabulary) -> None:
        from fastokens import Tokenizer

        if vocabulary.fastokens:
            self.tokenizer = Tokenizer.from_tiktoken(str(folder / vocabulary.ranks), encoding=vocabulary.fastokens)
        else:
            self.tokenizer = Tokenizer.from_file(str(folder / str(vocabulary.json)))
        self.decode = self.tokenizer.decode

    def encode(self, documents: list[str]) -> Any:
        return self.tokenizer.encode_batch_flat(documents, split_special_tokens=True)

    def flat(self, encoded: Any) -> NDArray[np.uint32]:
        return np.frombuffer(encoded[0], dtype=np.uint32)

    def encode_list(self, documents: list[str]) -> list[list[int]]:
        return [found.ids for found in self.tokenizer.encode_batch(documents, split_special_tokens=True)]

    def count(self, documents: list[str]) -> Any:
        return np.diff(np.frombuffer(self.encode(documents)[1], dtype=np.uint64))

    def call(self, text: str) -> Any:
        return self.tokenizer.encode_ordinary(text).ids


class Gigabpe(Adapter):
    distribution = "gigabpe"
    module = "gigabpe"

    def train(self, path: str, vocab_size: int) -> Any:
        import gigabpe

        return gigabpe.train_bpe([path], vocab_size, special_tokens=[], pretokenizer="bytelevel", threads=self.threads)

    def merges(self, trained: Any) -> Merges:
        return [byte_pair(*pair) for pair in trained[1]]


class Rustbpe(Adapter):
    distribution = "rustbpe"
    module = "rustbpe"

    def train(self, path: str, vocab_size: int) -> Any:
        import rustbpe

        tokenizer = rustbpe.Tokenizer()
        with Path(path).open(encoding="utf-8", newline="") as file:
            tokenizer.train_from_iterator(blocks(file.read()), vocab_size, pattern=GPT2)
        return tokenizer

    def merges(self, trained: Any) -> Merges:
        # It returns tokens, not pairs: the pair is what the earlier merges leave of the token.
        rank = {bytes(token): number for token, number in trained.get_mergeable_ranks()}
        return [last_pair(token, rank) for token in sorted(rank, key=rank.__getitem__) if len(token) > 1]


class Tokfast(Adapter):
    distribution = "tokfast"
    module = "tokfast"

    def load(self, folder: Path, vocabulary: Vocabulary) -> None:
        import tokfast

        if vocabulary.gigatoken:
            self.tokenizer = tokfast.Tokenizer.from_file(
                folder / vocabulary.ranks, pattern=vocabulary.gigatoken, special_tokens={}
            )
        else:
            self.tokenizer = tokfast.Tokenizer.from_file(folder / str(vocabulary.json))
        self.call = self.tokenizer.encode
        self.count_one = self.tokenizer.count  # type: ignore[method-assign]
        self.decode = self.tokenizer.decode

    def encode(self, documents: list[str]) -> Any:
        return self.tokenizer.encode_batch(documents, threads=self.threads)

    def flat(self, encoded: Any) -> NDArray[np.uint32]:
        return np.asarray(encoded.ids, dtype=np.uint32)

    def encode_list(self, documents: list[str]) -> list[list[int]]:
        return self.tokenizer.encode_batch(documents, threads=self.threads).to_list()

    def count(self, documents: list[str]) -> Any:
        return self.tokenizer.count_batch(documents, threads=self.threads)

    def train(self, path: str, vocab_size: int, **options: Any) -> Any:
        import tokfast

        return tokfast.train(path, vocab_size, pattern="gpt2", threads=self.threads, **options)

    def merges(self, trained: Any) -> Merges:
        vocab = trained.vocab
        return [(vocab[left], vocab[right]) for left, right in trained.merges]


SYSTEMS: dict[str, type[Adapter]] = {
    "tiktoken": Tiktoken,
    "tokenizers": Tokenizers,
    "gigatoken": Gigatoken,
    "gigabpe": Gigabpe,
    "rustbpe": Rustbpe,
    "toktok": Toktok,
    "fastokens": Fastokens,
    "tokfast": Tokfast,
}

_PRINTABLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_HIDDEN = [byte for byte in range(256) if byte not in _PRINTABLE]
# GPT-2 and Hugging Face spell each byte as a printable character.
_BYTE_OF = {chr(byte): byte for byte in _PRINTABLE} | {chr(256 + n): byte for n, byte in enumerate(_HIDDEN)}


def byte_pair(left: str, right: str) -> tuple[bytes, bytes]:
    """Read a merge in GPT-2's spelling."""
    return bytes(map(_BYTE_OF.__getitem__, left)), bytes(map(_BYTE_OF.__getitem__, right))


def last_pair(token: bytes, rank: dict[bytes, int]) -> tuple[bytes, bytes]:
    """Return the two parts that merges of lower rank make of a token."""
    parts = [bytes([byte]) for byte in token]
    while len(parts) > 2:
        left, right = min(pairwise(parts), key=lambda pair: rank.get(pair[0] + pair[1], len(rank)))
        parts = join(parts, left, right)
    return parts[0], parts[1]


def join(parts: Sequence[bytes], left: bytes, right: bytes) -> list[bytes]:
    """Join every occurrence of a pair, from left to right."""
    joined: list[bytes] = []
    for part in parts:
        if joined and joined[-1] == left and part == right:
            joined[-1] = left + right
        else:
            joined.append(part)
    return joined


def blocks(text: str, size: int = 100_000) -> Iterator[str]:
    """Cut a text after single line ends that stand between words: no pretoken of GPT-2's pattern is cut."""
    start = 0
    for cut in re.finditer(r"(?<=\S)\n(?=\S)", text):
        if cut.end() - start >= size:
            yield text[start : cut.end()]
            start = cut.end()
    yield text[start:]
