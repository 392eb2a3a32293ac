"""Every option and every path against the oracle, and properties that need none."""

from __future__ import annotations

import math
import time
import tracemalloc
from collections import deque
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest
from attention_oracle import attend
from hypothesis import given
from hypothesis import strategies as st

from tokfast.attention import _blocks, _jobs, _threads, causal_mask, scaled_dot_product_attention, softmax
from tokfast.attention._arguments import check
from tokfast.attention._blocks import tiles
from tokfast.attention._jobs import KeyHeads
from tokfast.attention._online import OnlineSoftmax
from tokfast.positions import alibi_bias, alibi_slopes

Array = npt.NDArray[Any]
PATHS = ["dense", None, 1, 3, 7, (1, 1), (3, 3), (7, 7), (3, 7), (256, 512)]


def normal(*shape: int, seed: int = 0, dtype: Any = np.float32) -> Array:
    return np.random.default_rng((seed, *shape)).standard_normal(shape).astype(dtype)


def inputs(n_queries: int = 9, n_keys: int = 14, *, seed: int = 0) -> tuple[Array, Array, Array]:
    shapes = ((2, 4, n_queries, 8), (2, 2, n_keys, 8), (2, 2, n_keys, 6))
    return tuple(normal(*shape, seed=seed) for shape in shapes)  # type: ignore[return-value]


def in_float64(q: Array, k: Array, v: Array, **options: Any) -> Array:
    q, k, v = (x.astype(np.float64) for x in (q, k, v))
    return np.asarray(scaled_dot_product_attention(q, k, v, **options, block_size="dense"))


RANDOM_MASK = np.random.default_rng(5).random((2, 1, 9, 14)) < 0.5
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "causal, last queries": {"is_causal": True, "q_offset": 5},
    "causal, first queries": {"is_causal": True, "q_offset": 0},
    "causal, rows before the first key": {"is_causal": True, "q_offset": -4},
    "causal, far behind": {"is_causal": True, "q_offset": 40},
    "boolean mask": {"mask": RANDOM_MASK},
    "boolean mask, empty rows and tiles": {"mask": RANDOM_MASK & (np.arange(9) % 4 > 0)[:, None]},
    "key padding": {"mask": np.arange(14) < 11},
    "additive mask": {"mask": normal(4, 9, 14, seed=2)},
    "additive mask with -inf": {"mask": np.where(RANDOM_MASK, 0.5, -np.inf).astype(np.float32)},
    "all hidden": {"mask": np.zeros((9, 14), dtype=bool)},
    "mask and causal": {"mask": RANDOM_MASK, "is_causal": True, "q_offset": 5},
    "window": {"window": (3, 2), "q_offset": 2},
    "left window": {"window": (3, -1), "q_offset": 2},
    "right window": {"window": (-1, 1), "q_offset": 3},
    "window of self": {"window": (0, 0), "q_offset": 0},
    "window and causal": {"window": (2, 5), "is_causal": True, "q_offset": 5},
    "window past the keys": {"window": (1, 1), "q_offset": 10},
    "offset per row": {"is_causal": True, "q_offset": np.array([5, -2])},
    "lengths": {"kv_lens": np.array([14, 3])},
    "lengths and causal": {"kv_lens": np.array([9, 0]), "is_causal": True, "q_offset": np.array([0, 5])},
    "length for all": {"kv_lens": 4, "mask": RANDOM_MASK},
    "scale": {"scale": 0.9},
    "softcap": {"softcap": 1.5, "is_causal": True, "q_offset": 5},
    "sinks": {"sinks": np.array([0.5, -2.0, 3.0, -np.inf])},
    "large sinks": {"sinks": np.array([60.0, 90.0, 0.0, -50.0])},
    "sinks and empty rows": {"sinks": np.array([0.5, -2.0, 3.0, -np.inf]), "is_causal": True, "q_offset": -3},
    "alibi": {"alibi_slopes": alibi_slopes(4), "is_causal": True, "q_offset": 5},
    "alibi both ways": {"alibi_slopes": alibi_slopes(4), "q_offset": 0},
    "everything": {
        "mask": RANDOM_MASK,
        "is_causal": True,
        "q_offset": np.array([5, 3]),
        "kv_lens": np.array([13, 8]),
        "window": (6, -1),
        "scale": 0.4,
        "softcap": 2.0,
        "sinks": np.array([0.1, 0.2, 0.3, 0.4]),
        "alibi_slopes": alibi_slopes(4),
    },
}


