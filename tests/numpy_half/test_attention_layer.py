"""The layer, the cache, the counts and the picture."""

from __future__ import annotations

import builtins
import json
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest
from onnx_cases import node_cases

from tokfast.attention import (
    PRESETS,
    CapacityError,
    KVCache,
    ModelShape,
    MultiHeadAttention,
    attention_cost,
    attention_entropy,
    attention_map,
    context_budget,
    scaled_dot_product_attention,
)
from tokfast.attention.picture import CAPTION
from tokfast.positions import RotaryEmbedding, alibi_slopes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Array = npt.NDArray[Any]


def normal(*shape: int, seed: int = 0, dtype: Any = np.float32) -> Array:
    return np.random.default_rng((seed, *shape)).standard_normal(shape).astype(dtype)


def layer(**options: Any) -> MultiHeadAttention:
    return MultiHeadAttention.initialize(32, 4, **{"n_kv_heads": 2, "seed": 3, **options})


# Multi-head attention


def test_multi_head_is_its_formula() -> None:
    attention, x = layer(n_kv_heads=4), normal(7, 32)
    heads = []
    for h in range(4):
        columns = slice(8 * h, 8 * h + 8)
        q, k, v = (x @ w[:, columns] for w in (attention.w_q, attention.w_k, attention.w_v))
        heads.append(scaled_dot_product_attention(q, k, v, is_causal=True))
    expected = np.concatenate(heads, axis=-1) @ attention.w_o
    got, weights = attention(x, is_causal=True, return_weights=True)
    np.testing.assert_allclose(got, expected, atol=1e-5)
    assert weights.shape == (4, 7, 7)
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-6)
    assert attention(x[None, None]).shape == (1, 1, 7, 32)


def test_multi_head_biases_and_context() -> None:
    plain = layer()
    biases: dict[str, Any] = {
        "b_q": normal(32),
        "b_k": normal(16),
        "b_v": normal(16, seed=1),
        "b_o": normal(32, seed=2),
    }
    biased = MultiHeadAttention(plain.w_q, plain.w_k, plain.w_v, plain.w_o, n_heads=4, n_kv_heads=2, **biases)
    x, context = normal(3, 32), normal(9, 32, seed=5)
    assert biased(x, context).shape == (3, 32)
    # With one key there is nothing to weigh: the output is that key's value, projected.
    one = context[:1]
    value = np.repeat((one @ plain.w_v + biases["b_v"]).reshape(2, 8), 2, axis=0).reshape(1, 32)
    expected = np.broadcast_to(value @ plain.w_o + biases["b_o"], (3, 32))
    np.testing.assert_allclose(biased(x, one), expected, atol=1e-5)


def test_rotation_enters_the_layer() -> None:
    attention, x = layer(rope=RotaryEmbedding(8)), normal(6, 32)
    assert not np.allclose(attention(x), layer()(x), atol=1e-3)
    # Without a mask or a rotation, order does not matter; with it, it does.
    order = np.arange(6)[::-1]
    np.testing.assert_allclose(layer()(x[order])[order], layer()(x), atol=1e-5)
    assert not np.allclose(attention(x[order])[order], attention(x), atol=1e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_heads": 3}, "3 query heads cannot share 2 key heads"),
        ({"w_k": np.zeros((32, 12))}, "queries have 8 features per head and keys 6"),
        ({"w_v": np.zeros((32, 15))}, "w_v has 15 columns, not divisible into 2 heads"),
        ({"w_o": np.zeros((30, 32))}, "w_o has 30 rows; the concatenated heads have 32 features"),
        ({"w_q": np.zeros(32)}, r"w_q has shape \(32,\); expected \(inputs, outputs\)"),
        ({"rope": RotaryEmbedding(6)}, "rope is for heads of 6 features, these have 8"),
        ({"b_k": np.zeros(3)}, r"b_k has shape \(3,\); expected \(16,\)"),
    ],
)
def test_layer_errors(change: dict[str, Any], message: str) -> None:
    good = layer()
    fields = {name: getattr(good, name) for name in ("w_q", "w_k", "w_v", "w_o", "n_heads", "n_kv_heads")}
    with pytest.raises(ValueError, match=message):
        MultiHeadAttention(**(fields | change))


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_half_precision_layers_compute_in_float32(dtype: Any) -> None:
    weights = {name: getattr(layer(), name).astype(dtype) for name in ("w_q", "w_k", "w_v", "w_o")}
    half = MultiHeadAttention(**weights, n_heads=4, n_kv_heads=2)
    exact = MultiHeadAttention(**{name: w.astype(np.float64) for name, w in weights.items()}, n_heads=4, n_kv_heads=2)
    x = normal(2, 9, 32).astype(dtype)
    got = half(x, is_causal=True)
    assert got.dtype == dtype
    limit = {"float16": 4e-3, "bfloat16": 4e-2}[np.dtype(dtype).name]
    assert np.abs(got.astype(np.float64) - exact(x.astype(np.float64), is_causal=True)).max() < limit


