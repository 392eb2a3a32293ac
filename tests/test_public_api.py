"""The public names: what `__all__` lists, what the stub declares, and what is there, are one and the same."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import tokfast
from tokfast import _HOME_OF, _errors, _tokfast

PACKAGE = Path(str(tokfast.__file__)).parent
MODULES = sorted(
    f"tokfast.{module.name}"
    for module in pkgutil.iter_modules([str(PACKAGE)])
    if not module.name.startswith("_") and module.name != "cli"  # a program, not a library
)

# The names of the contract that this version has; a name that leaves this list is a breaking change.
CONTRACT = {
    "InternalError",
    "MemoryLimitError",
    "PatternError",
    "SpecialTokenError",
    "StreamDecoder",
    "TokenBatch",
    "TokenIdError",
    "Tokenizer",
    "TokenizerFileError",
    "TokfastError",
    "TrainingError",
    "UnknownEncodingError",
    "WordCounts",
    "__version__",
    "count_files",
    "count_words",
    "encode_files",
    "encoding_for_model",
    "load",
    "train",
}
TOKENIZER = {
    *("count", "count_batch", "decode", "decode_batch", "decode_bytes", "encode", "encode_batch"),
    *(
        "encode_to_numpy",
        "encode_with_offsets",
        "fingerprint",
        "from_bytes",
        "from_file",
        "from_pretrained",
        "merges",
        "name",
        "pattern",
    ),
    *("save", "special_tokens", "split_by_tokens", "stream_decoder", "token_bytes", "token_id"),
    *("truncate", "vocab", "vocab_size", "with_vocab_size"),
}


def test_all_holds_the_contract() -> None:
    assert set(tokfast.__all__) >= CONTRACT


def test_all_holds_what_is_there() -> None:
    assert len(tokfast.__all__) == len(set(tokfast.__all__))
    errors = {name for name, value in vars(_errors).items() if inspect.isclass(value)}
    assert errors | _HOME_OF.keys() == set(tokfast.__all__)
    # What type checkers are told is what is imported on first use.
    told = {
        (str(node.module), alias.name)
        for node in ast.walk(ast.parse(Path(str(tokfast.__file__)).read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("tokfast.")
        for alias in node.names
    }
    assert told == {
        *(("tokfast._errors", name) for name in errors),
        *((f"tokfast.{home}", name) for name, home in _HOME_OF.items()),
    }


def test_names_and_modules_are_imported_on_first_use() -> None:
    script = """
import sys, tokfast
assert not [name for name in sys.modules if name.startswith("tokfast.") and name != "tokfast._errors"]
assert set(tokfast.__all__) <= set(dir(tokfast))
assert tokfast.attention.softmax([0.0]).tolist() == [1.0]
assert tokfast.embeddings and tokfast.positions
assert "tokfast._tokfast" not in sys.modules, "the numpy half needs nothing compiled"
assert tokfast.load is tokfast.load
assert "tokfast._tokfast" in sys.modules
try:
    tokfast.lod
except AttributeError as error:
    assert str(error) == "module 'tokfast' has no attribute 'lod'"
else:
    raise SystemExit("tokfast.lod is there")
from tokfast import *
assert load and Tokenizer and TokfastError
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_tokenizer_has_the_methods_of_the_contract() -> None:
    assert {name for name in dir(tokfast.Tokenizer) if not name.startswith("_")} >= TOKENIZER


@pytest.mark.parametrize("name", sorted(tokfast.__all__))
def test_everything_public_is_documented(name: str) -> None:
    value = getattr(tokfast, name)
    if not isinstance(value, str):
        assert inspect.getdoc(value)
        assert getattr(value, "__module__", "tokfast").split(".")[0] == "tokfast"


@pytest.mark.parametrize("name", MODULES)
def test_every_module_lists_its_public_names(name: str) -> None:
    module = importlib.import_module(name)
    assert len(module.__all__) == len(set(module.__all__))
    for public in module.__all__:
        assert getattr(module, public).__doc__


def declared(body: list[ast.stmt]) -> set[str]:
    """Public names that a piece of a stub declares."""
    names = set()
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return {name for name in names if not name.startswith("_")}


def test_the_stub_declares_what_the_extension_has() -> None:
    stub = ast.parse((PACKAGE / "_tokfast.pyi").read_text(encoding="utf-8"))
    assert declared(stub.body) == {name for name in dir(_tokfast) if not name.startswith("_")}
    for node in stub.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            there = {name for name in vars(getattr(_tokfast, node.name)) if not name.startswith("_")}
            assert declared(node.body) == there, node.name


def test_the_package_says_that_it_is_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()


def test_the_version_is_that_of_the_workspace() -> None:
    manifest = (Path(__file__).parents[1] / "Cargo.toml").read_text(encoding="utf-8")
    assert f'version = "{tokfast.__version__}"' in manifest
