"""What each command prints, and where: run in this process, without the exit codes of `main`."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

import peers
import tokfast
from tokfast.cli import COMMANDS, cli

if TYPE_CHECKING:
    from click.testing import Result

NOTE = "no tokenizer named, so this is tokfast-32k"
TEXT = "Hello world, 你好! It's 12345 o'clock.\n"


def invoke(*arguments: object, stdin: bytes | None = None) -> Result:
    """Run in this process; errors that `main` turns into exit codes are raised as they are."""
    return CliRunner().invoke(cli, list(map(str, arguments)), input=stdin, prog_name="tokfast", catch_exceptions=False)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with text, a binary file, an ignored one, a hidden one and a folder; it is the current one."""
    files = {
        "a.txt": TEXT.encode() * 3,
        "b.py": b"def f(x):\n    return x\n",
        "sub/c.txt": "žluťoučký kůň\n".encode(),
        "sub/image.bin": b"\x89PNG\0\0" + bytes(100),
        "sub/empty.txt": b"",
        "debug.log": b"ignored\n",
        ".gitignore": b"*.log\n",
        ".hidden": b"hidden\n",
    }
    root = tmp_path / "tree"
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def small(trained: tokfast.Tokenizer, tmp_path: Path) -> Path:
    """A saved tokenizer."""
    path = tmp_path / "small.json"
    trained.save(path)
    return path


def default_count(*texts: bytes) -> int:
    tok = tokfast.load("tokfast-32k")
    return sum(map(tok.count, texts))


# ------------------------------------------------------------------------------------------- count


def test_count_one_file(tree: Path) -> None:
    result = invoke("count", "a.txt")
    assert result.exit_code == 0
    assert result.stdout == f"{default_count((tree / 'a.txt').read_bytes())} a.txt\n"
    assert result.stderr.startswith(f"tokfast: {NOTE}")


def test_count_directory_like_wc(tree: Path) -> None:
    result = invoke("count", ".")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert [Path(path).as_posix() for _, path in lines] == [
        "a.txt",
        "b.py",
        "sub/c.txt",
        "sub/empty.txt",
        "total",
    ]
    counts = [int(count) for count, _ in lines]
    assert counts[:-1] == [default_count((tree / path).read_bytes()) for _, path in lines[:-1]]
    assert counts[-1] == sum(counts[:-1])
    width = len(str(counts[-1]))
    assert all(
        line[: width + 1].endswith(f"{count} ")
        for line, (count, _) in zip(result.stdout.splitlines(), lines, strict=True)
    )
    assert "left out 1 binary file\n" in result.stderr


def test_count_hidden(tree: Path) -> None:
    assert ".hidden" not in invoke("count", tree).stdout
    assert ".hidden" in invoke("count", "--hidden", tree).stdout


def test_count_names_are_always_counted(tree: Path) -> None:
    result = invoke("count", "sub/image.bin", "debug.log", ".hidden")
    assert result.stdout.count("\n") == 4
    assert "left out" not in result.stderr
    assert f"{default_count((tree / 'sub/image.bin').read_bytes())} sub/image.bin\n" in result.stdout


def test_count_glob(tree: Path) -> None:
    lines = invoke("count", "**/*.txt").stdout.splitlines()
    assert [line.split()[1] for line in lines] == ["a.txt", "sub/c.txt", "sub/empty.txt", "total"]
    assert tree == Path.cwd()


def test_count_each_file_once(tree: Path) -> None:
    result = invoke("count", "sub", "./a.txt", "a.txt", "sub/c.txt", ".")
    names = [line.split()[1] for line in result.stdout.splitlines()]
    assert sorted(Path(name).as_posix() for name in names) == [
        "a.txt",
        "b.py",
        "sub/c.txt",
        "sub/empty.txt",
        "total",
    ]
    assert tree == Path.cwd()


def test_count_standard_input(tree: Path) -> None:
    text = (tree / "a.txt").read_bytes()
    expected = default_count(text)
    assert invoke("count", stdin=text).stdout == f"{expected}\n"
    assert invoke("count", "-", stdin=text).stdout == f"{expected} -\n"
    both = invoke("count", "-", "a.txt", stdin=text).stdout.split()
    assert both == [str(expected), "-", str(expected), "a.txt", str(2 * expected), "total"]


def test_count_terminal_asks_for_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda _self: True)
    for name in ("count", "encode", "decode"):
        result = invoke(name)
        assert result.exit_code == 2
        assert "nothing to read" in result.stderr


def test_count_json(tree: Path, small: Path, trained: tokfast.Tokenizer) -> None:
    report = json.loads(invoke("count", "--json", "-t", small, ".", "none.txt").stdout)
    assert report["schema_version"] == 1
    assert report["exact"] is True
    assert report["tokenizer"]["fingerprint"] == trained.fingerprint
    assert report["tokenizer"]["vocab_size"] == trained.vocab_size
    assert report["tokenizer"]["default"] is False
    assert [Path(file["path"]).as_posix() for file in report["files"]] == [
        "a.txt",
        "b.py",
        "sub/c.txt",
        "sub/empty.txt",
    ]
    for file in report["files"]:
        data = (tree / file["path"]).read_bytes()
        assert (file["tokens"], file["bytes"]) == (trained.count(data), len(data))
    tokens = sum(file["tokens"] for file in report["files"])
    assert report["total"] == {
        "files": 4,
        "tokens": tokens,
        "bytes": sum(f["bytes"] for f in report["files"]),
    }
    assert [Path(path).as_posix() for path in report["binary"]] == ["sub/image.bin"]
    assert [failed["path"] for failed in report["failed"]] == ["none.txt"]


