"""`tokfast count`: lines for folders and endings, the largest ones, and a limit for CI."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import tokfast
from tokfast import _files
from tokfast._tokfast import count_text_files
from tokfast.cli import _sources, cli
from tokfast.cli._progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable

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
    assert rows[0] == "path,tokens,bytes,tokenizer,fingerprint,exact"
    fingerprint = tokfast.load("tokfast-32k").fingerprint
    assert f"./a.txt,{counts['a.txt']},{len(FILES['a.txt'])},tokfast-32k,{fingerprint},False" in rows


def test_a_terminal_is_told_what_counted(counts: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    def count(*arguments: Any, progress: Callable[..., None] | None, **options: Any) -> object:
        assert progress is not None
        progress("encode", 5_000_000, 20_000_000, "")
        return count_text_files(*arguments, **options)

    shown: list[str] = []
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda _self: True)
    monkeypatch.setattr(Progress, "update", lambda _self, text: shown.append(text))
    monkeypatch.setattr(_sources, "count_text_files", count)
    result = CliRunner().invoke(cli, ["count", "."], catch_exceptions=False)
    assert lines(result)["total"] == sum(counts.values())
    fingerprint = tokfast.load("tokfast-32k").fingerprint
    assert f"by tokfast-32k, fingerprint {fingerprint[:12]}, exact: False" in result.stderr
    assert shown == ["counted 5 of 20 MB (25%)"]


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


def test_several_tokenizers_side_by_side(counts: dict[str, int], tmp_path: Path) -> None:
    small = tokfast.train(["one two three four " * 9], 270)
    small.save(tmp_path / "small.json")
    (tmp_path / ".gitignore").write_text("small.json\n", encoding="utf-8")
    both = ["-t", "tokfast-32k", "-t", "small.json"]
    expected = {name: [n, small.count(FILES[name])] for name, n in counts.items()}
    expected["total"] = [sum(column) for column in zip(*expected.values(), strict=True)]
    head, *rows = invoke(".", *both).stdout.splitlines()
    assert head.split() == ["tokfast-32k", "small"]
    found = {Path(name).as_posix(): [int(first), int(second)] for first, second, name in map(str.split, rows)}
    assert found == expected
    reports = json.loads(invoke(".", *both, "--json").stdout)["tokenizers"]
    assert reports == [json.loads(invoke(".", "-t", name, "--json").stdout) for name in both[1::2]]
    by_file = csv.DictReader(io.StringIO(invoke(".", *both, "--csv").stdout))
    assert {(row["tokenizer"], row["exact"]) for row in by_file} == {("tokfast-32k", "True"), ("small.json", "True")}
    assert invoke(".", *both, "--by", "none").stdout.split()[2:] == [*map(str, expected["total"]), "total"]
    # Over for one of them is over.
    assert invoke(".", *both, "--limit", min(expected["total"])).exit_code == 3


@pytest.mark.usefixtures("counts")
def test_resume_counts_only_what_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "d.txt.gz").write_bytes(gzip.compress(b"one"))
    (tmp_path / "binary").write_bytes(b"\0")
    plain = invoke(".")
    state = tmp_path.parent / "state"
    options = [".", "--resume", state]
    assert invoke(*options).stdout == plain.stdout
    counted: list[str] = []

    def count(files: list[str], *others: object) -> object:
        counted.extend(map(str, files))
        return before(files, *others)  # type: ignore[arg-type]

    before = _files._count  # noqa: SLF001 - to see what is counted
    monkeypatch.setattr(_files, "_count", count)
    assert invoke(*options).stdout == plain.stdout
    assert counted == []
    (tmp_path / "a.txt").write_text("changed and longer", encoding="utf-8")
    (tmp_path / "new.txt").write_text("new", encoding="utf-8")
    resumed = invoke(*options)
    assert sorted(map(os.path.basename, counted)) == ["a.txt", "new.txt"]
    assert resumed.stdout == invoke(".").stdout
    # Another tokenizer counts for itself, and --field does too.
    tokfast.train(["one two three"], 258).save(tmp_path / "small.json")
    assert invoke(*options, "-t", "small.json").stdout == invoke(".", "-t", "small.json").stdout
    assert lines(invoke(*options, "--field", "no"))["total"] == lines(invoke("."))["total"]


def test_resume_goes_on_after_a_file_that_cannot_be_read(counts: dict[str, int], tmp_path: Path) -> None:
    result = invoke(".", "none.txt", "--resume", tmp_path.parent / "state2")
    assert result.exit_code == 1
    assert "none.txt: no such file" in result.stderr.lower()
    assert lines(result)["total"] == sum(counts.values())