@pytest.mark.parametrize("path", PATHS, ids=str)
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_options_equal_the_oracle(options: dict[str, Any], path: Any) -> None:
    q, k, v = inputs()
    expected, expected_weights = attend(q, k, v, **options)
    got = scaled_dot_product_attention(q, k, v, **options, block_size=path)
    np.testing.assert_allclose(got, expected, rtol=0, atol=2e-6)
    got, weights = scaled_dot_product_attention(q, k, v, **options, block_size=path, return_weights=True)
    np.testing.assert_allclose(got, expected, rtol=0, atol=2e-6)
    np.testing.assert_allclose(weights, expected_weights, rtol=0, atol=1e-6)


@pytest.mark.parametrize("is_sampled", [True, False])
@pytest.mark.parametrize("path", [3, (3, 7), (256, 512)], ids=str)
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_pairs_of_heads_and_transposed_keys(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], path: Any, is_sampled: bool
) -> None:
    """What long inputs take, on short ones."""
    monkeypatch.setattr(_jobs, "BLOCKS_FOR_PAIRS", 1)
    monkeypatch.setattr(_jobs, "ROWS_TO_TRANSPOSE", 1)
    monkeypatch.setattr(_jobs, "SAMPLE", 4 if is_sampled else 64)
    q, k, v = inputs()
    expected, _ = attend(q, k, v, **options)
    got = scaled_dot_product_attention(q, k, v, **options, block_size=path)
    np.testing.assert_allclose(got, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("path", ["dense", 16, (16, 32), (64, 512)], ids=str)
def test_infinite_keys(path: Any) -> None:
    """Scores of -inf that no mask made, in all of the first tiles, and low ones behind them."""
    q, v = np.ones((2, 80, 1), dtype=np.float32), normal(2, 200, 3)
    k = normal(2, 200, 1, seed=1) - np.float32(100)
    k[:, :120] = -np.inf
    expected = in_float64(q, k[:, 120:], v[:, 120:])
    got = scaled_dot_product_attention(q, k, v, block_size=path)
    np.testing.assert_allclose(got, expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(("heads", "key_heads"), [(5, 5), (6, 3), (4, 1)])
def test_heads_that_do_not_pair_up(heads: int, key_heads: int, dtype: Any) -> None:
    q, k, v = normal(heads, 1100, 8), normal(key_heads, 1100, 8, seed=1), normal(key_heads, 1100, 3, seed=2)
    q, k, v = q.astype(dtype), k.astype(dtype), v.astype(dtype)
    expected = in_float64(q, k, v, is_causal=True)
    for path in (None, 100, (64, 300)):
        got = scaled_dot_product_attention(q, k, v, is_causal=True, block_size=path)
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-3 if dtype == np.float16 else 2e-6)


@pytest.mark.parametrize("path", ["dense", 16, (16, 32), None], ids=str)
@pytest.mark.parametrize(("spread", "exp2_is_fast"), [(1.0, False), (1.0, True), (30.0, True)])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_with_and_without_peaks(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], spread: float, exp2_is_fast: bool, path: Any
) -> None:
    """70 queries are tried without peaks with spread 1, by either exponential, and not with spread 30."""
    monkeypatch.setattr(_blocks, "EXP2_IS_FAST", exp2_is_fast)
    q, k, v = inputs(70, 90)
    options = {
        name: np.resize(value, (2, 4, 70, 90)) if name == "mask" else value * 5 if name == "kv_lens" else value
        for name, value in options.items()
    }
    expected, _ = attend(q * np.float32(spread), k, v, **options)
    got = scaled_dot_product_attention(q * np.float32(spread), k, v, **options, block_size=path, threads=2)
    np.testing.assert_allclose(got, expected, rtol=0, atol=2e-6 * spread)


