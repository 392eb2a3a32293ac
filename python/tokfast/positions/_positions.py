"""The two ways to say which positions: a count, or the positions themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def position_array(positions: int | npt.ArrayLike, offset: int) -> npt.NDArray[Any]:
    """Turn a count ``n`` into ``offset .. offset + n - 1``; add the offset to given positions.

    Integers stay integers; fractional positions (interpolation) are allowed where the caller allows them.
    """
    if isinstance(positions, (int, np.integer)):
        if positions < 0:
            raise ValueError(f"{positions} positions asked; give a count of at least 0, or an array of positions")
        return np.arange(int(positions)) + offset
    array = np.asarray(positions)
    if array.size == 0:
        return array.astype(np.int64)
    if array.dtype.kind not in "iuf":
        raise TypeError(f"positions have dtype {array.dtype}; give integers, or floats for interpolated positions")
    return array + offset if offset else array
