"""What a larger vocabulary buys, and what it costs, from one training run.

Naive: train a tokenizer for each size. Eight sizes take eight runs, the longest of them as long as all others.
Idea: BPE is nested: the first n merges of a run to 256k are the run to n. So train once to the largest size, cut, and
count the held-out text once a size. What costs is the counting of words and the largest run; the rest is seconds.
Cost: one training run to the largest size, and one count of the held-out text for each size. Memory: that of the
training, and the held-out text, at most `HELD_OUT_BYTES`.

For each size: tokens per word and bytes per token on text that training did not see; the parameters of the embedding
and of the output layer (one matrix if tied); the tokens of a document of a given length, and what attention over it
costs (`tokfast.attention.attention_cost`). *Gain* is what the last step bought: tokens saved in a million bytes of
text, for each million parameters more. It falls with size; *medium* marks the size after which a saved token costs
more than on average (the point furthest above the chord of tokens saved over parameters).

The held-out text is every twentieth block of about 64 kB, cut at line ends: spread over the corpus, and the same for
every run. Sources: Tao et al. 2024 (vocabulary scaling); Satopää et al. 2011 (the knee of a curve).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokfast._tokfast import Tokenizer, list_files
from tokfast._train import train
from tokfast.analysis._table import Table
from tokfast.analysis._words import count_words_of, is_unspaced
from tokfast.attention.cost import ModelShape, attention_cost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = ["SizeRow", "VocabSizes", "vocab_sizes"]

BLOCK_BYTES = 64 << 10
HELD_OUT_EVERY = 20
HELD_OUT_BYTES = 64 << 20
ALL = "all"
SIZES = (1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000)


@dataclass(frozen=True)
class SizeRow:
    """One vocabulary size on one held-out text.

    Attributes
    ----------
    vocab_size
        Tokens in all.
    language
        Which held-out text; ``"all"`` for all of it.
    n_tokens, n_bytes
        Tokens and bytes of that text.
    tokens_per_word, bytes_per_token
        Words are those of `compare`; None where words are not separated by spaces.
    vocabulary_parameters, vocabulary_bytes
        Embedding and output layer together.
    sequence_tokens
        Tokens of a document of ``document_bytes``.
    attention_flops, kv_bytes
        Attention with its projections over that document, and the key-value cache that it fills.
    gain
        Tokens saved in a million bytes, for each million parameters more than the size before; None for the first.
    mark
        ``"small"``, ``"medium"``, ``"large"``, or empty.
    """

    vocab_size: int
    language: str
    n_tokens: int
    n_bytes: int
    tokens_per_word: float | None
    bytes_per_token: float
    vocabulary_parameters: int
    vocabulary_bytes: int
    sequence_tokens: int
    attention_flops: int
    kv_bytes: int
    gain: float | None
    mark: str


@dataclass(frozen=True)
class VocabSizes(Table):
    """The answer of `vocab_sizes`.

    Attributes
    ----------
    sizes
        The rows, by size, then by language; ``"all"`` first.
    tokenizer
        The largest one; ``tokenizer.with_vocab_size(n)`` is that of size n.
    hidden, is_tied, document_bytes
        What the costs were computed for.
    """

    sizes: tuple[SizeRow, ...]
    tokenizer: Tokenizer
    hidden: int
    is_tied: bool
    document_bytes: int

    @property
    def table(self) -> Sequence[SizeRow]:
        """The rows as dataclasses."""
        return self.sizes


def vocab_sizes(
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    sizes: Sequence[int] = SIZES,
    *,
    hidden: int = 4096,
    is_tied: bool = False,
    held_out: Mapping[str, str | bytes] | None = None,
    model: ModelShape | None = None,
    document_bytes: int = 32_768,
    itemsize: int = 2,
    threads: int | None = None,
    **options: Any,
) -> VocabSizes:
    """Train once, and say for each vocabulary size what it gives and what it costs.

    Parameters
    ----------
    source
        Files, directories or globs of text to train on.
    sizes
        Vocabulary sizes; those that the text cannot fill are left out, the largest it gives is added.
    hidden
        Width of the model: features of an embedding.
    is_tied
        Whether embedding and output layer are one matrix.
    held_out
        Text to measure on, by language; None: a twentieth of `source`, which is then not trained on.
    model
        What attention costs are for; None: 32 layers of width `hidden` with heads of 128 features.
    document_bytes
        Length of the document whose sequence length and attention cost are given.
    itemsize
        Bytes of a parameter and of a cached number (2: bfloat16).
    threads
        How many threads count words and tokens; None for one a processor.
    **options
        For `tokfast.train`: pattern, special_tokens, min_frequency, progress, ...

    Returns
    -------
    VocabSizes
        ``.sizes`` as dataclasses, ``.rows()`` and ``.to_dict()`` for pandas and polars, ``.tokenizer``.

    Raises
    ------
    ValueError
        No size is given, a size has no room for the 256 bytes, or there is no held-out text.
    TrainingError, OSError
        As for `tokfast.train`.

    Examples
    --------
    >>> from pathlib import Path
    >>> import tokfast
    >>> from tokfast.analysis import vocab_sizes
    >>> result = vocab_sizes(str(Path(tokfast.__file__).parent / "*.py"), [300, 600], hidden=64)
    >>> [(row.vocab_size, row.vocabulary_parameters) for row in result.sizes]
    [(300, 38400), (600, 76800)]
    """
    wanted = sorted(set(sizes))
    if not wanted or wanted[0] < 256:
        raise ValueError(f"sizes are {list(sizes)}; give at least one, each 256 or more")
    empty = [name for name, given in (held_out or {}).items() if not given]
    if empty:
        raise ValueError(f"the held-out text of {empty[0]!r} is empty; give each language some text")
    paths = list_files([source] if isinstance(source, (str, os.PathLike)) else list(source))
    kept: list[bytes] = []
    if held_out is None:
        documents = _hold_out(paths, kept, options.get("progress"))
        tokenizer = train(documents, wanted[-1], threads=threads, **options)
        texts = {ALL: b"".join(kept)}
    else:
        tokenizer = train([Path(path) for path in paths], wanted[-1], threads=threads, **options)
        texts = {name: text.encode() if isinstance(text, str) else text for name, text in held_out.items()}
        texts = {ALL: b"\n".join(texts.values()), **texts}
    if not texts[ALL]:
        raise ValueError(
            f"the corpus is too small to hold out a twentieth ({HELD_OUT_EVERY // 2} blocks of {BLOCK_BYTES:,} bytes "
            "are needed); give text to measure on (held_out, --held-out)"
        )
    reached = [size for size in wanted if size < tokenizer.vocab_size]
    reached.append(tokenizer.vocab_size)
    shape = model or _shape(hidden)
    rows: list[SizeRow] = []
    measured = [_HeldOut.of(name, text) for name, text in texts.items()]
    before: dict[str, SizeRow] = {}
    for size in reached:
        cut = tokenizer if size == tokenizer.vocab_size else tokenizer.with_vocab_size(size)
        for text in measured:
            n_tokens = int(cut.count_batch(text.blocks, threads=threads).sum())
            n_sequence = round(document_bytes * n_tokens / text.n_bytes)
            cost = attention_cost(n_sequence, shape, kv_itemsize=itemsize)
            parameters = size * hidden * (1 if is_tied else 2)
            row = SizeRow(
                vocab_size=size,
                language=text.name,
                n_tokens=n_tokens,
                n_bytes=text.n_bytes,
                tokens_per_word=n_tokens / text.n_words if text.n_words else None,
                bytes_per_token=text.n_bytes / n_tokens,
                vocabulary_parameters=parameters,
                vocabulary_bytes=parameters * itemsize,
                sequence_tokens=n_sequence,
                attention_flops=cost.total_flops,
                kv_bytes=cost.kv_bytes,
                gain=_gain(before.get(text.name), n_tokens, text.n_bytes, parameters),
                mark="",
            )
            before[text.name] = row
            rows.append(row)
    return VocabSizes(tuple(_mark(rows)), tokenizer, hidden, is_tied, document_bytes)


@dataclass(frozen=True)
class _HeldOut:
    """A held-out text, in blocks for the threads; each size counts the same blocks."""

    name: str
    blocks: list[bytes]
    n_bytes: int
    n_words: int | None

    @classmethod
    def of(cls, name: str, text: bytes) -> _HeldOut:
        if not text:
            raise ValueError(f"the held-out text {name!r} is empty")
        n_words = None
        if not is_unspaced(text[:400_000].decode(errors="replace")):
            n_words = sum(count_words_of(text).values()) or None
        return cls(name, list(_blocks(text)), len(text), n_words)


def _blocks(text: bytes) -> Iterator[bytes]:
    """Cut a text at line ends into blocks of about `BLOCK_BYTES`; a longer line is left whole."""
    begin = 0
    while begin < len(text):
        end = text.find(b"\n", begin + BLOCK_BYTES) + 1 or len(text)
        yield text[begin:end]
        begin = end


def _hold_out(
    paths: Sequence[str], kept: list[bytes], progress: Callable[[str, int, int], object] | None
) -> Iterator[bytes]:
    """Yield the blocks to train on, and keep every twentieth in `kept`, beginning with the tenth."""
    n_kept = n_read = 0
    n_bytes = sum(Path(path).stat().st_size for path in paths) if progress is not None else 0
    number = HELD_OUT_EVERY // 2
    for path in paths:
        for block in _blocks(Path(path).read_bytes()):
            number += 1
            n_read += len(block)
            if progress is not None:
                progress("count", n_read, n_bytes)
            if number % HELD_OUT_EVERY == 0 and n_kept < HELD_OUT_BYTES:
                kept.append(block)
                n_kept += len(block)
            else:
                yield block


def _shape(hidden: int) -> ModelShape:
    heads = max(1, hidden // 128)
    return ModelShape(32, hidden, heads, head_dim=hidden // heads, name=f"32 layers of width {hidden}")


def _gain(before: SizeRow | None, n_tokens: int, n_bytes: int, parameters: int) -> float | None:
    if before is None:
        return None
    saved = (before.n_tokens - n_tokens) / n_bytes * 1e6
    return saved / ((parameters - before.vocabulary_parameters) / 1e6)


def _mark(rows: list[SizeRow]) -> Iterator[SizeRow]:
    """Mark the smallest size, the largest, and the knee of tokens saved over parameters."""
    curve = [row for row in rows if row.language == rows[0].language]
    marks = {curve[0].vocab_size: "small", curve[-1].vocab_size: "large"}
    if len(curve) > 2:
        low, high = curve[0], curve[-1]

        def above_the_chord(row: SizeRow) -> float:
            along = (row.vocab_size - low.vocab_size) / (high.vocab_size - low.vocab_size)
            return (low.n_tokens - row.n_tokens) / max(1, low.n_tokens - high.n_tokens) - along

        marks.setdefault(max(curve[1:-1], key=above_the_chord).vocab_size, "medium")
    for row in rows:
        yield replace(row, mark=marks.get(row.vocab_size, ""))