def test_which_heads_are_tried_without_peaks() -> None:
    def is_moderate(q: Array, k: Array, v: Array, **options: Any) -> bool:
        names = (
            "mask",
            "is_causal",
            "q_offset",
            "kv_lens",
            "window",
            "scale",
            "softcap",
            "sinks",
            "alibi_slopes",
        )
        problem = check(q, k, v, **{name: options.get(name) for name in names})  # type: ignore[arg-type]
        ((_, row),) = list(problem.rows())
        return KeyHeads(row, slice(0, 1)).is_moderate

    q, k, v = normal(1, 100, 8), normal(1, 100, 8, seed=1), normal(1, 100, 8, seed=2)
    assert is_moderate(q, k, v)
    assert is_moderate(q * 60, k, v, softcap=20.0)
    assert not is_moderate(q * 60, k, v)
    assert not is_moderate(q, k, v, sinks=[80.0])
    assert is_moderate(q, k, v, mask=np.zeros((100, 100), dtype=np.float32))
    assert is_moderate(q, k, v, alibi_slopes=[0.5], is_causal=True)
    assert not is_moderate(q, k, v, alibi_slopes=[0.5]), "a bonus that grows with the distance"
    assert not is_moderate(q, k, v * np.float32(1e7))
    assert not is_moderate(q, k, v * 0)
    assert not is_moderate(q * np.float32(np.nan), k, v)
    assert not is_moderate(q[:, :10], k, v)


@pytest.mark.parametrize("exp2_is_fast", [True, False])
@pytest.mark.parametrize("softcap", [None, 1000.0])
def test_large_scores_beside_a_moderate_sample(
    monkeypatch: pytest.MonkeyPatch, exp2_is_fast: bool, softcap: Any
) -> None:
    """Neither the sample nor a warning tells of one query and one key that overflow without a peak."""
    monkeypatch.setattr(_blocks, "EXP2_IS_FAST", exp2_is_fast)
    q, k, v = normal(1, 1, 200, 8), normal(1, 1, 300, 8, seed=1), normal(1, 1, 300, 5, seed=2)
    q[..., 151, :] *= 100
    k[..., 203, :] *= 100
    q[..., 17, :] = k[..., 20, :] = -20
    assert (q @ k.swapaxes(-1, -2)).max() > 3000
    expected, _ = attend(q, k, v, softcap=softcap)
    got = scaled_dot_product_attention(q, k, v, softcap=softcap, block_size=(64, 128))
    np.testing.assert_allclose(got, expected, rtol=0, atol=2e-3)


@pytest.mark.parametrize("path", ["dense", None, 64, (64, 100)], ids=str)
@pytest.mark.parametrize(
    "factors",
    [(1, 1, 1e25), (1, 1, 1e-30), (1, 1, 1e5), (1, 1e15, 1), (1e-30, 1, 1)],
)
@pytest.mark.parametrize("rows_to_transpose", [1, 1024])
def test_sizes_near_the_ends_of_float32(
    monkeypatch: pytest.MonkeyPatch, factors: tuple[float, float, float], path: Any, rows_to_transpose: int
) -> None:
    monkeypatch.setattr(_jobs, "ROWS_TO_TRANSPOSE", rows_to_transpose)
    arrays = normal(1, 2, 200, 16), normal(1, 2, 300, 16, seed=1), normal(1, 2, 300, 5, seed=2)
    q, k, v = (array * np.float32(factor) for array, factor in zip(arrays, factors, strict=True))
    expected = in_float64(q, k, v)
    got = scaled_dot_product_attention(q, k, v, block_size=path)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-6 * float(np.abs(expected).max()))


@pytest.mark.parametrize("path", ["dense", None, 64, (64, 100)], ids=str)
@pytest.mark.parametrize("shift", [-90.0, -45.0, 50.0, 58.0, 90.0])
def test_all_scores_shifted(shift: float, path: Any) -> None:
    """A feature that all queries and all keys share: by it every score is near the shift."""
    q, k, v = normal(1, 2, 200, 16), normal(1, 2, 300, 16, seed=1), normal(1, 2, 300, 5, seed=2)
    expected = in_float64(q[..., :15], k[..., :15], v, scale=0.25)
    q[..., 15], k[..., 15] = shift / 2.5, 10
    got = scaled_dot_product_attention(q, k, v, block_size=path)
    np.testing.assert_allclose(got, expected, rtol=0, atol=5e-5)


