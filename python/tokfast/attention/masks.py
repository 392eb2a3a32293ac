"""Which keys a query may see: causal, sliding window, and the position offset they share.

A query at row ``i`` of ``q`` stands at *position* ``p = i + offset`` among the keys. Everything else follows:

- causal: key ``j`` is visible when ``j <= p``;
- window ``(left, right)``: visible when ``p - left <= j <= p + right``, where -1 leaves a side open.
  The window includes the query's own position besides ``left`` and ``right`` neighbours, so a model
  card's "sliding window of W tokens" is ``left = W - 1``.

The offset is 0 when queries and keys are the same tokens, and ``n_keys - n_queries`` when the queries are the
last ones of a longer key sequence (decoding with a cache). Guessing between the two is the most damaging
silent error in this field: frameworks disagree about it, so `scaled_dot_product_attention` asks.

Masks here are True where a key may be attended. Note that ``torch.nn.MultiheadAttention`` means the opposite.
"""

from __future__ import annotations

import operator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# Assigning where a mask is true costs four times as much per score as assigning to a rectangle: so small triangles.
TRIANGLE = ~np.tri(64, dtype=np.bool_)


def causal_mask(q_len: int, k_len: int, offset: int = 0) -> npt.NDArray[np.bool_]:
    """Mask of shape ``(q_len, k_len)``: True where ``key <= query + offset``.

    Parameters
    ----------
    q_len, k_len : int
        Number of queries and of keys.
    offset : int, default 0
        Position of the first query among the keys. With a cache of earlier keys it is ``k_len - q_len``.
        May be negative: the leading rows are then all False.

    Returns
    -------
    ndarray of bool
        Row ``i`` sees keys ``0 .. i + offset``.

    Raises
    ------
    ValueError
        If a length is negative.

    Examples
    --------
    >>> causal_mask(2, 4, offset=2).astype(int)
    array([[1, 1, 1, 0],
           [1, 1, 1, 1]])
    """
    if operator.index(q_len) < 0 or operator.index(k_len) < 0:
        raise ValueError(f"q_len is {q_len} and k_len is {k_len}; lengths must not be negative")
    return np.tri(q_len, k_len, operator.index(offset), dtype=np.bool_)


class Band(NamedTuple):
    """Keys ``position - left .. position + right``; None leaves a side open."""

    left: int | None
    right: int | None

    @property
    def is_open(self) -> bool:
        """True when the band hides nothing."""
        return self.left is None and self.right is None

    def first_key(self, position: int) -> int:
        """Return the first key that a query at this position may see."""
        return 0 if self.left is None else max(position - self.left, 0)

    def end_key(self, position: int, n_keys: int) -> int:
        """One past the last key that a query at this position may see."""
        return n_keys if self.right is None else min(max(position + self.right + 1, 0), n_keys)

    def hides(self, first_position: int, last_position: int, first_key: int, end_key: int) -> bool:
        """Whether any query at these positions must not see one of the keys ``first_key .. end_key - 1``."""
        return (self.right is not None and end_key - 1 > first_position + self.right) or (
            self.left is not None and first_key < last_position - self.left
        )

    def hide(self, scores: Array, first_position: int, first_key: int, value: float = -np.inf) -> None:
        """Set what the band hides to ``value``: -inf for scores, 0 for weights.

        ``scores (..., rows, keys)``: row 0 stands at ``first_position``, column 0 is key ``first_key``. Assigning
        instead of adding or multiplying keeps a NaN or infinity in a hidden score from reaching the result.
        """
        n_rows, n_keys = scores.shape[-2:]
        if self.right is not None:
            _hide_above(scores, first_position + self.right - first_key, value)
        if self.left is not None:
            # The same from the other end: with rows and keys reversed, what lies left lies right.
            last_key, last_position = first_key + n_keys - 1, first_position + n_rows - 1
            _hide_above(scores[..., ::-1, ::-1], last_key - (last_position - self.left), value)


def _hide_above(scores: Array, diagonal: int, value: float) -> None:
    """Set ``scores[..., i, j]`` to ``value`` where ``j - i > diagonal``: triangles, and rectangles beside them."""
    step = len(TRIANGLE)
    scores[..., : max(-diagonal, 0), :] = value
    corner = scores[..., max(-diagonal, 0) :, max(diagonal, 0) :]  # its own diagonal is the last that is seen
    length = min(corner.shape[-2:])
    n_squares = length // step
    end = n_squares * step
    squares = corner[..., :end, :end].reshape(*corner.shape[:-2], n_squares, step, n_squares, step)
    np.copyto(np.einsum("...iaib->...iab", squares), value, where=TRIANGLE)
    last = corner[..., end : end + step, end : end + step]
    np.copyto(last, value, where=TRIANGLE[: last.shape[-2], : last.shape[-1]])
    for top in range(0, length, step):
        corner[..., top : top + step, top + step :] = value


def constant_diagonals(line: Array, n_rows: int, n_columns: int) -> Array:
    """View ``line`` as the matrix ``m[i, j] = line[n_rows - 1 - i + j]``, without building it.

    A function of ``key - position`` is constant along diagonals, so its ``n_rows + n_columns - 1`` values are
    all.
    """
    step = line.itemsize
    return np.ndarray((n_rows, n_columns), line.dtype, line, (n_rows - 1) * step, (-step, step))


def band(*, is_causal: bool, window: tuple[int, int] | None) -> Band:
    """Combine the causal rule and a window into one band."""
    left: int | None = None
    right: int | None = None
    if window is not None:
        sides = np.asarray(window)
        if sides.shape != (2,) or sides.dtype.kind not in "iu" or sides.min() < -1:
            raise ValueError(f"window is {window!r}; give (left, right), each a number of keys or -1 for unbounded")
        left, right = (None if side == -1 else side for side in sides.tolist())
    if is_causal:
        right = 0
    return Band(left, right)
