"""Attention in tiles: the same numbers without the n x n score matrix.

Naive: one ``(Nq, Nk)`` score matrix per head. At n = 8192 with 8 heads that is 2 GiB, and every pass over it
(max, subtract, exp, sum) runs at the speed of memory.

Idea: a block of query rows walks over the keys it can see, tile by tile, and keeps a running softmax
(`_online`)::

    for each block of query rows:                     # independent, so threads share them
        for each tile of keys the block can see:      # hidden tiles are never touched
            scores = scale q kT, capped, biased, masked
            online.add(exp(scores - peak), v)
        online.write(output)

Where a few scores of a head are moderate, the block is tried with peak 0 first, which saves two passes over the scores
and allows ``exp2`` of scores in units of ``log2(e)``; the sums tell if that was right (`OnlineSoftmax.is_sound`).

With one tile that spans all keys this is an ordinary softmax over a *strip* of rows; the loop is the same.
Query heads that share a key head are rows like any others: a decoding step stacks them, and the keys are read
once.

Cost: O(Hq Nq Nk D) time, halved for causal attention because hidden tiles are skipped. Memory beyond the
output: one tile per thread, 1 MiB by default. Bad case: a dense additive or random boolean mask costs one
more pass over the scores; fully hidden tiles of a boolean mask are found and skipped. A block with a row that sees
nothing, or whose scores are large where the sample was not, is done twice.

Invariant: the result does not depend on the tile sizes beyond rounding, nor on the number of threads at all.

Sources: Rabe and Staats 2021, "Self-attention does not need O(n^2) memory" (arXiv:2112.05682); Dao et al.
2022, FlashAttention (arXiv:2205.14135).

## Tried and dropped
``einsum`` for the products never reaches BLAS (16 times slower); ``np.repeat`` of key heads moves 9 times the
memory when decoding; a proof that scores are small (the longest query times the longest key) instead of a sample and
the sums covers fewer heads and takes three times as long. Figures below are of one tile of 256 rows and 768
keys, whose two products take 0.57 ms, on two cores with AVX-512:

- tiles of 1024 keys: rows that start in the same cache lines, the first product 20 % slower;
- keys transposed beforehand: the first product 10 % faster, the copy eats most of it;
- scores transposed, ``K qT``: products 6 % faster, and every mask and returned stage has to be transposed;
- a column of ones beside the values instead of a second product for the sums: 50 us against 16;
- rows padded to avoid the cache lines: ``exp`` over rows that are not contiguous takes 1.5 times as long;
- two heads in one job: the same time, for one more axis everywhere;
- the keys that a causal block sees in part as a tile of their own: hiding takes 7 us instead of 26, and the
  additional tile 40;
- ``fmin`` with a line of infinities instead of assigning: 38 us against 26.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tokfast.attention._online import VALUE_LIMIT, OnlineSoftmax
from tokfast.attention._threads import run_jobs
from tokfast.attention.masks import constant_diagonals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokfast.attention._arguments import Problem

Array = npt.NDArray[Any]

# 768 KiB of float32 scores, so that keys and values fit beside them into a second-level cache of 1 MiB. Rows of
# exactly 1024 scores would all start in the same lines of the first-level cache: a fifth slower.
ROWS_PER_BLOCK = 256
SCORES_PER_TILE = 256 * 768
ALIGNMENT = 32
SAMPLE = 64  # queries and keys, evenly spaced, whose scores tell whether to try without peaks
MODERATE = 60.0


def _exp2_is_fast() -> bool:
    """Whether numpy has a vector loop for it, as with AVX-512: 0.6 of the time of exp; without, 2.2 times."""
    try:
        from numpy.lib.introspect import opt_func_info  # since numpy 2.1
    except ImportError:
        return False
    loops = opt_func_info(func_name="^exp2$", signature="float32").get("exp2", {})
    return any(not loop["current"].startswith("baseline") for loop in loops.values())


EXP2_IS_FAST = _exp2_is_fast()


class Head:
    """One key head of one batch row, with the query heads that share it."""

    def __init__(self, row: Problem, index: int) -> None:
        self.row = row
        self.keys, self.values = row.k[index], row.v[index]
        self.queries = row.q[index * row.group_size : (index + 1) * row.group_size]

    @cached_property
    def is_moderate(self) -> bool:
        """Whether a sample of the scores and the size of the values let us try without peaks."""
        row, n_queries, n_keys = self.row, self.queries.shape[1], len(self.keys)
        # For few queries the look at the values costs as much as the attention; ALiBi grows to the right.
        if n_queries < SAMPLE or not self.values.size or (row.slopes is not None and row.band.right is None):
            return False
        queries = self.queries[:, :: n_queries // SAMPLE].astype(row.dtype, copy=False)
        keys = self.keys[:: max(n_keys // SAMPLE, 1)].astype(row.dtype, copy=False)
        largest = float(np.abs(row.scale * queries @ keys.T).max())
        if row.softcap is not None:
            largest = min(largest, row.softcap)
        if row.sinks is not None:
            largest = max(largest, float(row.sinks.max()))
        size = float(np.linalg.norm(self.values.astype(row.dtype, copy=False)))  # at least the largest value
        return largest < MODERATE * row.unit and 1.0 / VALUE_LIMIT < size < VALUE_LIMIT  # false for NaN


class Job(NamedTuple):
    """Some query rows of some heads that share one key head."""

    head: Head
    heads: slice
    queries: slice
    first_position: int
    last_position: int
    out: Array
    stage_out: Array | None


def attend_blocks(
    problem: Problem,
    out: Array,
    stage: str | None,
    stage_out: Array | None,
    *,
    block_size: tuple[int, int] | None,
    threads: int,
) -> None:
    """Fill ``out`` block by block; ``block_size`` is (query rows, keys) of a tile."""
    if EXP2_IS_FAST and problem.dtype == np.float32 and stage is None and not problem.has_additive_mask:
        problem = problem.in_unit(math.log2(math.e))
    if stage is not None:
        # A stage is n x n by itself, so whole strips of it are at hand anyway.
        block_size = (block_size[0] if block_size else ROWS_PER_BLOCK // 4, max(problem.k.shape[-2], 1))
    rows_per_block = block_size[0] if block_size else ROWS_PER_BLOCK
    jobs = list(_jobs(problem, out, stage_out, rows_per_block))
    # Blocks that see many keys first, so that no thread ends with the longest one.
    jobs.sort(key=lambda job: job.head.row.band.end_key(job.last_position, len(job.head.keys)))
    run_jobs(jobs, lambda: Worker(problem, stage, block_size).attend, threads)


def _jobs(problem: Problem, out: Array, stage_out: Array | None, rows_per_block: int) -> Iterator[Job]:
    """Cut the problem into blocks of at most ``rows_per_block`` rows (query heads times queries)."""
    group, n_queries = problem.group_size, problem.q.shape[-2]
    heads_per_block = max(1, min(group, rows_per_block // max(n_queries, 1)))
    for index, row in problem.rows():
        for key_head in range(row.k.shape[0]):
            owner = Head(row, key_head)
            for head in range(key_head * group, (key_head + 1) * group, heads_per_block):
                heads = slice(head, min(head + heads_per_block, (key_head + 1) * group))
                for start in range(0, n_queries, rows_per_block):
                    queries = slice(start, min(start + rows_per_block, n_queries))
                    first, last = queries.start + int(row.offsets), queries.stop - 1 + int(row.offsets)
                    stage_view = None if stage_out is None else stage_out[index][heads, queries, : row.k.shape[-2]]
                    yield Job(owner, heads, queries, first, last, out[index][heads, queries], stage_view)


def tiles(first: int, end: int, width: int) -> Iterator[tuple[int, int]]:
    """Cut the keys ``first .. end - 1`` into the fewest tiles of at most ``width``, all about as wide."""
    count = -(-(end - first) // width)
    even = -(-(end - first) // max(count, 1))
    step = min(-(-even // ALIGNMENT) * ALIGNMENT, width)
    for start in range(first, end, max(step, 1)):
        yield start, min(start + step, end)


class Worker:
    """What one thread needs: the buffers for one block of rows, used for all its jobs."""

    def __init__(self, problem: Problem, stage: str | None, block_size: tuple[int, int] | None) -> None:
        n_queries, head_dim = problem.q.shape[-2:]
        n_keys, dtype = problem.k.shape[-2], problem.dtype
        max_rows = min(block_size[0] if block_size else ROWS_PER_BLOCK, max(problem.group_size * n_queries, 1))
        width = block_size[1] if block_size else max(SCORES_PER_TILE // max_rows, 512)
        self.stage = stage
        self.width = max(min(width, n_keys), 1)
        self.scaled = np.empty(max_rows * head_dim, dtype=dtype)
        self.scores = np.empty(max_rows * self.width, dtype=dtype)
        self.online = OnlineSoftmax(max_rows, self.width, problem.v.shape[-1], dtype, problem.unit)

    def attend(self, job: Job) -> None:
        """One block of rows over all tiles it can see; once more, with peaks, if it does not go without."""
        is_done = False
        with np.errstate(over="ignore", invalid="ignore"):  # if it matters, the second time reports it
            if self.stage is None and job.head.is_moderate:
                self._add_tiles(job, has_peak=False)
                is_done = self.online.is_sound()
        if not is_done:
            self._add_tiles(job, has_peak=True)
        self.online.write(job.out)
        if self.stage == "weights" and job.stage_out is not None:
            weights = self.scores[: job.stage_out.size].reshape(len(self.online.total), -1)
            weights /= self.online.total
            _keep(job, weights)

    def _add_tiles(self, job: Job, *, has_peak: bool) -> None:
        row, stage, online = job.head.row, self.stage, self.online
        q = row.q[job.heads, job.queries]
        n_heads, n_queries, head_dim = q.shape
        n_rows, n_keys = n_heads * n_queries, len(job.head.keys)
        scaled = self.scaled[: q.size].reshape(n_rows, head_dim)
        np.multiply(q, row.scale, out=scaled.reshape(q.shape), dtype=row.dtype)
        sinks = None if row.sinks is None else np.repeat(row.sinks[job.heads], n_queries)[:, None]
        online.start(n_rows, has_peak=has_peak, sinks=sinks, out=job.out)
        is_biased = row.mask is not None or row.slopes is not None

        first, end = 0, n_keys
        if stage is None:
            first = row.band.first_key(job.first_position)
            end = row.band.end_key(job.last_position, n_keys)
        for start, stop in tiles(first, end, self.width):
            if is_biased and stage is None and _tile_is_hidden(job, start, stop):
                continue
            scores = self._capped_scores(job, scaled, start, stop)
            if is_biased:
                _add_bias(job, scores, start)
            if has_peak:
                _hide(job, scores, start, -np.inf)
                if stage == "logits":
                    _keep(job, scores)
                online.subtract_peak(scores)
            online.exponentiate(scores, flush=(has_peak or is_biased) and stage is None)
            if not has_peak:
                _hide(job, scores, start, 0.0)
            online.add(scores, job.head.values[start:stop].astype(row.dtype, copy=False))

    def _capped_scores(self, job: Job, scaled: Array, start: int, stop: int) -> Array:
        """``scaled kT`` of one tile, capped."""
        row = job.head.row
        n_rows, n_keys = len(scaled), stop - start
        scores = self.scores[: n_rows * n_keys].reshape(n_rows, n_keys)
        np.matmul(scaled, job.head.keys[start:stop].astype(row.dtype, copy=False).T, out=scores)
        if self.stage == "scores":
            _keep(job, scores)
        if row.softcap is not None:
            scores /= row.softcap
            np.tanh(scores, out=scores)
            scores *= row.softcap
        if self.stage == "softcapped":
            _keep(job, scores)
        return scores


def _keep(job: Job, scores: Array) -> None:
    """Copy a strip to the returned stage: with a stage asked for, every tile spans all keys."""
    if job.stage_out is not None:
        job.stage_out[...] = scores.reshape(job.stage_out.shape)


def _tile_is_hidden(job: Job, start: int, stop: int) -> bool:
    mask = job.head.row.mask
    return mask is not None and mask.dtype.kind == "b" and not mask[job.heads, job.queries, start:stop].any()


def _add_bias(job: Job, scores: Array, start: int) -> None:
    """ALiBi and mask for a tile ``scores (heads * queries, keys)`` whose first key is ``start``."""
    row, n_keys = job.head.row, scores.shape[1]
    n_heads, n_queries = job.out.shape[:2]
    scores = scores.reshape(n_heads, n_queries, n_keys)
    if row.slopes is not None:
        line = np.arange(n_queries + n_keys - 1) + (start - job.last_position)
        difference = constant_diagonals(line.astype(row.dtype), n_queries, n_keys)
        for head in range(n_heads):
            scores[head] += row.slopes[job.heads.start + head] * difference
    if row.mask is not None:
        mask = row.mask[job.heads, job.queries, start : start + n_keys]
        if mask.dtype.kind == "b":
            # A table look-up and a minimum: three times faster than assigning under a random mask.
            limit = np.array([-np.inf, np.inf], dtype=row.dtype).take(mask.view(np.uint8))
            np.fmin(scores, limit, out=scores)
        else:
            scores += mask.astype(row.dtype, copy=False)


def _hide(job: Job, scores: Array, start: int, value: float) -> None:
    """Give what the band hides in a tile ``scores (heads * queries, keys)`` the value of a hidden score or weight."""
    band, n_keys = job.head.row.band, scores.shape[1]
    if band.hides(job.first_position, job.last_position, start, start + n_keys):
        for head_scores in scores.reshape(*job.out.shape[:2], n_keys):
            band.hide(head_scores, job.first_position, start, value)
