"""Softmax-weighted sum of values whose scores arrive tile by tile.

Naive: wait for all scores of a row, then ``softmax(scores) @ values``.

Idea: softmax does not change when one number, the *peak*, is subtracted from all scores of a row. So two sums over the
tiles do, ``total = sum exp(score - peak)`` and ``attended = sum exp(score - peak) value``: the result is ``attended /
total``, wherever the tiles end. The peak need not be the maximum, it must only keep the sums within the range of the
dtype. Hence two ways:

- *without peak*: it is 0, so nothing is searched and nothing subtracted. Scores of trained models are small enough in
  almost every row, and the totals tell afterwards: within ``TOTALS``, nothing has overflown and nothing that counts
  was lost (`OnlineSoftmax.is_sound`). Otherwise the block is done again the other way;
- *with peak*: the maximum of the first tile. Every other tile is searched, but only one that exceeds the peak by more
  than ``LEEWAY`` raises it, and multiplies both sums by ``exp(old - new)``. Until then the peak is known before the
  scores are, so that the product which makes them can subtract it (`_blocks`).

Cost per score: one ``exp`` and one addition; with peaks one maximum and one minimum besides.

Invariants: ``total`` and ``attended`` refer to the same ``peak``; a hidden score has weight exactly 0; an empty row
ends with the result 0.

Sources: Milakov and Gimelshein 2018, "Online normalizer calculation for softmax" (arXiv:1805.02867); the peak that is
raised late only: FlashAttention-4, https://github.com/Dao-AILab/flash-attention.
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
LEEWAY = 60.0
FLUSH = -80.0


class OnlineSoftmax:
    """Running sums for up to ``max_rows`` queries, in memory that serves one block of rows after the other."""

    def __init__(self, max_rows: int, max_keys: int, n_features: int, dtype: np.dtype[Any], unit: float) -> None:
        self._exp: np.ufunc = np.exp if unit == 1.0 else np.exp2
        self._lowest_score = dtype.type(FLUSH * unit)
        self._lowest_weight = self._exp(self._lowest_score)
        self._leeway = dtype.type(LEEWAY * unit)
        self._columns = np.empty((3, max_rows, 1), dtype=dtype)
        self._matrices = np.empty((2, max_rows, n_features), dtype=dtype)
        self._rows = np.arange(max_rows)
        self._ones = np.ones((max_keys, 1), dtype=dtype)
        self._limits = np.finfo(dtype)

    def start(self, n_heads: int, n_rows: int, *, has_peak: bool, sinks: Array | None) -> None:
        """Forget the last block. ``sinks (heads, rows, 1)`` are extra logits without a value."""
        count = n_heads * n_rows
        self.peak, self.total, self._part = self._columns[:, :count].reshape(3, n_heads, n_rows, 1)
        self.attended, self._product = self._matrices[:, :count].reshape(2, n_heads, n_rows, -1)
        self.is_empty, self.has_peak, self.has_unseen, self.sinks = True, has_peak, True, sinks
        if has_peak:
            self.peak[...] = 0.0
        elif sinks is not None:
            self.total[...] = self._exp(sinks)

    def raise_peak(self, scores: Array, *, is_relative: bool, has_leeway: bool) -> None:
        """Raise the peaks if a tile ``scores (heads, rows, keys)`` demands it, and subtract them from it, in place.

        ``is_relative``: the peaks as they are were subtracted already. ``has_leeway``, for such scores only: peaks need
        not be raised for little. A row that saw nothing yet takes the largest score of the tile, or its sink, whatever
        that is.
        """
        flat = scores.reshape(-1, scores.shape[-1])  # finding the maximum takes numpy half as long as computing it
        largest = flat[self._rows[: len(flat)], flat.argmax(axis=1)].reshape(self.peak.shape)
        if not is_relative:
            largest = largest - self.peak
        if self.is_empty:
            rise = largest if self.sinks is None else np.maximum(largest, self.sinks)
        else:
            if has_leeway and not self.has_unseen and largest.max() <= self._leeway:
                return
            rise = np.maximum(largest, 0.0)
            if self.has_unseen:
                rise = np.where(self.total == 0.0, largest, rise)
        is_seen = rise > -np.inf
        self.has_unseen = not is_seen.all()
        if self.has_unseen:
            rise = np.where(is_seen, rise, self.peak.dtype.type(0.0))
        self.peak += rise
        scores -= rise if is_relative else self.peak
        if not self.is_empty:
            rescale = self._exp(-np.maximum(rise, 0.0))  # a fall has nothing to multiply
            self.total *= rescale
            self.attended *= rescale
        elif self.sinks is not None:
            self.total[...] = self._exp(self.sinks - self.peak)

    def exponentiate(self, scores: Array, *, floor: bool, flush: bool) -> None:
        """Scores to weights, in place, none below ``exp(FLUSH)`` on the ``floor``; flushed, those there are exactly 0.

        Beside a total of 1 such a weight is nothing, but a denormal one costs some processors hundreds of cycles in
        every product: with 7 % of them the product with the values takes 17 times as long.
        """
        if floor or flush:
            np.maximum(scores, self._lowest_score, out=scores)
        self._exp(scores, out=scores)
        if flush:
            scores -= self._lowest_weight

    def add(self, weights: Array, values: Array) -> None:
        """Take in a tile, ``weights = exp(scores - peak)``, and its ``values (heads, keys, features)``."""
        # BLAS sums rows three times faster than ``sum``.
        ones = self._ones[: weights.shape[-1]]
        if self.sinks is not None or not self.is_empty:
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
