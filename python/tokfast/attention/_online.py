"""Softmax-weighted sum of values whose scores arrive tile by tile.

Naive: wait for all scores of a row, then ``softmax(scores) @ values``.

Idea: keep three things per row: the largest score so far ``m`` (`peak`), ``l = sum exp(score - m)`` (`total`)
and ``acc = sum exp(score - m) * value`` (`attended`). A tile that raises ``m`` first multiplies both sums by
``exp(m_old - m_new)``; the result ``acc / l`` does not depend on where the tiles end.

The peak need not be the maximum: any number within `BOUND` of it serves as well, and 0 is such a number for
almost every row of a trained model. So there are three loops (`Loop`), chosen per head by `which_loop`:

- bounded: the Cauchy-Schwarz inequality ``|scale q.k| <= scale |q| |k|`` proves that every ``|score|`` stays
  below `BOUND`. The peak is 0, and no pass over the scores looks for a maximum;
- loose: each tile is searched for its maxima, but the peak moves only when a row's maximum is more than
  `BOUND` away from it, and subtraction and rescaling happen only then;
- exact: the peak is the maximum. For values near the ends of float32, and for few queries, where the proof
  costs as much as the attention.

Cost per score: one ``exp`` and one addition; one maximum unless bounded; one subtraction once a peak moved.

Invariants: ``total`` and ``attended`` refer to the same ``peak``; ``peak`` is finite, so a hidden score
(-inf) has weight exactly 0; ``total`` is 0 for rows that saw nothing yet and at least ``exp(-BOUND)`` for
others; an empty row ends with the result 0.

Source: Milakov and Gimelshein 2018, "Online normalizer calculation for softmax" (arXiv:1805.02867).
"""

from __future__ import annotations

import enum
import math
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# exp(60) = 1e26 times a value below 1e6, summed over a million keys, stays below 3e38; exp(-60) times a value
# above 1e-6 stays above 1e-38, with six orders of magnitude to spare for columns of smaller values.
BOUND = 60.0
VALUE_LIMIT = 1e6


class Loop(enum.Enum):
    """How the peak of a row is found, from least to most work."""

    BOUNDED = enum.auto()
    LOOSE_PEAK = enum.auto()
    EXACT_PEAK = enum.auto()


class OnlineSoftmax:
    """Running sums for up to ``max_rows`` queries, in memory that serves one block of rows after the other."""

    def __init__(self, max_rows: int, max_keys: int, n_features: int, dtype: np.dtype[Any]) -> None:
        self._columns = np.empty((3, max_rows, 1), dtype=dtype)
        self._matrices = np.empty((2, max_rows, n_features), dtype=dtype)
        self._ones = np.ones((max_keys, 1), dtype=dtype)
        self._limits = np.finfo(dtype)

    def start(self, n_rows: int, *, loop: Loop, sinks: Array | None, out: Array) -> None:
        """Forget the last block. ``sinks (n_rows, 1)`` are extra logits without a value.

        ``out`` is where `write` will put the result; where it can, the running sum is kept there already.
        """
        self.peak, self.total, self._part = self._columns[:, :n_rows]
        self.attended, self._product = self._matrices[:, :n_rows]
        if out.dtype == self._limits.dtype and out.flags.c_contiguous:
            self.attended = out.reshape(n_rows, out.shape[-1])
        self.is_bounded, self.slack = loop is Loop.BOUNDED, 0.0 if loop is Loop.EXACT_PEAK else BOUND
        self.is_empty, self.is_shifted = True, False
        if not self.is_bounded:
            self.peak.fill(0.0)
        self.total.fill(0.0)
        if sinks is not None:
            if self.is_bounded:
                np.exp(sinks, out=self.total)
            else:
                np.copyto(self.peak, sinks, where=np.isfinite(sinks))
                self.is_shifted = True
                np.exp(sinks - self.peak, out=self.total)

    def add(self, scores: Array, values: Array) -> None:
        """Take in a tile, ``scores (rows, keys)`` and ``values (keys, features)``.

        The scores become ``exp(score - peak)`` in place.
        """
        if not self.is_bounded:
            self._subtract_peak(scores)
        np.exp(scores, out=scores)
        # BLAS sums rows three times faster than ``sum``.
        self.total += np.matmul(scores, self._ones[: scores.shape[1]], out=self._part)
        if self.is_empty:
            np.matmul(scores, values, out=self.attended)
            self.is_empty = False
        else:
            self.attended += np.matmul(scores, values, out=self._product)

    def _subtract_peak(self, scores: Array) -> None:
        """Move the peak if a row needs it, and subtract it if it is not 0 everywhere."""
        top = np.maximum.reduce(scores, axis=1, keepdims=True)
        above = top - self.peak if self.is_shifted else top
        if above.max() > self.slack or (above.min() < -self.slack and not self.total.all()):
            self._raise_peak(top)
        if self.is_shifted:
            scores -= self.peak

    def _raise_peak(self, top: Array) -> None:
        """Make ``top`` the peak of rows that saw nothing yet, and of others where it is higher."""
        # The finite stand-in for the top of a row that sees nothing: -inf - -inf would be NaN.
        raised = np.maximum(top, self._limits.min)
        has_seen = self.total > 0
        if has_seen.any():
            np.maximum(raised, self.peak, out=raised, where=has_seen)
            rescale = np.exp(self.peak - raised, out=np.ones_like(raised), where=has_seen)
            self.total *= rescale
            if not self.is_empty:
                self.attended *= rescale
        self.peak[...] = raised
        self.is_shifted = True

    def write(self, out: Array) -> None:
        """``attended / total``; the smallest normal number stands in for the total 0 of an empty row."""
        if self.is_empty:
            out[...] = 0
            return
        np.maximum(self.total, self._limits.tiny, out=self.total)
        total = self.total.reshape(*out.shape[:-1], 1)
        np.divide(self.attended.reshape(out.shape), total, out=out, casting="unsafe")


def which_loop(queries: Array, keys: Array, values: Array, scale: float, softcap: float | None) -> Loop:
    """Choose how little the running softmax may do and still stay within float32.

    ``queries (rows, D)`` of any number of heads that share ``keys (Nk, D)`` and ``values (Nk, Dv)``.
    """
    if not queries.size or not keys.size or not values.size:
        return Loop.EXACT_PEAK
    values = values.astype(np.result_type(values.dtype, np.float32), copy=False)
    size = math.sqrt(float(np.einsum("ij,ij->", values, values)))  # at least the largest value, in one pass
    if not 1.0 / VALUE_LIMIT < size < VALUE_LIMIT:  # also false for NaN
        return Loop.EXACT_PEAK
    limit = abs(scale) * _longest(queries) * _longest(keys)
    if not math.isfinite(limit):
        return Loop.EXACT_PEAK
    return Loop.BOUNDED if min(limit, softcap or math.inf) < BOUND else Loop.LOOSE_PEAK


def _longest(rows: Array) -> float:
    rows = rows.astype(np.result_type(rows.dtype, np.float32), copy=False)
    return math.sqrt(float(np.einsum("...i,...i->...", rows, rows).max()))
