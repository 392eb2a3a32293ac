"""The command line as a process of its own: exit codes, one-line errors, closed pipes, Ctrl-C, start-up."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import peers
import tokfast

TEXT = "Hello world, 你好! It's 12345 o'clock.\n"
MAIN = "from tokfast.cli import main; main()"


def start(*arguments: object, code: str = MAIN, **options: Any) -> subprocess.Popen[bytes]:
    """Start `tokfast` with pipes, or with what the options say instead."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, **{**pipes, **options})


def run(*arguments: object, stdin: bytes = b"", **options: Any) -> tuple[int, bytes, bytes]:
    """Run to the end; returns the exit code, the output and the errors."""
    with start(*arguments, **options) as process:
        output, errors = process.communicate(stdin, timeout=60)
    return process.returncode, output, errors


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with a few files to work on."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.txt").write_text(TEXT * 3, encoding="utf-8")
    (tmp_path / "sub" / "empty.txt").touch()
    return tmp_path


# ------------------------------------------------------------------------------- usage and errors


@pytest.mark.parametrize(
    "arguments",
    [
        "no-such-command",
        "count --no-such-option",
        "count --threads 0",
        "train a.txt",
        "train a.txt -n ten -o x.json",
        "train - a.txt -n 300 -o x.json",
    ],
)
def test_usage_errors_exit_2(tree: Path, arguments: str) -> None:
    code, output, errors = run(*arguments.split(), cwd=tree)
    assert code == 2
    assert output == b""
    assert errors.startswith(b"Usage: tokfast")


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        ("count -t cl200k a.txt", b"", "'cl200k' is no known encoding"),
        ("count -t none.json a.txt", b"", "none.json: No such file or directory"),
        ("count -t a.txt a.txt", b"", "a.txt"),
        ("count -t sub a.txt", b"", "the folder holds none of tokenizer.json"),
        ("count none.txt", b"", "none.txt: No such file or directory"),
        ("encode none.txt", b"", "none.txt: No such file or directory"),
        ("encode sub", b"", "sub: Is a directory"),
        ("decode", b"1 2 x3", "'x3' is no token id"),
        ("decode", b"1 -2", "'-2' is no token id"),
        ("decode", b"\xff\xfe", "is no token id"),
        ("decode", b"9" * 5000, "is no token id"),
        ("decode", b"999999999", "token id 999999999 at position 0"),
        ("decode", b"1 99999999999999", "token id 99999999999999 at position 1"),
        ("train a.txt -n 10 -o x.json", b"", "vocab_size"),
        ("train a.txt -n 300 --pattern ( -o x.json", b"", "pattern"),
        ("train none.txt -n 300 -o x.json", b"", "none.txt: No such file or directory"),
    ],
)
def test_runtime_errors_are_one_line_and_exit_1(tree: Path, arguments: str, stdin: bytes, message: str) -> None:
    code, _, errors = run(*arguments.split(), "-q", stdin=stdin, cwd=tree)
    assert code == 1, errors
    lines = errors.decode().splitlines()
    assert len(lines) == 1, errors
    assert lines[0].startswith("tokfast: error: ")
    assert message.lower() in lines[0].lower()
    assert not (tree / "x.json").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_full_disk(tree: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        code, _, errors = run("count", "-q", "a.txt", stdout=full, cwd=tree)
    assert code == 1
    assert errors == b"tokfast: error: No space left on device\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only some file systems keep names that are no text")
def test_file_names_that_are_no_text(tree: Path) -> None:
    name = b"\xff\xfe.txt"
    (tree / os.fsdecode(name)).write_bytes(b"x")
    assert name in run("count", ".", cwd=tree)[1]
    report = json.loads(run("count", "--json", ".", cwd=tree)[1])
    assert "\ufffd\ufffd.txt" in {Path(file["path"]).name for file in report["files"]}


# ------------------------------------------------------------------------------ pipes and interrupts