@pytest.mark.parametrize("unit", [1.0, math.log2(math.e)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_flushed_weights_are_zero_or_normal_numbers(dtype: Any, unit: float) -> None:
    online = OnlineSoftmax(1, 1, 1, np.dtype(dtype), unit)
    logits = np.linspace(-200, 50, 10_001)
    weights = (logits * unit).astype(dtype)
    online.exponentiate(weights, floor=True, flush=True)
    np.testing.assert_allclose(weights[logits > -60], np.exp(logits[logits > -60]), rtol=1e-5)
    assert np.all(weights[logits < -80.1] == 0)
    assert np.all((weights == 0) | (weights >= np.finfo(np.float32).tiny))
    for count in (1, 3, 17):  # whatever loop numpy takes
        hidden = np.full(count, -np.inf, dtype=dtype)
        online.exponentiate(hidden, floor=True, flush=True)
        assert not hidden.any()


@pytest.mark.parametrize("path", ["dense", 40, (33, 7), (70, 90)], ids=str)
@pytest.mark.parametrize("sinks", [None, -np.inf, -70.0, 0.0, 70.0])
@pytest.mark.parametrize(
    "rise",
    [
        np.linspace(-200, 200, 90),
        np.linspace(200, -200, 90),
        np.full(90, -300.0),
        np.where(np.arange(90) < 45, -np.inf, -80.0),
        np.where(np.arange(90) < 45, 3.0, 1e6),
        np.where(np.arange(90) % 2, 59.0, 61.0),
    ],
    ids=["rising", "falling", "low", "low after nothing", "huge after small", "around the bound"],
)
def test_peaks_move_when_they_must(rise: Array, sinks: float | None, path: Any) -> None:
    """An additive mask moves the scores of some keys, far below and above what float32 exponentials hold."""
    q, k, v = normal(1, 2, 70, 8), normal(1, 2, 90, 8, seed=1), normal(1, 2, 90, 5, seed=2)
    mask = np.broadcast_to(rise, (1, 2, 70, 90)).astype(np.float32)
    options: dict[str, Any] = {"mask": mask, "sinks": None if sinks is None else np.full(2, sinks)}
    expected, _ = attend(q, k, v, **options)
    got = scaled_dot_product_attention(q, k, v, **options, block_size=path)
    # A score near 10^6 is known to 2^-4 only.
    np.testing.assert_allclose(got, expected, rtol=0, atol=2e-5 if np.max(rise) < 1e3 else 0.2)


@given(st.integers(-5, 50), st.integers(0, 4000), st.integers(1, 900))
def test_tiles_cover_the_keys_once(first: int, span: int, width: int) -> None:
    cut = list(tiles(first, first + span, width))
    assert [key for start, stop in cut for key in range(start, stop)] == list(range(first, first + span))
    assert all(stop - start <= width for start, stop in cut)
    assert len(cut) == -(-span // width)


@pytest.mark.parametrize("path", PATHS, ids=str)
def test_stages(path: Any) -> None:
    q, k, v = inputs()
    options: dict[str, Any] = {"mask": RANDOM_MASK, "is_causal": True, "q_offset": 5, "softcap": 1.5}
    raw = q.reshape(2, 2, 2, 9, 8) @ k[:, :, None].swapaxes(-1, -2) / math.sqrt(8)
    raw = raw.reshape(2, 4, 9, 14)
    capped = 1.5 * np.tanh(raw / 1.5)
    logits = np.where(RANDOM_MASK & causal_mask(9, 14, 5), capped, -np.inf)
    expected: dict[Any, Array] = {
        "scores": raw,
        "softcapped": capped,
        "logits": logits,
        "weights": softmax(logits),
    }
    for stage, values in expected.items():
        _, got = scaled_dot_product_attention(q, k, v, **options, return_weights=stage, block_size=path)
        np.testing.assert_allclose(got, values, rtol=1e-5, atol=1e-6, err_msg=stage)


@pytest.mark.parametrize("path", PATHS, ids=str)
def test_stages_beyond_the_lengths(path: Any) -> None:
    q, k, v = inputs()
    for stage in ("scores", "logits", "weights"):
        options: dict[str, Any] = {"kv_lens": [14, 3], "return_weights": stage, "block_size": path}
        _, got = scaled_dot_product_attention(q, k, v, **options)
        assert np.all(got[1, ..., 3:] == (0 if stage == "weights" else -np.inf))
        assert np.all(np.isfinite(got[1, ..., :3]))


@pytest.mark.parametrize("path", PATHS, ids=str)
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
def test_dtypes(dtype: Any, path: Any) -> None:
    q, k, v = (x.astype(dtype) for x in inputs(70, 90))
    expected, _ = attend(q, k, v, is_causal=True, q_offset=20)
    got = scaled_dot_product_attention(q, k, v, is_causal=True, q_offset=20, block_size=path)
    assert got.dtype == dtype
    error = np.abs(got.astype(np.float64) - expected)
    # Half a unit in the last place of the storage dtype (values up to 4), plus float32 rounding inside.
    limit = {"float16": 2**-9, "bfloat16": 2**-6, "float32": 2e-6, "float64": 1e-14}[np.dtype(dtype).name]
    assert error.max() < limit


def test_mixed_and_wide_dtypes() -> None:
    q, k, v = inputs()
    half, brain = q.astype(np.float16), k.astype(ml_dtypes.bfloat16)
    assert scaled_dot_product_attention(half, brain, v.astype(np.float16)).dtype == np.float32
    assert scaled_dot_product_attention(half, k, v).dtype == np.float32
    wide = scaled_dot_product_attention(q.astype(np.longdouble), k, v)
    assert wide.dtype == np.longdouble
    np.testing.assert_allclose(wide.astype(np.float64), attend(q, k, v)[0], rtol=0, atol=1e-14)


def test_an_error_in_a_thread_stops_the_others() -> None:
    done = []

    def start() -> Any:
        def work(job: int) -> None:
            done.append(job)
            if job == 99_900:
                raise KeyboardInterrupt
            time.sleep(1e-4)

        return work

    with pytest.raises(KeyboardInterrupt):
        _threads.run_jobs(deque(range(100_000)), start, threads=2)
    assert len(done) < 1000


@pytest.mark.parametrize("path", PATHS, ids=str)
def test_garbage_behind_the_length_is_never_read(path: Any) -> None:
    q, k, v = inputs()
    lengths = np.array([6, 2])
    expected = scaled_dot_product_attention(q, k, v, kv_lens=lengths, block_size=path)
    for b, length in enumerate(lengths):
        k[b, :, length:] = np.nan
        v[b, :, length:] = np.inf
    assert np.array_equal(scaled_dot_product_attention(q, k, v, kv_lens=lengths, block_size=path), expected)


@pytest.mark.parametrize("path", PATHS, ids=str)
def test_hidden_infinite_scores_do_not_leak(path: Any) -> None:
    q, k, v = inputs(14, 14)
    k[:, :, -1] = 1e38  # its scores overflow
    with np.errstate(over="ignore", invalid="ignore"):
        got = scaled_dot_product_attention(q * np.float32(10), k, v, is_causal=True, block_size=path)
    assert np.all(np.isfinite(got[:, :, :-1]))


@pytest.mark.parametrize("path", PATHS, ids=str)
def test_leading_dimensions_broadcast(path: Any) -> None:
    q, k, v = normal(4, 5, 8), normal(3, 1, 2, 6, 8), normal(2, 2, 6, 8)
    got = scaled_dot_product_attention(q, k, v, block_size=path)
    assert got.shape == (3, 2, 4, 5, 8)
    alone = scaled_dot_product_attention(q, k[2, 0], v[1], block_size=path)
    np.testing.assert_allclose(got[2, 1], alone, atol=1e-6)


@pytest.mark.parametrize("path", PATHS, ids=str)
@pytest.mark.parametrize(("n_queries", "n_keys"), [(0, 5), (3, 0), (0, 0), (1, 1)])
def test_empty_inputs(n_queries: int, n_keys: int, path: Any) -> None:
    q, k, v = normal(2, n_queries, 4), normal(2, n_keys, 4), normal(2, n_keys, 3)
    got, weights = scaled_dot_product_attention(q, k, v, return_weights=True, block_size=path)
    assert got.shape == (2, n_queries, 3)
    assert weights.shape == (2, n_queries, n_keys)
    if n_keys == 0:
        assert not got.any()


def test_matrices_without_heads_are_one_head() -> None:
    q, k, v = normal(5, 8), normal(7, 8), normal(7, 3)
    got, weights = scaled_dot_product_attention(q, k, v, return_weights=True)
    expected, expected_weights = scaled_dot_product_attention(q[None], k[None], v[None], return_weights=True)
    assert np.array_equal(got, expected[0])
    assert np.array_equal(weights, expected_weights[0])
    out = np.empty((5, 3), dtype=np.float32)
    assert scaled_dot_product_attention(q, k, v, out=out) is out
    np.testing.assert_allclose(out, got, atol=1e-6)


def test_out_receives_the_result() -> None:
    q, k, v = inputs()
    assert scaled_dot_product_attention(q, k, v, return_weights=np.True_)[1].shape == (2, 4, 9, 14)  # type: ignore[arg-type]
    out = np.empty((2, 4, 9, 6), dtype=np.float32)
    assert scaled_dot_product_attention(q, k, v, out=out) is out
    assert np.array_equal(out, scaled_dot_product_attention(q, k, v))
    for path in PATHS:
        expected = scaled_dot_product_attention(q, k, v, block_size=path)  # type: ignore[arg-type]
        for strided in (
            np.empty((2, 4, 6, 9), np.float32).swapaxes(-1, -2),
            np.empty((2, 9, 4, 6), np.float32).swapaxes(1, 2),
        ):
            scaled_dot_product_attention(q, k, v, out=strided, block_size=path)  # type: ignore[arg-type]
            assert np.array_equal(strided, expected)


def test_inputs_are_not_changed() -> None:
    q, k, v = inputs()
    before = [x.copy() for x in (q, k, v)]
    for path in PATHS:
        scaled_dot_product_attention(q, k, v, softcap=2.0, mask=RANDOM_MASK, block_size=path)  # type: ignore[arg-type]
    assert all(np.array_equal(a, b) for a, b in zip(before, (q, k, v), strict=True))


@pytest.mark.parametrize("path", ["dense", 64, (64, 128), None], ids=str)
def test_grouped_heads_equal_repeated_heads(path: Any) -> None:
    q, k, v = normal(8, 130, 16), normal(2, 130, 16), normal(2, 130, 16, seed=1)
    grouped = scaled_dot_product_attention(q, k, v, is_causal=True, block_size=path)
    repeated = (np.repeat(x, 4, axis=0) for x in (k, v))
    np.testing.assert_allclose(
        grouped, scaled_dot_product_attention(q, *repeated, is_causal=True, block_size=path), atol=1e-6
    )


def test_alibi_by_slopes_equals_the_bias() -> None:
    q, k, v = normal(6, 200, 16), normal(6, 250, 16), normal(6, 250, 16, seed=1)
    options: dict[str, Any] = {"is_causal": True, "q_offset": 50}
    for path in ("dense", None, (64, 64)):
        by_slopes = scaled_dot_product_attention(
            q,
            k,
            v,
            alibi_slopes=alibi_slopes(6),
            **options,
            block_size=path,
        )
        by_bias = scaled_dot_product_attention(q, k, v, mask=alibi_bias(6, 200, 250, 50), **options)
        np.testing.assert_allclose(by_slopes, by_bias, atol=2e-6)


@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, 3, 7, (1, 1), (3, 7)]),
)
def test_block_size_does_not_matter(n_queries: int, n_keys: int, seed: int, path: Any) -> None:
    rng = np.random.default_rng(seed)
    q, k, v = (
        normal(2, n_queries, 4, seed=seed),
        normal(1, n_keys, 4, seed=seed),
        normal(1, n_keys, 4, seed=seed),
    )
    options: dict[str, Any] = {
        "mask": rng.random((n_queries, n_keys)) < 0.7,
        "window": (int(rng.integers(-1, 9)), int(rng.integers(-1, 9))),
        "is_causal": bool(rng.integers(2)),
        "q_offset": int(rng.integers(-5, 20)),
    }
    whole = scaled_dot_product_attention(q, k, v, **options, block_size="dense")
    np.testing.assert_allclose(
        scaled_dot_product_attention(q, k, v, **options, block_size=path), whole, rtol=0, atol=1e-6
    )


