"""`tokfast count`: lines for folders and endings, the largest ones, and a limit for CI."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import tokfast
from tokfast.cli import cli

if TYPE_CHECKING:
    from click.testing import Result

FILES = {"a.txt": "one two three\n", "b.py": "def f(): pass\n", "sub/c.txt": "four " * 50, "sub/noext": "five\n"}


def invoke(*arguments: object) -> Result:
    arguments = ("count", "-q", *arguments)
    return CliRunner().invoke(cli, list(map(str, arguments)), prog_name="tokfast", catch_exceptions=False)


@pytest.fixture
def counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """The tokens of each file below the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    tok = tokfast.load("tokfast-32k")
    return {name: tok.count(text) for name, text in FILES.items()}


def lines(result: Result) -> dict[str, int]:
    return {
        Path(name).as_posix(): int(number) for number, name in (line.split() for line in result.stdout.splitlines())
    }


def test_by_extension_and_folder(counts: dict[str, int]) -> None:
    total = sum(counts.values())
    by_ext = lines(invoke(".", "--by", "ext"))
    txt = counts["a.txt"] + counts["sub/c.txt"]
    assert by_ext == {".txt": txt, ".py": counts["b.py"], "(none)": counts["sub/noext"], "total": total}
    by_dir = lines(invoke(".", "--by", "dir"))
    below = counts["sub/c.txt"] + counts["sub/noext"]
    assert by_dir == {".": total - below, "sub": below, "total": total}
    assert invoke(".", "--by", "none").stdout == f"{total}\n"


def test_top_keeps_the_total(counts: dict[str, int]) -> None:
    assert lines(invoke(".", "--top", 1)) == {"sub/c.txt": counts["sub/c.txt"], "total": sum(counts.values())}
    report = json.loads(invoke(".", "--top", 1, "--json").stdout)
    assert [Path(line["name"]).as_posix() for line in report["lines"]] == ["sub/c.txt"]
    assert report["total"]["tokens"] == sum(counts.values())


def test_csv(counts: dict[str, int]) -> None:
    rows = invoke(".", "--csv").stdout.splitlines()
    assert rows[0] == "path,tokens,bytes"
    assert f"./a.txt,{counts['a.txt']},{len(FILES['a.txt'])}" in rows


def test_limit(counts: dict[str, int]) -> None:
    total = sum(counts.values())
    assert invoke(".", "--limit", total).exit_code == 0
    over = invoke(".", "--limit", total - 1)
    assert over.exit_code == 3
    assert f"{total} tokens are more than the limit of {total - 1}" in over.stderr
    assert lines(over)["total"] == total


def test_documents_are_counted_by_their_field(tmp_path: Path) -> None:
    lines = b'{"body": "one"}\n{"body": "two words"}\n'
    (tmp_path / "a.jsonl").write_bytes(lines)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(lines))
    (tmp_path / "c.txt.gz").write_bytes(gzip.compress(b"one"))
    pq.write_table(pa.table({"body": ["one", "two words"]}), tmp_path / "d.parquet")
    (tmp_path / "e.txt").write_bytes(b"one")
    paths = sorted(map(str, tmp_path.iterdir()))
    tokenizer = tokfast.load("tokfast-32k")
    result = invoke("--json", "--field", "body", *paths)
    assert result.exit_code == 0
    assert [file["tokens"] for file in json.loads(result.stdout)["files"]] == [3, 3, 1, 3, 1]
    # Without a field, JSON lines are text.
    result = invoke("--json", *paths[:3])
    assert [file["tokens"] for file in json.loads(result.stdout)["files"]] == [tokenizer.count(lines)] * 2 + [1]
    result = invoke("--field", "no", *paths)
    assert result.exit_code == 1
    assert "a.jsonl: line 1: no field 'no', but 'body'" in result.stderr
    assert "d.parquet: has no column 'no', but 'body'" in result.stderr
