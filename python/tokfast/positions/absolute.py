"""Absolute positions, added to the token vectors: sinusoidal and learned.

Sinusoidal: ``PE[p, 2i] = sin(p / base^(2i / d))`` and ``PE[p, 2i + 1] = cos(...)``: a clock with ``d / 2``
hands, from one turn in 2 pi tokens to one in 2 pi * base. Any position has a vector, and moving by a fixed
distance is a rotation of each hand, the same wherever one stands.

Learned: a table, trained together with the model, that ends where training ended. Asking beyond is an error
here, not a wrapped or clipped row.

Angles are computed in float64: in float32 they are wrong by 1.6e-2 at position 10^6.

Source: Vaswani et al. 2017, section 3.5 (arXiv:1706.03762); interpolation: Chen et al. 2023
(arXiv:2306.15595).
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tokfast.positions._positions import position_array

Array = npt.NDArray[Any]


class PositionLengthError(IndexError, ValueError):
    """A position that a learned table was not trained for."""


def sinusoidal(
    positions: int | npt.ArrayLike,
    dim: int,
    *,
    base: float = 10000.0,
    layout: Literal["interleaved", "split"] = "interleaved",
    offset: int = 0,
    dtype: npt.DTypeLike = np.float32,
) -> Array:
    """Sines and cosines of the position at geometrically spaced frequencies.

    ``angle[p, i] = p / base ** (2 * i / dim)``

    Parameters
    ----------
    positions : int or array_like
        A count ``n`` (positions ``offset .. offset + n - 1``), or the positions themselves, any shape.
    dim : int
        Width of a position vector. Odd widths have one sine more than cosines.
    base : float, default 10000
        The slowest hand turns once in about ``2 * pi * base`` tokens.
    layout : {"interleaved", "split"}
        Columns ``sin, cos, sin, cos, ...`` as in the paper, or all sines followed by all cosines (Marian,
        GPT-J).
    offset : int, default 0
        Added to the positions.
    dtype : dtype, default float32
        Of the result; angles are always float64.

    Returns
    -------
    ndarray, shape ``positions.shape + (dim,)``
        Values in [-1, 1].

    Raises
    ------
    TypeError, ValueError
        If ``positions`` are not numbers, or ``dim``, ``base`` or ``layout`` make no sense.

    References
    ----------
    Vaswani et al. 2017, section 3.5 (arXiv:1706.03762): ``pos`` is the position, ``d_model`` is ``dim``.

    Examples
    --------
    >>> sinusoidal(3, 4).round(3)
    array([[ 0.   ,  1.   ,  0.   ,  1.   ],
           [ 0.841,  0.54 ,  0.01 ,  1.   ],
           [ 0.909, -0.416,  0.02 ,  1.   ]], dtype=float32)
    """
    if dim < 1:
        raise ValueError(f"dim is {dim}; a position vector needs at least 1 column")
    if not base > 0:
        raise ValueError(f"base is {base}; it must be positive")
    where = position_array(positions, offset)
    n_sines = (dim + 1) // 2
    frequencies = base ** (-2.0 * np.arange(n_sines) / dim)
    angles = where[..., None].astype(np.float64) * frequencies
    table = np.empty((*where.shape, dim), dtype=dtype)
    if layout == "interleaved":
        sines, cosines = table[..., 0::2], table[..., 1::2]
    elif layout == "split":
        sines, cosines = table[..., :n_sines], table[..., n_sines:]
    else:
        raise ValueError(f'layout is {layout!r}; give "interleaved" or "split"')
    sines[...] = np.sin(angles)
    cosines[...] = np.cos(angles[..., : dim // 2])
    return table


@dataclass(frozen=True, eq=False)
class LearnedPositions:
    """A trained table of position vectors; called with positions, it gives their rows.

    Parameters
    ----------
    table : array_like, shape (n_positions, d_model)
        Row ``p`` belongs to position ``p``.

    Examples
    --------
    >>> positions = LearnedPositions([[0.0, 0.0], [1.0, 10.0], [2.0, 20.0]])
    >>> positions(2, offset=1)
    array([[ 1., 10.],
           [ 2., 20.]])
    >>> positions(4)
    Traceback (most recent call last):
        ...
    tokfast.positions.absolute.PositionLengthError: positions 0..3 asked, table was trained for 3
    >>> positions.interpolate(5)(5)[:, 0]
    array([0. , 0.5, 1. , 1.5, 2. ])
    """

    table: Any

    def __post_init__(self) -> None:
        table = np.asarray(self.table)
        if table.ndim != 2 or len(table) == 0:
            raise ValueError(f"table has shape {table.shape}; expected (n_positions, d_model)")
        if table.dtype.kind in "biu":
            table = table.astype(np.float32)  # so that rows between two can be interpolated
        if table.dtype.kind != "f" and table.dtype.name != "bfloat16":
            raise TypeError(f"table has dtype {table.dtype}; position vectors are real numbers")
        object.__setattr__(self, "table", table)

    def __len__(self) -> int:
        return len(self.table)

    def __call__(self, positions: int | npt.ArrayLike, offset: int = 0) -> Array:
        """Rows of the table: shape ``positions.shape + (d_model,)``.

        Raises
        ------
        PositionLengthError
            If a position is negative or was never trained.
        TypeError
            For fractional positions; `interpolate` first.
        """
        where = position_array(positions, offset)
        if where.dtype.kind == "f":
            raise TypeError("positions are floats, a learned table has rows for whole positions; interpolate it first")
        if where.size and (where.min() < 0 or where.max() >= len(self.table)):
            raise PositionLengthError(
                f"positions {where.min()}..{where.max()} asked, table was trained for {len(self.table)}"
            )
        return np.asarray(self.table[where])

    def interpolate(self, n_positions: int) -> LearnedPositions:
        """Stretch the table linearly over more (or fewer) positions; the first and the last row stay.

        Position ``p`` of the new table is ``p * (old - 1) / (new - 1)`` of the old one. A model needs some
        training on the stretched table before it uses it well.
        """
        if operator.index(n_positions) < 1:
            raise ValueError(f"n_positions is {n_positions}; a table needs at least 1 row")
        table = self.table.astype(np.result_type(self.table.dtype, np.float32), copy=False)
        where = np.linspace(0.0, len(table) - 1.0, n_positions)
        below = np.minimum(where.astype(np.int64), max(len(table) - 2, 0))
        above = np.minimum(below + 1, len(table) - 1)
        share = (where - below)[:, None].astype(table.dtype)
        stretched = table[below] * (1 - share) + table[above] * share
        return LearnedPositions(stretched.astype(self.table.dtype, copy=False))
