"""Softmax-weighted sum of values whose scores arrive tile by tile.

Naive: wait for all scores of a row, then ``softmax(scores) @ values``.

Idea: softmax does not change when one number, the *peak*, is subtracted from all scores of a row. So two sums over the
tiles do, ``total = sum exp(score - peak)`` and ``attended = sum exp(score - peak) value``: the result is ``attended /
total``, wherever the tiles end. The peak need not be the maximum, it must only keep the sums within the range of the
dtype. Hence two ways:

- *without peak*: it is 0, so nothing is searched and nothing subtracted. Scores of trained models are small enough in
  almost every row, and the totals tell afterwards: within ``TOTALS``, nothing has overflown and nothing that counts
  was lost (`OnlineSoftmax.is_sound`). Otherwise the block is done again the other way;
- *with peak*: the largest score so far. A tile that raises it first multiplies both sums by ``exp(old - new)``.

Cost per score: one ``exp`` and one addition; with peaks one maximum, one subtraction and the flushing besides.

Invariants: ``total`` and ``attended`` refer to the same ``peak``; a hidden score has weight exactly 0; an empty row
ends with the result 0.

Source: Milakov and Gimelshein 2018, "Online normalizer calculation for softmax" (arXiv:1805.02867).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# Without peak a row's total must lie here. exp(60) = 1e26 times a value below 1e6 stays far below 3e38; a total of
# exp(-40) is 1e17 times what `exponentiate` drops per key.
TOTALS = math.exp(-40.0), math.exp(60.0)
VALUE_LIMIT = 1e6
FLUSH = -80.0


class OnlineSoftmax:
    """Running sums for up to ``max_rows`` queries, in memory that serves one block of rows after the other."""

    def __init__(self, max_rows: int, max_keys: int, n_features: int, dtype: np.dtype[Any], unit: float) -> None:
        self._exp: np.ufunc = np.exp if unit == 1.0 else np.exp2
        self._lowest_score = dtype.type(FLUSH * unit)
        self._lowest_weight = self._exp(self._lowest_score)
        self._columns = np.empty((3, max_rows, 1), dtype=dtype)
        self._matrices = np.empty((2, max_rows, n_features), dtype=dtype)
        self._ones = np.ones((max_keys, 1), dtype=dtype)
        self._limits = np.finfo(dtype)

    def start(self, n_heads: int, n_rows: int, *, has_peak: bool, sinks: Array | None) -> None:
        """Forget the last block. ``sinks (heads, rows, 1)`` are extra logits without a value."""
        count = n_heads * n_rows
        self.peak, self.total, self._part = self._columns[:, :count].reshape(3, n_heads, n_rows, 1)
        self.attended, self._product = self._matrices[:, :count].reshape(2, n_heads, n_rows, -1)
        self.is_empty, self.has_peak, self.has_sinks = True, has_peak, sinks is not None
        if has_peak:
            self.peak[...] = -np.inf if sinks is None else sinks
        if sinks is not None:
            self.total[...] = np.isfinite(sinks) if has_peak else self._exp(sinks)

    def subtract_peak(self, scores: Array) -> None:
        """Raise the peaks to the maxima of a tile ``scores (heads, rows, keys)``; subtract them from it, in place."""
        raised = np.maximum(self.peak, np.maximum.reduce(scores, axis=-1, keepdims=True))
        # The finite stand-in for the peak of a row that saw nothing yet: -inf - -inf would be NaN.
        finite = np.maximum(raised, self._limits.min)
        rescale = self._exp(self.peak - finite)
        if self.has_sinks or not self.is_empty:
            self.total *= rescale
        if not self.is_empty:
            self.attended *= rescale
        scores -= finite
        self.peak[...] = raised

    def exponentiate(self, scores: Array, *, flush: bool) -> None:
        """Scores to weights, in place; flushed, what would be below ``exp(FLUSH)`` is exactly 0.

        Beside a total of 1 such a weight is nothing, but a denormal one costs some processors hundreds of cycles in
        every product: with 7 % of them the product with the values takes 17 times as long.
        """
        if flush:
            np.maximum(scores, self._lowest_score, out=scores)
        self._exp(scores, out=scores)
        if flush:
            scores -= self._lowest_weight

    def add(self, weights: Array, values: Array) -> None:
        """Take in a tile, ``weights = exp(scores - peak)``, and its ``values (heads, keys, features)``."""
        # BLAS sums rows three times faster than ``sum``.
        ones = self._ones[: weights.shape[-1]]
        if self.has_sinks or not self.is_empty:
            self.total += np.matmul(weights, ones, out=self._part)
        else:
            np.matmul(weights, ones, out=self.total)
        if self.is_empty:
            np.matmul(weights, values, out=self.attended)
            self.is_empty = False
        else:
            self.attended += np.matmul(weights, values, out=self._product)

    def is_sound(self) -> bool:
        """Whether the sums without peak are as good as those with; false for NaN, and for rows that saw nothing."""
        if self.is_empty:
            return False
        least, most = TOTALS
        return bool(
            np.minimum.reduce(self.total, axis=None) >= least and np.maximum.reduce(self.total, axis=None) <= most
        )

    def write(self, out: Array) -> None:
        """``attended / total``; the smallest normal number stands in for the total 0 of an empty row."""
        if self.is_empty:
            out[...] = 0
            return
        if self.has_peak:
            np.maximum(self.total, self._limits.tiny, out=self.total)
        total = self.total.reshape(*out.shape[:-1], 1)
        np.divide(self.attended.reshape(out.shape), total, out=out, casting="unsafe")
