#!/usr/bin/env python3
"""Read large files that were made to break a reader, each in a process of its own: time, memory, kind of error.

usage: stress_files.py [NAME]... [--record FILE]

Files of 10 to 60 MB are made (one of 1 GB: lists a thousand million deep), read once, and removed. Each must be read
or refused with a `TokenizerFileError`; what is refused within a second of processor time, and in memory of at most 4
times its size beyond what the process had. What is read is a sound vocabulary, some of millions of tokens, and takes
what such a one takes.

Exit status: 0 when all is well, 1 when a file was read otherwise.
"""

from __future__ import annotations

import argparse
import base64
import json
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import tokfast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# What a process does with the file. VmHWM is the most memory since it began; a child's ru_maxrss holds its parent's.
READ = """
import re, sys, time
from pathlib import Path
import tokfast
path, options = sys.argv[1], ({"pattern": "gpt2"} if sys.argv[1].endswith(".tiktoken") else {})
read = tokfast.Tokenizer.from_file

def most():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

before, started = most(), time.process_time()
try:
    read(path, **options)
    outcome = "read"
except Exception as error:
    outcome = f"{type(error).__name__}: {str(error).split(': ', 1)[-1][:120]}"
print(time.process_time() - started, most() - before, outcome)
"""
MOST_MEMORY = 4.0
MOST_SECONDS = 1.0
TYPED = "TokenizerFileError: "


def sound() -> dict[str, bytes]:
    """Make a small sound file of each format that is written."""
    tokenizer = tokfast.train(iter(["low lower lowest new newer"]), 270, pattern="gpt2", special_tokens=["<s>"])
    with tempfile.TemporaryDirectory() as folder:
        for name in ("t.json", "t.tiktoken", "t.gguf"):
            tokenizer.save(Path(folder, name))
        return {name: Path(folder, name).read_bytes() for name in ("t.json", "t.tiktoken", "t.gguf")}


SOUND = sound()
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-*/_.,:;!?<>()[]{}=~@#$%^&|"


def changed(part: str, entries: str, inner: str | None = None) -> bytes:
    """Put text at the beginning of a part of the sound tokenizer.json."""
    text = json.dumps(json.loads(SOUND["t.json"]))
    place = text.index(f'"{part}": ', text.index(f'"{inner}": ') if inner else 0) + len(part) + 4
    return (text[: place + 1] + entries + text[place + 1 :]).encode()