def test_count_json_says_that_the_default_is_no_models_count(tree: Path) -> None:
    report = json.loads(invoke("count", "--json", "a.txt").stdout)
    assert report["exact"] is False
    assert report["tokenizer"]["name"] == "tokfast-32k"
    assert report["tokenizer"]["default"] is True
    assert tree == Path.cwd()


def test_count_default_named_is_exact(tree: Path) -> None:
    result = invoke("count", "--json", "-t", "tokfast-32k", "a.txt")
    assert json.loads(result.stdout)["exact"] is True
    assert result.stderr == ""
    assert tree == Path.cwd()


def test_count_quiet(tree: Path) -> None:
    assert invoke("count", "-q", tree).stderr == ""


def test_count_goes_on_after_a_file_that_cannot_be_read(tree: Path) -> None:
    result = invoke("count", "none.txt", "*.none", "a.txt", "b.py")
    assert result.exit_code == 1
    assert [line.split()[1] for line in result.stdout.splitlines()] == ["a.txt", "b.py", "total"]
    assert "error: none.txt: " in result.stderr
    assert "error: *.none: " in result.stderr
    assert tree == Path.cwd()


def test_count_reports_what_the_disk_refuses(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tree / "b.py").unlink()
    (tree / "b.py").symlink_to("b.py")  # a loop, which no permission opens
    result = invoke("count", "b.py", "a.txt")
    assert result.exit_code == 1
    assert "error: b.py: " in result.stderr
    assert "a.txt" in result.stdout
    monkeypatch.undo()


def test_count_does_not_depend_on_threads(tree: Path) -> None:
    (tree / "large.txt").write_text(peers.code(3_000_000), encoding="utf-8")  # counted in blocks
    expected = default_count((tree / "large.txt").read_bytes())
    for threads in (1, 2, 3):
        report = json.loads(invoke("count", "--json", "--threads", threads, tree).stdout)
        counts = {Path(file["path"]).name: file["tokens"] for file in report["files"]}
        assert counts["large.txt"] == expected
        assert counts["a.txt"] == default_count(TEXT.encode() * 3)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other pipes")
def test_a_pipe_is_read_once(tree: Path, small: Path) -> None:
    os.mkfifo(tree / "pipe")
    writer = threading.Thread(target=(tree / "pipe").write_text, args=(TEXT,), kwargs={"encoding": "utf-8"})
    writer.start()
    result = invoke("count", "--json", "-t", "tokfast-32k", "-t", small, "pipe")
    writer.join()
    counts = [report["total"]["tokens"] for report in json.loads(result.stdout)["tokenizers"]]
    assert counts == [default_count(TEXT.encode()), tokfast.load(small).count(TEXT)]


def test_count_with_a_real_encoding(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKFAST_CACHE_DIR", str(peers.real_file("cl100k_base.tiktoken").parent))
    expected = len(peers.tiktoken_encoding("cl100k").encode_ordinary(TEXT * 3))
    assert invoke("count", "-t", "cl100k_base", "a.txt").stdout == f"{expected} a.txt\n"
    assert tree == Path.cwd()


# ------------------------------------------------------------------------------------ encode, decode


def test_encode(small: Path, trained: tokfast.Tokenizer) -> None:
    ids = trained.encode(TEXT)
    assert invoke("encode", "-t", small, stdin=TEXT.encode()).stdout == " ".join(map(str, ids)) + "\n"
    report = json.loads(invoke("encode", "--json", "-t", small, "-", stdin=TEXT.encode()).stdout)
    assert report["ids"] == ids
    assert report["tokenizer"]["fingerprint"] == trained.fingerprint


def test_decode_reads_what_encode_prints(small: Path, trained: tokfast.Tokenizer) -> None:
    data = bytes(range(256)) + TEXT.encode() + b"\r\n\0"
    ids = trained.encode(data)
    for spelled in (
        invoke("encode", "-t", small, stdin=data).stdout,
        str(ids),
        ",".join(map(str, ids)),
        "\n".join(map(str, ids)),
    ):
        assert invoke("decode", "-t", small, stdin=spelled.encode()).stdout_bytes == data


def test_encode_and_decode_files(small: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text(TEXT, encoding="utf-8")
    (tmp_path / "ids").write_text(invoke("encode", "-t", small, tmp_path / "text").stdout, encoding="utf-8")
    assert invoke("decode", "-t", small, tmp_path / "ids").stdout == TEXT


def test_encode_default_says_so() -> None:
    result = invoke("encode", stdin=b"x")
    assert result.stderr.startswith(f"tokfast: {NOTE}")
    assert invoke("decode", "-q", stdin=result.stdout_bytes).stdout == "x"


def test_empty_input() -> None:
    assert invoke("encode", "-q", stdin=b"").stdout == "\n"
    assert invoke("decode", "-q", stdin=b"\n").stdout_bytes == b""
    assert invoke("count", "-q", stdin=b"").stdout == "0\n"


# -------------------------------------------------------------------------------------------- help


@pytest.mark.parametrize("name", [None, *COMMANDS])
def test_help_has_examples(name: str | None) -> None:
    result = invoke(*filter(None, [name]), "--help")
    assert result.exit_code == 0
    assert "Examples:\n" in result.stdout
    assert f"tokfast {name or 'count'} " in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_version() -> None:
    assert invoke("--version").stdout == f"tokfast, version {tokfast.__version__}\n"
