"""Keys and values of the tokens already seen, so that the next token costs one row of attention instead of n.

Naive: ``np.concatenate`` the new key to the old ones, copying the whole cache for every token: O(n^2) over a
text.

Idea: allocate once, write behind the end, hand out views. A sliding window needs only its last ``window``
tokens, so there the memory is a ring. It is a *mirrored* ring: each token is written at slot ``p mod window``
and once more one window further, so that any ``window`` consecutive tokens also lie consecutively in memory
and the view stays a view, in order of position.

Cost: O(new tokens) per append and no copy of old ones. Bad case: several tokens at once into a window, for
example the prompt: the queries of one step need ``window - 1`` keys before the *first* of them, more than the
ring keeps afterwards, so that step gets a copy.

Invariant: the views returned by `KVCache.append` end with the tokens just appended. Hence the position of the
first query among the returned keys is always ``keys.shape[-2] - n_new``, window or not.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class CapacityError(ValueError):
    """More tokens than the cache was made for."""


class KVCache:
    """Preallocated keys and values for every layer of a decoder.

    Parameters
    ----------
    n_layers, n_kv_heads, head_dim : int
        Shape of the model. ``n_kv_heads`` is the number of *key* heads.
    max_len : int, optional
        Most tokens it can hold; required without a window.
    batch : int, optional
        Batch size. Without it arrays have no batch axis.
    dtype : dtype, default float32
        Storage dtype, for example float16; attention computes in float32 anyway.
    window : int, optional
        Keep only the last ``window`` tokens: what attention with ``window=(window - 1, 0)`` can see. There is
        then no limit on the length.
    v_head_dim : int, optional
        Features of a value, by default ``head_dim``.

    Attributes
    ----------
    nbytes : int
        Memory of the whole cache, fixed from the start. A mirrored ring takes two windows.

    Examples
    --------
    >>> import numpy as np
    >>> cache = KVCache(n_layers=1, n_kv_heads=2, head_dim=4, max_len=8)
    >>> keys, values = cache.append(0, np.ones((2, 3, 4)), np.ones((2, 3, 4)))
    >>> keys.shape, len(cache), cache.nbytes
    ((2, 3, 4), 3, 512)
    >>> cache.append(0, np.ones((2, 6, 4)), np.ones((2, 6, 4)))
    Traceback (most recent call last):
        ...
    tokfast.attention.kv_cache.CapacityError: 3 tokens are cached and 6 more came, but max_len is 8
    """

    def __init__(  # noqa: PLR0917 (the shape of a model, in the order it is always given)
        self,
        n_layers: int,
        n_kv_heads: int,
        head_dim: int,
        max_len: int | None = None,
        batch: int | None = None,
        dtype: npt.DTypeLike = np.float32,
        *,
        window: int | None = None,
        v_head_dim: int | None = None,
    ) -> None:
        if window is not None and window < 1:
            raise ValueError(f"window is {window}; it counts the query's own token, so it is at least 1")
        if window is None and max_len is None:
            raise ValueError("neither max_len nor window is given; pass the most tokens the cache will hold")
        sizes = {
            "n_layers": n_layers,
            "n_kv_heads": n_kv_heads,
            "head_dim": head_dim,
            "max_len": max_len,
            "batch": batch,
            "v_head_dim": v_head_dim,
        }
        for name, size in sizes.items():
            if size is not None and operator.index(size) < 1:
                raise ValueError(f"{name} is {size}; it must be at least 1")
        self.max_len = max_len
        self.window = window
        capacity = 2 * window if window is not None else max_len or 0
        lead = (n_layers,) if batch is None else (n_layers, batch)
        self._keys: Array = np.zeros((*lead, n_kv_heads, capacity, head_dim), dtype=dtype)
        self._values: Array = np.zeros((*lead, n_kv_heads, capacity, v_head_dim or head_dim), dtype=dtype)
        self._seen = [0] * n_layers

    @property
    def nbytes(self) -> int:
        """Bytes of keys and values together."""
        return self._keys.nbytes + self._values.nbytes

    @property
    def n_layers(self) -> int:
        """Number of layers."""
        return len(self._seen)

    def __len__(self) -> int:
        """Tokens seen so far, also those a window has dropped: the position of the next token."""
        return min(self._seen)

    def position(self, layer: int) -> int:
        """Position of the next token of one layer; layers differ in the middle of a step."""
        if not 0 <= layer < self.n_layers:
            raise IndexError(f"layer is {layer}; the cache has layers 0..{self.n_layers - 1}")
        return self._seen[layer]

    def append(self, layer: int, k: npt.ArrayLike, v: npt.ArrayLike) -> tuple[Array, Array]:
        """Store new tokens and return all keys and values their queries may need.

        Parameters
        ----------
        layer : int
            Index of the layer.
        k : array_like, shape ([batch,] n_kv_heads, n_new, head_dim)
            Keys, already rotated if the model rotates them.
        v : array_like, shape ([batch,] n_kv_heads, n_new, v_head_dim)
            Values.

        Returns
        -------
        (ndarray, ndarray)
            Views (read them before the next append) that end with the new tokens. Attend to them with
            ``is_causal=True, q_offset=keys.shape[-2] - n_new`` and, for a windowed cache,
            ``window=(window - 1, 0)``.

        Raises
        ------
        CapacityError
            If ``max_len`` would be passed. Nothing is stored then.
        IndexError, ValueError
            If there is no such layer, or the shapes are not those of the cache.
        """
        k, v = np.asarray(k), np.asarray(v)
        seen = self.position(layer)
        keys, values = self._keys[layer], self._values[layer]
        for name, new, store in (("k", k, keys), ("v", v, values)):
            expected = (*store.shape[:-2], k.shape[-2] if k.ndim >= 2 else 0, store.shape[-1])
            if new.shape != expected:
                raise ValueError(
                    f"{name} has shape {new.shape}; expected ([batch,] heads, tokens, features) = {expected}"
                )
        n_new = k.shape[-2]
        if self.max_len is not None and seen + n_new > self.max_len:
            raise CapacityError(f"{seen} tokens are cached and {n_new} more came, but max_len is {self.max_len}")
        if self.window is None:
            keys[..., seen : seen + n_new, :] = k
            values[..., seen : seen + n_new, :] = v
            self._seen[layer] = seen + n_new
            return keys[..., : seen + n_new, :], values[..., : seen + n_new, :]
        return self._append_to_ring(layer, k, v)

    def _append_to_ring(self, layer: int, k: Array, v: Array) -> tuple[Array, Array]:
        window, seen, n_new = self.window or 1, self._seen[layer], k.shape[-2]
        stores = (self._keys[layer], self._values[layer])
        wanted = None
        if n_new != 1:
            n_old = min(seen, window - 1)
            old = [self._last(store, seen, n_old) for store in stores]
            wanted = [np.concatenate((a, b.astype(a.dtype)), axis=-2) for a, b in zip(old, (k, v), strict=True)]
        kept = min(n_new, window)
        slots = np.arange(seen + n_new - kept, seen + n_new) % window
        for store, new in zip(stores, (k, v), strict=True):
            store[..., slots, :] = new[..., n_new - kept :, :]
            store[..., slots + window, :] = new[..., n_new - kept :, :]
        self._seen[layer] = seen + n_new
        if wanted is None:
            n_held = min(seen + 1, window)
            wanted = [self._last(store, seen + 1, n_held) for store in stores]
        return wanted[0], wanted[1]

    def _last(self, store: Array, seen: int, count: int) -> Array:
        """View of the last ``count`` of ``seen`` tokens in a mirrored ring."""
        window = self.window or 1
        start = (seen - count) % window
        return store[..., start : start + count, :]

    def truncate(self, n_tokens: int) -> None:
        """Forget all but the first ``n_tokens`` tokens of every layer, to continue from there.

        A windowed cache has overwritten its past, so it can only be emptied (``n_tokens=0``).
        """
        if not 0 <= operator.index(n_tokens) <= len(self):
            raise ValueError(f"n_tokens is {n_tokens}; {len(self)} tokens are cached")
        if self.window is not None and n_tokens not in (0, len(self)):
            raise ValueError(f"n_tokens is {n_tokens}; a windowed cache can only be emptied with n_tokens=0")
        self._seen = [n_tokens] * self.n_layers

    def __repr__(self) -> str:
        layers, heads, size = self.n_layers, self._keys.shape[-3], self._keys.shape[-1]
        limit = f"window={self.window}" if self.window is not None else f"max_len={self.max_len}"
        fill = f"{len(self)} tokens, {self.nbytes} bytes"
        return f"KVCache({layers} layers, {heads} heads, {size} features, {limit}, {fill})"