@pytest.mark.parametrize("arguments", ["count -q .", "encode -q big.txt"])
def test_closed_pipe_is_quiet(tree: Path, arguments: str) -> None:
    (tree / "big.txt").write_text(TEXT * 20_000, encoding="utf-8")
    for index in range(2000):  # more lines than a pipe holds
        (tree / "sub" / f"{index:05}-{'x' * 60}.txt").touch()
    with start(*arguments.split(), cwd=tree) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


@pytest.mark.parametrize(
    "arguments",
    ["compare tokfast-32k --data en=empty", "vocab-sizes empty", "compare tokfast-32k --data en=a.txt --plot x.zzz"],
)
def test_a_value_that_cannot_be_used_is_one_line(tree: Path, arguments: str) -> None:
    (tree / "empty").touch()
    status, output, errors = run(*arguments.split(), cwd=tree)
    assert (status, output) == (1, b"")
    assert errors.startswith(b"tokfast: error: ")
    assert errors.count(b"\n") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send")
def test_interrupt_exits_130_quietly() -> None:
    with start("count", "-") as process:
        assert process.stdin
        assert process.stderr
        process.stdin.write(b"some text")
        process.stdin.flush()
        assert process.stderr.readline()  # the note: it runs, and waits for the end of the text
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert output == b""
    assert errors.strip() == b""


# ----------------------------------------------------------------------------------------- start-up


def test_starts_without_numpy_and_soon(tree: Path) -> None:
    code = "import atexit, sys; atexit.register(lambda: print('numpy' in sys.modules)); " + MAIN
    seconds = []
    for _ in range(5):
        begin = time.perf_counter()
        status, output, errors = run("count", "a.txt", code=code, cwd=tree)
        seconds.append(time.perf_counter() - begin)
        assert (status, output.splitlines()[-1]) == (0, b"False"), errors
    # Under 0.15 s on a quiet machine; the bound leaves room for a busy one.
    assert min(seconds) < 0.6


# ---------------------------------------------------------------------------------------- documents


PAGES = ["README.md", *sorted(str(path.relative_to(peers.ROOT)) for path in (peers.ROOT / "docs").rglob("*.md"))]


def commands_in(page: str) -> list[str]:
    """The lines of a document's shell blocks."""
    blocks = re.findall(r"```sh\n(.*?)```", (peers.ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if "tokfast " in line]


@pytest.mark.parametrize("page", [page for page in PAGES if commands_in(page)])
def test_commands_of_the_documents_run(tree: Path, page: str) -> None:
    script = tree / "bin" / "tokfast"
    script.parent.mkdir()
    script.write_text(f"#!/bin/sh\nexec '{sys.executable}' -c '{MAIN}' \"$@\"\n", encoding="utf-8")
    script.chmod(0o755)
    (tree / "notes.txt").write_text(TEXT, encoding="utf-8")
    for folder in ("corpus", "texts", "model"):
        (tree / folder).mkdir()
    (tree / "corpus" / "code.txt").write_text(peers.code(800_000), encoding="utf-8")
    (tree / "texts" / "en.txt").write_text("the same words\n", encoding="utf-8")
    (tree / "texts" / "de.txt").write_text("dieselben Wörter\n", encoding="utf-8")
    model = tokfast.load("tokfast-32k")
    model.save(tree / "model" / "tokenizer.json")
    (tree / "model" / "config.json").write_text(json.dumps({"vocab_size": model.vocab_size}), encoding="utf-8")
    (tree / "talk.json").write_text(json.dumps([{"role": "user", "content": "Hi"}]), encoding="utf-8")
    environment = {
        **os.environ,
        "PATH": f"{script.parent}{os.pathsep}{os.environ['PATH']}",
        "TOKFAST_CACHE_DIR": str(peers.real_file("cl100k_base.tiktoken").parent),
    }
    for line in commands_in(page):
        shell = ["/bin/sh", "-e", "-c", line]
        subprocess.run(shell, cwd=tree, env=environment, check=True, timeout=60)


def test_the_quickstart_has_commands() -> None:
    assert len(commands_in("README.md")) >= 4
    assert len(commands_in(str(Path("docs", "index.md")))) >= 4