@given(st.integers(0, 2**32 - 1))
def test_keys_in_any_order(seed: int) -> None:
    q, k, v = normal(2, 12, 8), normal(2, 40, 8), normal(2, 40, 5)
    order = np.random.default_rng(seed).permutation(40)
    for path in ("dense", (5, 8)):
        shuffled = scaled_dot_product_attention(q, k[:, order], v[:, order], block_size=path)
        np.testing.assert_allclose(shuffled, scaled_dot_product_attention(q, k, v), atol=1e-6)


@given(st.floats(-50, 50))
def test_shifting_all_scores_changes_nothing(shift: float) -> None:
    q, k, v = normal(2, 12, 8), normal(2, 40, 8), normal(2, 40, 5)
    for path in ("dense", (5, 8)):
        shifted = scaled_dot_product_attention(
            q,
            k,
            v,
            mask=np.full((12, 40), shift, dtype=np.float32),
            block_size=path,
        )
        np.testing.assert_allclose(shifted, scaled_dot_product_attention(q, k, v), atol=1e-5)


@pytest.mark.parametrize("path", ["dense", 32, (32, 16), None], ids=str)
def test_window_of_everything_is_full_attention(path: Any) -> None:
    q, k, v = normal(2, 100, 8), normal(2, 100, 8, seed=1), normal(2, 100, 8, seed=2)
    full = scaled_dot_product_attention(q, k, v, block_size=path)
    assert np.array_equal(scaled_dot_product_attention(q, k, v, window=(100, 100), block_size=path), full)
    causal = scaled_dot_product_attention(q, k, v, is_causal=True, block_size=path)
    np.testing.assert_allclose(
        scaled_dot_product_attention(q, k, v, window=(99, 0), block_size=path), causal, atol=1e-7
    )


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("n", [256, 1024, 4096])
def test_error_against_float64(n: int, is_causal: bool) -> None:
    q, k, v = normal(1, n, 64), normal(1, n, 64, seed=1), normal(1, n, 64, seed=2)
    expected = scaled_dot_product_attention(
        *(x.astype(np.float64) for x in (q, k, v)), is_causal=is_causal, block_size=256
    )
    for path in (None, 64, (128, 256)):
        got = scaled_dot_product_attention(q, k, v, is_causal=is_causal, block_size=path)
        assert np.abs(got - expected).max() <= 2e-6


