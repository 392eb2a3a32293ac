"""What a training run will cost, from a sample: before hours are spent on it.

Time and memory follow from three numbers: how fast this machine counts (measured on the sample), how many distinct
pretokens the whole text has (Heaps' law: distinct words grow as a power of the text, and two halves of the sample give
the power), and how long merging takes a symbol (measured on the words of the sample).

Source: Heaps 1978, "Information Retrieval: Computational and Theoretical Aspects", section 7.5.
"""

import math
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tokfast._errors import TrainingError
from tokfast._report import Estimate
from tokfast._tokfast import WordCounter, WordCounts
from tokfast._train import Source, Text, _paths, train

if TYPE_CHECKING:
    from collections.abc import Iterable

_SAMPLE = 32 << 20
_PIECE = 1 << 20
# Bytes a distinct word takes: in a table while counting (64-byte lines, and the larger table while it grows), then as
# a row while all are sorted, then in the layout (4 bytes a byte) with its list of positions (4) and count.
_TABLE = 64.0
_ROWS = 32.0 + 24.0
_LAYOUT_WORD = 12.0 + 24.0
_LAYOUT_BYTE = 8.5
_BLOCK = 4 << 20


def estimate(
    source: Source,
    vocab_size: int,
    *,
    pattern: str | None = "cl100k",
    sample_bytes: int = _SAMPLE,
    threads: int | None = None,
    **options: Any,
) -> Estimate:
    """Estimate what `train` with these arguments would cost, from a sample of the text.

    Parameters
    ----------
    source
        As for `train`; an iterable must be a sequence, since one that can be read only once would be used up.
    vocab_size, pattern, threads
        As for `train`.
    sample_bytes
        How much text is looked at, taken from all over it. More is slower and better.
    **options
        Further arguments of `train`.

    Returns
    -------
    Estimate
        Seconds and bytes. On text that is alike all over they are usually right within a third; a text whose parts
        differ more is estimated as badly as it is sampled.

    Raises
    ------
    TrainingError
        There is no text, or the source can be read only once.

    Examples
    --------
    >>> import tokfast
    >>> guess = tokfast.estimate(["some text and more text"] * 1000, 300)
    >>> guess.text_bytes, guess.seconds < 1
    (23000, True)
    """
    if isinstance(source, WordCounts):
        sample: list[bytes] = []
        total, counts, rate = 0, source, 0.0
        distinct = float(len(counts))
    else:
        paths = _paths(source)
        pieces, total = _sample_files(paths, sample_bytes) if paths is not None else _sample_items(source, sample_bytes)
        if not total:
            raise TrainingError("there is no text to estimate from; pass at least one document that is not empty")
        # Every other piece first, so that half of the sample is from all over the text, too.
        sample = pieces[::2] + pieces[1::2]
        half, _ = _count(sample[: max(1, len(sample) // 2)], pattern, threads)
        counts, seconds = _count(sample, pattern, threads)
        sampled = sum(map(len, sample))
        rate = seconds / sampled
        distinct = _heaps(half, counts, sampled, sum(map(len, sample[: max(1, len(sample) // 2)])), total)
    start = time.perf_counter()
    train(counts, vocab_size, pattern=pattern, threads=threads, **options)
    growth = distinct / max(1, len(counts))
    merge_seconds = (time.perf_counter() - start) * growth
    word_bytes = sum(len(word) for word, _ in counts) / max(1, len(counts))
    workers = threads or int(os.environ.get("TOKFAST_THREADS") or os.cpu_count() or 1)
    counting = (min(workers, max(1, total // _BLOCK)) * _TABLE + _ROWS + word_bytes) * distinct if total else 0.0
    merging = (16 + word_bytes + _LAYOUT_WORD + _LAYOUT_BYTE * word_bytes) * distinct
    return Estimate(
        seconds=rate * total + merge_seconds,
        bytes=int(max(counting, merging)) + (workers * _BLOCK if total else 0),
        count_seconds=rate * total,
        merge_seconds=merge_seconds,
        text_bytes=total,
        distinct_words=int(distinct),
        sample_bytes=sum(map(len, sample)),
    )


def _count(documents: list[bytes], pattern: str | None, threads: int | None) -> tuple[WordCounts, float]:
    start = time.perf_counter()
    counter = WordCounter(pattern=pattern, special_tokens=[], unit="document", threads=threads)
    counter.add_documents(documents)
    counts = counter.finish()
    return counts, time.perf_counter() - start


def _heaps(half: WordCounts, whole: WordCounts, sampled: int, half_bytes: int, total: int) -> float:
    """Return how many distinct words `total` bytes have, by the growth between half of the sample and all of it."""
    if total <= sampled or half_bytes == sampled:
        return float(len(whole))
    power = math.log(max(1.0, len(whole) / max(1, len(half)))) / math.log(sampled / half_bytes)
    return float(len(whole) * (total / sampled) ** min(1.0, power))


def _sample_files(paths: list[str], wanted: int) -> tuple[list[bytes], int]:
    sizes = [Path(path).stat().st_size for path in paths]
    total = sum(sizes)
    step = max(_PIECE, total * _PIECE // max(1, wanted))
    pieces, position, start = [], 0, 0
    for path, size in zip(paths, sizes, strict=True):
        with Path(path).open("rb") as file:
            while position < start + size:
                file.seek(position - start)
                pieces.append(file.read(_PIECE))
                position += step
        start += size
    return [piece for piece in pieces if piece], total


def _sample_items(source: Source, wanted: int) -> tuple[list[bytes], int]:
    items = cast("Iterable[Text]", source)
    if iter(items) is items:
        raise TrainingError("this iterable can be read only once; pass a list or files, or estimate from a part of it")
    total, pieces, due = 0, [], 0.0
    whole = sum(len(item) for item in items)
    step = max(1.0, whole / max(1, wanted))
    for item in items:
        data = item.encode("utf-8", "surrogatepass") if isinstance(item, str) else item
        total += len(data)
        if total >= due:
            pieces.append(data)
            due += step * len(data)
    return [piece for piece in pieces if piece], total
