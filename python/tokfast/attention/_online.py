"""Softmax-weighted sum of values whose scores arrive tile by tile.

Naive: wait for all scores of a row, then ``softmax(scores) @ values``.

Idea: keep three things per row: the largest score so far ``m`` (`peak`), ``l = sum exp(score - m)`` (`total`)
and ``acc = sum exp(score - m) * value`` (`attended`). A tile that raises ``m`` first multiplies both sums by
``exp(m_old - m_new)``; the result ``acc / l`` does not depend on where the tiles end.

Bounded scores: if every ``|score|`` is known to stay below `BOUND`, ``m = 0`` serves as well as the true
maximum, and the passes for maximum, subtraction and rescaling fall away. `is_bounded` proves it with the
Cauchy-Schwarz inequality ``|scale q.k| <= scale |q| |k|``.

Cost per score: one ``exp`` and one addition; in the general case also one maximum and one subtraction.

Invariants: ``total`` and ``attended`` refer to the same ``peak``; ``peak`` is finite, so a hidden score
(-inf) has weight exactly 0; an empty row ends with ``total = 0`` and the result 0.

Source: Milakov and Gimelshein 2018, "Online normalizer calculation for softmax" (arXiv:1805.02867).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# exp(30) times a value times 10^8 keys stays below 3e38, and exp(-30) times a value above 1e-38, with ten
# orders of magnitude to spare for columns of smaller values, when the largest value lies between 1 /
# VALUE_LIMIT and VALUE_LIMIT.
BOUND = 30.0
VALUE_LIMIT = 1e15


class OnlineSoftmax:
    """Running sums for ``n_rows`` queries; ``sinks`` are extra logits, one per row, without a value."""

    def __init__(
        self, n_rows: int, n_features: int, dtype: np.dtype[Any], *, bounded: bool, sinks: Array | None
    ) -> None:
        self.bounded = bounded
        self.is_empty = True
        self.peak = np.full((n_rows, 1), 0.0 if bounded else np.finfo(dtype).min, dtype=dtype)
        self.total = np.zeros((n_rows, 1), dtype=dtype)
        self.attended = np.zeros((n_rows, n_features), dtype=dtype)
        if sinks is not None:
            self.is_empty = False
            if not bounded:
                np.maximum(self.peak, sinks, out=self.peak)
            np.exp(sinks - self.peak, out=self.total)

    def add(self, scores: Array, values: Array) -> None:
        """Take in a tile, ``scores (rows, keys)`` and ``values (keys, features)``.

        The scores become ``exp(score - peak)`` in place.
        """
        if not self.bounded:
            raised = np.maximum(self.peak, scores.max(axis=1, keepdims=True))
            if not self.is_empty:
                rescale = np.exp(self.peak - raised)
                self.total *= rescale
                self.attended *= rescale
            self.peak = raised
            scores -= raised
        np.exp(scores, out=scores)
        # BLAS sums rows three times faster than ``sum``.
        self.total += scores @ np.ones((scores.shape[1], 1), dtype=scores.dtype)
        if self.is_empty:
            np.matmul(scores, values, out=self.attended)
        else:
            self.attended += scores @ values
        self.is_empty = False

    def write(self, out: Array) -> None:
        """``attended / total``; the smallest normal number stands in for the total 0 of an empty row."""
        total = np.maximum(self.total, np.finfo(self.total.dtype).tiny).reshape(*out.shape[:-1], 1)
        np.divide(self.attended.reshape(out.shape), total, out=out, casting="unsafe")


def is_bounded(queries: Array, keys: Array, values: Array, scale: float, softcap: float | None) -> bool:
    """Whether no score can leave [-BOUND, BOUND] and no weighted value can leave the range of float32.

    ``queries (rows, D)`` of any number of heads that share ``keys (Nk, D)`` and ``values (Nk, Dv)``.
    """
    if not queries.size or not keys.size or not values.size:
        return False
    largest_value = max(float(values.max()), -float(values.min()))
    if not 1.0 / VALUE_LIMIT < largest_value < VALUE_LIMIT:  # also false for NaN
        return False
    limit = abs(scale) * _longest(queries) * _longest(keys)
    if not math.isfinite(limit):
        return False
    return min(limit, softcap or math.inf) < BOUND


def _longest(rows: Array) -> float:
    rows = rows.astype(np.result_type(rows.dtype, np.float32), copy=False)
    return math.sqrt(float(np.einsum("...i,...i->...", rows, rows).max()))
