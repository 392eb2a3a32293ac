"""What attention costs, from the shape of a model: operations, scores, cache, and how they grow with it.

Per layer, for ``n`` tokens (multiply and add count as two operations):

- projections ``2 n d_model (2 Hq D + 2 Hkv D)``: linear in n;
- attention ``4 Hq D`` per visible (query, key) pair, ``n (n + 1) / 2`` pairs when causal: quadratic in n;
- cache ``2 Hkv D itemsize`` bytes per token, for as long as the text is kept.

The quadratic part passes the linear one at `AttentionCost.crossover_tokens`: about ``2 d_model`` tokens for
full attention with as many key heads as query heads, ``4 d_model`` when causal. Feed-forward layers are not
counted.

Nothing here is measured: these are counts. Real time depends on the kernel (see ``bench/``).
"""

from __future__ import annotations

import json
import operator
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from numbers import Integral
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class ModelShape:
    """The numbers of a model that attention cost depends on.

    Parameters
    ----------
    n_layers, d_model, n_heads : int
        Depth, width, query heads.
    n_kv_heads : int, optional
        Key heads, by default as many as query heads.
    head_dim : int, optional
        Features per head, by default ``d_model // n_heads``.
    window : int, optional
        Tokens a layer sees, its own included, where it uses a sliding window.
    n_window_layers : int, optional
        How many layers do; all of them by default if there is a window.
    max_position_embeddings : int, optional
        Context length the configuration advertises.
    name : str
        For printing.
    """

    n_layers: int
    d_model: int
    n_heads: int
    n_kv_heads: int | None = None
    head_dim: int | None = None
    window: int | None = None
    n_window_layers: int | None = None
    max_position_embeddings: int | None = None
    name: str = "model"

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            least = 0 if field.name == "n_window_layers" else 1
            if field.name != "name" and value is not None and (not isinstance(value, Integral) or int(value) < least):
                raise ValueError(f"{field.name} is {value!r}; it must be a whole number of at least {least}")
        if self.head_dim is None and self.d_model % self.n_heads:
            raise ValueError(f"d_model {self.d_model} does not divide into {self.n_heads} heads; give head_dim")
        if self.n_kv_heads is None:
            object.__setattr__(self, "n_kv_heads", self.n_heads)
        if self.head_dim is None:
            object.__setattr__(self, "head_dim", self.d_model // self.n_heads)
        if self.n_window_layers is None:
            object.__setattr__(self, "n_window_layers", self.n_layers if self.window is not None else 0)
        if self.kv_heads > self.n_heads or self.n_heads % self.kv_heads:
            raise ValueError(f"n_heads is {self.n_heads}, not a multiple of n_kv_heads {self.kv_heads}")
        if self.window_layers > self.n_layers or (self.window_layers and self.window is None):
            raise ValueError(
                f"n_window_layers is {self.window_layers}, but there are {self.n_layers} layers "
                f"and the window is {self.window}"
            )

    @property
    def kv_heads(self) -> int:
        """Key heads, resolved."""
        return self.n_kv_heads or self.n_heads

    @property
    def features(self) -> int:
        """Features per head, resolved."""
        return self.head_dim or self.d_model // self.n_heads

    @property
    def window_layers(self) -> int:
        """Layers with a sliding window, resolved."""
        return self.n_window_layers or 0

    @classmethod
    def from_config(cls, config: Mapping[str, Any] | str | os.PathLike[str]) -> ModelShape:
        """Read the shape from a Hugging Face ``config.json``: its path, its folder, or its parsed content.

        Understands the names of Llama-like (``hidden_size``), GPT-2 (``n_embd``) and multimodal
        configurations (``text_config``), ``sliding_window`` and ``layer_types``. A missing number is a
        ValueError that names it.

        Examples
        --------
        >>> ModelShape.from_config({"n_layer": 12, "n_embd": 768, "n_head": 12}).features
        64
        """
        if not isinstance(config, Mapping):
            path = Path(config)
            path = path / "config.json" if path.is_dir() else path
            try:
                loaded = json.loads(path.read_text(encoding="utf-8"))
            except ValueError as error:  # not JSON, or not text
                raise ValueError(f"{path} is not a config.json: {error}") from None
            if not isinstance(loaded, dict):
                raise ValueError(  # noqa: TRY004 (a file's content is wrong, not an argument's type)
                    f"{path} holds a {type(loaded).__name__}; a config.json is an object of settings"
                )
            config = loaded
        text = config.get("text_config")
        settings = {**config, **text} if isinstance(text, Mapping) else dict(config)

        def first(*names: str) -> Any:
            return next((settings[name] for name in names if settings.get(name) is not None), None)

        needed = {
            "n_layers": first("num_hidden_layers", "n_layer", "num_layers", "n_layers"),
            "d_model": first("hidden_size", "n_embd", "d_model"),
            "n_heads": first("num_attention_heads", "n_head", "num_heads", "n_heads"),
        }
        missing = [name for name, value in needed.items() if value is None]
        if missing:
            raise ValueError(
                f"the configuration does not say {', '.join(missing)}; it has {', '.join(sorted(settings))}"
            )
        window = first("sliding_window") if settings.get("use_sliding_window", True) else None
        layer_types = first("layer_types")
        n_window_layers = None
        if window is not None and isinstance(layer_types, list):
            n_window_layers = sum(kind == "sliding_attention" for kind in layer_types)
        return cls(
            **needed,
            n_kv_heads=first("num_key_value_heads", "num_kv_heads", "n_kv_heads"),
            head_dim=first("head_dim"),
            window=window,
            n_window_layers=n_window_layers,
            max_position_embeddings=first("max_position_embeddings", "n_positions", "n_ctx"),
            name=str(first("_name_or_path", "model_type") or "model"),
        )


# The default configuration of each family's class in transformers 5, which is its first published model. For
# another member, read its own file: ``ModelShape.from_config("path/to/config.json")``.
PRESETS: dict[str, ModelShape] = {
    shape.name: shape
    for shape in (
        ModelShape(12, 768, 12, max_position_embeddings=1024, name="gpt2"),
        ModelShape(32, 4096, 32, max_position_embeddings=2048, name="llama-7b"),
        ModelShape(32, 4096, 32, 8, window=4096, max_position_embeddings=131072, name="mistral-7b"),
        ModelShape(
            26,
            2304,
            8,
            4,
            256,
            window=4096,
            n_window_layers=13,
            max_position_embeddings=8192,
            name="gemma-2-2b",
        ),
        ModelShape(
            36,
            2880,
            64,
            8,
            64,
            window=128,
            n_window_layers=18,
            max_position_embeddings=131072,
            name="gpt-oss-120b",
        ),
    )
}


@dataclass(frozen=True)
class AttentionCost:
    """Counts for one forward pass over ``n_tokens`` (the prompt), whole model unless said otherwise.

    Attributes
    ----------
    projection_flops, attention_flops : int
        Linear and quadratic part. Attention counts visible pairs only, as `scaled_dot_product_attention`
        does.
    attention_share : float
        ``attention / (attention + projections)``.
    score_bytes : int
        One layer's score matrices if they were built at once: what blockwise attention avoids.
    kv_bytes_per_token : int
        Cache for one more token, all layers.
    kv_bytes : int
        Cache for the whole prompt; windowed layers stop growing at their window.
    crossover_tokens : float
        Length at which attention costs as much as its projections, windows ignored.
    """

    shape: ModelShape
    n_tokens: int
    batch: int
    is_causal: bool
    projection_flops: int
    attention_flops: int
    score_bytes: int
    kv_bytes_per_token: int
    kv_bytes: int
    crossover_tokens: float

    @property
    def total_flops(self) -> int:
        """Projections and attention."""
        return self.projection_flops + self.attention_flops

    @property
    def attention_share(self) -> float:
        """Quadratic share of the operations."""
        return self.attention_flops / self.total_flops if self.total_flops else 0.0

    def __str__(self) -> str:
        return (
            f"{self.shape.name}, {self.n_tokens} tokens: {self.total_flops:.3g} FLOPs "
            f"({self.attention_share:.0%} quadratic), cache {_size(self.kv_bytes)} "
            f"({_size(self.kv_bytes_per_token)} per token), scores {_size(self.score_bytes)}"
        )


def attention_cost(
    n_tokens: int,
    model: ModelShape | Mapping[str, Any] | str | os.PathLike[str],
    *,
    batch: int = 1,
    is_causal: bool = True,
    kv_itemsize: int = 2,
    score_itemsize: int = 4,
) -> AttentionCost:
    """Count operations and bytes of a prompt of ``n_tokens``.

    Parameters
    ----------
    n_tokens : int
        Length of the prompt.
    model : ModelShape, mapping, str or path
        A shape, a name in `PRESETS`, a parsed configuration, or the path of a ``config.json`` (or its
        folder).
    batch : int, default 1
        Prompts at once.
    is_causal : bool, default True
        Decoder or encoder.
    kv_itemsize, score_itemsize : int
        Bytes of a cached number (2: float16) and of a score (4: float32).

    Returns
    -------
    AttentionCost
        Counts; printing it gives one readable line.

    Raises
    ------
    ValueError
        For a negative length, or a configuration without the needed numbers.

    Examples
    --------
    >>> print(attention_cost(1024, "gpt2"))
    gpt2, 1024 tokens: 7.73e+10 FLOPs (25% quadratic), cache 36.0 MiB (36.0 KiB per token), scores 48.0 MiB
    >>> [attention_cost(n, "gpt2").attention_flops // 10**9 for n in (1000, 2000, 4000)]
    [18, 73, 294]
    """
    shape = _resolve(model)
    if operator.index(n_tokens) < 0:
        raise ValueError(f"n_tokens is {n_tokens}; a prompt has at least 0 tokens")
    for name, size in (("batch", batch), ("kv_itemsize", kv_itemsize), ("score_itemsize", score_itemsize)):
        if operator.index(size) < 1:
            raise ValueError(f"{name} is {size}; it must be at least 1")
    heads, kv_heads, size = shape.n_heads, shape.kv_heads, shape.features
    width = 2 * heads * size + 2 * kv_heads * size
    n_full = shape.n_layers - shape.window_layers
    pairs = n_full * _visible_pairs(n_tokens, None, is_causal=is_causal)
    pairs += shape.window_layers * _visible_pairs(n_tokens, shape.window, is_causal=is_causal)
    per_token_and_layer = 2 * kv_heads * size * kv_itemsize
    held = n_full * n_tokens + shape.window_layers * min(n_tokens, shape.window or n_tokens)
    return AttentionCost(
        shape=shape,
        n_tokens=n_tokens,
        batch=batch,
        is_causal=is_causal,
        projection_flops=2 * batch * n_tokens * shape.d_model * width * shape.n_layers,
        attention_flops=4 * batch * heads * size * pairs,
        score_bytes=batch * heads * n_tokens * n_tokens * score_itemsize,
        kv_bytes_per_token=batch * shape.n_layers * per_token_and_layer,
        kv_bytes=batch * held * per_token_and_layer,
        crossover_tokens=shape.d_model * (heads + kv_heads) / heads * (2 if is_causal else 1),
    )


def _visible_pairs(n: int, window: int | None, *, is_causal: bool) -> int:
    """(query, key) pairs of one head; a window counts tokens up to and including the query's own."""
    reach = n if window is None else min(window, n)
    causal = reach * (reach + 1) // 2 + (n - reach) * reach
    if is_causal:
        return causal
    return n * n if window is None else 2 * causal - n


def _resolve(model: ModelShape | Mapping[str, Any] | str | os.PathLike[str]) -> ModelShape:
    if isinstance(model, ModelShape):
        return model
    if isinstance(model, str) and model in PRESETS:
        return PRESETS[model]
    if not isinstance(model, (str, os.PathLike, Mapping)):
        raise TypeError(f"model is a {type(model).__name__}; give a ModelShape, a preset's name, or a config.json")
    if isinstance(model, str) and not Path(model).exists():
        raise ValueError(f"{model!r} is neither a preset ({', '.join(PRESETS)}) nor the path of a config.json")
    return ModelShape.from_config(model)


def _size(n_bytes: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if n_bytes < 1024:
            return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1024
    return f"{n_bytes:.1f} TiB"
