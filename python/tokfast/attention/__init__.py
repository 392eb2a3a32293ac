"""Attention in numpy: the formula, its masks, the layer around it, the cache, and what it all costs.

Reading order: `softmax`, `masks`, `scaled_dot_product` (public), `_dense` (the formula), `_online`,
`_jobs`, `_threads` and `_blocks` (the formula in tiles), `multi_head`, `kv_cache`, `cost`, `budget`, `picture`.
"""

from tokfast.attention.budget import ContextBudget, context_budget
from tokfast.attention.cost import PRESETS, AttentionCost, ModelShape, attention_cost
from tokfast.attention.kv_cache import CapacityError, KVCache
from tokfast.attention.masks import causal_mask
from tokfast.attention.multi_head import MultiHeadAttention
from tokfast.attention.picture import attention_entropy, attention_map
from tokfast.attention.scaled_dot_product import scaled_dot_product_attention
from tokfast.attention.softmax import softmax

__all__ = [
    "PRESETS",
    "AttentionCost",
    "CapacityError",
    "ContextBudget",
    "KVCache",
    "ModelShape",
    "MultiHeadAttention",
    "attention_cost",
    "attention_entropy",
    "attention_map",
    "causal_mask",
    "context_budget",
    "scaled_dot_product_attention",
    "softmax",
]