def test_context_with_an_offset() -> None:
    attention, x, context = layer(), normal(3, 32), normal(9, 32, seed=5)
    got = attention(x, context, is_causal=True, q_offset=4)
    np.testing.assert_allclose(got[0], attention(x, context[:5])[0], atol=1e-6)


def test_call_errors() -> None:
    with pytest.raises(ValueError, match=r"x has shape \(3, 31\); expected \(..., tokens, 32\)"):
        layer()(normal(3, 31))
    with pytest.raises(ValueError, match=r"context has shape \(3, 31\)"):
        layer()(normal(3, 32), normal(3, 31))
    with pytest.raises(ValueError, match="context has positions of its own"):
        layer(rope=RotaryEmbedding(8))(normal(3, 32), normal(3, 32))
    with pytest.raises(ValueError, match="q_offset is 3, but the cache knows where the queries stand"):
        layer()(normal(3, 32), cache=KVCache(1, 2, 8, max_len=4), q_offset=3)
    with pytest.raises(ValueError, match="d_model 33 does not divide into 4 heads"):
        MultiHeadAttention.initialize(33, 4)
    with pytest.raises(ValueError, match="d_model 8 does not divide into 0 heads"):
        MultiHeadAttention.initialize(8, 0)


# Cache


@pytest.mark.parametrize("window", [None, 1, 4, 100])
@pytest.mark.parametrize("chunks", [[1] * 20, [20], [7, 1, 1, 11], [3, 9, 8], [1, 19]])
@pytest.mark.parametrize("positions", ["none", "rope", "alibi"])
def test_step_by_step_equals_prefill(window: int | None, chunks: list[int], positions: str) -> None:
    attention = layer(rope=RotaryEmbedding(8) if positions == "rope" else None)
    slopes = alibi_slopes(4) if positions == "alibi" else None
    x = normal(2, 20, 32)
    span = None if window is None else (window - 1, 0)
    expected = attention(x, is_causal=True, window=span, alibi_slopes=slopes)
    cache = KVCache(2, 2, 8, max_len=20 if window is None else None, batch=2, window=window)
    bytes_before = cache.nbytes
    got, start = [], 0
    for size in chunks:
        chunk = x[:, start : start + size]
        got.append(attention(chunk, is_causal=True, cache=cache, layer=1, alibi_slopes=slopes))
        start += size
    np.testing.assert_allclose(np.concatenate(got, axis=1), expected, atol=2e-6)
    assert cache.nbytes == bytes_before
    assert cache.position(1) == 20
    assert len(cache) == 0, "layer 0 has seen nothing"


