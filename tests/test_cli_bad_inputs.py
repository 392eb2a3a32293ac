"""Every command on every kind of bad input: a line that says what is wrong, a status, and never a traceback.

What is bad is put where a command reads text, where it reads a tokenizer, and where it writes. Most run in this
process, where an error that the command line does not know would be raised; closed pipes, full disks and missing
permissions need one of their own.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import tokfast
from tokfast import cli

if TYPE_CHECKING:
    from collections.abc import Callable

MAIN = "from tokfast.cli import main; main()"

READ_TEXT = [
    "train {} -n 300 -o out.json",
    "train {} -n 300 -o out.json --unit line",
    "train {} -n 300 -o out.json --field no",
    "count {}",
    "count {} --field no",
    "count {} --resume state",
    "count --chat {} -t tokfast-32k",
    "encode {}",
    "decode {}",
    "compare tokfast-32k --data en={}",
    "compare tokfast-32k --data {} --baselines",
    "vocab-sizes {} --sizes 300",
    "vocab-sizes a.txt --sizes 300 --held-out en={}",
    "show {}",
    "show {} --html out.html --no-vocabulary",
]
READ_TOKENIZER = [
    "count a.txt -t {}",
    "count --chat talk.json -t {}",
    "encode a.txt -t {}",
    "decode -t {} ids.txt",
    "compare tokfast-32k {} --data en=a.txt",
    "train a.txt -n 300 -o out.json --base {}",
    "check {}",
    "check {} tokfast-32k",
    "check model {}",
    "explain -t {} word",
    "show -t {} word",
    "info {}",
    "convert {} out.json",
    "fetch {}",
]
WRITE = [
    "train a.txt -n 300 -o {}.json",
    "convert model/tokenizer.json {}.json",
    "vocab-sizes a.txt --sizes 300 --held-out en=a.txt --save {}.json",
    "vocab-sizes a.txt --sizes 300 --held-out en=a.txt --plot {}.png",
    "compare tokfast-32k --data en=a.txt --plot {}.png",
    "show word --html {}.html",
    "count a.txt --resume {}.state",
    "train a.txt -n 300 -o out.json --report {}.json",
    "train a.txt -n 300 -o out.json --checkpoint {}.state",
]


def bad_files(folder: Path) -> dict[str, Path]:
    """Files and other things that are not what a command hopes for."""
    noise = random.Random(1).randbytes(5000)
    contents = {
        "empty.txt": b"",
        "binary.bin": noise,
        "binary.json": noise,
        "latin1.txt": "naïve café\n".encode("latin-1") * 30,
        "utf16.txt": "naïve café\n".encode("utf-16") * 30,
        "mixed.txt": "naïve".encode("latin-1") + "café".encode() + "你好".encode("utf-16") + b"\0\xff\n",
        "list.json": b"[1, 2]",
        "deep.json": b"[" * 100_000,
        "object.json": b'{"model": 3}',
        "lines.jsonl": b'{"text": "x"}\nno json\n',
        "number.json": b"9" * 5000,
        "short.gz": gzip.compress(noise)[:100],
        "noise.parquet": noise,
        "noise.zst": noise,
        "noise.gguf": b"GGUF" + noise,
        "noise.model": b"\n" + noise,
        "noise.tiktoken": b"IQ== 0\nIg== x\n",
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    found = {name: folder / name for name in contents}
    (folder / "loop").symlink_to(folder / "loop")
    (folder / "folder").mkdir()
    found |= {"missing": folder / "none" / "x", "loop": folder / "loop", "folder": folder / "folder"}
    found |= {"long name": Path("x" * 5000), "NUL": Path("a\0b")}
    if Path("/proc/self/mem").exists():
        found["unreadable"] = Path("/proc/self/mem")
    return found


@pytest.fixture
def good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what a command needs besides; the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOKFAST_OFFLINE", "1")
    (tmp_path / "a.txt").write_text("some text, and some more text\n" * 20, encoding="utf-8")
    (tmp_path / "ids.txt").write_text("1 2 3", encoding="utf-8")
    (tmp_path / "talk.json").write_text(json.dumps([{"role": "user", "content": "Hi"}]), encoding="utf-8")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text('{"vocab_size": 300}', encoding="utf-8")
    tokfast.train(["some text"] * 3, 260).save(tmp_path / "model" / "tokenizer.json")
    return tmp_path


def run_here(command: str, place: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Run a command with a bad thing in its place; what it raises fails the test."""
    words = [word.replace("{}", place) for word in command.split()]
    monkeypatch.setattr(sys, "argv", ["tokfast", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    errors = capsys.readouterr().err
    assert ended.value.code in {0, 1, 2}, (words, errors)
    assert "Traceback" not in errors
    if ended.value.code == 1 and words[0] != "check":
        said = [line for line in errors.splitlines() if line.startswith("tokfast: error: ")]
        assert len(said) == 1, (words, errors)
        assert len(said[0]) < 10_000
        assert said[0].isprintable()


@pytest.mark.parametrize("command", [*READ_TEXT, *READ_TOKENIZER])
def test_bad_input(
    good: Path, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (good / "bad").mkdir()
    for place in bad_files(good / "bad").values():
        run_here(command, str(place), monkeypatch, capsys)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="this system has no file that opens and does not read")
@pytest.mark.usefixtures("good")
@pytest.mark.parametrize(
    "command", ["encode {}", "show {}", "compare tokfast-32k --data en={}", "count {}", "train {}"]
)
def test_a_file_that_cannot_be_read_is_named(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["-n", "300", "-o", "out.json"] if command.startswith("train") else []
    monkeypatch.setattr(sys, "argv", ["tokfast", *command.format("/proc/self/mem").split(), *options])
    with pytest.raises(SystemExit):
        cli.main()
    assert capsys.readouterr().err.splitlines()[-1] == "tokfast: error: /proc/self/mem: Input/output error"


@pytest.mark.parametrize("command", WRITE)
def test_bad_output(
    good: Path, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (good / "file").touch()
    suffix = command.rpartition("{}")[2].split()[0]
    (good / f"folder{suffix}").mkdir()
    for place in ("none/x", "file/x", "folder", "x" * 300):
        run_here(command, place, monkeypatch, capsys)
    assert not list(good.glob("*.tmp"))


# ----------------------------------------------------------------------------- processes of their own

PRINT = [
    "count folder",
    "count -t tokfast-32k -t model/tokenizer.json folder --csv",
    "encode big.txt",
    "decode big.ids",
    "compare tokfast-32k --data en=a.txt --json",
    "vocab-sizes a.txt --sizes 300 --held-out en=a.txt --csv",
    "check model tokfast-32k",
    "explain word",
    "show big.txt",
    "show a.txt --html -",
    "info tokfast-32k",
    "--help",
]


def start(command: str, folder: Path, **options: object) -> subprocess.Popen[bytes]:
    """Start a command with standard error read, and standard output where the options say."""
    return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
        [sys.executable, "-c", MAIN, *command.split()],
        **{"cwd": folder, "stdin": subprocess.DEVNULL, "stderr": subprocess.PIPE, **options},
    )


@pytest.fixture
def large(good: Path) -> Path:
    """The folder with more to print than a pipe holds."""
    (good / "big.txt").write_text("some text\n" * 50_000, encoding="utf-8")
    (good / "big.ids").write_text("64 " * 200_000, encoding="utf-8")
    (good / "folder").mkdir()
    for number in range(1500):
        (good / "folder" / f"{number:05}-{'x' * 60}.txt").touch()
    return good


@pytest.mark.parametrize("command", PRINT)
def test_closed_pipe(large: Path, command: str) -> None:
    with start(command, large, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
    assert b"Traceback" not in errors
    assert b"error" not in errors, errors
    assert process.returncode in ({0, 1} if command.startswith("check") else {0})


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("command", PRINT)
def test_full_disk(large: Path, command: str) -> None:
    with Path("/dev/full").open("wb") as full, start(command, large, stdout=full) as process:
        _, errors = process.communicate(timeout=60)
    assert errors.splitlines()[-1] == b"tokfast: error: No space left on device"
    assert process.returncode == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_page_on_a_full_disk_leaves_the_device_alone(good: Path) -> None:
    with start("show word --no-vocabulary --html /dev/full", good) as process:
        _, errors = process.communicate(timeout=60)
    assert errors.splitlines()[-1].endswith(b"No space left on device")
    assert process.returncode == 1
    assert Path("/dev/full").is_char_device()


def obey_permissions() -> Callable[[], None] | None:
    """What a child of the superuser calls to be refused what others are refused."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return None
    import ctypes

    libc = ctypes.CDLL(None)
    drop_from_bounding_set, may_read_all, may_search_all = 24, 1, 2

    def drop() -> None:
        libc.prctl(drop_from_bounding_set, may_read_all, 0, 0, 0)
        libc.prctl(drop_from_bounding_set, may_search_all, 0, 0, 0)

    return drop


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
@pytest.mark.parametrize(
    "command",
    [
        "count closed a.txt",
        "count closed/x.txt",
        "count closed.txt a.txt",
        "count --resume closed a.txt",
        "train closed -n 300 -o out.json",
        "train closed.txt -n 300 -o out.json",
        "train a.txt -n 300 -o closed/out.json",
        "encode closed.txt",
        "compare tokfast-32k --data en=closed.txt",
        "compare tokfast-32k --data closed",
        "vocab-sizes closed --sizes 300",
        "show closed.txt",
        "show word --html closed/page.html",
        "info closed.txt",
        "check closed tokfast-32k",
        "convert closed.txt out.json",
    ],
)
def test_no_permission(good: Path, command: str) -> None:
    (good / "closed.txt").write_text("text", encoding="utf-8")
    (good / "closed").mkdir()
    (good / "closed" / "x.txt").write_text("text", encoding="utf-8")
    (good / "closed.txt").chmod(0)
    (good / "closed").chmod(0)
    try:
        with start(command, good, stdout=subprocess.PIPE, preexec_fn=obey_permissions()) as process:
            _, errors = process.communicate(timeout=60)
    finally:
        (good / "closed").chmod(0o700)
    assert process.returncode in {1, 2}, errors
    assert b"Traceback" not in errors
    assert b"closed" in errors
