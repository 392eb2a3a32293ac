"""Attention with the whole score matrix: the formula itself, for inputs where n² is small.

``weights = softmax(softcap(scale · Q Kᵀ) + bias)``, ``output = weights V``

Cost: O(Hq Nq Nk D) time and O(Hq Nq Nk) memory. Below about 2^18 scores this beats the blocked kernel, whose
loops cost more than they save; beyond that the score matrix falls out of the cache and then out of memory.

Grouped heads share one matrix product: the ``G`` query heads of a key head are stacked as ``G * Nq`` rows, so
keys and values are never repeated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from tokfast.attention._arguments import Problem

Array = npt.NDArray[Any]


def attend_dense(problem: Problem, out: Array, stage: str | None, stage_out: Array | None) -> None:
    """Fill ``out`` and, when asked, the scores at one stage."""
    if not problem.is_ragged:
        _attend(problem, out, stage, stage_out)
        return
    for index, row in problem.rows():
        n_keys = row.k.shape[-2]
        _attend(row, out[index], stage, None if stage_out is None else stage_out[index][..., :n_keys])


def _attend(problem: Problem, out: Array, stage: str | None, stage_out: Array | None) -> None:
    q, k, v, dtype = problem.q, problem.k, problem.v, problem.dtype
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    grouped = (*problem.lead, k.shape[-3], problem.group_size * n_queries)

    scaled = (q.astype(dtype, copy=False) * problem.scale).reshape(*grouped, q.shape[-1])
    scores = scaled @ k.astype(dtype, copy=False).swapaxes(-1, -2)
    scores = scores.reshape(*q.shape[:-1], n_keys)
    if stage == "scores":
        stage_out[...] = scores  # type: ignore[index]
    if problem.softcap is not None:
        scores /= problem.softcap
        np.tanh(scores, out=scores)
        scores *= problem.softcap
    if stage == "softcapped":
        stage_out[...] = scores  # type: ignore[index]
    _add_bias(problem, scores)
    if stage == "logits":
        stage_out[...] = scores  # type: ignore[index]

    # The two maximums give empty rows the weight 0 instead of NaN; see softmax.py.
    limits = np.finfo(dtype)
    peak = np.maximum.reduce(scores, axis=-1, keepdims=True, initial=limits.min)
    if problem.sinks is not None:
        np.maximum(peak, problem.sinks[:, None, None], out=peak)
    scores -= peak
    np.exp(scores, out=scores)
    total = np.add.reduce(scores, axis=-1, keepdims=True)
    if problem.sinks is not None:
        total += np.exp(problem.sinks[:, None, None] - peak)
    np.maximum(total, limits.tiny, out=total)
    if stage == "weights":
        scores /= total
        stage_out[...] = scores  # type: ignore[index]
    attended = scores.reshape(*grouped, n_keys) @ v.astype(dtype, copy=False)
    np.divide(attended.reshape(out.shape), 1 if stage == "weights" else total, out=out, casting="unsafe")


def _add_bias(problem: Problem, scores: Array) -> None:
    """ALiBi, then the mask, then what the band hides; hidden scores become -inf."""
    n_queries, n_keys = scores.shape[-2:]
    if problem.band.is_open and problem.slopes is None and problem.mask is None:
        return
    distance = np.arange(n_keys) - (np.arange(n_queries) + problem.offsets)[:, None]
    if problem.slopes is not None:
        scores += problem.slopes[:, None, None] * distance.astype(problem.dtype)
    if problem.mask is not None:
        if problem.mask.dtype.kind == "b":
            np.copyto(scores, -np.inf, where=~problem.mask)
        else:
            scores += problem.mask.astype(problem.dtype, copy=False)
    if problem.band.right is not None:
        np.copyto(scores, -np.inf, where=distance > problem.band.right)
    if problem.band.left is not None:
        np.copyto(scores, -np.inf, where=distance < -problem.band.left)