@pytest.mark.parametrize("chunks", [[1] * 12, [5, 1, 6], [12]])
def test_ring_returns_the_last_tokens_in_order(chunks: list[int]) -> None:
    cache = KVCache(1, 1, 1, window=4)
    seen = 0
    for size in chunks:
        tokens = np.arange(seen, seen + size, dtype=np.float32)
        keys, values = cache.append(0, tokens[None, :, None], -tokens[None, :, None])
        seen += size
        first = max(0, seen - size - 3)
        assert keys[0, :, 0].tolist() == list(range(first, seen))
        assert np.array_equal(values, -keys)
        if size == 1:
            assert keys.base is not None, "a decoding step copies nothing"


def test_ring_holds_what_tensor_scatter_circular_holds() -> None:
    """ONNX ``TensorScatter`` writes token p to slot p mod window of a cache that keeps the last window."""
    case = next(case for case in node_cases("TensorScatter") if case.attributes.get("mode") == b"circular")
    past, update, starts = (case.inputs[slot] for slot in range(3))
    window = past.shape[2]
    for b, start in enumerate(starts.tolist()):
        cache = KVCache(1, past.shape[1], past.shape[3], window=window)
        filler = np.zeros((past.shape[1], start, past.shape[3]), dtype=past.dtype)
        cache.append(0, filler, filler)
        in_order = past[b][:, np.arange(start, start + window) % window]
        cache.append(0, in_order, in_order)
        keys, values = cache.append(0, update[b], update[b])
        slots = np.arange(len(cache) - window, len(cache)) % window
        assert np.array_equal(keys[:, -window:], case.outputs[0][b][:, slots])
        assert np.array_equal(values, keys)


def test_cache_views_capacity_and_truncate() -> None:
    cache = KVCache(1, 2, 4, max_len=6, dtype=np.float16, v_head_dim=3)
    assert cache.nbytes == 2 * 6 * (4 + 3) * 2
    keys, values = cache.append(0, normal(2, 5, 4), normal(2, 5, 3))
    assert (keys.shape, values.shape, keys.dtype.name) == ((2, 5, 4), (2, 5, 3), "float16")
    with pytest.raises(CapacityError, match="5 tokens are cached and 2 more came, but max_len is 6"):
        cache.append(0, normal(2, 2, 4), normal(2, 2, 3))
    assert len(cache) == 5
    cache.truncate(3)
    again, _ = cache.append(0, normal(2, 1, 4, seed=9), normal(2, 1, 3))
    assert again.shape == (2, 4, 4)
    assert np.array_equal(again[:, :3], keys[:, :3])
    assert repr(cache) == "KVCache(1 layers, 2 heads, 4 features, max_len=6, 4 tokens, 168 bytes)"


