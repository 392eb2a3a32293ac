"""Scaled dot-product attention, the one public entry to both kernels.

``softmax(scale · Q Kᵀ + bias) V``: small inputs go to the formula as written (`_dense`), the others to the
same formula in tiles (`_blocks`). Both compute in float32 (float64 for float64 input) whatever the storage
dtype.
"""

from __future__ import annotations

import math
import operator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tokfast.attention._arguments import SHAPES, Problem, check, storage_dtype
from tokfast.attention._blocks import attend_blocks
from tokfast.attention._dense import attend_dense
from tokfast.attention._threads import default_threads

Array = npt.NDArray[Any]
Stage = Literal["scores", "softcapped", "logits", "weights"]
BlockSize = int | tuple[int, int] | Literal["dense"] | None

STAGES = ("scores", "softcapped", "logits", "weights")
# Up to here the whole score matrix fits the second-level cache and the plain formula is faster.
DENSE_SCORES = 1 << 18


def scaled_dot_product_attention(
    q: npt.ArrayLike,
    k: npt.ArrayLike,
    v: npt.ArrayLike,
    *,
    mask: npt.ArrayLike | None = None,
    is_causal: bool = False,
    q_offset: npt.ArrayLike | None = None,
    kv_lens: npt.ArrayLike | None = None,
    window: tuple[int, int] | None = None,
    scale: float | None = None,
    softcap: float | None = None,
    sinks: npt.ArrayLike | None = None,
    alibi_slopes: npt.ArrayLike | None = None,
    return_weights: bool | Stage = False,
    block_size: BlockSize = None,
    threads: int | None = None,
    out: Array | None = None,
) -> Any:
    r"""Mix the values of all keys, each weighted by how well its key matches the query.

    .. math:: \mathrm{softmax}\left(\mathrm{cap}\left(\frac{Q K^T}{\sqrt{d_k}}\right) + B\right) V

    The order of the steps is fixed: scale, softcap, bias (ALiBi, then ``mask``, causal rule, window,
    lengths), softmax with sinks, product with ``v``.

    Parameters
    ----------
    q : array_like, shape (..., Hq, Nq, D)
        Queries, floating. Leading dimensions of q, k and v broadcast. Three matrices without heads are one
        head.
    k, v : array_like, shapes (..., Hkv, Nk, D) and (..., Hkv, Nk, Dv)
        Keys and values. ``Hq`` must be a multiple of ``Hkv``: each key head serves ``Hq // Hkv`` consecutive
        query heads (grouped-query attention; multi-query with ``Hkv = 1``) and is not copied.
    mask : array_like, optional
        Broadcast to ``(..., Hq, Nq, Nk)``. Booleans: True = attend. Floats: added to the scores; -inf hides.
    is_causal : bool, default False
        Query ``i`` at position ``p = i + q_offset`` sees keys ``j <= p`` only.
    q_offset : int or array of int, shape (B,), optional
        Position of the first query among the keys. 0 when ``Nq == Nk``; otherwise it must be given for
        causal, windowed or ALiBi attention: ``Nk - Nq`` when decoding with a cache. Negative offsets leave
        rows empty.
    kv_lens : int or array of int, shape (B,), optional
        Number of real keys per batch row. Keys and values behind it are never read, so they may hold
        anything.
    window : (int, int), optional
        ``(left, right)``: keys ``p - left <= j <= p + right``; -1 = unbounded. A model card's sliding window
        of W tokens is ``(W - 1, 0)``.
    scale : float, optional
        Factor on the scores, by default ``1 / sqrt(D)``.
    softcap : float, optional
        ``c * tanh(score / c)`` before any bias, so that hidden keys stay hidden.
    sinks : array_like, shape (Hq,), optional
        One learned logit per head that takes part in the softmax and whose weight is dropped.
    alibi_slopes : array_like, shape (Hq,), optional
        Adds ``slope * (j - p)``, equal to the bias of `tokfast.positions.alibi_bias` without building it.
    return_weights : bool or {"scores", "softcapped", "logits", "weights"}, default False
        Also return the ``(..., Hq, Nq, Nk)`` matrix at that stage; True means ``"weights"``. It has the
        output's dtype. Keys beyond ``kv_lens`` have weight 0, and -inf at the other stages.
    block_size : int, (int, int) or "dense", optional
        Rows of a strip over all keys; or (query rows, keys) of a tile; or the whole matrix at once. By
        default the fastest for the size. The result is the same up to rounding.
    threads : int, optional
        Python threads. By default all cores for large inputs when ``threadpoolctl`` is installed, otherwise
        1.
    out : ndarray, shape (..., Hq, Nq, Dv), optional
        Receives the output. Must not overlap the inputs.

    Returns
    -------
    ndarray, shape (..., Hq, Nq, Dv), or (ndarray, ndarray)
        The output, and the requested stage if any. The dtype is that of the inputs taken together. A query
        that sees no key gets zeros, and so do its weights.

    Raises
    ------
    TypeError
        For integer or complex inputs and masks.
    ValueError
        For shapes that do not fit, naming the expected and the given ones; for a missing ``q_offset``.

    Notes
    -----
    Symbols of the paper: :math:`d_k` is ``D``, :math:`d_v` is ``Dv``; "masking out" is ``is_causal``.
    Time is O(Hq Nq Nk D). Memory beyond the output is a tile of 1 MiB and up to 2 MiB of keys per thread, whatever
    the length; with ``return_weights`` the returned matrix itself is quadratic.

    A hidden key's values are multiplied by 0, and ``0 * nan`` is NaN: cut unused keys off with ``kv_lens``
    (or by slicing) instead of hiding garbage behind a mask.

    References
    ----------
    Vaswani et al. 2017, "Attention is all you need", equation 1 (arXiv:1706.03762). Grouped heads: Ainslie et
    al. 2023 (arXiv:2305.13245). Semantics of every option: ONNX operator ``Attention``, version 25.

    Examples
    --------
    >>> import numpy as np
    >>> q = k = np.eye(3)
    >>> v = np.array([[1.0], [2.0], [3.0]])
    >>> scaled_dot_product_attention(q, k, v, is_causal=True).round(3)
    array([[1.   ],
           [1.64 ],
           [2.207]])

    One new token against five cached ones:

    >>> q, k = np.zeros((2, 1, 4)), np.zeros((2, 6, 4))
    >>> options = {"is_causal": True, "q_offset": 5, "return_weights": True}
    >>> output, weights = scaled_dot_product_attention(q, k, k, **options)
    >>> weights[0].round(3)
    array([[0.167, 0.167, 0.167, 0.167, 0.167, 0.167]])
    """
    q, k, v = np.asarray(q), np.asarray(k), np.asarray(v)
    stage = _stage(return_weights)
    if q.ndim == k.ndim == v.ndim == 2:
        result = scaled_dot_product_attention(
            q[None],
            k[None],
            v[None],
            mask=mask,
            is_causal=is_causal,
            q_offset=q_offset,
            kv_lens=kv_lens,
            window=window,
            scale=scale,
            softcap=softcap,
            sinks=sinks,
            alibi_slopes=alibi_slopes,
            return_weights=return_weights,
            block_size=block_size,
            threads=threads,
            out=None if out is None else out[None],
        )
        output = (result[0] if stage else result)[0] if out is None else out
        return (output, result[1][0]) if stage else output

    problem = check(
        q,
        k,
        v,
        mask=mask,
        is_causal=is_causal,
        q_offset=q_offset,
        kv_lens=kv_lens,
        window=window,
        scale=scale,
        softcap=softcap,
        sinks=sinks,
        alibi_slopes=alibi_slopes,
    )
    dtype = storage_dtype(q, k, v)
    shape = (*problem.q.shape[:-1], v.shape[-1])
    if out is None:
        out = np.empty(shape, dtype=dtype)
    else:
        _check_out(out, shape, dtype, (q, k, v))
    stage_out = _stage_array(problem, stage, dtype)
    _dispatch(problem, out, stage, stage_out, block_size=block_size, threads=threads)
    return (out, stage_out) if stage else out


