"""Rotary position embeddings: turn pairs of a query or key by an angle proportional to the position.

Naive: a block-diagonal rotation matrix per position, times the vector.

Idea: a rotation of a pair is ``(a, b) -> (a cos - b sin, a sin + b cos)``, so two products per number do.
Turning the query at position ``m`` and the key at ``n`` leaves their product dependent on ``m - n`` alone:
absolute angles in, relative position out.

Two layouts pair the same numbers differently, and mixing them up gives fluent nonsense:

- *half* pairs ``(x_i, x_(i + R/2))``: GPT-NeoX, Llama weights as converted by Hugging Face;
- *interleaved* pairs ``(x_2i, x_(2i + 1))``: GPT-J, the original Llama weights.

`interleave_weights` converts a projection once instead of shuffling every vector.

Angles are computed in float64 and rounded as cosines and sines: float32 angles are off by 2.4e-5 at position
4096 and by 1.6e-2 at 10^6. Nothing is cached: the caller keeps the table that `RotaryEmbedding.cos_sin`
returns.

Cost: O(n R) per head, memory-bound.

Source: Su et al. 2021, RoFormer (arXiv:2104.09864); the paper's ``theta_i`` are the frequencies, ``m`` the
position.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from tokfast.positions._positions import position_array
from tokfast.positions.rope_scaling import rope_frequencies, rope_parameters

if TYPE_CHECKING:
    from collections.abc import Mapping

Array = npt.NDArray[Any]


def apply_rotary(
    x: npt.ArrayLike,
    cos: npt.ArrayLike,
    sin: npt.ArrayLike,
    *,
    interleaved: bool = False,
    rotary_dim: int | None = None,
    out: Array | None = None,
) -> Array:
    """Rotate the pairs of ``x`` by the angles whose cosines and sines are given.

    Parameters
    ----------
    x : array_like, shape (..., N, D)
        Queries or keys, floating. float16 and bfloat16 are computed in float32.
    cos, sin : array_like, shape (N, R/2) or (B, N, R/2)
        One row per token; with a batch axis it is matched to the first axis of ``x``.
    interleaved : bool, default False
        Pairs ``(x_2i, x_(2i+1))`` instead of ``(x_i, x_(i + R/2))``.
    rotary_dim : int, optional
        ``R``; by default all of ``D``. The features from ``R`` on pass through unchanged.
    out : ndarray, optional
        Receives the result; may be ``x`` itself.

    Returns
    -------
    ndarray, shape and dtype of ``x``
        The rotated array.

    Raises
    ------
    TypeError, ValueError
        If dtype or shapes do not fit; the message names the expected and the given ones.

    Examples
    --------
    >>> import numpy as np
    >>> quarter_turn = np.array([[0.0]]), np.array([[1.0]])
    >>> apply_rotary(np.array([[1.0, 2.0]]), *quarter_turn)
    array([[-2.,  1.]])
    """
    x, cos, sin = np.asarray(x), np.asarray(cos), np.asarray(sin)
    if x.dtype.kind != "f" and x.dtype.name != "bfloat16":
        raise TypeError(f"x has dtype {x.dtype}; rotation needs a floating dtype")
    if x.ndim < 2:
        raise ValueError(f"x has shape {x.shape}; expected (..., N, D)")
    size = x.shape[-1] if rotary_dim is None else rotary_dim
    if size % 2 or not 0 <= size <= x.shape[-1]:
        raise ValueError(f"the rotated size is {size}; it must be even and at most D = {x.shape[-1]}")
    dtype = np.result_type(x.dtype, np.float32)
    cos, sin = (
        _beside(x, cos, size, "cos").astype(dtype, copy=False),
        _beside(x, sin, size, "sin").astype(dtype, copy=False),
    )
    if out is None:
        out = np.empty_like(x, order="C", subok=False)
    elif not isinstance(out, np.ndarray):
        raise TypeError(f"out is a {type(out).__name__}; give an ndarray of shape {x.shape} and dtype {x.dtype}")
    elif out.shape != x.shape or out.dtype != x.dtype:
        raise ValueError(
            f"out has shape {out.shape} and dtype {out.dtype}; expected those of x, {x.shape} and {x.dtype}"
        )
    half = size // 2
    first, second = (slice(0, size, 2), slice(1, size, 2)) if interleaved else (slice(0, half), slice(half, size))
    a, b = x[..., first].astype(dtype, copy=False), x[..., second].astype(dtype, copy=False)
    rotated_a = a * cos - b * sin
    rotated_b = a * sin + b * cos
    if out is not x:
        out[..., size:] = x[..., size:]
    out[..., first] = rotated_a
    out[..., second] = rotated_b
    return out


def _beside(x: Array, table: Array, size: int, name: str) -> Array:
    """Insert the axes between the batch and the tokens of ``x`` into a table."""
    n_tokens = x.shape[-2]
    fits = table.shape[-2:] == (n_tokens, size // 2)
    if table.ndim == 3 and fits and x.ndim >= 3 and table.shape[0] in (1, x.shape[0]):
        return table.reshape(table.shape[0], *(1,) * (x.ndim - 3), n_tokens, size // 2)
    if table.ndim == 2 and fits:
        return table
    raise ValueError(
        f"{name} has shape {table.shape}; for x of shape {x.shape} and {size} rotated features, expected "
        f"(N, R/2) = ({n_tokens}, {size // 2}) or (B, N, R/2)"
    )


def interleave_weights(weights: npt.ArrayLike, n_heads: int, rotary_dim: int | None = None) -> Array:
    """Reorder a query or key projection from the half layout to the interleaved one.

    Scores do not change when both projections are reordered, so a model in one layout runs in the other.

    Parameters
    ----------
    weights : array_like, shape (d_model, n_heads * head_dim)
        Projection in the ``x @ W`` orientation; a bias of shape (n_heads * head_dim,) works as well.
    n_heads : int
        Number of heads in the last axis.
    rotary_dim : int, optional
        Rotated features per head, by default all.

    Returns
    -------
    ndarray
        Same shape; columns ``i`` and ``i + R/2`` of every head have become ``2i`` and ``2i + 1``.

    Raises
    ------
    ValueError
        If the columns do not divide into heads, or the rotated size is odd.

    Examples
    --------
    >>> interleave_weights([0, 1, 2, 3], n_heads=1)
    array([0, 2, 1, 3])
    """
    array = np.asarray(weights)
    if n_heads < 1 or array.ndim < 1:
        raise ValueError(f"weights have shape {array.shape} and n_heads is {n_heads}; give columns and at least 1 head")
    head_dim, rest = divmod(array.shape[-1], n_heads)
    size = head_dim if rotary_dim is None else rotary_dim
    if rest or size % 2 or not 0 <= size <= head_dim:
        raise ValueError(
            f"{array.shape[-1]} columns do not make {n_heads} heads with {size} rotated features; "
            "the columns must divide evenly and the rotated size must be even"
        )
    order = np.arange(head_dim)
    order[:size] = order[:size].reshape(2, size // 2).T.ravel()
    heads = array.reshape(*array.shape[:-1], n_heads, head_dim)
    return heads[..., order].reshape(array.shape)


@dataclass(frozen=True)
class RotaryEmbedding:
    """The rotary settings of a model: sizes, frequencies and layout.

    Parameters
    ----------
    head_dim : int
        Features per head.
    theta : float, optional
        Base of the frequencies, 10000 unless ``scaling`` says otherwise.
    rotary_dim : int, optional
        Rotated features, or give ``partial_rotary_factor``, the rotated share. By default all.
    layout : {"half", "interleaved"}
        Which numbers form a pair; see the module.
    scaling : mapping, optional
        ``rope_parameters`` of the model; see `rope_frequencies`.
    max_position_embeddings : int, optional
        Of the model's configuration, for the scalings that need it.
    dtype : dtype, default float32
        Of the cosine and sine tables.

    Examples
    --------
    >>> import numpy as np
    >>> rope = RotaryEmbedding(head_dim=8)
    >>> q, k = np.ones((1, 8)), np.ones((1, 8))
    >>> def score(m, n):
    ...     return float((rope.apply(q, offset=m) @ rope.apply(k, offset=n).T)[0, 0])
    >>> bool(np.isclose(score(7, 3), score(1004, 1000)))
    True
    """

    head_dim: int
    theta: float | None = None
    rotary_dim: int | None = None
    partial_rotary_factor: float | None = None
    layout: Literal["half", "interleaved"] = "half"
    scaling: Mapping[str, Any] | None = None
    max_position_embeddings: int | None = None
    dtype: npt.DTypeLike = np.float32

    def __post_init__(self) -> None:
        if self.layout not in ("half", "interleaved"):
            raise ValueError(f'layout is {self.layout!r}; give "half" or "interleaved"')
        if self.rotary_dim is not None and self.partial_rotary_factor is not None:
            raise ValueError(
                f"rotary_dim is {self.rotary_dim} and partial_rotary_factor is {self.partial_rotary_factor}; give one"
            )
        self.frequencies()

    def frequencies(self, seq_len: int | None = None) -> tuple[npt.NDArray[np.float64], float]:
        """``(inv_freq, attention_factor)`` of `rope_frequencies` for these settings."""
        scaling = rope_parameters(self.scaling)
        dim = self.head_dim
        if self.partial_rotary_factor is not None:
            scaling["partial_rotary_factor"] = self.partial_rotary_factor
        if self.rotary_dim is not None:
            dim = self.rotary_dim
            scaling.pop("partial_rotary_factor", None)
        if not 0 < dim <= self.head_dim:
            raise ValueError(f"rotary_dim is {dim}; it must lie in 2..{self.head_dim}, the head size")
        return rope_frequencies(
            dim,
            self.theta,
            scaling=scaling,
            seq_len=seq_len,
            max_position_embeddings=self.max_position_embeddings,
        )

    def cos_sin(
        self, positions: int | npt.ArrayLike, offset: int = 0, *, seq_len: int | None = None
    ) -> tuple[Array, Array]:
        """Tables for `apply_rotary`: shape ``positions.shape + (R/2,)`` each.

        ``positions`` is a count or the positions, ``(N,)`` or ``(B, N)`` for rows that stand at different
        places. ``seq_len`` matters to "dynamic" and "longrope" and is by default the last position + 1.
        """
        where = position_array(positions, offset)
        if seq_len is None and where.size:
            seq_len = int(where.max()) + 1
        frequencies, attention_factor = self.frequencies(seq_len)
        angles = where[..., None].astype(np.float64) * frequencies
        return (
            (np.cos(angles) * attention_factor).astype(self.dtype),
            (np.sin(angles) * attention_factor).astype(self.dtype),
        )

    def apply(
        self,
        x: npt.ArrayLike,
        positions: npt.ArrayLike | None = None,
        *,
        offset: int = 0,
        seq_len: int | None = None,
    ) -> Array:
        """Rotate ``x (..., N, D)``; token ``i`` stands at ``positions[i]``, by default at ``offset + i``."""
        x = np.asarray(x)
        if x.ndim < 2 or x.shape[-1] != self.head_dim:
            raise ValueError(
                f"x has shape {x.shape}; expected (..., N, {self.head_dim}), the head size of this embedding"
            )
        return self.rotate(x, *self.cos_sin(x.shape[-2] if positions is None else positions, offset, seq_len=seq_len))

    def rotate(self, x: npt.ArrayLike, cos: Array, sin: Array) -> Array:
        """`apply_rotary` in this layout, with tables of `cos_sin` that serve queries and keys alike."""
        return apply_rotary(x, cos, sin, interleaved=self.layout == "interleaved", rotary_dim=2 * cos.shape[-1])