def test_cache_errors() -> None:
    for call, message in (
        (lambda: KVCache(1, 1, 1), "neither max_len nor window"),
        (lambda: KVCache(1, 1, 1, window=0), "window is 0"),
        (lambda: KVCache(0, 1, 1, max_len=1), "n_layers is 0; it must be at least 1"),
        (lambda: KVCache(1, 1, 1, max_len=1, batch=0), "batch is 0"),
        (lambda: KVCache(1, 1, 1, max_len=1, v_head_dim=0), "v_head_dim is 0"),
        (lambda: KVCache(1, 2, 4, 8).append(0, normal(2, 1, 5), normal(2, 1, 4)), r"k has shape \(2, 1, 5\)"),
        (lambda: KVCache(1, 2, 4, 8).append(0, normal(2, 1, 4), normal(2, 2, 4)), r"v has shape \(2, 2, 4\)"),
        (lambda: attention_map(np.zeros((1, 0, 0))), "there is nothing to draw"),
        (lambda: KVCache(1, 2, 4, 8).truncate(1), "n_tokens is 1; 0 tokens are cached"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(IndexError, match=r"layer is 2; the cache has layers 0\.\.1"):
        KVCache(2, 1, 1, max_len=4).append(2, normal(1, 1, 1), normal(1, 1, 1))
    with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
        KVCache(1, 1, 1, max_len=4).truncate(0.5)  # type: ignore[arg-type]
    ring = KVCache(1, 1, 1, window=4)
    ring.append(0, normal(1, 6, 1), normal(1, 6, 1))
    with pytest.raises(ValueError, match="can only be emptied"):
        ring.truncate(3)
    ring.truncate(0)
    assert len(ring) == 0


# Counts


@pytest.mark.parametrize(
    ("name", "kib_per_token"),
    [("gpt2", 36), ("llama-7b", 512), ("mistral-7b", 128), ("gpt-oss-120b", 72), ("gemma-2-2b", 104)],
)
def test_cache_bytes_per_token(name: str, kib_per_token: int) -> None:
    assert attention_cost(1, name).kv_bytes_per_token == kib_per_token * 1024


def test_cost_is_its_formula() -> None:
    shape = ModelShape(n_layers=3, d_model=64, n_heads=8, n_kv_heads=2, head_dim=16)
    cost = attention_cost(100, shape, batch=2, is_causal=False)
    assert cost.attention_flops == 3 * 4 * 2 * 8 * 100 * 100 * 16
    assert cost.projection_flops == 3 * 2 * 2 * 100 * 64 * (2 * 8 * 16 + 2 * 2 * 16)
    assert cost.score_bytes == 2 * 8 * 100 * 100 * 4
    assert cost.kv_bytes == 100 * cost.kv_bytes_per_token == 100 * 2 * 3 * 2 * 2 * 16 * 2
    causal = attention_cost(100, shape, batch=2)
    assert causal.attention_flops / cost.attention_flops == pytest.approx(101 / 200)


def test_growth_and_crossover() -> None:
    shape = ModelShape(1, 512, 8)
    for is_causal, tokens in ((False, 1024), (True, 2048)):
        cost = attention_cost(tokens, shape, is_causal=is_causal)
        assert cost.crossover_tokens == tokens
        assert cost.attention_share == pytest.approx(0.5, abs=1e-3)
    small, large = attention_cost(10_000, shape), attention_cost(20_000, shape)
    assert large.attention_flops / small.attention_flops == pytest.approx(4, rel=1e-3)
    assert large.projection_flops / small.projection_flops == 2
    assert attention_cost(0, shape).attention_share == 0


@pytest.mark.parametrize("is_causal", [True, False])
def test_windows_count_what_attention_computes(is_causal: bool) -> None:
    n, window = 50, 8
    shape = ModelShape(2, 16, 1, window=window, n_window_layers=1)
    distance = np.arange(n) - np.arange(n)[:, None]
    seen = (np.abs(distance) < window) & ((distance <= 0) | (not is_causal))
    full = n * (n + 1) // 2 if is_causal else n * n
    cost = attention_cost(n, shape, is_causal=is_causal)
    assert cost.attention_flops == 4 * 16 * (int(seen.sum()) + full)
    assert cost.kv_bytes == (n + window) * 2 * 16 * 2


def test_shapes_from_configurations(tmp_path: Path) -> None:
    llama = {
        "num_hidden_layers": 32,
        "hidden_size": 4096,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "max_position_embeddings": 131072,
        "model_type": "llama",
        "sliding_window": None,
    }
    (tmp_path / "config.json").write_text(json.dumps(llama), encoding="utf-8")
    for source in (llama, tmp_path, tmp_path / "config.json", str(tmp_path)):
        shape = ModelShape.from_config(source)
        assert (shape.n_layers, shape.kv_heads, shape.features, shape.window) == (32, 8, 128, None)
        assert attention_cost(10, source) == attention_cost(10, shape)
    gemma = {
        "model_type": "gemma3",
        "text_config": {
            "num_hidden_layers": 4,
            "hidden_size": 64,
            "num_attention_heads": 4,
            "head_dim": 32,
            "sliding_window": 16,
            "layer_types": ["sliding_attention"] * 3 + ["full_attention"],
        },
    }
    shape = ModelShape.from_config(gemma)
    assert (shape.features, shape.window, shape.window_layers) == (32, 16, 3)
    off = ModelShape.from_config({**llama, "sliding_window": 4096, "use_sliding_window": False})
    assert off.window is None
    assert set(PRESETS) == {"gpt2", "llama-7b", "mistral-7b", "gemma-2-2b", "gpt-oss-120b"}


def test_cost_errors(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("[]", encoding="utf-8")
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe")
    for call, message in (
        (lambda: attention_cost(1, {"hidden_size": 8}), "does not say n_layers, n_heads; it has hidden_size"),
        (lambda: attention_cost(1, "no-such-model"), r"'no-such-model' is neither a preset \(gpt2, "),
        (lambda: attention_cost(-1, "gpt2"), "n_tokens is -1"),
        (lambda: ModelShape(1, 9, 3, 2), "n_heads is 3, not a multiple of n_kv_heads 2"),
        (lambda: ModelShape(0, 8, 2), "n_layers is 0"),
        (lambda: ModelShape(2, 8, 2, n_window_layers=1), "n_window_layers is 1"),
        (lambda: ModelShape(2, 8, 0), "n_heads is 0"),
        (lambda: ModelShape(2, 7, 2), "d_model 7 does not divide into 2 heads; give head_dim"),
        (lambda: ModelShape.from_config({"n_layer": 2.5, "n_embd": 8, "n_head": 2}), "n_layers is 2.5"),
        (lambda: ModelShape.from_config({"n_layer": "2", "n_embd": 8, "n_head": 2}), "n_layers is '2'"),
        (lambda: ModelShape.from_config(tmp_path / "list.json"), "holds a list"),
        (lambda: ModelShape.from_config(tmp_path / "broken.json"), r"broken\.json is not a config\.json: Expecting"),
        (lambda: ModelShape.from_config(tmp_path / "bytes.json"), r"bytes\.json is not a config\.json: 'utf-8'"),
        (lambda: attention_cost(1, "gpt2", kv_itemsize=0), "kv_itemsize is 0"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_cost_argument_types() -> None:
    wrong: Any = None
    for call, message in (
        (lambda: attention_cost(1, wrong), "model is a NoneType; give a ModelShape"),
        (lambda: attention_cost(1, "gpt2", score_itemsize=wrong), "cannot be interpreted as an integer"),
        (lambda: context_budget(1, 10, usable=2.5), "cannot be interpreted as an integer"),  # type: ignore[arg-type]
    ):
        with pytest.raises(TypeError, match=message):
            call()
    assert attention_cost(np.int64(8), ModelShape(np.int64(2), 8, 2)).n_tokens == 8  # type: ignore[arg-type]


def test_advertised_and_usable_context_stay_apart() -> None:
    both = context_budget(60_000, 128_000, usable=32_000)
    assert (both.fits_advertised, both.fits_usable) == (True, False)
    assert (both.remaining_advertised, both.remaining_usable) == (68_000, -28_000)
    unknown = context_budget(60_000, 128_000)
    assert (unknown.fits_usable, unknown.remaining_usable) == (None, None)
    assert "usable length unknown" in str(unknown)
    for arguments, message in (
        ((-1, 5), "tokens=-1"),
        ((1, 0), "advertised=0"),
        ((1, 5, 6), "usable is 6, more than"),
    ):
        with pytest.raises(ValueError, match=message):
            context_budget(*arguments)


# Picture


def weights(n_heads: int = 2, n_queries: int = 4, n_keys: int = 4) -> Array:
    _, w = scaled_dot_product_attention(
        normal(n_heads, n_queries, 8),
        normal(n_heads, n_keys, 8),
        normal(n_heads, n_keys, 8),
        is_causal=True,
        q_offset=n_keys - n_queries,
        return_weights=True,
    )
    return np.asarray(w)


def test_map_has_a_panel_per_head_with_tokens_and_caption(tmp_path: Path) -> None:
    figure = attention_map(weights(3), ["The", " cat", b"\xf0\x9f", "\n"], layer=2, annotate=True)
    panels = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title().split(" · ")[0] for axes in panels] == [f"layer 2 head {h}" for h in range(3)]
    assert [label.get_text() for label in panels[0].get_xticklabels()] == ["The", "␣cat", r"\xf0\x9f", "↵"]
    assert [label.get_text() for label in panels[0].get_yticklabels()] == ["The", "␣cat", r"\xf0\x9f", "↵"]
    shown: Any = np.ma.asarray(panels[0].images[0].get_array())
    assert np.array_equal(np.ma.getmaskarray(shown), ~np.tri(4, dtype=bool))
    assert {axes.images[0].get_clim() for axes in panels} == {(0.0, 1.0)}
    assert len(panels[0].texts) == 10, "one number per visible cell"
    assert CAPTION in [text.get_text() for text in figure.texts]
    figure.savefig(tmp_path / "map.png")
    for axes in panels:
        box: Any = axes.get_tightbbox()
        assert 0 <= box.y0 < box.y1 <= figure.bbox.height, "titles and labels lie inside the figure"
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")


def test_map_of_a_decoding_step_and_of_cross_attention() -> None:
    step = attention_map(weights(1, 2, 5), list("abcde"))
    assert [label.get_text() for label in step.axes[0].get_yticklabels()] == ["d", "e"]
    ids = attention_map(weights(3), [464, 3797, 3332, 319], heads=2)
    assert [axes.get_title().split(" · ")[0] for axes in ids.axes[:-1]] == ["head 2"]
    assert [label.get_text() for label in ids.axes[0].get_xticklabels()] == ["464", "3797", "3332", "319"]
    cross = attention_map(np.full((2, 3), 0.5), (["x", "y"], ["a", "b", "c"]), is_causal=False)
    assert [label.get_text() for label in cross.axes[0].get_yticklabels()] == ["x", "y"]
    assert not np.ma.getmaskarray(np.ma.asarray(cross.axes[0].images[0].get_array())).any()


def test_map_hatches_rows_without_weight() -> None:
    w = weights(1)
    w[0, 2] = 0
    figure = attention_map(w)
    assert len(figure.axes[0].patches) == 3
    assert "entropy" in figure.axes[0].get_title()
    nothing = attention_map(np.zeros((1, 2, 2)), is_causal=False)
    assert "undefined" in nothing.axes[0].get_title()


def test_map_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    bad: list[tuple[Callable[[], object], str]] = [
        (lambda: attention_map(np.zeros((1, 2, 3, 3))), r"expected \(H, Nq, Nk\)"),
        (lambda: attention_map(np.zeros((65, 65))), "65 x 65, more than max_tokens=64"),
        (lambda: attention_map(weights(), ["a"]), "1 query and 1 key tokens for a map of 4 x 4"),
        (lambda: attention_map(weights(), heads=[2]), r"heads is \[2\]; the weights have heads 0\.\.1"),
        (lambda: attention_map(weights(), vmax=0), "vmax is 0"),
        (lambda: attention_map(weights(), columns=-1), "columns is -1"),
    ]
    for call, message in bad:
        with pytest.raises(ValueError, match=message):
            call()
    real_import = builtins.__import__

    def no_matplotlib(name: str, *rest: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real_import(name, *rest)

    monkeypatch.setattr(builtins, "__import__", no_matplotlib)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        attention_map(weights())


def test_entropy() -> None:
    got = attention_entropy(np.array([[1.0, 0, 0, 0], [0.25] * 4, [0.5, 0.5, 0, 0], [0, 0, 0, 0]]))
    np.testing.assert_allclose(got, [0, 2, 1, np.nan])
    with pytest.raises(ValueError, match="are not rows of weights"):
        attention_entropy([1.5, -0.5])
