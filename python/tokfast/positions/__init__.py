"""Where a token stands: position vectors, rotations and biases.

Added to the token vectors: `sinusoidal`, `LearnedPositions`. Applied to queries and keys: `RotaryEmbedding`,
`apply_rotary`, `rope_frequencies`. Added to the scores: `alibi_bias`, `t5_bias`.
"""

from tokfast.positions.absolute import LearnedPositions, PositionLengthError, sinusoidal
from tokfast.positions.bias import alibi_bias, alibi_slopes, t5_bias, t5_buckets
from tokfast.positions.rope_scaling import rope_frequencies
from tokfast.positions.rotary import RotaryEmbedding, apply_rotary, interleave_weights

__all__ = [
    "LearnedPositions",
    "PositionLengthError",
    "RotaryEmbedding",
    "alibi_bias",
    "alibi_slopes",
    "apply_rotary",
    "interleave_weights",
    "rope_frequencies",
    "sinusoidal",
    "t5_bias",
    "t5_buckets",
]
