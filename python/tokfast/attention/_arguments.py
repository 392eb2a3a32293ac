"""Check the arguments of an attention call once, and give the kernels one plain record.

Every message names the pattern that was expected and the shapes that came.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tokfast.attention.masks import Band, band

if TYPE_CHECKING:
    from collections.abc import Iterator

Array = npt.NDArray[Any]
FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
SHAPES = "q (..., Hq, Nq, D), k (..., Hkv, Nk, D), v (..., Hkv, Nk, Dv)"


class Problem(NamedTuple):
    """One checked attention call. All of ``q``, ``k``, ``v`` have the same leading shape ``lead``.

    Attributes
    ----------
    q, k, v : ndarray
        ``lead + (Hq, Nq, D)``, ``lead + (Hkv, Nk, D)``, ``lead + (Hkv, Nk, Dv)``; views of what was passed.
    lead : tuple of int
        The batch dimensions, broadcast.
    mask : ndarray or None
        View of shape ``lead + (Hq, Nq, Nk)``, boolean or additive.
    band : Band
        Causal rule and window together.
    offsets, lengths : ndarray of int64
        Position of the first query, and number of keys that exist, per leading index.
    sinks, slopes : ndarray or None
        One number per query head.
    dtype : numpy.dtype
        float32 or float64: what the kernels compute in.
    unit : float
        What scores are multiplied with: 1, or ``log2(e)`` where a kernel takes ``exp2`` for ``exp``.
    """

    q: Array
    k: Array
    v: Array
    lead: tuple[int, ...]
    scale: Any
    softcap: float | None
    mask: Array | None
    band: Band
    offsets: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
    sinks: Array | None
    slopes: Array | None
    dtype: np.dtype[Any]
    unit: float = 1.0

    def in_unit(self, unit: float) -> Problem:
        """Multiply all scores of the problem with ``unit``; it must not have an additive mask."""
        factor = self.dtype.type(unit)
        return self._replace(
            scale=self.scale * factor,
            softcap=None if self.softcap is None else self.softcap * unit,
            sinks=None if self.sinks is None else self.sinks * factor,
            slopes=None if self.slopes is None else self.slopes * factor,
            unit=unit,
        )

    @property
    def group_size(self) -> int:
        """Query heads per key head."""
        return int(self.q.shape[-3] // self.k.shape[-3])

    @property
    def score_shape(self) -> tuple[int, ...]:
        """Shape of the score matrix that must not be built for long inputs."""
        return (*self.q.shape[:-1], self.k.shape[-2])

    @property
    def has_additive_mask(self) -> bool:
        """True when there is a mask of numbers, not of booleans."""
        return self.mask is not None and self.mask.dtype.kind != "b"

    @property
    def is_ragged(self) -> bool:
        """True when batch rows differ in offset or length, or keys must be left out."""
        n_keys = self.k.shape[-2]
        return self.offsets.ndim > 0 or self.lengths.ndim > 0 or int(self.lengths) != n_keys

    def rows(self) -> Iterator[tuple[tuple[int, ...], Problem]]:
        """Each leading index with its own problem, whose keys end at its length."""
        offsets = np.broadcast_to(self.offsets, self.lead)
        lengths = np.broadcast_to(self.lengths, self.lead)
        for index in np.ndindex(*self.lead):
            n_keys = int(lengths[index])
            yield (
                index,
                self._replace(
                    q=self.q[index],
                    k=self.k[index][:, :n_keys],
                    v=self.v[index][:, :n_keys],
                    lead=(),
                    mask=None if self.mask is None else self.mask[index][..., :n_keys],
                    offsets=np.asarray(offsets[index]),
                    lengths=np.asarray(n_keys),
                ),
            )


def check(
    q: Array,
    k: Array,
    v: Array,
    *,
    mask: npt.ArrayLike | None,
    is_causal: bool,
    q_offset: npt.ArrayLike | None,
    kv_lens: npt.ArrayLike | None,
    window: tuple[int, int] | None,
    scale: float | None,
    softcap: float | None,
    sinks: npt.ArrayLike | None,
    alibi_slopes: npt.ArrayLike | None,
) -> Problem:
    """Validate everything and broadcast the leading dimensions."""
    dtype = compute_dtype(q, k, v)
    check_shapes(q, k, v)
    lead = q.shape[:-3]
    if not lead == k.shape[:-3] == v.shape[:-3]:
        try:
            lead = np.broadcast_shapes(q.shape[:-3], k.shape[:-3], v.shape[:-3])
        except ValueError:
            raise ValueError(
                f"the leading dimensions do not broadcast: expected {SHAPES}, got q {q.shape}, k {k.shape}, v {v.shape}"
            ) from None
        q, k, v = (np.broadcast_to(x, lead + x.shape[-3:]) for x in (q, k, v))
    n_heads, n_queries, head_dim = q.shape[-3:]
    n_keys = k.shape[-2]
    visible = band(is_causal=is_causal, window=window)
    for name, number in (("scale", scale), ("softcap", softcap)):
        if number is not None and (np.ndim(number) or np.asarray(number).dtype.kind not in "iuf"):
            raise TypeError(f"{name} is {number!r}; give a number, or None for the default")
    if scale is None:
        scale = 1.0 / math.sqrt(head_dim) if head_dim else 1.0
    if softcap is not None and not 0.0 <= softcap < math.inf:
        raise ValueError(f"softcap is {softcap}; give a positive number, or None or 0 for no cap")
    return Problem(
        q=q,
        k=k,
        v=v,
        lead=lead,
        scale=dtype.type(float(scale)),
        softcap=softcap or None,
        mask=None if mask is None else _checked_mask(mask, (*lead, n_heads, n_queries, n_keys)),
        band=visible,
        offsets=_offsets(q_offset, lead, n_queries, n_keys, needed=not visible.is_open or alibi_slopes is not None),
        lengths=_lengths(kv_lens, lead, n_keys),
        sinks=_per_head("sinks", sinks, n_heads, dtype),
        slopes=_per_head("alibi_slopes", alibi_slopes, n_heads, dtype),
        dtype=dtype,
    )


def compute_dtype(*arrays: Array) -> np.dtype[Any]:
    """float64 if any input is float64 or wider, otherwise float32 (also for float16 and bfloat16)."""
    inside: np.dtype[Any] = FLOAT32
    for name, array in zip("qkv", arrays, strict=False):
        if array.dtype.kind != "f" and array.dtype.name != "bfloat16":
            raise TypeError(f"{name} has dtype {array.dtype}; attention needs a floating dtype, so convert it first")
        if array.dtype.itemsize > 4:
            inside = FLOAT64
    return inside


def storage_dtype(*arrays: Array) -> np.dtype[Any]:
    """Choose the dtype of the result: that of the inputs, or the one that numpy promotes them to."""
    if all([array.dtype == arrays[0].dtype for array in arrays]):  # noqa: C419 (a list is faster, for three)
        return arrays[0].dtype
    try:
        return np.result_type(*arrays)
    except TypeError:  # float16 and bfloat16 have no common dtype of their own
        return np.dtype(np.float32)


def check_shapes(q: Array, k: Array, v: Array) -> None:
    """Compare everything except the leading dimensions."""
    fault = _shape_fault(q, k, v)
    if fault:
        raise ValueError(f"{fault}: expected {SHAPES}, got q {q.shape}, k {k.shape}, v {v.shape}")


def _shape_fault(q: Array, k: Array, v: Array) -> str | None:
    if min(q.ndim, k.ndim, v.ndim) < 3:
        return "q, k and v need heads, tokens and features (or all three only tokens and features)"
    if q.shape[-1] != k.shape[-1]:
        return f"q and k differ in head size D, {q.shape[-1]} and {k.shape[-1]}"
    if k.shape[-2] != v.shape[-2]:
        return f"k and v differ in length Nk, {k.shape[-2]} and {v.shape[-2]}"
    if k.shape[-3] != v.shape[-3]:
        return f"k and v differ in heads Hkv, {k.shape[-3]} and {v.shape[-3]}"
    if k.shape[-3] == 0 or q.shape[-3] % k.shape[-3]:
        return (
            f"the {q.shape[-3]} query heads cannot share {k.shape[-3]} key heads evenly; Hq must be a multiple of Hkv"
        )
    return None


def _checked_mask(mask: npt.ArrayLike, shape: tuple[int, ...]) -> Array:
    mask = np.asarray(mask)
    if mask.dtype.kind not in "bf" and mask.dtype.name != "bfloat16":
        raise TypeError(f"mask has dtype {mask.dtype}; give booleans (True = attend) or floats, added to the scores")
    try:
        return np.broadcast_to(mask, shape)
    except ValueError:
        raise ValueError(
            f"mask of shape {mask.shape} does not broadcast to (..., Hq, Nq, Nk) = {shape}; "
            "a padding mask (B, Nk) becomes mask[:, None, None, :]"
        ) from None


def _offsets(
    q_offset: npt.ArrayLike | None, lead: tuple[int, ...], n_queries: int, n_keys: int, *, needed: bool
) -> npt.NDArray[np.int64]:
    if q_offset is None:
        if needed and n_queries != n_keys:
            raise ValueError(
                f"q_offset is needed: {n_queries} queries and {n_keys} keys, and a causal mask, window or "
                "ALiBi depends on where the queries stand. "
                f"Pass q_offset={n_keys - n_queries} if they are the last tokens (decoding with a cache), "
                "or q_offset=0 if the first query stands at the first key"
            )
        return np.asarray(0, dtype=np.int64)
    return _integers("q_offset", q_offset, lead)


def _lengths(kv_lens: npt.ArrayLike | None, lead: tuple[int, ...], n_keys: int) -> npt.NDArray[np.int64]:
    if kv_lens is None:
        return np.asarray(n_keys, dtype=np.int64)
    lengths = _integers("kv_lens", kv_lens, lead)
    if lengths.size and (lengths.min() < 0 or lengths.max() > n_keys):
        raise ValueError(f"kv_lens is {lengths.tolist()}; each length must lie in 0..{n_keys}, the number of keys")
    return lengths


def _integers(name: str, value: npt.ArrayLike, lead: tuple[int, ...]) -> npt.NDArray[np.int64]:
    numbers = np.asarray(value)
    if numbers.dtype.kind not in "iu":
        raise TypeError(f"{name} has dtype {numbers.dtype}; give an integer, or one integer per batch row")
    try:
        np.broadcast_to(numbers, lead)
    except ValueError:
        raise ValueError(f"{name} of shape {numbers.shape} does not broadcast to the batch shape {lead}") from None
    return numbers.astype(np.int64)


def _per_head(name: str, value: npt.ArrayLike | None, n_heads: int, dtype: np.dtype[Any]) -> Array | None:
    if value is None:
        return None
    numbers = np.asarray(value)
    if numbers.dtype.kind not in "iuf" and numbers.dtype.name != "bfloat16":
        raise TypeError(f"{name} has dtype {numbers.dtype}; give one real number per query head")
    if numbers.shape != (n_heads,):
        raise ValueError(f"{name} has shape {numbers.shape}; expected ({n_heads},), one number per query head")
    return numbers.astype(dtype)
