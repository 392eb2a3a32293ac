"""Attention in tiles: the same numbers without the n x n score matrix.

Naive: one ``(Nq, Nk)`` score matrix per head. At n = 8192 with 8 heads that is 2 GiB, and every pass over it
(max, subtract, exp, sum) runs at the speed of memory.

Idea: a block of query rows walks over the keys it can see, tile by tile, and keeps a running softmax
(`_online`)::

    for each block of query rows:                     # independent, so threads share them (`_jobs`)
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
output: a tile of 1 MiB and, for many queries, one or two heads' keys per thread. Bad case: a dense additive or random
boolean mask costs one more pass over the scores; fully hidden tiles of a boolean mask are found and skipped. A block
with a row that sees nothing, or whose scores are large where the sample was not, is done twice.

Invariant: the result does not depend on the tile sizes beyond rounding, nor on the number of threads at all.

Sources: Rabe and Staats 2021, "Self-attention does not need O(n^2) memory" (arXiv:2112.05682); Dao et al.
2022, FlashAttention (arXiv:2205.14135).

## Tried and dropped
``einsum`` for the products never reaches BLAS (16 times slower); ``np.repeat`` of key heads moves 9 times the
memory when decoding; a proof that scores are small (the longest query times the longest key) instead of a sample and
the sums covers fewer heads and takes three times as long. Figures below are of one tile of 256 rows and 768
keys, whose two products take 0.57 ms, on two cores with AVX-512:

- tiles of 1024 keys: rows that start in the same cache lines, the first product 20 % slower;
- scores transposed, ``K qT``: products 6 % faster, and every mask and returned stage has to be transposed;
- a column of ones beside the values instead of a second product for the sums: 50 us against 16;
- rows padded to avoid the cache lines: ``exp`` over rows that are not contiguous takes 1.5 times as long;
- the keys that a causal block sees in part as a tile of their own: hiding takes 7 us instead of 26, and the
  additional tile 40;
- ``fmin`` with a line of infinities instead of assigning: 38 us against 26.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tokfast.attention._jobs import Job, cut, heads_per_job
from tokfast.attention._online import OnlineSoftmax
from tokfast.attention._threads import run_jobs
from tokfast.attention.masks import constant_diagonals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokfast.attention._arguments import Problem

Array = npt.NDArray[Any]

# 768 KiB of float32 scores of one head, so that keys and values fit beside them into a second-level cache of 1 MiB;
# 1 MiB of two heads. Rows of exactly 1024 scores would all start in the same lines of the first-level cache: a fifth
# slower.
ROWS_PER_BLOCK = 256
SCORES_PER_TILE = 256 * 768
ALIGNMENT = 32


def _exp2_is_fast() -> bool:
    """Whether numpy has a vector loop for it, as with AVX-512: 0.6 of the time of exp; without, 2.2 times."""
    try:
        from numpy.lib.introspect import opt_func_info  # since numpy 2.1
    except ImportError:
        return False
    loops = opt_func_info(func_name="^exp2$", signature="float32").get("exp2", {})
    return any(not loop["current"].startswith("baseline") for loop in loops.values())


EXP2_IS_FAST = _exp2_is_fast()


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
    n_heads = heads_per_job(problem, rows_per_block)
    max_rows = n_heads * min(rows_per_block, max(problem.group_size * problem.q.shape[-2], 1))
    width = block_size[1] if block_size else tile_width(max_rows)
    jobs = cut(problem, out, stage_out, n_heads=n_heads, rows_per_block=rows_per_block, threads=threads)
    run_jobs(jobs, lambda: Worker(problem, stage, max_rows, width).attend, threads)


def tiles(first: int, end: int, width: int) -> Iterator[tuple[int, int]]:
    """Cut the keys ``first .. end - 1`` into the fewest tiles of at most ``width``, all about as wide."""
    count = -(-(end - first) // width)
    even = -(-(end - first) // max(count, 1))
    step = min(-(-even // ALIGNMENT) * ALIGNMENT, width)
    for start in range(first, end, max(step, 1)):
        yield start, min(start + step, end)


class Worker:
    """What one thread needs: the buffers for one job, used for all its jobs."""

    def __init__(self, problem: Problem, stage: str | None, max_rows: int, width: int) -> None:
        n_keys, head_dim = problem.k.shape[-2:]
        dtype = problem.dtype
        self.stage = stage
        self.width = max(min(width, n_keys), 1)
        self.scaled = np.empty(max_rows * (head_dim + 1), dtype=dtype)
        self.scores = np.empty(max_rows * self.width, dtype=dtype)
        self.online = OnlineSoftmax(max_rows, self.width, problem.v.shape[-1], dtype, problem.unit)

    def attend(self, job: Job) -> None:
        """One block of rows over all tiles it can see; once more, with peaks, if it does not go without."""
        is_done = False
        with np.errstate(over="ignore", invalid="ignore"):  # if it matters, the second time reports it
            if self.stage is None and job.heads.is_moderate:
                self._add_tiles(job, has_peak=False)
                is_done = self.online.is_sound()
        if not is_done:
            self._add_tiles(job, has_peak=True)
        self.online.write(job.out)
        if self.stage == "weights" and job.stage_out is not None:
            weights = self.scores[: job.stage_out.size].reshape(*self.online.total.shape[:-1], -1)
            weights /= self.online.total
            _keep(job, weights)

    def _add_tiles(self, job: Job, *, has_peak: bool) -> None:
        heads, dtype = job.heads, job.heads.row.dtype
        scaled = self._scaled_queries(job, has_peak=has_peak)
        sinks = None
        if heads.sinks is not None:
            sinks = np.repeat(heads.sinks[:, job.group], job.out.shape[2], axis=1)[..., None]
        self.online.start(*scaled.shape[:2], has_peak=has_peak, sinks=sinks)
        for start, stop in self._visible_tiles(job):
            weights = self._weights(job, scaled, start, stop, has_peak=has_peak)
            self.online.add(weights, heads.values[:, start:stop].astype(dtype, copy=False))

    def _scaled_queries(self, job: Job, *, has_peak: bool) -> Array:
        """``scale q (heads, rows, D)``, with room for a column of peaks if the product with the keys subtracts them."""
        row, q = job.heads.row, job.heads.queries[:, job.group, job.queries]
        n_heads, n_shared, n_queries, head_dim = q.shape
        is_folded = has_peak and job.heads.is_transposed and row.softcap is None and self.stage is None
        shape = (n_heads, n_shared, n_queries, head_dim + is_folded)
        scaled = self.scaled[: math.prod(shape)].reshape(shape)
        np.multiply(q, row.scale, out=scaled[..., :head_dim], dtype=row.dtype)
        return scaled.reshape(n_heads, n_shared * n_queries, -1)

    def _visible_tiles(self, job: Job) -> Iterator[tuple[int, int]]:
        heads = job.heads
        if self.stage is not None:
            yield from tiles(0, heads.keys.shape[1], self.width)
            return
        for start, stop in tiles(heads.row.band.first_key(job.first_position), job.end_key, self.width):
            if not _tile_is_hidden(job, start, stop):
                yield start, stop

    def _weights(self, job: Job, scaled: Array, start: int, stop: int, *, has_peak: bool) -> Array:
        """``exp(score - peak) (heads, rows, keys)`` of one tile, 0 where the band or the mask hides a key."""
        heads, online = job.heads, self.online
        is_biased = heads.mask is not None or heads.slopes is not None
        has_hidden = heads.row.band.hides(job.first_position, job.last_position, start, stop)
        is_folded = scaled.shape[2] > heads.keys.shape[2]
        if is_folded:
            np.negative(online.peak, out=scaled[..., -1:])
        scores = self._capped_scores(job, scaled, start, stop)
        if is_biased:
            _add_bias(job, scores, start)
        if has_peak:
            if has_hidden:
                _hide(job, scores, start, -np.inf)
            if self.stage == "logits":
                _keep(job, scores)
            has_leeway = is_folded and heads.has_moderate_values
            online.raise_peak(scores, is_relative=is_folded, has_leeway=has_leeway)
        is_exact = self.stage is not None
        has_zeros = is_biased or (has_peak and (has_hidden or online.has_unseen))
        online.exponentiate(scores, floor=has_peak and not is_exact, flush=has_zeros and not is_exact)
        if has_hidden and not has_peak:
            _hide(job, scores, start, 0.0)
        return scores

    def _capped_scores(self, job: Job, scaled: Array, start: int, stop: int) -> Array:
        """``scaled kT`` of one tile, capped: ``(heads, rows, keys)``."""
        row = job.heads.row
        n_heads, n_rows, _ = scaled.shape
        scores = self.scores[: n_heads * n_rows * (stop - start)].reshape(n_heads, n_rows, stop - start)
        np.matmul(scaled, job.heads.key_columns(scaled.shape[2], start, stop), out=scores)
        if self.stage == "scores":
            _keep(job, scores)
        if row.softcap is not None:
            scores /= row.softcap
            np.tanh(scores, out=scores)
            scores *= row.softcap
        if self.stage == "softcapped":
            _keep(job, scores)
        return scores


def tile_width(n_rows: int) -> int:
    """Keys of a tile for this many rows, of one head or of several."""
    return max(SCORES_PER_TILE // n_rows, 512)


def _keep(job: Job, scores: Array) -> None:
    """Copy a strip to the returned stage: with a stage asked for, every tile spans all keys."""
    if job.stage_out is not None:
        job.stage_out[...] = scores.reshape(job.stage_out.shape)


def _tile_is_hidden(job: Job, start: int, stop: int) -> bool:
    mask = job.heads.mask
    return mask is not None and mask.dtype.kind == "b" and not mask[:, job.group, job.queries, start:stop].any()


def _add_bias(job: Job, scores: Array, start: int) -> None:
    """ALiBi and mask for a tile ``scores (heads, rows, keys)`` whose first key is ``start``."""
    heads, n_keys = job.heads, scores.shape[-1]
    n_heads, n_shared, n_queries = job.out.shape[:3]
    scores = scores.reshape(n_heads, n_shared, n_queries, n_keys)
    if heads.slopes is not None:
        line = np.arange(n_queries + n_keys - 1) + (start - job.last_position)
        difference = constant_diagonals(line.astype(scores.dtype), n_queries, n_keys)
        for head in np.ndindex(n_heads, n_shared):
            scores[head] += heads.slopes[:, job.group][head] * difference
    if heads.mask is not None:
        mask = heads.mask[:, job.group, job.queries, start : start + n_keys]
        if mask.dtype.kind == "b":
            # A table look-up and a minimum: three times faster than assigning under a random mask.
            limit = np.array([-np.inf, np.inf], dtype=scores.dtype).take(mask.view(np.uint8))
            np.fmin(scores, limit, out=scores)
        else:
            scores += mask.astype(scores.dtype, copy=False)


def _hide(job: Job, scores: Array, start: int, value: float) -> None:
    """Give what the band hides in a tile ``scores (heads, rows, keys)`` the value of a hidden score or weight."""
    job.heads.row.band.hide(scores.reshape(*job.out.shape[:3], -1), job.first_position, start, value)