def test_memory_grows_with_n_not_n_squared() -> None:
    q, k, v = (normal(8, 8192, 64, seed=seed) for seed in range(3))
    out = np.empty_like(q)
    tracemalloc.start()
    scaled_dot_product_attention(q, k, v, is_causal=True, window=(255, 0), threads=2, out=out)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    scaled_dot_product_attention(q[:1], k[:1], v[:1], threads=2, out=out[:1])
    _, peak_full = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert max(peak, peak_full) <= 8 * 2**20


def test_threads_do_not_change_the_result() -> None:
    q, k, v = normal(4, 600, 16), normal(4, 600, 16, seed=1), normal(4, 600, 16, seed=2)
    one = scaled_dot_product_attention(q, k, v, is_causal=True, threads=1, block_size=(128, 256))
    for threads in (2, 3, 50):
        more = scaled_dot_product_attention(q, k, v, is_causal=True, threads=threads, block_size=(128, 256))
        np.testing.assert_allclose(more, one, rtol=0, atol=1e-6)


def test_without_threadpoolctl_there_is_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_threads, "_thread_controller", lambda: None)
    assert _threads.default_threads(1 << 40) == 1
    q = normal(2, 300, 8)
    got = scaled_dot_product_attention(q, q, q, threads=2, block_size=64)
    np.testing.assert_allclose(got, scaled_dot_product_attention(q, q, q), atol=1e-6)


