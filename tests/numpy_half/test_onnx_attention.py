"""All 93 ONNX ``Attention`` cases through every path of our attention.

The operator's reshaping of 3D inputs, concatenation of past keys and padding of short masks live in `run`
below; the rest is `scaled_dot_product_attention` itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from onnx_cases import Case, node_cases

from tokfast.attention import scaled_dot_product_attention

Array = npt.NDArray[Any]

CASES = node_cases("Attention")
PATHS = [None, "dense", 1, 3, 7, (1, 1), (3, 3), (7, 7), (3, 7), (7, 1), (256, 512)]
STAGES = {0: "scores", 1: "softcapped", 2: "logits", 3: "weights"}


def split_heads(x: Array, n_heads: int) -> Array:
    batch, length, width = x.shape
    return x.reshape(batch, length, n_heads, width // n_heads).transpose(0, 2, 1, 3)


def run(case: Case, path: Any) -> dict[int, Array]:
    q, k, v = (case.inputs[slot] for slot in range(3))
    a = case.attributes
    if is_3d := q.ndim == 3:
        q = split_heads(q, a["q_num_heads"])
        k, v = (split_heads(x, a["kv_num_heads"]) for x in (k, v))
    offset: Any = 0
    if 4 in case.inputs:
        offset = case.inputs[4].shape[2]
        k = np.concatenate((case.inputs[4], k), axis=2)
        v = np.concatenate((case.inputs[5], v), axis=2)
    lengths = case.inputs.get(6)
    if lengths is not None:
        offset = lengths - q.shape[2]
    mask = case.inputs.get(3)
    if mask is not None and (missing := k.shape[2] - mask.shape[-1]) > 0:
        fill = False if mask.dtype == bool else -np.inf
        mask = np.pad(mask, [(0, 0)] * (mask.ndim - 1) + [(0, missing)], constant_values=fill)
    window = (a.get("left_window_size", -1), a.get("right_window_size", -1))
    stage = STAGES[a.get("qk_matmul_output_mode", 0)] if 3 in case.outputs else False
    result = scaled_dot_product_attention(
        q,
        k,
        v,
        mask=mask,
        is_causal=bool(a.get("is_causal", 0)),
        q_offset=offset,
        kv_lens=lengths,
        window=window,
        scale=a.get("scale"),
        softcap=a.get("softcap"),
        return_weights=stage,  # type: ignore[arg-type]
        block_size=path,
    )
    y, at_stage = result if stage else (result, None)
    if is_3d:
        y = y.transpose(0, 2, 1, 3).reshape(y.shape[0], y.shape[2], -1)
    return {0: y, 1: k, 2: v} | ({} if at_stage is None else {3: at_stage})


def tolerances(case: Case, expected: Array) -> dict[str, Any]:
    if expected.dtype.name == "bfloat16":
        return {
            "rtol": 2**-6,
            "atol": 1e-2,
        }  # 8 bits of mantissa; ours is closer to the exact value than theirs
    if expected.dtype == np.float32:
        return {"rtol": 1e-5, "atol": 1e-6}
    return {"rtol": case.rtol, "atol": 1e-3}


def test_there_are_93_cases() -> None:
    assert len(CASES) == 93


@pytest.mark.parametrize("path", PATHS, ids=str)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case, path: Any) -> None:
    got = run(case, path)
    for slot, expected in case.outputs.items():
        assert got[slot].shape == expected.shape
        assert got[slot].dtype == expected.dtype
        np.testing.assert_allclose(
            got[slot].astype(np.float64),
            expected.astype(np.float64),
            **tolerances(case, expected),
            err_msg=f"output {slot}",
        )
