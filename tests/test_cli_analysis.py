"""The commands of analysis: what each prints, and that a bad input is a line and no traceback."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

import peers
import tokfast
from tokfast.analysis import compare, vocab_sizes
from tokfast.cli import cli

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result


def invoke(*arguments: object, stdin: bytes | None = None) -> Result:
    """Run in this process; errors that `main` turns into exit codes are raised as they are."""
    return CliRunner().invoke(cli, list(map(str, arguments)), input=stdin, prog_name="tokfast", catch_exceptions=False)


@pytest.fixture
def texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two languages, and a corpus beside it; the current folder."""
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "en.txt").write_text("the same words\n" * 50, encoding="utf-8")
    (tmp_path / "texts" / "de.txt").write_text("dieselben Wörter\n" * 50, encoding="utf-8")
    (tmp_path / "corpus.txt").write_text(peers.code(800_000), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


# ---------------------------------------------------------------------------------------- compare


def test_compare_prints_what_the_function_returns(texts: Path) -> None:
    result = invoke("compare", "tokfast-32k", "--data", "texts", "--metric", "n_tokens")
    assert result.exit_code == 0
    data = {path.stem: path.read_bytes() for path in sorted((texts / "texts").iterdir())}
    counts = {row.language: row.n_tokens for row in compare(["tokfast-32k"], data).languages}
    lines = [line.split() for line in result.stdout.splitlines()]
    for language, count in counts.items():
        assert [language, f"{count:,}"] in lines


@pytest.mark.parametrize("data", [["--data", "texts"], ["--data", "en=texts/en.txt", "de=texts/de.txt"]])
def test_compare_json_and_csv(texts: Path, data: list[str]) -> None:
    report = json.loads(invoke("compare", "tokfast-32k", *data, "--json", "--baselines").stdout)
    assert report["schema_version"] == 1
    assert report["tokenizers"][0]["fingerprint"] == tokfast.load("tokfast-32k").fingerprint
    assert {row["tokenizer"] for row in report["languages"]} == {"tokfast-32k", "characters", "words"}
    rows = list(csv.DictReader(io.StringIO(invoke("compare", "tokfast-32k", *data, "--csv").stdout)))
    assert {row["language"] for row in rows} == {"en", "de"}
    expected = {row["language"]: row["n_tokens"] for row in report["languages"] if row["tokenizer"] == "tokfast-32k"}
    assert {row["language"]: int(row["n_tokens"]) for row in rows} == expected
    assert (texts / "texts").is_dir()


def test_compare_plot(texts: Path) -> None:
    assert invoke("compare", "tokfast-32k", "--data", "texts", "--plot", "x.png").exit_code == 0
    assert (texts / "x.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tokfast-32k"], "no text is named"),
        (["--data", "texts"], "Missing argument"),
        (["en=texts/en.txt"], "no tokenizer is named"),
        (["tokfast-32k", "--data", "none"], "neither LANG=FILE nor a folder"),
        (["tokfast-32k", "--data", "empty"], "holds no .txt file"),
    ],
)
def test_compare_usage(texts: Path, arguments: list[str], message: str) -> None:
    (texts / "empty").mkdir()
    result = invoke("compare", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


# ------------------------------------------------------------------------------------ vocab-sizes


def test_vocab_sizes(texts: Path) -> None:
    arguments = ["corpus.txt", "--sizes", "300,1k", "--hidden", "64", "--tied"]
    report = json.loads(invoke("vocab-sizes", *arguments, "--json", "--save", "largest.json", "--plot", "x.svg").stdout)
    expected = vocab_sizes(texts / "corpus.txt", [300, 1000], hidden=64, is_tied=True)
    assert report["sizes"] == expected.rows()
    assert tokfast.load("./largest.json").fingerprint == expected.tokenizer.fingerprint
    assert (texts / "x.svg").is_file()
    table = invoke("vocab-sizes", *arguments).stdout
    assert "1,000" in table
    assert "large" in table
    rows = list(csv.DictReader(io.StringIO(invoke("vocab-sizes", *arguments, "--csv").stdout)))
    assert [int(row["n_tokens"]) for row in rows] == [row.n_tokens for row in expected.sizes]


def test_vocab_sizes_of_an_empty_held_out_text(texts: Path) -> None:
    (texts / "empty.txt").touch()
    with pytest.raises(ValueError, match="held-out text of 'xx' is empty"):
        invoke("vocab-sizes", "corpus.txt", "--sizes", "300", "--held-out", "xx=empty.txt")


def test_vocab_sizes_usage(texts: Path) -> None:
    for sizes, message in (("100", "256 single bytes"), ("ten", "is no whole number")):
        result = invoke("vocab-sizes", texts / "corpus.txt", "--sizes", sizes)
        assert result.exit_code == 2
        assert message in result.stderr
