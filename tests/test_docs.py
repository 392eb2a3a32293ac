"""The examples in README and docstrings are executed."""

from __future__ import annotations

import ast
import doctest
import importlib
import json
import pkgutil
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

import tokfast
from tokfast.cli import COMMANDS

ROOT = Path(__file__).parents[1]
PACKAGE = Path(str(tokfast.__file__)).parent
MODULES = ["tokfast", *sorted(module.name for module in pkgutil.walk_packages([str(PACKAGE)], "tokfast."))]
# The walkthrough draws, and has a test of its own.
PAGES = [path for path in (ROOT / "docs").rglob("*.md") if path.name != "attention-walkthrough.md"]
DOCUMENTS = sorted(str(path.relative_to(ROOT)) for path in [*ROOT.glob("*.md"), *PAGES])
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def run(tests: list[doctest.DocTest]) -> int:
    """Run examples, fail on the first that prints something else, and return how many there were."""
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    output: list[str] = []
    for test in tests:
        runner.run(test, out=output.append)
    assert runner.failures == 0, "".join(output)
    return runner.tries


def python_blocks(document: Path) -> list[str]:
    """The Python code blocks of a Markdown file."""
    return re.findall(r"^```python\n(.*?)^```", document.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    run(doctest.DocTestFinder().find(module, name))


def stub_docstrings() -> dict[str, str]:
    """Docstrings of the compiled classes by name: they stand in the stub, which is what editors show."""
    stub = ast.parse((PACKAGE / "_tokfast.pyi").read_text(encoding="utf-8"))
    named: list[tuple[str, ast.ClassDef | ast.FunctionDef]] = []
    for node in stub.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            named.append((node.name, node))
        if isinstance(node, ast.ClassDef):
            named += [(f"{node.name}.{item.name}", item) for item in node.body if isinstance(item, ast.FunctionDef)]
    documented = ((name, ast.get_docstring(node)) for name, node in named)
    return {name: text for name, text in documented if text and ">>>" in text}


@pytest.mark.parametrize("name", sorted(stub_docstrings()))
def test_docstrings_of_the_extension(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run([doctest.DocTestParser().get_doctest(stub_docstrings()[name], {}, name, "_tokfast.pyi", 0)])


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {}
    for number, block in enumerate(python_blocks(ROOT / name)):
        if block.startswith(">>>"):
            test = doctest.DocTestParser().get_doctest(block, namespace, f"{name}, block {number}", name, 0)
            test.globs = namespace  # one block goes on where the last one ended
            run([test])
        else:
            exec(compile(block, f"{name}, block {number}", "exec"), namespace)  # noqa: S102 (that is the test)


def test_readme_has_examples() -> None:
    assert python_blocks(ROOT / "README.md")


def test_reference_has_the_toy_path() -> None:
    from tokfast import reference

    assert "to k -> tok" in str(reference.__doc__)
    assert run(doctest.DocTestFinder().find(reference, "tokfast.reference")) >= 10


def test_made_pages() -> None:
    pages: dict[str, Any] = runpy.run_path(str(ROOT / "scripts" / "docs_pages.py"))
    commands = pages["commands_page"]()
    for name in COMMANDS:
        assert f"\n## {name}\n" in commands
    page = pages["benchmarks_page"](ROOT / "bench" / "record")
    for path in (ROOT / "bench" / "record").glob("*.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        if "case" in record:
            # Each measured pass of each system is a row; a case that two machines ran has two sections.
            sections = page.split(f"\n## {record['case']['name']}\n")[1:]
            (section,) = (part for part in (part.split("\n## ")[0] for part in sections) if f"{path.name}`" in part)
            rows = section.count("\n| ") - 2  # the head and the line below it
            assert rows == sum(len(row["measured"]) for row in record["summary"])


def test_the_page_of_comparisons_has_every_row() -> None:
    pages: dict[str, Any] = runpy.run_path(str(ROOT / "scripts" / "docs_pages.py"))
    page = pages["exactness_page"](ROOT / "bench" / "record")
    rows = json.loads((ROOT / "bench" / "record" / "vocabularies.json").read_text(encoding="utf-8"))["rows"]
    assert all(row["file"] in page for row in rows)
    assert all(row.get("differ", 0) == 0 for row in rows)


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:\n")[1]
    for path in (ROOT / "docs").rglob("*.md"):
        assert f": {path.relative_to(ROOT / 'docs').as_posix()}\n" in navigation