def test_softmax() -> None:
    x = normal(5, 7, dtype=np.float64)
    expected = np.exp(x) / np.exp(x).sum(0)
    np.testing.assert_allclose(softmax(x, axis=0), expected, rtol=1e-14)
    np.testing.assert_allclose(softmax(x + 1e4, axis=0), expected, rtol=1e-9)
    hidden = softmax(x, where=np.arange(7) < 3)
    np.testing.assert_allclose(hidden[:, :3].sum(-1), 1)
    assert not hidden[:, 3:].any()
    assert not softmax(x, where=False).any()
    assert softmax(x, out=x) is x
    assert softmax(x.astype(np.float16)).dtype == np.float16
    assert softmax([1, 1]).tolist() == [0.5, 0.5]
    assert softmax(np.zeros((2, 0))).shape == (2, 0)
    with pytest.raises(TypeError, match="x has dtype complex128; softmax needs real numbers"):
        softmax([1j])
    with pytest.raises(ValueError, match="x is a single number"):
        softmax(3.0)
    with pytest.raises(TypeError, match=r"out is a list; give an ndarray of shape \(2,\)"):
        softmax([1.0, 2.0], out=[0.0, 0.0])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"out has shape \(3,\), but the result has shape \(5, 7\)"):
        softmax(x, out=np.empty(3))


def test_causal_mask() -> None:
    for offset in (-3, 0, 2, 9):
        expected = np.arange(6) <= np.arange(4)[:, None] + offset
        assert np.array_equal(causal_mask(4, 6, offset), expected)
    with pytest.raises(ValueError, match="q_len is -1"):
        causal_mask(-1, 3)
    with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
        causal_mask(2, 3, offset=0.5)  # type: ignore[arg-type]


