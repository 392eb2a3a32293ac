"""Multi-head attention: project, split into heads, attend, concatenate, project back.

::

    Q, K, V = x Wq, x Wk, x Wv                        # (n, heads * head_dim)
    head_h  = softmax(Q_h K_hT / sqrt(head_dim)) V_h  # (n, head_dim) each
    y       = concat(head_1, ..., head_H) Wo          # (n, d_model)

Each head attends in its own ``head_dim``-dimensional space, and ``Wo`` mixes what they found back to model
width.

Weights stand on the right (``x @ W``), so a weight is ``(inputs, outputs)``; PyTorch's ``Linear`` stores the
transpose.

Source: Vaswani et al. 2017, section 3.2.2 (arXiv:1706.03762): ``W_i^Q`` of the paper is the i-th block of
columns of ``w_q``, ``W^O`` is ``w_o``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tokfast.attention._arguments import compute_dtype, storage_dtype
from tokfast.attention.scaled_dot_product import scaled_dot_product_attention

if TYPE_CHECKING:
    from tokfast.attention.kv_cache import KVCache
    from tokfast.attention.scaled_dot_product import BlockSize, Stage
    from tokfast.positions.rotary import RotaryEmbedding

Array = npt.NDArray[Any]


def split_heads(x: Array, n_heads: int) -> Array:
    """``(..., N, n_heads * size)`` to ``(..., n_heads, N, size)``, a view where possible."""
    heads: Array = x.reshape(*x.shape[:-1], n_heads, x.shape[-1] // n_heads)
    return np.swapaxes(heads, -2, -3)


def concatenate_heads(x: Array) -> Array:
    """``(..., n_heads, N, size)`` to ``(..., N, n_heads * size)``, the inverse of `split_heads`."""
    heads = np.swapaxes(x, -2, -3)
    return heads.reshape(*heads.shape[:-2], heads.shape[-2] * heads.shape[-1])


@dataclass(frozen=True, eq=False)
class MultiHeadAttention:
    """One attention layer: four projections, and how many heads share them.

    Parameters
    ----------
    w_q : array_like, shape (d_model, n_heads * head_dim)
        Query projection.
    w_k, w_v : array_like, shapes (d_context, n_kv_heads * head_dim) and (d_context, n_kv_heads * v_head_dim)
        Key and value projections; ``d_context`` is ``d_model`` in self-attention.
    w_o : array_like, shape (n_heads * v_head_dim, d_model)
        Output projection.
    n_heads : int
        Query heads.
    n_kv_heads : int, optional
        Key heads, by default as many. Fewer is grouped-query attention, 1 multi-query.
    b_q, b_k, b_v, b_o : array_like, optional
        Biases of the projections.
    rope : RotaryEmbedding, optional
        Rotates queries and keys of self-attention.

    Examples
    --------
    >>> import numpy as np
    >>> layer = MultiHeadAttention.initialize(d_model=16, n_heads=4, seed=0)
    >>> x = np.random.default_rng(1).standard_normal((5, 16), dtype=np.float32)
    >>> layer(x, is_causal=True).shape
    (5, 16)
    """

    w_q: Array
    w_k: Array
    w_v: Array
    w_o: Array
    n_heads: int
    n_kv_heads: int | None = None
    b_q: Array | None = None
    b_k: Array | None = None
    b_v: Array | None = None
    b_o: Array | None = None
    rope: RotaryEmbedding | None = None

    def __post_init__(self) -> None:
        for name in ("w_q", "w_k", "w_v", "w_o", "b_q", "b_k", "b_v", "b_o"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, np.asarray(value))
        if self.n_kv_heads is None:
            object.__setattr__(self, "n_kv_heads", self.n_heads)
        self._check()

    def _check(self) -> None:
        heads, kv_heads = self.n_heads, self.n_kv_heads or 0
        if heads < 1 or kv_heads < 1 or heads % kv_heads:
            raise ValueError(
                f"{heads} query heads cannot share {kv_heads} key heads; n_heads must be a multiple of n_kv_heads"
            )
        for name in ("w_q", "w_k", "w_v", "w_o"):
            weight = getattr(self, name)
            if weight.ndim != 2:
                raise ValueError(f"{name} has shape {weight.shape}; expected (inputs, outputs)")
        for name, count in (("w_q", heads), ("w_k", kv_heads), ("w_v", kv_heads)):
            if getattr(self, name).shape[1] % count:
                raise ValueError(f"{name} has {getattr(self, name).shape[1]} columns, not divisible into {count} heads")
        head_dim, key_dim = self.w_q.shape[1] // heads, self.w_k.shape[1] // kv_heads
        if head_dim != key_dim:
            raise ValueError(f"queries have {head_dim} features per head and keys {key_dim}; they must agree")
        if self.rope is not None and self.rope.head_dim != head_dim:
            raise ValueError(f"rope is for heads of {self.rope.head_dim} features, these have {head_dim}")
        attended = heads * (self.w_v.shape[1] // kv_heads)
        if self.w_o.shape[0] != attended:
            raise ValueError(f"w_o has {self.w_o.shape[0]} rows; the concatenated heads have {attended} features")
        self._check_biases()

    def _check_biases(self) -> None:
        for weight, bias in (("w_q", "b_q"), ("w_k", "b_k"), ("w_v", "b_v"), ("w_o", "b_o")):
            expected, value = getattr(self, weight).shape[1:], getattr(self, bias)
            if value is not None and value.shape != expected:
                raise ValueError(f"{bias} has shape {value.shape}; expected {expected}, the columns of {weight}")

    @classmethod
    def initialize(
        cls,
        d_model: int,
        n_heads: int,
        *,
        n_kv_heads: int | None = None,
        head_dim: int | None = None,
        rope: RotaryEmbedding | None = None,
        seed: int | None = None,
        dtype: npt.DTypeLike = np.float32,
    ) -> MultiHeadAttention:
        """Make a layer with random weights of variance ``1 / inputs``: untrained, for shapes and speed.

        ``head_dim`` is ``d_model / n_heads`` unless given.
        """
        if head_dim is None:
            if n_heads < 1 or d_model % n_heads:
                raise ValueError(f"d_model {d_model} does not divide into {n_heads} heads; give head_dim")
            head_dim = d_model // n_heads
        rng = np.random.default_rng(seed)
        kv_width = (n_kv_heads or n_heads) * head_dim

        def weight(inputs: int, outputs: int) -> Array:
            return np.asarray(rng.standard_normal((inputs, outputs)) / np.sqrt(inputs), dtype=dtype)

        return cls(
            weight(d_model, n_heads * head_dim),
            weight(d_model, kv_width),
            weight(d_model, kv_width),
            weight(n_heads * head_dim, d_model),
            n_heads=n_heads,
            n_kv_heads=n_kv_heads,
            rope=rope,
        )

    def __call__(
        self,
        x: npt.ArrayLike,
        context: npt.ArrayLike | None = None,
        *,
        mask: npt.ArrayLike | None = None,
        is_causal: bool = False,
        q_offset: npt.ArrayLike | None = None,
        window: tuple[int, int] | None = None,
        kv_lens: npt.ArrayLike | None = None,
        softcap: float | None = None,
        sinks: npt.ArrayLike | None = None,
        alibi_slopes: npt.ArrayLike | None = None,
        cache: KVCache | None = None,
        layer: int = 0,
        return_weights: bool | Stage = False,
        block_size: BlockSize = None,
        threads: int | None = None,
    ) -> Any:
        """Attend from ``x`` to itself, or to ``context``.

        Parameters
        ----------
        x : array_like, shape (..., N, d_model)
            Input vectors.
        context : array_like, shape (..., M, d_context), optional
            Where keys and values come from (cross-attention).
        cache : KVCache, optional
            Append this step's keys and values at ``layer`` and attend to all of them. Positions, for the
            rotation and the causal rule, continue from the cache. A windowed cache implies its window.
        mask, is_causal, q_offset, window, kv_lens, softcap, sinks, alibi_slopes, return_weights, block_size, threads
            As in `scaled_dot_product_attention`. The mask is ``(..., n_heads, N, keys)``. With a cache, the
            ``q_offset`` is known and must not be given.
        layer : int, default 0
            Layer of the cache.

        Returns
        -------
        ndarray, shape (..., N, d_model), or (ndarray, ndarray)
            The output and, on request, the weights ``(..., n_heads, N, keys)``.

        Raises
        ------
        ValueError
            If shapes do not fit, or ``context`` comes together with ``rope`` or ``cache``, or ``q_offset`` with
            ``cache``.
        """
        x = np.asarray(x)
        if x.dtype.kind in "iu":
            x = x.astype(self.w_q.dtype)
        source = x if context is None else np.asarray(context)
        if context is not None and (self.rope is not None or cache is not None):
            raise ValueError("context has positions of its own; rope and cache are for self-attention")
        if cache is not None and q_offset is not None:
            raise ValueError(f"q_offset is {q_offset}, but the cache knows where the queries stand; leave it out")
        for name, array, weight in (("x", x, self.w_q), ("context", source, self.w_k)):
            if array.ndim < 2 or array.shape[-1] != weight.shape[0]:
                raise ValueError(f"{name} has shape {array.shape}; expected (..., tokens, {weight.shape[0]})")
        n_kv_heads = self.n_kv_heads or self.n_heads
        q = split_heads(_project(x, self.w_q, self.b_q), self.n_heads)
        k = split_heads(_project(source, self.w_k, self.b_k), n_kv_heads)
        v = split_heads(_project(source, self.w_v, self.b_v), n_kv_heads)
        position = 0 if cache is None else cache.position(layer)
        if self.rope is not None:
            angles = self.rope.cos_sin(x.shape[-2], offset=position)
            q, k = self.rope.rotate(q, *angles), self.rope.rotate(k, *angles)
        if cache is not None:
            k, v = cache.append(layer, k, v)
            q_offset = k.shape[-2] - q.shape[-2]
            if cache.window is not None and window is None:
                window = (cache.window - 1, -1)
        attended = scaled_dot_product_attention(
            q,
            k,
            v,
            mask=mask,
            is_causal=is_causal,
            q_offset=q_offset,
            kv_lens=kv_lens,
            window=window,
            softcap=softcap,
            sinks=sinks,
            alibi_slopes=alibi_slopes,
            return_weights=return_weights,
            block_size=block_size,
            threads=threads,
        )
        weights = None
        if return_weights is not False:
            attended, weights = attended
        output = _project(concatenate_heads(attended), self.w_o, self.b_o)
        return output if weights is None else (output, weights)


def _project(x: Array, weight: Array, bias: Array | None) -> Array:
    """``x @ weight + bias`` in float32 at least, in the dtype of the two."""
    dtype, inside = storage_dtype(x, weight), compute_dtype(x, weight)
    projected: Array = x.astype(inside, copy=False) @ weight.astype(inside, copy=False)
    if bias is not None:
        projected += bias.astype(inside, copy=False)
    return projected.astype(dtype, copy=False)
