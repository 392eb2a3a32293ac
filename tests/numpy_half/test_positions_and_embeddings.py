"""Embeddings, position vectors, rotations and biases: against ONNX, published tables and properties."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx_cases import Case, node_cases

import tokfast
from tokfast.attention import softmax
from tokfast.embeddings import TokenIdRangeError, embed, embed_with_positions, one_hot
from tokfast.positions import (
    LearnedPositions,
    PositionLengthError,
    RotaryEmbedding,
    alibi_bias,
    alibi_slopes,
    apply_rotary,
    interleave_weights,
    rope_frequencies,
    sinusoidal,
    t5_bias,
    t5_buckets,
)

Array = npt.NDArray[Any]
HERE = Path(__file__).parent
GOLDEN = json.loads((HERE / "rope_golden.json").read_text(encoding="utf-8"))["rows"]
PUBLISHED = json.loads((HERE / "rope_published.json").read_text(encoding="utf-8"))


def normal(*shape: int, seed: int = 0, dtype: Any = np.float32) -> Array:
    return np.random.default_rng((seed, *shape)).standard_normal(shape).astype(dtype)


# Embeddings


@given(st.lists(st.integers(0, 99), max_size=50), st.integers(0, 2**32 - 1))
def test_one_hot_product_equals_embed_bit_for_bit(ids: list[int], seed: int) -> None:
    E = normal(100, 24, seed=seed)
    picked = embed(ids, E)
    assert np.array_equal((one_hot(ids, 100) @ E).view(np.uint32), picked.view(np.uint32))


def test_embed_shapes_and_dtypes() -> None:
    E = normal(10, 3, dtype=np.float16)
    assert embed(np.zeros((2, 5), dtype=np.uint32), E).shape == (2, 5, 3)
    assert embed(4, E).tolist() == E[4].tolist()
    assert embed([], E).shape == (0, 3)
    assert embed([1], E).dtype == np.float16
    embed([1], E)[:] = 0
    assert E[1].any(), "the result is a copy"
    assert one_hot(2, 3, dtype=np.int8).tolist() == [0, 0, 1]


@pytest.mark.parametrize("bad", [-1, 10, 2**40])
def test_ids_outside_the_vocabulary_are_refused_by_name(bad: int) -> None:
    message = rf"token id {bad} is outside 0\.\.9, the vocabulary of 10 tokens"
    with pytest.raises(TokenIdRangeError, match=message):
        embed([3, bad], normal(10, 2))
    with pytest.raises(TokenIdRangeError, match=message):
        one_hot([3, bad], 10)
    assert issubclass(TokenIdRangeError, (IndexError, ValueError, tokfast.TokenIdError))


def test_embedding_argument_errors() -> None:
    with pytest.raises(TypeError, match="ids have dtype float64"):
        embed([0.5], normal(10, 2))
    with pytest.raises(ValueError, match="n is -1"):
        one_hot([0], -1)
    with pytest.raises(TypeError, match="ids have dtype float64"):
        embed(np.zeros(0), normal(10, 2))
    with pytest.raises(ValueError, match=r"E has shape \(10,\)"):
        embed([1], normal(10))
    with pytest.raises(ValueError, match=r"P has shape \(5, 3\)"):
        embed_with_positions([1], normal(10, 2), normal(5, 3))
    with pytest.raises(ValueError, match=r"positions 4\.\.5 asked, P has rows for 0\.\.4"):
        embed_with_positions([1, 2], normal(10, 2), normal(5, 2), offset=4)
    with pytest.raises(ValueError, match="single id"):
        embed_with_positions(1, normal(10, 2), normal(5, 2))


def test_embed_with_positions() -> None:
    E, P = normal(10, 4), normal(8, 4, seed=1)
    ids = np.array([[1, 2, 3], [4, 5, 6]])
    assert np.array_equal(embed_with_positions(ids, E, P, offset=2), E[ids] + P[2:5])
    assert np.array_equal(embed_with_positions(ids, E, P, scale=2.0), 2 * E[ids] + P[:3])
    assert embed_with_positions(ids, E, P, scale=2.0).dtype == np.float32


# Sinusoidal and learned


@pytest.mark.parametrize("dim", [1, 2, 7, 16])
@pytest.mark.parametrize("layout", ["interleaved", "split"])
def test_sinusoidal_is_its_formula(dim: int, layout: Any) -> None:
    table = sinusoidal(5, dim, layout=layout, offset=3, dtype=np.float64)
    n_sines = (dim + 1) // 2
    for row, position in enumerate(range(3, 8)):
        for i in range(dim):
            pair, is_sine = (i // 2, i % 2 == 0) if layout == "interleaved" else (i % n_sines, i < n_sines)
            angle = position / 10000.0 ** (2 * pair / dim)
            assert table[row, i] == pytest.approx(math.sin(angle) if is_sine else math.cos(angle), abs=1e-12)


def test_sinusoidal_moves_by_a_rotation() -> None:
    table = sinusoidal([0, 5, 1000, 1005], 16, layout="split", dtype=np.float64)
    hands = table[:, :8] * 1j + table[:, 8:]
    np.testing.assert_allclose(hands[1] / hands[0], hands[3] / hands[2], atol=1e-12)


def test_sinusoidal_angles_are_exact_far_out() -> None:
    angle = 10**6 / 10000.0 ** (2 / 64)
    assert sinusoidal([10**6], 64)[0, 2] == pytest.approx(math.sin(angle), abs=1e-7)
    assert sinusoidal(np.array([[0], [1]]), 4).shape == (2, 1, 4)


def test_position_argument_errors() -> None:
    with pytest.raises(ValueError, match="dim is 0"):
        sinusoidal(3, 0)
    with pytest.raises(ValueError, match='layout is \'mixed\'; give "interleaved" or "split"'):
        sinusoidal(3, 4, layout="mixed")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="base is 0"):
        sinusoidal(3, 4, base=0)
    with pytest.raises(ValueError, match="-1 positions asked"):
        sinusoidal(-1, 4)
    with pytest.raises(TypeError, match="positions have dtype"):
        sinusoidal(["a"], 4)


def test_learned_positions_end_with_their_table() -> None:
    positions = LearnedPositions(normal(6, 3))
    assert np.array_equal(positions(2, offset=4), positions.table[4:])
    assert positions(np.array([[0, 5]])).shape == (1, 2, 3)
    assert positions(0).shape == (0, 3)
    assert len(positions) == 6
    for bad, message in (((7,), r"0\.\.6 asked"), ((2, 5), r"5\.\.6 asked"), (([-1],), r"-1\.\.-1 asked")):
        with pytest.raises(PositionLengthError, match=f"positions {message}, table was trained for 6"):
            positions(*bad)
    with pytest.raises(TypeError, match="positions are floats"):
        positions([0.5])
    with pytest.raises(ValueError, match="table has shape"):
        LearnedPositions(np.zeros((0, 3)))


def test_learned_positions_interpolate() -> None:
    line = LearnedPositions(np.arange(5.0)[:, None])
    np.testing.assert_allclose(line.interpolate(9)(9)[:, 0], np.arange(9) / 2)
    assert np.array_equal(line.interpolate(5).table, line.table)
    whole = LearnedPositions(np.arange(5)[:, None])
    np.testing.assert_allclose(whole.interpolate(9)(9)[:, 0], np.arange(9) / 2)
    with pytest.raises(TypeError, match="table has dtype"):
        LearnedPositions([["a"]])
    np.testing.assert_allclose(line.interpolate(3)(3)[:, 0], [0, 2, 4])
    assert line.interpolate(1)(1)[:, 0].tolist() == [0]
    assert LearnedPositions([[3.0]]).interpolate(4)(4)[:, 0].tolist() == [3, 3, 3, 3]
    with pytest.raises(ValueError, match="n_positions is 0"):
        line.interpolate(0)


# Rotary


@pytest.mark.parametrize("case", node_cases("RotaryEmbedding"), ids=lambda case: case.name)
def test_onnx_rotary_embedding(case: Case) -> None:
    x, cos, sin = (case.inputs[slot] for slot in range(3))
    if 3 in case.inputs:
        cos, sin = cos[case.inputs[3]], sin[case.inputs[3]]
    if is_3d := x.ndim == 3:
        n_heads = case.attributes["num_heads"]
        x = x.reshape(*x.shape[:2], n_heads, -1).transpose(0, 2, 1, 3)
    options: dict[str, Any] = {
        "interleaved": bool(case.attributes.get("interleaved", 0)),
        "rotary_dim": case.attributes.get("rotary_embedding_dim") or None,
    }
    got = apply_rotary(x, cos, sin, **options)
    into = x.copy()
    assert apply_rotary(into, cos, sin, **options, out=into) is into
    assert np.array_equal(into, got)
    if is_3d:
        got = got.transpose(0, 2, 1, 3).reshape(case.outputs[0].shape)
    assert np.array_equal(got, case.outputs[0])


def test_the_suite_has_all_its_cases() -> None:
    counts = {operator: len(node_cases(operator)) for operator in ("RotaryEmbedding", "Softmax", "TensorScatter")}
    assert counts == {"RotaryEmbedding": 8, "Softmax": 7, "TensorScatter": 3}


@pytest.mark.parametrize(
    "row",
    GOLDEN,
    ids=lambda row: f"{row['scaling']['rope_type']}-{row['scaling'].get('factor')}-{row['seq_len']}",
)
def test_frequencies_equal_those_of_transformers(row: dict[str, Any]) -> None:
    frequencies, attention_factor = rope_frequencies(
        row["head_dim"],
        scaling=row["scaling"],
        seq_len=row["seq_len"],
        max_position_embeddings=row["max_position_embeddings"],
    )
    np.testing.assert_allclose(frequencies, row["inv_freq"], rtol=1e-12)
    assert attention_factor == pytest.approx(row["attention_factor"], rel=1e-14)


@pytest.mark.parametrize(
    ("name", "scaling", "seq_len"),
    [
        ("dynamic", {"rope_type": "dynamic", "factor": 10.0}, 16384),
        ("yarn", {"type": "yarn", "factor": 10.0, "original_max_position_embeddings": 2048}, None),
        (
            "llama3",
            {
                "rope_type": "llama3",
                "factor": 10.0,
                "original_max_position_embeddings": 2048,
                "low_freq_factor": 1,
                "high_freq_factor": 4,
            },
            None,
        ),
    ],
)
def test_frequencies_equal_published_tables(name: str, scaling: dict[str, Any], seq_len: int | None) -> None:
    frequencies, _ = rope_frequencies(128, scaling=scaling, seq_len=seq_len, max_position_embeddings=2048)
    np.testing.assert_allclose(frequencies, PUBLISHED[name], rtol=5.1e-5)  # five digits are printed


@pytest.mark.parametrize(
    ("dim", "options", "message"),
    [
        (7, {}, "the rotated size is 7"),
        (8, {"scaling": {"rope_type": "ntk"}}, "rope_type is 'ntk'; known are default, linear"),
        (8, {"scaling": {"rope_type": "linear"}}, "rope_type 'linear' needs 'factor'"),
        (8, {"scaling": {"rope_type": "dynamic", "factor": 2.0}}, "needs 'max_position_embeddings'"),
        (8, {"scaling": {"type": "yarn", "factor": 2.0}}, "'yarn' needs 'original_max_position_embeddings'"),
        (8, {"scaling": {"type": "yarn", "original_max_position_embeddings": 9}}, "'yarn' needs 'factor'"),
        (
            2,
            {"scaling": {"type": "dynamic", "factor": 2.0, "max_position_embeddings": 9}},
            "rotated size above 2",
        ),
        (
            8,
            {
                "scaling": {
                    "type": "longrope",
                    "factor": 2.0,
                    "original_max_position_embeddings": 9,
                    "short_factor": [1],
                }
            },
            "short_factor has 1 entries; expected 4",
        ),
        (8, {"theta": -1.0}, "theta is -1.0; it must exceed 1"),
        (8, {"theta": math.nan}, "theta is nan; it must exceed 1"),
        (8, {"scaling": {"type": "linear", "factor": 0}}, "factor is 0; it must be positive"),
        (8, {"scaling": {"type": "linear", "factor": "2"}}, "factor is '2'; it must be positive"),
        (
            8,
            {
                "scaling": {
                    "type": "llama3",
                    "factor": 2.0,
                    "original_max_position_embeddings": 9,
                    "low_freq_factor": 4,
                    "high_freq_factor": 4,
                }
            },
            "low_freq_factor is 4 and high_freq_factor 4; the second must exceed the first",
        ),
        (8, {"scaling": {"partial_rotary_factor": 1.5}}, "partial_rotary_factor is 1.5; it is the share"),
        (
            8,
            {"scaling": {"full_attention": {"rope_type": "default"}, "sliding_attention": {"rope_type": "default"}}},
            r"for each of full_attention, sliding_attention; pass scaling\['full_attention'\]",
        ),
        (8, {"theta": 5.0, "scaling": {"rope_theta": 6.0}}, "theta is 5.0, but scaling says rope_theta 6.0"),
    ],
)
def test_frequency_errors(dim: int, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rope_frequencies(dim, **options)


@pytest.mark.parametrize("layout", ["half", "interleaved"])
@pytest.mark.parametrize("start", [0, 10**6])
def test_rotated_products_depend_on_the_distance_alone(layout: Any, start: int) -> None:
    rope = RotaryEmbedding(64, layout=layout)
    q, k = (normal(1, 64, seed=seed) / 8 for seed in (1, 2))
    for distance in (0, 1, 17, 4000):
        here = rope.apply(q, offset=start + distance) @ rope.apply(k, offset=start).T
        there = rope.apply(q, offset=distance) @ rope.apply(k, offset=0).T
        assert abs(float(here[0, 0] - there[0, 0])) <= 1e-6


def test_both_layouts_give_the_same_scores() -> None:
    x, w_q, w_k = normal(9, 32), normal(32, 48, seed=1), normal(32, 48, seed=2)

    def scores(layout: Any, w_q: Array, w_k: Array, rotary_dim: int) -> Array:
        rope = RotaryEmbedding(16, rotary_dim=rotary_dim, layout=layout)
        q, k = ((x @ w).reshape(9, 3, 16).swapaxes(0, 1) for w in (w_q, w_k))
        return np.asarray(rope.apply(q) @ rope.apply(k).swapaxes(-1, -2))

    for size in (16, 8):
        new_q, new_k = (interleave_weights(w, 3, rotary_dim=size) for w in (w_q, w_k))
        np.testing.assert_allclose(
            scores("half", w_q, w_k, size), scores("interleaved", new_q, new_k, size), rtol=1e-4, atol=1e-3
        )


def test_rotary_positions() -> None:
    rope = RotaryEmbedding(8)
    x = normal(2, 3, 5, 8)
    rows = np.array([[0, 1, 2, 3, 4], [7, 8, 9, 10, 11]])
    got = rope.apply(x, rows)
    assert np.array_equal(got[0], rope.apply(x[0]))
    assert np.array_equal(got[1], rope.apply(x[1], offset=7))
    assert np.array_equal(rope.apply(x, np.arange(5), offset=7), rope.apply(x, offset=7))
    halfway = rope.apply(x, offset=0.5)  # type: ignore[arg-type]
    assert np.array_equal(halfway, rope.apply(x, np.arange(5) + 0.5))
    assert np.array_equal(rope.apply(x[..., :0, :]), x[..., :0, :])
    cos, sin = rope.cos_sin(5)
    assert cos.shape == sin.shape == (5, 4)
    np.testing.assert_allclose(cos**2 + sin**2, 1, atol=1e-6)


def test_partial_rotation_leaves_the_rest() -> None:
    x = normal(5, 8)
    for rope in (RotaryEmbedding(8, rotary_dim=4), RotaryEmbedding(8, partial_rotary_factor=0.5)):
        got = rope.apply(x, offset=3)
        assert np.array_equal(got[:, 4:], x[:, 4:])
        assert np.array_equal(got[:, :4], RotaryEmbedding(4).apply(x[:, :4], offset=3))


def test_length_dependent_scalings_follow_the_last_position() -> None:
    scaling = {"rope_type": "dynamic", "factor": 2.0}
    rope = RotaryEmbedding(8, scaling=scaling, max_position_embeddings=16)
    short, long = rope.frequencies(16)[0], rope.frequencies(64)[0]
    assert np.array_equal(short, rope_frequencies(8)[0])
    assert long[-1] < short[-1]
    cos, _ = rope.cos_sin(64)
    np.testing.assert_allclose(cos[63], np.cos(63 * long), atol=1e-7)
    fixed, _ = rope.cos_sin(64, seq_len=16)
    np.testing.assert_allclose(fixed[63], np.cos(63 * short), atol=1e-7)


def test_yarn_attention_factor_multiplies_cos_and_sin() -> None:
    scaling = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}
    cos, sin = RotaryEmbedding(8, scaling=scaling).cos_sin(3)
    np.testing.assert_allclose(cos**2 + sin**2, (0.1 * math.log(4) + 1) ** 2, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64])
def test_rotary_keeps_the_dtype(dtype: Any) -> None:
    x = normal(3, 8)
    got = RotaryEmbedding(8, dtype=np.float64).apply(x.astype(dtype))
    assert got.dtype == dtype
    exact = RotaryEmbedding(8).apply(x)
    np.testing.assert_allclose(got.astype(np.float32), exact, atol=0.05)


def test_rotary_errors() -> None:
    x, (cos, sin) = normal(2, 5, 8), RotaryEmbedding(8).cos_sin(5)
    for call, error, message in (
        (lambda: apply_rotary(x.astype(int), cos, sin), TypeError, "x has dtype int64"),
        (
            lambda: apply_rotary(x, cos[:4], sin),
            ValueError,
            r"cos has shape \(4, 4\); for x of shape \(2, 5, 8\)",
        ),
        (lambda: apply_rotary(x, cos, sin[:, :3]), ValueError, r"sin has shape \(5, 3\)"),
        (lambda: apply_rotary(x, cos, sin, rotary_dim=10), ValueError, "the rotated size is 10"),
        (lambda: apply_rotary(x[0, 0], cos, sin), ValueError, r"expected \(..., N, D\)"),
        (lambda: apply_rotary(x, cos, sin, out=np.empty(3)), ValueError, "out has shape"),
        (lambda: apply_rotary(x, cos, sin, out=[0.0]), TypeError, "out is a list"),  # type: ignore[arg-type]
        (lambda: rope_frequencies(8, scaling="yarn"), TypeError, "scaling is 'yarn'; give rope_parameters"),  # type: ignore[arg-type]
        (lambda: RotaryEmbedding(8).apply(normal(3, 6)), ValueError, r"expected \(..., N, 8\)"),
        (lambda: RotaryEmbedding(8, layout="x"), ValueError, "layout is 'x'"),  # type: ignore[arg-type]
        (lambda: RotaryEmbedding(8, rotary_dim=4, partial_rotary_factor=0.5), ValueError, "give one"),
        (lambda: RotaryEmbedding(8, rotary_dim=10), ValueError, "rotary_dim is 10"),
        (lambda: RotaryEmbedding(8, scaling="yarn"), TypeError, "scaling is 'yarn'; give rope_parameters"),  # type: ignore[arg-type]
        (lambda: interleave_weights(normal(4, 8), 0), ValueError, "n_heads is 0"),
        (lambda: interleave_weights(normal(4, 9), 2), ValueError, "9 columns do not make 2 heads"),
    ):
        with pytest.raises(error, match=message):
            call()


# Biases


@pytest.mark.parametrize("n_heads", range(1, 129))
def test_alibi_slopes_follow_the_published_rule(n_heads: int) -> None:
    """The recursive rule of the authors' code: powers of two, then every other slope of the next power."""

    def rule(n: int) -> list[float]:
        if n & (n - 1) == 0:
            start = 2.0 ** (-8.0 / n)
            return [start ** (i + 1) for i in range(n)]
        power = 1 << (n.bit_length() - 1)
        return rule(power) + rule(2 * power)[0::2][: n - power]

    np.testing.assert_allclose(alibi_slopes(n_heads), rule(n_heads), rtol=1e-12)