def _dispatch(
    problem: Problem,
    out: Array,
    stage: Stage | None,
    stage_out: Array | None,
    *,
    block_size: BlockSize,
    threads: int | None,
) -> None:
    n_scores = math.prod(problem.score_shape)
    if threads is not None and operator.index(threads) < 1:
        raise ValueError(f"threads is {threads}; give at least 1, or None to choose by size")
    if block_size == "dense" or (block_size is None and n_scores <= DENSE_SCORES and not problem.is_ragged):
        attend_dense(problem, out, stage, stage_out)
        return
    attend_blocks(
        problem,
        out,
        stage,
        stage_out,
        block_size=_tile(block_size, problem.k.shape[-2]),
        threads=default_threads(n_scores) if threads is None else threads,
    )


def _tile(block_size: BlockSize, n_keys: int) -> tuple[int, int] | None:
    if block_size is None:
        return None
    tile = block_size if isinstance(block_size, tuple) else (block_size, max(n_keys, 1))
    if len(tile) != 2 or not all(isinstance(size, (int, np.integer)) and size >= 1 for size in tile):
        raise ValueError(
            f'block_size is {block_size!r}; give a number of query rows, (query rows, keys), "dense" or None'
        )
    return int(tile[0]), int(tile[1])


def _stage(return_weights: bool | Stage) -> Stage | None:
    if isinstance(return_weights, (bool, np.bool_)):
        return "weights" if return_weights else None
    stage = return_weights
    if stage not in STAGES:
        raise ValueError(f"return_weights is {return_weights!r}; give False, True or one of {', '.join(STAGES)}")
    return stage


def _stage_array(problem: Problem, stage: Stage | None, dtype: np.dtype[Any]) -> Array | None:
    if stage is None:
        return None
    beyond_lengths = 0.0 if stage == "weights" else -np.inf
    return np.full(problem.score_shape, beyond_lengths, dtype=dtype)


def _check_out(out: Array, shape: tuple[int, ...], dtype: np.dtype[Any], inputs: tuple[Array, ...]) -> None:
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out is a {type(out).__name__}; give an ndarray of shape {shape} and dtype {dtype}")
    if out.shape != shape or out.dtype != dtype:
        raise ValueError(
            f"out has shape {out.shape} and dtype {out.dtype}; the output for {SHAPES} has {shape} and {dtype}"
        )
    if any(np.may_share_memory(out, array) for array in inputs):
        raise ValueError("out overlaps q, k or v, which are still read while it is written; pass a separate array")
