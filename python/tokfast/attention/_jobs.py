"""Cut an attention problem into jobs: blocks of query rows of one or two key heads, which threads share.

Naive: a job per head. Eight heads on sixteen cores leave half of them idle, and a causal head's last rows cost sixteen
times as much as its first.

Idea: rows do not depend on each other, so a job is a block of them. Two things are shared by the blocks of a head and
made once for all of them: the keys *transposed*, which BLAS multiplies a tenth faster, and the answer to "are its
scores moderate?". *Two heads* in a job, where the problem has many, are two for every call of numpy: the interpreter
lock is asked for half as often, and a thread that has to wait for it sleeps for much longer than it was held.

Jobs are taken by as many heads as there are threads, so that few are transposed at a time, and of these the blocks that
see many keys first, so that no thread ends with the longest.

Cost: one pass over the keys of a head. Memory: the transposed keys of the heads that threads are at.

Invariant: the jobs depend on the problem and the size of a block, only their order on the number of threads.

## Tried and dropped
Eight heads of 64 features, 2048 queries and keys, two cores with AVX-512:

- four heads in a job, in tiles half as wide: as fast by two threads, 4 % slower by one;
- transposing all keys of a head with one copy: 150 us against 57, as every number read is in another line of the cache;
- a thread does all blocks of a head, and helps others at the end: no faster, for all that the keys stay in its cache;
- multiplying with the scale while transposing: 150 us against 57, and 3 us per block of queries saved;
- ``eye @ keys.T``: one infinite feature of a key makes all of its features NaN.
"""

from __future__ import annotations

from collections import deque
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tokfast.attention._online import VALUE_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokfast.attention._arguments import Problem

Array = npt.NDArray[Any]

BLOCKS_FOR_PAIRS = 32  # a problem of fewer blocks is not cut into pairs of heads: threads would have too few jobs
TRANSPOSED_BYTES = 2 << 20  # at most, of the key heads of a job; longer keys are read as they are
ROWS_TO_TRANSPOSE = 1024  # the copy costs about what it saves in the products with one block of 256 rows
NUMBERS_PER_COPY = 8192  # 32 KiB, so that the first-level cache keeps the lines of which a copy reads one number each
PADDING = 16  # rows a power of two apart would start in the same lines of the cache
SAMPLE = 64  # queries and keys, evenly spaced, whose scores tell whether to try without peaks
MODERATE = 40.0  # of 4096 normal numbers the largest is 3.6 deviations, of a block of 1,000,000 it is 5