def test_alibi_published_slopes() -> None:
    assert alibi_slopes(8).tolist() == [2.0**-k for k in range(1, 9)]
    np.testing.assert_allclose(alibi_slopes(12)[8:], 2.0 ** -np.array([0.5, 1.5, 2.5, 3.5]), rtol=1e-14)
    with pytest.raises(ValueError, match="n_heads is 0"):
        alibi_slopes(0)


def test_alibi_bias() -> None:
    bias = alibi_bias(3, 2, 5, offset=3, dtype=np.float64)
    for head, i, j in np.ndindex(3, 2, 5):
        assert bias[head, i, j] == -alibi_slopes(3)[head] * (i + 3 - j)


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize(("n_buckets", "max_distance"), [(32, 128), (32, 64), (16, 100), (64, 512)])
def test_t5_buckets_exactly(bidirectional: bool, n_buckets: int, max_distance: int) -> None:
    relative = np.arange(-1000, 1001)
    got = t5_buckets(relative, bidirectional=bidirectional, n_buckets=n_buckets, max_distance=max_distance)
    for r, bucket in zip(relative.tolist(), got.tolist(), strict=True):
        buckets, base = n_buckets, 0
        if bidirectional:
            buckets //= 2
            base = buckets if r > 0 else 0
        n, half = (abs(r) if bidirectional else max(-r, 0)), buckets // 2
        if n >= half:
            # The largest step with (max_distance / half) ** (step / (buckets - half)) <= n / half, in whole
            # numbers.
            ratio, reach, step = Fraction(n, half), Fraction(max_distance, half), 0
            while step + 1 < buckets - half and reach ** (step + 1) <= ratio ** (buckets - half):
                step += 1
            n = half + step
        assert bucket == base + n, r


def test_t5_bias() -> None:
    table = normal(32, 4)
    bias = t5_bias(table, 3, 6, offset=3, bidirectional=False)
    assert bias.shape == (4, 3, 6)
    assert bias[2, 0, 1] == table[2, 2]
    for call, message in (
        (lambda: t5_bias(table[0], 3, 6), r"table has shape \(4,\)"),
        (lambda: t5_buckets([1], n_buckets=2), "n_buckets is 2; give at least 4"),
        (lambda: t5_buckets([1], max_distance=8), "max_distance is 8; it must exceed 8"),
        (lambda: t5_bias(table, -3, 4), "q_len is -3 and k_len is 4; lengths must not be negative"),
        (lambda: alibi_bias(2, 2, -3), "q_len is 2 and k_len is -3"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(TypeError, match="relative_position has dtype float64"):
        t5_buckets([1.5])


@pytest.mark.parametrize("case", node_cases("Softmax"), ids=lambda case: case.name)
def test_onnx_softmax(case: Case) -> None:
    got = softmax(case.inputs[0], axis=case.attributes.get("axis", -1))
    np.testing.assert_allclose(got, case.outputs[0], rtol=case.rtol, atol=case.atol)
