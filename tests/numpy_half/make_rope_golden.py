"""Write ``rope_golden.json``: frequencies by the functions of the transformers package.

    pip install transformers numpy
    python tests/numpy_half/make_rope_golden.py

Those functions compute with torch in float32. Here a stand-in with the seven torch names they use hands them
numpy in float64, so the recorded numbers are their formulas without their rounding. Made with transformers
5.23.0.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from transformers import LlamaConfig, modeling_rope_utils


class Tensor(np.ndarray[Any, Any]):
    """A float64 array with the two methods the functions call."""

    def to(self, **_options: Any) -> Tensor:
        return self

    def float(self) -> Tensor:
        return self


def tensor(values: Any, **_options: Any) -> Tensor:
    return np.asarray(values, dtype=np.float64).view(Tensor)


TORCH = SimpleNamespace(
    float=None,
    float32=None,
    int64=None,
    Tensor=Tensor,
    tensor=tensor,
    arange=lambda *bounds, **_options: tensor(np.arange(*bounds)),
    zeros=lambda count, **_options: tensor(np.zeros(count)),
    cat=lambda parts, **_options: tensor(np.concatenate(parts)),
    clamp=np.clip,
    where=np.where,
)
CONFIGS: list[dict[str, Any]] = [
    {"rope_type": "linear", "factor": 2.0},
    {"rope_type": "linear", "factor": 10.0},
    {"rope_type": "dynamic", "factor": 2.0},
    {"rope_type": "dynamic", "factor": 10.0},
    {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 2048},
    {"rope_type": "yarn", "factor": 10.0, "original_max_position_embeddings": 4096, "attention_factor": 0.5},
    {
        "rope_type": "yarn",
        "factor": 16.0,
        "original_max_position_embeddings": 4096,
        "beta_fast": 64,
        "beta_slow": 2,
    },
    {
        "rope_type": "yarn",
        "factor": 40.0,
        "original_max_position_embeddings": 4096,
        "mscale": 1.0,
        "mscale_all_dim": 0.707,
    },
    {"rope_type": "yarn", "factor": 32.0, "original_max_position_embeddings": 4096, "truncate": False},
    {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 1024, "rope_theta": 1e6},
    {
        "rope_type": "llama3",
        "factor": 8.0,
        "original_max_position_embeddings": 8192,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "rope_theta": 5e5,
    },
    {
        "rope_type": "llama3",
        "factor": 32.0,
        "original_max_position_embeddings": 4096,
        "low_freq_factor": 1.0,
        "high_freq_factor": 8.0,
    },
    {
        "rope_type": "longrope",
        "factor": 32.0,
        "original_max_position_embeddings": 4096,
        "short_factor": [1.0 + 0.01 * i for i in range(64)],
        "long_factor": [1.0 + 0.5 * i for i in range(64)],
    },
    {
        "rope_type": "longrope",
        "original_max_position_embeddings": 1024,
        "short_factor": [1.05] * 64,
        "long_factor": [2.0 + i for i in range(64)],
        "attention_factor": 1.19,
    },
    {"rope_type": "linear", "factor": 4.0, "partial_rotary_factor": 0.5},
    {"rope_type": "proportional", "factor": 2.0, "partial_rotary_factor": 0.25},
]


def main() -> None:
    vars(modeling_rope_utils)["torch"] = TORCH
    rows = []
    for parameters in CONFIGS:
        depends_on_length = parameters["rope_type"] in ("dynamic", "longrope")
        for seq_len in (None, 1000, 20000) if depends_on_length else (None,):
            full = {"rope_theta": 10000.0, **parameters}
            config = LlamaConfig(
                hidden_size=4096,
                num_attention_heads=32,
                max_position_embeddings=4096,
                rope_parameters=dict(full),
            )
            config.rope_parameters = dict(full)
            function = modeling_rope_utils.ROPE_INIT_FUNCTIONS[full["rope_type"]]
            frequencies, attention_factor = function(config, None, seq_len=seq_len)
            rows.append(
                {
                    "scaling": full,
                    "head_dim": 128,
                    "max_position_embeddings": config.max_position_embeddings,
                    "seq_len": seq_len,
                    "inv_freq": [float(value) for value in frequencies],
                    "attention_factor": float(attention_factor),
                }
            )
    path = Path(__file__).parent / "rope_golden.json"
    path.write_text(json.dumps({"source": "transformers 5.23.0", "rows": rows}) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
