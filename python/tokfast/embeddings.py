"""Token ids to vectors: a row of a table per id.

Naive: multiply a one-hot matrix with the table, O(n vocab_size d_model). That is what an embedding *is*, and
why it trains like a linear layer; `one_hot` is here to show it.

Idea: a product with a one-hot row only picks a row, so pick it: O(n d_model). The two are equal bit for bit,
because adding zeros changes nothing.

Invariant: an id is never reinterpreted. numpy would take -1 as the last row; here it is an error that names
the id.

Source: Bengio et al. 2003, "A neural probabilistic language model" (the matrix C); the sum with position
vectors is section 3.4-3.5 of Vaswani et al. 2017 (arXiv:1706.03762).
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import numpy.typing as npt

from tokfast._errors import TokenIdError

Array = npt.NDArray[Any]

__all__ = ["TokenIdRangeError", "embed", "embed_with_positions", "one_hot"]


class TokenIdRangeError(TokenIdError, IndexError):
    """A token id outside ``0 .. vocab_size - 1``; also a ``ValueError``, as every `tokfast.TokenIdError`."""


def embed(ids: npt.ArrayLike, E: npt.ArrayLike) -> Array:
    """Rows of the embedding table ``E``.

    Parameters
    ----------
    ids : array_like of int, any shape
        Token ids, each in ``0 .. vocab_size - 1``.
    E : array_like, shape (vocab_size, d_model)
        The embedding table.

    Returns
    -------
    ndarray, shape ``ids.shape + (d_model,)``
        A copy, in the dtype of ``E``. Equal to ``one_hot(ids, vocab_size) @ E`` bit for bit (for finite
        ``E``).

    Raises
    ------
    TypeError
        If ``ids`` are not integers.
    TokenIdRangeError
        For an id that is negative or not below ``vocab_size``: a `tokfast.TokenIdError` and an
        ``IndexError``.

    Examples
    --------
    >>> import numpy as np
    >>> E = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    >>> embed([2, 0], E)
    array([[4., 5.],
           [0., 1.]])
    >>> embed([-1], E)
    Traceback (most recent call last):
        ...
    tokfast.embeddings.TokenIdRangeError: token id -1 is outside 0..2, the vocabulary of 3 tokens
    """
    table = np.asarray(E)
    if table.ndim != 2:
        raise ValueError(f"E has shape {table.shape}; expected (vocab_size, d_model)")
    return table[_checked_ids(ids, table.shape[0])]


def one_hot(ids: npt.ArrayLike, n: int, dtype: npt.DTypeLike = np.float32) -> Array:
    """Rows of the ``n x n`` identity: 1 at the id, 0 elsewhere.

    Parameters
    ----------
    ids : array_like of int, any shape
        Token ids, each in ``0 .. n - 1``.
    n : int
        Number of tokens in the vocabulary.
    dtype : dtype, default float32
        Of the result.

    Returns
    -------
    ndarray, shape ``ids.shape + (n,)``
        O(``ids.size * n``) memory: for looking, not for work.

    Raises
    ------
    TypeError, TokenIdRangeError
        As in `embed`.
    ValueError
        If ``n`` is negative.

    Examples
    --------
    >>> one_hot([2, 0], 3)
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    if operator.index(n) < 0:
        raise ValueError(f"n is {n}; give the number of tokens in the vocabulary")
    checked = _checked_ids(ids, n)
    rows = np.zeros((*checked.shape, n), dtype=dtype)
    np.put_along_axis(rows, checked[..., None].astype(np.int64), 1, axis=-1)
    return rows


def embed_with_positions(
    ids: npt.ArrayLike, E: npt.ArrayLike, P: npt.ArrayLike, *, offset: int = 0, scale: float = 1.0
) -> Array:
    """Token vectors plus position vectors: ``scale * E[ids] + P[offset : offset + n]``.

    The input of a transformer with absolute positions (sinusoidal or learned). Rotary embeddings and ALiBi do
    not enter here: they act inside attention.

    Parameters
    ----------
    ids : array_like of int, shape (..., n)
        Token ids.
    E : array_like, shape (vocab_size, d_model)
        Token embeddings.
    P : array_like, shape (n_positions, d_model)
        Position embeddings; row ``p`` belongs to position ``p``.
    offset : int, default 0
        Position of the first token.
    scale : float, default 1.0
        Factor on the token vectors: ``sqrt(d_model)`` in the original transformer, 1 in GPT-2.

    Returns
    -------
    ndarray, shape (..., n, d_model)
        The sum, broadcast over the leading dimensions.

    Raises
    ------
    ValueError
        If the widths differ, or ``P`` has no row for a position.

    Examples
    --------
    >>> import numpy as np
    >>> embed_with_positions([1, 1], np.eye(2), np.array([[0.0, 0.5], [0.5, 0.0]]))
    array([[0. , 1.5],
           [0.5, 1. ]])
    """
    tokens, positions = embed(ids, E), np.asarray(P)
    if positions.ndim != 2 or positions.shape[1] != tokens.shape[-1]:
        raise ValueError(
            f"P has shape {positions.shape}; expected (n_positions, d_model) with d_model = {tokens.shape[-1]}, as in E"
        )
    if tokens.ndim < 2:
        raise ValueError("ids is a single id; give a sequence of ids, whose order the positions number")
    end = offset + tokens.shape[-2]
    if offset < 0 or end > len(positions):
        raise ValueError(f"positions {offset}..{end - 1} asked, P has rows for 0..{len(positions) - 1}")
    if scale != 1.0:
        tokens = tokens * tokens.dtype.type(scale)
    return np.asarray(tokens + positions[offset:end])


def _checked_ids(ids: npt.ArrayLike, vocab_size: int) -> Array:
    checked = np.asarray(ids)
    if checked.size == 0 and not isinstance(ids, np.ndarray):
        checked = checked.astype(np.int64)  # an empty list has no dtype of its own
    if checked.dtype.kind not in "iu":
        raise TypeError(f"ids have dtype {checked.dtype}; token ids are integers")
    outside = (checked < 0) | (checked >= vocab_size)
    if outside.any():
        raise TokenIdRangeError(
            f"token id {checked[outside].flat[0]} is outside 0..{vocab_size - 1}, the vocabulary of {vocab_size} tokens"
        )
    return checked
