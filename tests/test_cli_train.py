"""`tokfast train`: what reaches the trainer, what is saved, and what is shown on the way."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner

import tokfast
from tokfast.cli import cli
from tokfast.cli._progress import Progress
from tokfast.cli._shared import number

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

TEXT = "Hello world, 你好! It's 12345 o'clock.\n"


def invoke(*arguments: object, stdin: bytes | None = None) -> Result:
    """Run in this process; errors that `main` turns into exit codes are raised as they are."""
    return CliRunner().invoke(cli, list(map(str, arguments)), input=stdin, catch_exceptions=False)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with text, and the current one."""
    (tmp_path / "a.txt").write_text(TEXT * 3, encoding="utf-8")
    (tmp_path / "b.py").write_text("def f(x):\n    return x\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_train(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    result = invoke("train", tree / "a.txt", tree / "b.py", "-n", "270", "-o", out, "--special", "<|end|>")
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "saved" in result.stderr
    expected = tokfast.train([tree / "a.txt", tree / "b.py"], 270, special_tokens=["<|end|>"])
    tok = tokfast.load(out)
    assert tok.vocab == expected.vocab
    assert "<|end|>" in tok.special_tokens


def test_train_options_reach_the_trainer(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}
    trained = tokfast.train([TEXT], 260)

    def train(source: object, vocab_size: int, **options: object) -> tokfast.Tokenizer:
        seen.update(options, source=source, vocab_size=vocab_size)
        return trained

    monkeypatch.setattr(tokfast, "train", train)
    options = "-n 50k --pattern none --special a --special b --min-frequency 2 --max-token-length 16"
    result = invoke(
        "train",
        tree,
        *options.split(),
        "--limit-alphabet",
        "1k",
        "--tie-break",
        "bytes",
        "--unit",
        "line",
        "--superwords",
        "--base",
        "tokfast-32k",
        "--memory-limit",
        "500M",
        "--checkpoint",
        tmp_path / "state",
        "--threads",
        3,
        "-o",
        tmp_path / "x.json",
    )
    assert result.exit_code == 0
    assert seen.pop("base").name == "tokfast-32k"
    assert seen == {
        "source": [tree],
        "vocab_size": 50_000,
        "pattern": None,
        "special_tokens": ["a", "b"],
        "min_frequency": 2,
        "max_token_length": 16,
        "limit_alphabet": 1000,
        "tie_break": "bytes",
        "unit": "line",
        "threads": 3,
        "memory_limit": 500_000_000,
        "superwords": True,
        "checkpoint": str(tmp_path / "state"),
        "resume": True,
        "progress": None,
    }
    assert "the text gave 260 tokens of the 50,000 asked for" in result.stderr


@pytest.mark.parametrize("unit", ["document", "line"])
def test_train_from_standard_input(tmp_path: Path, unit: str) -> None:
    text = TEXT.encode() * 5
    (tmp_path / "text").write_bytes(text)
    for source, name in (("-", "a"), (tmp_path / "text", "b")):
        invoke("train", source, "-n", 280, "--unit", unit, "-o", tmp_path / f"{name}.json", stdin=text)
    assert tokfast.load(tmp_path / "a.json").vocab == tokfast.load(tmp_path / "b.json").vocab


def test_train_tiktoken(tree: Path) -> None:
    out = tree / "out.tiktoken"
    assert invoke("train", tree / "b.py", "-n", 270, "-o", out).exit_code == 0
    tok = tokfast.Tokenizer.from_file(out, pattern="cl100k")
    assert tok.vocab == tokfast.train(tree / "b.py", 270).vocab


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("out.txt", "must end in .json or .tiktoken"),
        ("none/out.json", "no folder 'none'"),
        ("folder.json", "cannot be written"),
    ],
)
def test_train_refuses_an_output_before_the_work(
    tree: Path, monkeypatch: pytest.MonkeyPatch, out: str, message: str
) -> None:
    (tree / "folder.json").mkdir()

    def train(*_: object, **__: object) -> None:
        raise AssertionError("trained although the result has no place")

    monkeypatch.setattr(tokfast, "train", train)
    result = invoke("train", "a.txt", "-n", "300", "-o", out)
    assert result.exit_code == 2
    assert message in result.stderr


def test_train_progress(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    trained = tokfast.train([TEXT], 260)

    def train(_source: object, _vocab_size: int, **options: Any) -> tokfast.Tokenizer:
        now = iter([0.0, 10.0, 10.0, 20.0])
        monkeypatch.setattr("time.monotonic", lambda: next(now))
        options["progress"]("count", 0, 12_000_000, "")
        options["progress"]("count", 3_000_000, 12_000_000, "")
        options["progress"]("merge", 200, 32_000, "")
        options["progress"]("merge", 1200, 32_000, "' the' 99")
        return trained

    monkeypatch.setattr(tokfast, "train", train)
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda _self: True)
    monkeypatch.setattr(Progress, "update", lambda _self, text: lines.append(text))
    assert invoke("train", tree, "-n", "32k", "-o", "out.json").exit_code == 0
    assert [line.rsplit(", ", 1)[0] for line in lines] == [
        "read 0 of 12 MB (0%)",
        "read 3 of 12 MB (25%), 30 s left",
        "200 of 32,000 merges (1%)",
        "1,200 of 32,000 merges (4%), last ' the' 99, 308 s left",
    ]
    assert all(line.endswith(" MB") for line in lines)


def test_train_report_and_checkpoint(tree: Path, tmp_path: Path) -> None:
    arguments = [tree / "a.txt", "-n", "300", "-o", tmp_path / "x.json", "--checkpoint", tmp_path / "state"]
    report = tmp_path / "report.json"
    for _ in range(2):
        assert invoke("train", *arguments, "--report", report).exit_code == 0
    fields = json.loads(report.read_text(encoding="utf-8"))
    assert len(fields["merge_counts"]) == tokfast.load(tmp_path / "x.json").vocab_size - 256
    assert fields["documents"] > 0


def test_progress_line_is_written_over_and_cleared(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not Progress(quiet=False).shown, "no terminal, no progress"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert not Progress(quiet=True).shown
    progress = Progress(quiet=False)
    progress.clear()
    progress.update("1 of 2")
    progress.update("too soon after the first")
    progress.clear()
    assert capsys.readouterr().err == "\r\x1b[Ktokfast: 1 of 2\r\x1b[K"


# ----------------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    ("spelled", "value"),
    [
        ("300", 300),
        ("32k", 32_000),
        ("32K", 32_000),
        ("32Ki", 32_768),
        ("1M", 10**6),
        ("32_000", 32_000),
        ("32,000", 32_000),
    ],
)
def test_number(spelled: str, value: int) -> None:
    assert number(spelled) == value


@pytest.mark.parametrize("spelled", ["", "k", "3.5k", "-5", "ten", "0x10", "²", "9" * 30])
def test_no_number(spelled: str) -> None:
    with pytest.raises(click.BadParameter, match="is no whole number; write 32000"):
        number(spelled)


def test_train_on_a_field(tree: Path) -> None:
    (tree / "a.jsonl").write_text("".join(json.dumps({"body": TEXT}) + "\n" for _ in range(5)), encoding="utf-8")
    result = invoke("train", tree / "a.jsonl", "-n", 270, "--field", "body", "-o", tree / "out.json")
    assert result.exit_code == 0
    assert tokfast.load(tree / "out.json").vocab == tokfast.train(iter([TEXT] * 5), 270).vocab
    assert invoke("train", "-", "-n", 270, "--field", "body", "-o", tree / "out.json", stdin=b"x").exit_code == 2
