"""Attention as a triple loop's worth of float64 numpy: too simple to be wrong, too slow to be used."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def attend(  # noqa: C901 (every option by its definition, in one place)
    q: Array,
    k: Array,
    v: Array,
    *,
    mask: Array | None = None,
    is_causal: bool = False,
    q_offset: Any = 0,
    kv_lens: Any = None,
    window: tuple[int, int] | None = None,
    scale: float | None = None,
    softcap: float | None = None,
    sinks: Array | None = None,
    alibi_slopes: Array | None = None,
) -> tuple[Array, Array]:
    """Output and weights for ``q (B, Hq, Nq, D)``; every option by its definition, key by key."""
    q, k, v = (x.astype(np.float64) for x in (q, k, v))
    batch, n_heads, n_queries, size = q.shape
    n_keys, group = k.shape[2], n_heads // k.shape[1]
    full = (batch, n_heads, n_queries, n_keys)
    mask = None if mask is None else np.broadcast_to(mask, full)
    offsets = np.broadcast_to(q_offset, (batch,))
    lengths = np.broadcast_to(n_keys if kv_lens is None else kv_lens, (batch,))
    output, weights = np.zeros((*full[:3], v.shape[3])), np.zeros(full)
    for b, h, i in np.ndindex(*full[:3]):
        position = i + offsets[b]
        logits = {}
        for j in range(lengths[b]):
            score = q[b, h, i] @ k[b, h // group, j] * (1 / math.sqrt(size) if scale is None else scale)
            if softcap:
                score = softcap * math.tanh(score / softcap)
            if alibi_slopes is not None:
                score += alibi_slopes[h] * (j - position)
            if mask is not None:
                score = score + mask[b, h, i, j] if mask.dtype != bool else score if mask[b, h, i, j] else -math.inf
            if is_causal and j > position:
                continue
            if window is not None and window[0] >= 0 and j < position - window[0]:
                continue
            if window is not None and window[1] >= 0 and j > position + window[1]:
                continue
            if score > -math.inf:
                logits[j] = score
        if not logits:
            continue
        extra = [] if sinks is None else [float(sinks[h])]
        peak = max([*logits.values(), *extra])
        total = sum(math.exp(x - peak) for x in [*logits.values(), *extra])
        for j, logit in logits.items():
            weights[b, h, i, j] = math.exp(logit - peak) / total
            output[b, h, i] += weights[b, h, i, j] * v[b, h // group, j]
    return output, weights
