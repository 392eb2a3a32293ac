"""Relative positions, added to the attention scores: ALiBi and T5 buckets.

ALiBi: a penalty ``-slope * (position - key)`` that grows with the distance, a different slope per head.
Nothing is learned, and lengths never seen in training only mean larger distances. It is meant for causal
attention: for keys *after* the query the same formula is a bonus.

T5: distances fall into buckets, exact for near keys and logarithmic for far ones; each (bucket, head) has a
learned number. T5 does not divide its scores by ``sqrt(d_k)``.

Sources: Press et al. 2021 (ALiBi, arXiv:2108.12409); Raffel et al. 2019 (T5, arXiv:1910.10683), bucket rule
as in the released code.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def alibi_slopes(n_heads: int) -> npt.NDArray[np.float64]:
    """One slope per head: ``2 ** (-8 k / n)`` for ``k = 1 .. n`` when ``n`` is a power of two.

    For other head counts, the slopes of the next power of two are taken, every second one first: k = 2, 4, 6,
    ..., then k = 1, 3, 5, ... This is the order of the authors' code and of the models trained with it
    (Bloom, MPT).

    Parameters
    ----------
    n_heads : int
        Number of query heads.

    Returns
    -------
    ndarray of float64, shape (n_heads,)
        Positive slopes.

    Raises
    ------
    ValueError
        If there is no head.

    References
    ----------
    Press et al. 2021, section 3 (arXiv:2108.12409).

    Examples
    --------
    >>> alibi_slopes(4)
    array([0.25      , 0.0625    , 0.015625  , 0.00390625])
    >>> alibi_slopes(3)
    array([0.0625    , 0.00390625, 0.25      ])
    """
    if operator.index(n_heads) < 1:
        raise ValueError(f"n_heads is {n_heads}; there is a slope per head, so give at least 1")
    power = 1 << (n_heads - 1).bit_length()
    slopes = 2.0 ** (-8.0 * np.arange(1, power + 1) / power)
    if power == n_heads:
        return slopes
    return np.concatenate([slopes[1::2], slopes[0::2]])[:n_heads]


def alibi_bias(n_heads: int, q_len: int, k_len: int, offset: int = 0, dtype: npt.DTypeLike = np.float32) -> Array:
    """``slope[h] * (key - position)`` with ``position = query + offset``, to be added to the scores.

    Parameters
    ----------
    n_heads, q_len, k_len : int
        Heads, queries and keys.
    offset : int, default 0
        Position of the first query among the keys; ``k_len - q_len`` when decoding with a cache.
    dtype : dtype, default float32
        Of the result.

    Returns
    -------
    ndarray, shape (n_heads, q_len, k_len)
        0 on the query's own key, negative before it. Combine it with ``is_causal=True``.
        ``scaled_dot_product_attention(alibi_slopes=...)`` adds the same numbers without this array.

    Raises
    ------
    ValueError
        If a length is negative, or there is no head.

    References
    ----------
    Press et al. 2021 (arXiv:2108.12409); ``m`` of the paper is the slope.

    Examples
    --------
    >>> alibi_bias(2, 2, 3, offset=1)[0]
    array([[-0.0625,  0.    ,  0.0625],
           [-0.125 , -0.0625,  0.    ]], dtype=float32)
    """
    return (alibi_slopes(n_heads)[:, None, None] * _distances(q_len, k_len, offset)).astype(dtype)


def _distances(q_len: int, k_len: int, offset: int) -> Array:
    """``key - position`` of every query and key, shape ``(q_len, k_len)``."""
    if operator.index(q_len) < 0 or operator.index(k_len) < 0:
        raise ValueError(f"q_len is {q_len} and k_len is {k_len}; lengths must not be negative")
    distances: Array = np.arange(k_len) - (np.arange(q_len) + operator.index(offset))[:, None]
    return distances


def t5_buckets(
    relative_position: npt.ArrayLike,
    *,
    bidirectional: bool = True,
    n_buckets: int = 32,
    max_distance: int = 128,
) -> npt.NDArray[np.int64]:
    """Bucket of each relative position ``key - query``.

    Half of the (remaining) buckets hold the distances ``0, 1, 2, ...`` exactly; the other half is spaced
    logarithmically up to ``max_distance``, and everything farther falls into the last one.

    Parameters
    ----------
    relative_position : array_like of int
        Key position minus query position.
    bidirectional : bool, default True
        True for encoders: keys after the query use the upper half of the buckets. False for decoders: they
        share bucket 0.
    n_buckets, max_distance : int
        Settings of the model.

    Returns
    -------
    ndarray of int64
        Same shape, values in ``0 .. n_buckets - 1``.

    Raises
    ------
    TypeError
        If the positions are not integers.
    ValueError
        For too few buckets, or a ``max_distance`` within the exact ones.

    References
    ----------
    Raffel et al. 2019 (arXiv:1910.10683), section 2.1, and the released code.

    Examples
    --------
    >>> t5_buckets([-200, -9, -8, -1, 0, 1, 8, 200])
    array([15,  8,  8,  1,  0, 17, 24, 31])
    """
    if operator.index(n_buckets) < (4 if bidirectional else 2):
        raise ValueError(f"n_buckets is {n_buckets}; give at least {4 if bidirectional else 2}")
    given = np.asarray(relative_position)
    if given.dtype.kind not in "iu" and given.size:
        raise TypeError(f"relative_position has dtype {given.dtype}; buckets are of whole distances")
    relative = given.astype(np.int64)
    buckets = np.zeros(relative.shape, dtype=np.int64)
    if bidirectional:
        n_buckets //= 2
        buckets += np.where(relative > 0, n_buckets, 0)
        distance = np.abs(relative)
    else:
        distance = np.maximum(-relative, 0)
    n_exact = n_buckets // 2
    if max_distance <= n_exact:
        raise ValueError(
            f"max_distance is {max_distance}; it must exceed {n_exact}, the distances with their own bucket"
        )
    far = np.log(np.maximum(distance, n_exact) / n_exact) / math.log(max_distance / n_exact) * (n_buckets - n_exact)
    logarithmic = np.minimum(n_exact + far.astype(np.int64), n_buckets - 1)
    return buckets + np.where(distance < n_exact, distance, logarithmic)


def t5_bias(
    table: npt.ArrayLike,
    q_len: int,
    k_len: int,
    offset: int = 0,
    *,
    bidirectional: bool = True,
    max_distance: int = 128,
) -> Array:
    """Learned bias per bucket and head, spread over a score matrix.

    Parameters
    ----------
    table : array_like, shape (n_buckets, n_heads)
        The learned numbers.
    q_len, k_len, offset : int
        As in `alibi_bias`.
    bidirectional, max_distance
        As in `t5_buckets`.

    Returns
    -------
    ndarray, shape (n_heads, q_len, k_len)
        An additive ``mask`` for `tokfast.attention.scaled_dot_product_attention`, together with
        ``scale=1.0``.

    Raises
    ------
    ValueError
        If ``table`` is not a matrix, a length is negative, or for the settings that `t5_buckets` refuses.

    Examples
    --------
    >>> import numpy as np
    >>> t5_bias(np.arange(8.0)[:, None], 2, 3)[0]
    array([[0., 5., 6.],
           [1., 0., 5.]])
    """
    numbers = np.asarray(table)
    if numbers.ndim != 2:
        raise ValueError(f"table has shape {numbers.shape}; expected (n_buckets, n_heads)")
    distances = _distances(q_len, k_len, offset)
    buckets = t5_buckets(distances, bidirectional=bidirectional, n_buckets=numbers.shape[0], max_distance=max_distance)
    return np.moveaxis(numbers[buckets], -1, 0)