class KeyHeads:
    """A few key heads of one batch row, with the query heads that share each of them.

    ``keys (heads, Nk, D)``, ``values (heads, Nk, Dv)``, ``queries (heads, group, Nq, D)``, and likewise ``mask``,
    ``sinks`` and ``slopes``: their first two axes are heads and group.
    """

    def __init__(self, row: Problem, heads: slice) -> None:
        self.row, self.heads = row, heads
        self.keys, self.values = row.k[heads], row.v[heads]
        self.queries = self.grouped(row.q)
        self.mask = None if row.mask is None else self.grouped(row.mask)
        self.sinks = None if row.sinks is None else self.grouped(row.sinks)
        self.slopes = None if row.slopes is None else self.grouped(row.slopes)
        is_read_often = self.queries.shape[1] * self.queries.shape[2] >= ROWS_TO_TRANSPOSE
        self.is_transposed = is_read_often and self.keys.size * row.dtype.itemsize <= TRANSPOSED_BYTES

    def grouped(self, array: Array) -> Array:
        """View the part for these heads of what all query heads have, ``(Hq, ...)``: ``(heads, group, ...)``."""
        return array.reshape(len(self.row.k), self.row.group_size, *array.shape[1:])[self.heads]

    def key_columns(self, n_rows: int, start: int, stop: int) -> Array:
        """Keys ``start .. stop - 1`` as columns of ``n_rows`` numbers: their features, and a 1 if they are transposed.

        With a column of ``-peak`` beside the queries, the row of ones subtracts the peak in the product, for nothing.
        """
        if self.is_transposed:
            return self._transposed_keys[:, :n_rows, start:stop]
        return self.keys[:, start:stop].astype(self.row.dtype, copy=False).swapaxes(1, 2)

    @cached_property
    def _transposed_keys(self) -> Array:
        n_heads, n_keys, head_dim = self.keys.shape
        transposed = np.empty((n_heads, head_dim + 1, n_keys + PADDING), dtype=self.row.dtype)[:, :, :n_keys]
        transposed[:, head_dim] = 1.0
        step = max(NUMBERS_PER_COPY // max(head_dim, 1), 1)
        for keys, columns in zip(self.keys, transposed, strict=True):
            for start in range(0, n_keys, step):
                columns[:head_dim, start : start + step] = keys[start : start + step].T
        return transposed

    @cached_property
    def is_moderate(self) -> bool:
        """Whether a sample of the scores and the size of the values let us try without peaks."""
        row, n_queries, n_keys = self.row, self.queries.shape[2], self.keys.shape[1]
        # For few queries the look at the values costs as much as the attention; ALiBi grows to the right.
        if n_queries < SAMPLE or not self.values.size or (row.slopes is not None and row.band.right is None):
            return False
        queries = self.queries[:, :, :: n_queries // SAMPLE].astype(row.dtype, copy=False)
        keys = self.keys[:, None, :: max(n_keys // SAMPLE, 1)].astype(row.dtype, copy=False)
        largest = float(np.abs(row.scale * queries @ keys.swapaxes(2, 3)).max())
        if row.softcap is not None:
            largest = min(largest, row.softcap)
        if row.sinks is not None:
            largest = max(largest, float(row.sinks.max()))
        return self.has_moderate_values and largest < MODERATE * row.unit

    @cached_property
    def has_moderate_values(self) -> bool:
        """Whether sums of a few of them, times ``exp(60)`` or ``exp(-40)``, stay within the range of the dtype."""
        with np.errstate(over="ignore", invalid="ignore"):
            size = float(np.linalg.norm(self.values.astype(self.row.dtype, copy=False)))  # at least the largest value
        return 1.0 / VALUE_LIMIT < size < VALUE_LIMIT  # false for NaN


class Job(NamedTuple):
    """A block of query rows for each of some key heads: ``queries`` of ``group``, the query heads that share one."""

    heads: KeyHeads
    group: slice
    queries: slice
    first_position: int
    last_position: int
    out: Array
    stage_out: Array | None

    @property
    def end_key(self) -> int:
        """One past the last key that the block may see."""
        return self.heads.row.band.end_key(self.last_position, self.heads.keys.shape[1])


def heads_per_job(problem: Problem, rows_per_block: int) -> int:
    """One, or two where the problem has enough blocks of rows and its keys are short enough."""
    n_keys, head_dim = problem.k.shape[-2:]
    rows_per_head = problem.group_size * problem.q.shape[-2]
    n_blocks = problem.q.size // max(problem.q.shape[-1] * min(rows_per_block, max(rows_per_head, 1)), 1)
    is_short = 2 * n_keys * head_dim * problem.dtype.itemsize <= TRANSPOSED_BYTES
    return 2 if is_short and n_blocks >= BLOCKS_FOR_PAIRS and problem.k.shape[-3] > 1 else 1


def cut(
    problem: Problem, out: Array, stage_out: Array | None, *, n_heads: int, rows_per_block: int, threads: int
) -> deque[Job]:
    """Jobs of ``n_heads`` key heads and at most ``rows_per_block`` rows of each, to be taken from the end."""
    jobs: list[tuple[int, Job]] = []
    n_owners = 0
    for index, row in problem.rows():
        row_stage = None if stage_out is None else stage_out[index][..., : row.k.shape[-2]]
        for first in range(0, len(row.k), n_heads):
            blocks = _blocks(KeyHeads(row, slice(first, first + n_heads)), out[index], row_stage, rows_per_block)
            jobs.extend((n_owners // threads, job) for job in blocks)
            n_owners += 1
    jobs.sort(key=lambda numbered: (-numbered[0], numbered[1].end_key))
    return deque(job for _, job in jobs)


def _blocks(heads: KeyHeads, out: Array, stage_out: Array | None, rows_per_block: int) -> Iterator[Job]:
    """Blocks of query heads times queries, with their part of ``out`` and ``stage_out``, which are the batch row's."""
    _, group_size, n_queries, _ = heads.queries.shape
    n_shared, offset = max(rows_per_block // max(n_queries, 1), 1), int(heads.row.offsets)
    out, stage_out = heads.grouped(out), None if stage_out is None else heads.grouped(stage_out)
    for start in range(0, group_size, n_shared):
        group = slice(start, min(start + n_shared, group_size))
        for first in range(0, n_queries, rows_per_block):
            queries = slice(first, min(first + rows_per_block, n_queries))
            positions = first + offset, queries.stop - 1 + offset
            block = None if stage_out is None else stage_out[:, group, queries]
            yield Job(heads, group, queries, *positions, out[:, group, queries], block)