Q, K, V = inputs()
BAD_CALLS: list[tuple[type[Exception], str, tuple[Any, ...], dict[str, Any]]] = [
    (TypeError, "q has dtype int64", (Q.astype(np.int64), K, V), {}),
    (TypeError, "k has dtype complex64", (Q, K.astype(np.complex64), V), {}),
    (ValueError, r"differ in head size D, 7 and 8.*got q \(2, 4, 9, 7\)", (Q[..., :7], K, V), {}),
    (ValueError, "differ in length Nk, 14 and 13", (Q, K, V[:, :, :13]), {}),
    (ValueError, "differ in heads Hkv, 2 and 1", (Q, K, V[:, :1]), {}),
    (ValueError, "3 query heads cannot share 2 key heads", (Q[:, :3], K, V), {}),
    (ValueError, "need heads, tokens and features", (Q[0, 0], K, V), {}),
    (ValueError, "leading dimensions do not broadcast", (np.concatenate([Q, Q[:1]]), K, V), {}),
    (TypeError, "mask has dtype int64", (Q, K, V), {"mask": np.ones((9, 14), dtype=np.int64)}),
    (
        ValueError,
        r"mask of shape \(9, 13\) does not broadcast",
        (Q, K, V),
        {"mask": np.ones((9, 13), dtype=bool)},
    ),
    (ValueError, "q_offset is needed: 9 queries and 14 keys.*q_offset=5", (Q, K, V), {"is_causal": True}),
    (ValueError, "q_offset is needed", (Q, K, V), {"window": (1, 1)}),
    (ValueError, "q_offset is needed", (Q, K, V), {"alibi_slopes": alibi_slopes(4)}),
    (TypeError, "q_offset has dtype float64", (Q, K, V), {"is_causal": True, "q_offset": 1.5}),
    (ValueError, r"q_offset of shape \(3,\)", (Q, K, V), {"is_causal": True, "q_offset": [1, 2, 3]}),
    (ValueError, r"kv_lens is \[3, 15\]; each length must lie in 0..14", (Q, K, V), {"kv_lens": [3, 15]}),
    (ValueError, r"window is \(-2, 0\)", (Q, K, V), {"window": (-2, 0), "q_offset": 0}),
    (ValueError, r"window is 3; give \(left, right\)", (Q, K, V), {"window": 3, "q_offset": 0}),
    (ValueError, r"window is \(1.5, 0\)", (Q, K, V), {"window": (1.5, 0), "q_offset": 0}),
    (ValueError, r"becomes mask\[:, None, None, :\]", (Q, K, V), {"mask": np.ones((2, 14), dtype=bool)}),
    (TypeError, "out is a list", (Q, K, V), {"out": [0.0]}),
    (TypeError, "cannot be interpreted as an integer", (Q, K, V), {"threads": 1.5}),
    (TypeError, "scale is 'x'; give a number", (Q, K, V), {"scale": "x"}),
    (TypeError, r"softcap is \[1.0\]; give a number", (Q, K, V), {"softcap": [1.0]}),
    (TypeError, "sinks has dtype", (Q, K, V), {"sinks": ["a"] * 4}),
    (ValueError, "softcap is -1", (Q, K, V), {"softcap": -1.0}),
    (ValueError, r"sinks has shape \(3,\); expected \(4,\)", (Q, K, V), {"sinks": [1.0, 2.0, 3.0]}),
    (ValueError, "return_weights is 'probabilities'", (Q, K, V), {"return_weights": "probabilities"}),
    (ValueError, "block_size is 0", (Q, K, V), {"block_size": 0}),
    (ValueError, r"block_size is \(3, 4, 5\)", (Q, K, V), {"block_size": (3, 4, 5)}),
    (ValueError, "threads is 0", (Q, K, V), {"threads": 0}),
    (ValueError, "out has shape", (Q, K, V), {"out": np.empty((2, 4, 9, 5), dtype=np.float32)}),
    (ValueError, "out overlaps q, k or v", (Q, K, K), {"out": Q}),
]


@pytest.mark.parametrize(("error", "message", "arguments", "options"), BAD_CALLS, ids=lambda x: str(x)[:40])
def test_errors_name_what_was_wrong(
    error: type[Exception], message: str, arguments: tuple[Any, ...], options: dict[str, Any]
) -> None:
    with pytest.raises(error, match=message):
        scaled_dot_product_attention(*arguments, **options)
