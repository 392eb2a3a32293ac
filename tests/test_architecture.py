"""The order of the rooms: data flows one way, the core knows no Python, `unsafe` stands where listed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = ROOT / "rust" / "core"
SOURCES = sorted((CORE / "src").rglob("*.rs"))

# A module imports only from those before it.
ORDER = [
    *(
        "error",
        "interrupt",
        "threads",
        "files",
        "blocks",
        "prefetch",
        "table",
        "normalize",
        "pretokenize",
        "special",
    ),
    *("words", "train", "model", "merge", "cache", "encode", "decode", "batch", "tokenizer", "offsets", "cut"),
    *("stream", "formats"),
]


def without_tests_and_comments(path: Path) -> str:
    """Rust source up to its test module, comments left out."""
    source = path.read_text(encoding="utf-8").split("#[cfg(test)]")[0]
    return re.sub(r"//.*", "", source)


def room(path: Path) -> str:
    """Top-level module that a source file belongs to."""
    return path.relative_to(CORE / "src").parts[0].removesuffix(".rs")


def imported(path: Path) -> set[str]:
    """Top-level modules of this crate that a source file names."""
    source = without_tests_and_comments(path)
    names = set(re.findall(r"\bcrate::(\w+)", source))
    for group in re.findall(r"\bcrate::\{([^;]*)\}", source):
        names |= set(re.findall(r"(?:^|,)\s*(\w+)", group))
    return names


def test_every_room_has_its_place_in_the_order() -> None:
    assert {room(path) for path in SOURCES} - {"lib"} == set(ORDER)


def test_the_crate_says_the_order() -> None:
    text = (CORE / "src" / "lib.rs").read_text(encoding="utf-8").replace("//!", "")
    sentence = text.split("Each module imports only from those before it:")[1].split(". ")[0]
    assert re.findall(r"`(\w+)`", sentence) == ORDER


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(CORE / "src")))
def test_a_room_imports_only_from_rooms_before_it(path: Path) -> None:
    if room(path) == "lib":
        return
    earlier = set(ORDER[: ORDER.index(room(path)) + 1])
    assert imported(path) <= earlier


def test_the_core_knows_no_python() -> None:
    manifest = (CORE / "Cargo.toml").read_text(encoding="utf-8").lower()
    assert not re.search(r"pyo3|numpy|python", manifest.split("[dependencies]")[1])
    for path in SOURCES:
        assert "pyo3" not in without_tests_and_comments(path), path


def unsafe_files() -> set[str]:
    """Files of the workspace with unsafe code, relative to its root."""
    files = [*SOURCES, *(ROOT / "rust" / "python" / "src").rglob("*.rs")]
    return {
        str(path.relative_to(ROOT))
        for path in files
        if re.search(r"\bunsafe\b(?!_)|allow\(unsafe_code\)", without_tests_and_comments(path))
    }


def test_unsafe_stands_where_architecture_lists_it() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    listed = {name for line in text.splitlines() if "unsafe" in line for name in re.findall(r"rust/[\w/]+\.rs", line)}
    assert unsafe_files() == listed


def test_every_core_module_says_what_it_is() -> None:
    for path in SOURCES:
        assert path.read_text(encoding="utf-8").startswith("//! "), path


def test_rooms_are_small() -> None:
    for path in [*SOURCES, *(ROOT / "python" / "tokfast").rglob("*.py"), *(ROOT / "tests").glob("*.py")]:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 600, path


def test_numpy_half_and_extension_do_not_import_each_other() -> None:
    package = ROOT / "python" / "tokfast"
    numpy_half = [
        path for name in ("embeddings", "positions", "attention") for path in package.glob(f"{name}*/**/*.py")
    ]
    numpy_half += [package / f"{name}.py" for name in ("embeddings", "positions", "attention")]
    for path in numpy_half:
        if path.is_file():
            assert "_tokfast" not in path.read_text(encoding="utf-8"), path
