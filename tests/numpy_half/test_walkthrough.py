"""docs/attention-walkthrough.md runs from top to bottom, draws its pictures, and keeps its assertions."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "attention-walkthrough.md"
MODULES = [
    "tokfast.embeddings",
    "tokfast.positions.absolute",
    "tokfast.positions.bias",
    "tokfast.positions.rope_scaling",
    "tokfast.positions.rotary",
    "tokfast.attention.budget",
    "tokfast.attention.cost",
    "tokfast.attention.kv_cache",
    "tokfast.attention.masks",
    "tokfast.attention.multi_head",
    "tokfast.attention.picture",
    "tokfast.attention.scaled_dot_product",
    "tokfast.attention.softmax",
]


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 10
    session: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), session)  # noqa: S102 (the page is ours)
    drawn = {path.name for path in tmp_path.glob("*.png")}
    assert drawn == {"positions.png", "rotation.png", "attention.png"}
    shown = set(re.findall(r"^!\[[^]]+\]\(pictures/(.+)\)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    assert shown == drawn == {path.name for path in (PAGE.parent / "pictures").iterdir()}
    for path in (*tmp_path.glob("*.png"), *(PAGE.parent / "pictures").iterdir()):
        assert path.read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out
    assert "positions 0..16 asked, table was trained for 16" in printed
    assert "usable length unknown" in printed


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0


FUNCTIONS = sorted(
    f"{module}.{name}"
    for module in ("tokfast.embeddings", "tokfast.positions", "tokfast.attention")
    for name in importlib.import_module(module).__all__
    if callable(getattr(importlib.import_module(module), name))
)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_docstrings_have_their_parts(name: str) -> None:
    module, _, last = name.rpartition(".")
    thing = getattr(importlib.import_module(module), last)
    text = str(thing.__doc__)
    if isinstance(thing, type) and issubclass(thing, Exception):
        return
    wanted = ["Attributes"] if last in {"AttentionCost", "ContextBudget"} else ["Parameters", "Examples"]
    if not isinstance(thing, type):
        wanted += ["Returns", "Raises"]
    missing = [part for part in wanted if f"{part}\n" + " " * 4 + "-" * len(part) not in text]
    if last == "ModelShape":
        missing.remove("Examples")  # with its from_config
    assert not missing


def test_public_names() -> None:
    wanted = {
        "tokfast.embeddings": "embed one_hot",
        "tokfast.positions": "sinusoidal LearnedPositions rope_frequencies RotaryEmbedding apply_rotary "
        "alibi_slopes alibi_bias",
        "tokfast.attention": "softmax causal_mask scaled_dot_product_attention MultiHeadAttention KVCache "
        "attention_cost attention_map context_budget",
    }
    for name, public in wanted.items():
        module = importlib.import_module(name)
        assert set(public.split()) <= set(module.__all__)
        assert sorted(module.__all__, key=str) == sorted(set(module.__all__))
        for each in module.__all__:
            if callable(getattr(module, each)):
                assert getattr(module, each).__doc__, f"{name}.{each} has no docstring"
