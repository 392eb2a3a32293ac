"""`tokfast show`: tokens in colours, in plain text, as JSON and as a page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import tokfast
from tokfast.cli import cli
from tokfast.cli import show as show_module

TEXT = "Hello world, 你好!\n"


def invoke(*arguments: object, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(cli, list(map(str, arguments)), input=stdin, prog_name="tokfast", catch_exceptions=False)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text(TEXT, encoding="utf-8")
    return tmp_path


def test_plain_text_marks() -> None:
    tok = tokfast.load("tokfast-32k")
    result = invoke("show", "-q", "the cat sat")
    assert result.stdout.splitlines()[0] == "the| c|at| sat"
    assert result.stdout.splitlines()[1].startswith(f"{tok.count('the cat sat')} tokens, ")
    assert tok.fingerprint[:12] in result.stdout


def test_a_file_standard_input_and_a_text_give_the_same() -> None:
    expected = invoke("show", "-q", TEXT).stdout
    assert expected.replace("|", "").startswith("Hello world, 你好!⏎\n")
    assert invoke("show", "-q", "a.txt").stdout == expected
    assert invoke("show", "-q", "-", stdin=TEXT.encode()).stdout == expected


def test_a_name_of_no_file_is_a_text_and_says_so() -> None:
    result = invoke("show", "-t", "tokfast-32k", "none.txt")
    assert result.exit_code == 0
    assert "there is no file 'none.txt'" in result.stderr
    assert invoke("show", "-t", "tokfast-32k", "x" * 5000).exit_code == 0
    assert invoke("show", "-t", "tokfast-32k", "word").stderr == ""


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert "\x1b" not in invoke("show", "-q", "a\x1b[31mred\x07").stdout


def test_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(show_module, "shows_colour", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = invoke("show", "-q", "the cat sat").stdout
    assert coloured.count("\x1b[38;5;16;48;5;") == 4
    assert "|" not in coloured
    monkeypatch.setenv("TERM", "xterm")  # sixteen colours, of which neighbours still differ
    coloured = invoke("show", "-q", "the cat sat").stdout
    assert all(f"\x1b[30;4{number}m" in coloured for number in (6, 3, 2, 5))
    monkeypatch.setitem(__import__("sys").modules, "rich.console", None)
    assert invoke("show", "-q", "the cat sat").stdout.startswith("the| c|at| sat\n")


def test_json() -> None:
    tok = tokfast.load("tokfast-32k")
    report = json.loads(invoke("show", "-t", "tokfast-32k", "--json", "a.txt").stdout)
    [one] = report["tokenizers"]
    assert (one["fingerprint"], report["exact"]) == (tok.fingerprint, True)
    assert [token["id"] for token in one["tokens"]] == tok.encode(TEXT)
    assert b"".join(bytes.fromhex(token["bytes"]) for token in one["tokens"]) == TEXT.encode()


def test_page_of_two(folder: Path) -> None:
    tokfast.train([TEXT * 20], 270).save(folder / "small.json")
    result = invoke("show", "a.txt", "-t", "tokfast-32k", "-t", "small.json", "--html", "page.html")
    assert result.stdout == ""
    assert "saved page.html" in result.stderr
    page = Path("page.html").read_text(encoding="utf-8")
    assert page.count('class="panel"') == 2
    assert ">small</h2>" in page
    assert invoke("show", "a.txt", "-q", "--no-vocabulary", "--html", "-").stdout.startswith("<!doctype html>")
    assert {path.name for path in folder.iterdir()} == {"a.txt", "small.json", "page.html"}


def test_usage() -> None:
    assert invoke("show", "x", "--json", "--html", "page.html").exit_code == 2