def words(count: int) -> Iterable[str]:
    """Yield as many different short words."""
    size = len(LETTERS)
    for number in range(count):
        one, two = divmod(number, size)
        yield LETTERS[two] + LETTERS[one % size] + LETTERS[one // size % size] + LETTERS[one // size // size]


def short_tokens() -> bytes:
    """Make two million tokens of four letters, each the shortest entry that there is."""
    return changed("vocab", "".join(f'"{word}":{300 + number},' for number, word in enumerate(words(2_000_000))))


def gguf_of(tokens: int, length: int) -> bytes:
    """Make a GGUF file with as many tokens, all of one length, and without merges."""

    def text(value: bytes) -> bytes:
        return struct.pack("<Q", len(value)) + value

    model = text(b"tokenizer.ggml.model") + struct.pack("<I", 8) + text(b"gpt2")
    head = text(b"tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, tokens)
    return b"GGUF" + struct.pack("<IQQ", 3, 0, 2) + model + head + (struct.pack("<Q", length) + b"a" * length) * tokens


def ranks(count: int) -> bytes:
    """Make as many ranks of four letters, after the bytes."""
    lines = (base64.b64encode(word.encode()) + b" %d\n" % rank for rank, word in enumerate(words(count), 256))
    single = b"".join(base64.b64encode(bytes([byte])) + b" %d\n" % byte for byte in range(256))
    return single + b"".join(lines)


def tekken_with(reserved: int, size: int) -> bytes:
    """Make a tekken.json of the single bytes that reserves places, blown up by white space."""
    vocab = [{"rank": byte, "token_bytes": base64.b64encode(bytes([byte])).decode()} for byte in range(256)]
    config = {"pattern": r"\w+", "default_vocab_size": 256 + reserved, "default_num_special_tokens": reserved}
    return json.dumps({"config": config, "vocab": vocab}).encode() + b" " * size


def added(count: int) -> str:
    """Make entries of as many added tokens."""
    return "".join(f'{{"id":{1000 + number},"content":"<{number}>"}},' for number in range(count))


SPLIT = '{"type":"Split","pattern":{"Regex":"%s"},"behavior":"Isolated","invert":false},'
CASES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "lists, a thousand million deep": (".json", lambda: b'{"model":' + b"[" * 1_000_000_000),
    "objects, ten million deep": (".json", lambda: b'{"model":' + b'{"a":' * 10_000_000),
    "cut off in the middle": (".json", lambda: short_tokens()[:-10_000_000]),
    "two million short tokens": (".json", short_tokens),
    "one token of 30 MB": (".json", lambda: changed("vocab", '"' + "a" * 30_000_000 + '":300,')),
    "a token of 30 MB of escapes": (".json", lambda: changed("vocab", '"' + "\\u0061" * 5_000_000 + '":300,')),
    "three million merges of one pair": (".json", lambda: changed("merges", '"l o",' * 3_000_000)),
    "three million empty merges": (".json", lambda: changed("merges", '"",' * 3_000_000)),
    "one id two million times": (
        ".json",
        lambda: changed("vocab", "".join(f'"{word}":300,' for word in words(2_000_000))),
    ),
    "one key two million times": (".json", lambda: changed("vocab", '"zzzz":300,' * 2_000_000)),
    "the id 2^32-1": (".json", lambda: changed("vocab", '"zzzz":4294967295,' + " " * 10_000_000)),
    "half a million added tokens": (".json", lambda: changed("added_tokens", added(500_000))),
    "a hundred thousand splits": (
        ".json",
        lambda: changed("pretokenizers", SPLIT % "a" * 100_000, "pre_tokenizer"),
    ),
    "a million normalizers": (
        ".json",
        lambda: json.dumps(
            json.loads(SOUND["t.json"])
            | {"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}] * 1_000_000}}
        ).encode(),
    ),
    "an expression of a thousand million states": (
        ".json",
        lambda: changed("pretokenizers", SPLIT % "((a{1000}){1000}){1000}", "pre_tokenizer") + b" " * 10_000_000,
    ),
    "an expression of 5 MB": (
        ".json",
        lambda: changed("pretokenizers", SPLIT % ("(a|b)" * 1_000_000), "pre_tokenizer"),
    ),
    "white space": (".json", lambda: b" " * 30_000_000),
    "compressed zeros": (".json", lambda: __import__("gzip").compress(b"0" * 1_000_000_000, 1)),
    "two million ranks": (".tiktoken", lambda: ranks(2_000_000)),
    "a rank of 20 MB": (".tiktoken", lambda: SOUND["t.tiktoken"] + base64.b64encode(b"a" * 20_000_000) + b" 5000\n"),
    "three million empty lines of ranks": (".tiktoken", lambda: SOUND["t.tiktoken"] + b"= 5000\n" * 3_000_000),
    "a line of 30 MB": (".tiktoken", lambda: SOUND["t.tiktoken"] + b"a" * 30_000_000),
    "ranks that each hold the one before": (
        ".tiktoken",
        lambda: (
            SOUND["t.tiktoken"]
            + b"".join(base64.b64encode(b"a" * length) + b" %d\n" % (5000 + length) for length in range(100, 5000))
        ),
    ),
    "ten million special tokens of tekken": (".json", lambda: tekken_with(10_000_000, 12_000_000)),
    "four thousand million special tokens of tekken": (".json", lambda: tekken_with(4_000_000_000, 12_000_000)),
    "three million empty tokens": (".gguf", lambda: gguf_of(3_000_000, 0)),
    "three million equal tokens": (".gguf", lambda: gguf_of(3_000_000, 1)),
    "a list of 2^60 tokens": (
        ".gguf",
        lambda: gguf_of(1, 1)[:-9].replace(struct.pack("<Q", 1), struct.pack("<Q", 1 << 60)) + b"\0" * 20_000_000,
    ),
    "ten million empty pieces": (".model", lambda: b"\x0a\x05\x0a\x03abc" + b"\x0a\x00" * 10_000_000),
    "five million pieces of one letter": (".model", lambda: b"\x0a\x05\x0a\x03abc" + b"\x0a\x03\x0a\x01a" * 5_000_000),
    "a piece of 2^62 bytes": (
        ".model",
        lambda: b"\x0a\x05\x0a\x03abc\x0a" + b"\xff" * 8 + b"\x3f" + b"\0" * 20_000_000,
    ),
    "groups, five million deep": (".model", lambda: b"\x0a\x05\x0a\x03abc" + b"\x0b" * 5_000_000),
}


def measure(name: str, folder: Path) -> dict[str, object]:
    """Make a file, read it in a new process, and say what came of it."""
    ending, make = CASES[name]
    path = folder / f"t{ending}"
    path.write_bytes(make())
    size = path.stat().st_size
    command = [sys.executable, "-c", READ, str(path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        return {"file": name + ending, "bytes": size, "outcome": "60 s and no end", "wrong": True}
    finally:
        path.unlink()
    if done.returncode != 0:
        return {"file": name + ending, "bytes": size, "outcome": f"status {done.returncode}", "wrong": True}
    seconds, grown, outcome = done.stdout.strip().split(" ", 2)
    row: dict[str, object] = {"file": name + ending, "bytes": size, "seconds": round(float(seconds), 3)}
    memory = int(grown) * 1024 / size
    row |= {"memory / file": round(memory, 2), "outcome": outcome}
    is_read = outcome == "read"
    if not is_read and (float(seconds) >= MOST_SECONDS or memory > MOST_MEMORY or not outcome.startswith(TYPED)):
        row["wrong"] = True
    return row


def main() -> int:
    """Measure all files, print a line each, write the record."""
    parser = argparse.ArgumentParser(description="Read large files that were made to break a reader.")
    parser.add_argument("name", nargs="*", help="a part of a name; all files if there is none")
    parser.add_argument("--record", type=Path, metavar="FILE")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, (ending, _) in CASES.items():
            if not options.name or any(part in name + ending for part in options.name):
                rows.append(measure(name, Path(folder)))
                print(json.dumps(rows[-1]), flush=True)
    if options.record:
        options.record.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return int(any(row.get("wrong") for row in rows))


if __name__ == "__main__":
    sys.exit(main())
