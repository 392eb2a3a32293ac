"""Softmax that survives large scores and empty rows.

Naive: ``exp(x) / exp(x).sum()``, which overflows in float32 as soon as one score passes 88.

Idea: softmax does not change when the same number is subtracted from every score, so subtract the maximum;
the largest term is then exactly 1 and the sum lies between 1 and the number of scores.

A row without any visible score (all ``-inf``, or nothing under ``where``) has no distribution to return. It
gives zeros, never NaN and never the uniform distribution: what attends to nothing receives nothing. Two
``maximum`` calls do this without a branch, see the comments below.

Cost: O(size) time; one copy of the input unless ``out`` is given.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def softmax(x: npt.ArrayLike, axis: int = -1, *, where: npt.ArrayLike | None = None, out: Array | None = None) -> Array:
    """Exponentials of ``x`` divided by their sum along one axis.

    ``softmax(x)_i = exp(x_i - max(x)) / sum_j exp(x_j - max(x))``

    Parameters
    ----------
    x : array_like
        Scores of any shape. Integers are taken as float64; float16 and bfloat16 are computed in float32.
    axis : int, default -1
        The axis that sums to 1.
    where : array_like of bool, optional
        True where a score takes part, broadcast against ``x``; the others get weight 0.
    out : ndarray, optional
        Receives the result; may be ``x`` itself.

    Returns
    -------
    ndarray
        Same shape as ``x`` and, for floating input, the same dtype. A row with nothing to attend is all
        zeros.

    Raises
    ------
    TypeError
        If ``x`` does not hold real numbers, or ``out`` cannot hold them.
    ValueError
        If ``x`` has no axis, or ``out`` another shape than the result.

    References
    ----------
    Bridle 1990, "Probabilistic interpretation of feedforward classification network outputs".

    Examples
    --------
    >>> softmax([0.0, 0.0, -np.inf])
    array([0.5, 0.5, 0. ])
    >>> softmax([1000.0, 1000.0])
    array([0.5, 0.5])
    >>> softmax([-np.inf, -np.inf])
    array([0., 0.])
    """
    scores = np.asarray(x)
    if scores.dtype.kind not in "biuf" and scores.dtype.name != "bfloat16":
        raise TypeError(f"x has dtype {scores.dtype}; softmax needs real numbers")
    if scores.ndim == 0:
        raise ValueError("x is a single number; softmax needs an axis that sums to 1")
    result_dtype = np.dtype(np.float64) if scores.dtype.kind in "biu" else scores.dtype
    compute_dtype = np.result_type(result_dtype, np.float32)
    if where is None:
        exponentials = scores.astype(compute_dtype)
    else:
        exponentials = np.where(where, scores, -np.inf).astype(compute_dtype, copy=False)
    normalize(exponentials, axis)
    if out is None:
        return exponentials.astype(result_dtype, copy=False)
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out is a {type(out).__name__}; give an ndarray of shape {exponentials.shape}")
    if out.shape != exponentials.shape:
        raise ValueError(f"out has shape {out.shape}, but the result has shape {exponentials.shape}")
    np.copyto(out, exponentials, casting="same_kind")
    return out


def normalize(scores: Array, axis: int = -1) -> None:
    """Turn a float32 or float64 array of scores into weights, in place."""
    limits = np.finfo(scores.dtype)
    peak = scores.max(axis=axis, keepdims=True, initial=-np.inf)
    # An empty row has peak -inf, and -inf - -inf is NaN. Raised to the most negative finite number, its terms
    # become exp(-inf) = 0. Other peaks are above it already.
    np.maximum(peak, limits.min, out=peak)
    np.subtract(scores, peak, out=scores)
    np.exp(scores, out=scores)
    total = scores.sum(axis=axis, keepdims=True)
    # Any other row contains the term exp(0) = 1, so this only turns the 0 / 0 of empty rows into 0.
    np.maximum(total, limits.tiny, out=total)
    np.divide(scores, total, out=scores)
