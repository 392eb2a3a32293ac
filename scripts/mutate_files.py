#!/usr/bin/env python3
"""Read damaged tokenizer files by the thousand: each must be read or refused with a typed error, soon.

usage: mutate_files.py [COUNT] [--seed N] [--file FILE]... [--record FILE]

Small files of every format are made and damaged: bytes changed, left out, put in and doubled, numbers and
lengths replaced by extreme ones, parts of other files spliced in. FILE adds real ones. What is read must
encode and decode. (stress_files.py does the same with large files, and measures their memory.)

Exit status: 0 when all is well; 1 when an error was of another kind, or a file took a second or more.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import resource
import struct
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import tokfast

EXTREMES = [b"0", b"-1", b"4294967295", b"4294967296", b"18446744073709551615", b"1e308", b"null", b"[]", b"{}", b'""']
VALUES = re.compile(rb'"[^"\\\\]*"|[0-9]+|true|false|null|[A-Za-z0-9+/=]+ [0-9]+')
BORDER = b"\n\n"
TEXT = b"any text \xff\xc3\xa9 123\n"


def sentencepiece_model() -> bytes:
    """Make a `.model` of a few pieces, as the protocol buffer lays it out."""

    def field(number: int, payload: bytes) -> bytes:
        return bytes([number << 3 | 2, len(payload)]) + payload

    pieces = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), *((f"<0x{byte:02X}>", 0.0, 6) for byte in range(256))]
    pieces += [(text, -float(rank), 1) for rank, text in enumerate(["\u2581", "a", "b", "ab", "\u2581a", "\u2581ab"])]
    data = b""
    for text, score, kind in pieces:
        spelled = text.encode()
        piece = field(1, spelled) + b"\x15" + struct.pack("<f", score) + bytes([3 << 3, kind])
        data += field(1, piece)
    return data + field(2, b"\x18\x02\x98\x02\x01") + field(3, b"\x18\x01\x20\x00\x28\x01")


def tekken_json() -> bytes:
    """Make a tekken.json of the single bytes and a few tokens."""
    import base64

    tokens = [bytes([byte]) for byte in range(256)] + [b"ab", b" a"]
    vocab = [{"rank": rank, "token_bytes": base64.b64encode(token).decode()} for rank, token in enumerate(tokens)]
    config = {"pattern": r"\w+|\W", "default_vocab_size": 278, "default_num_special_tokens": 20}
    return json.dumps({"config": config, "vocab": vocab}).encode()


def small_files() -> dict[str, bytes]:
    """Make a sound file of each format."""
    tokenizer = tokfast.train(iter(["low lower lowest new newer newest"]), 270, pattern="gpt2", special_tokens=["<s>"])
    files = {"tekken.json": tekken_json(), "sentencepiece": sentencepiece_model()}
    with tempfile.TemporaryDirectory() as folder:
        for form, name in (("tokenizer.json", "t.json"), ("tiktoken", "t.tiktoken"), ("gguf", "t.gguf")):
            tokenizer.save(Path(folder, name))
            files[form] = Path(folder, name).read_bytes()
        tokenizer.save(Path(folder, "vocab.json"))
        # A pair is damaged as one, and cut where it was joined.
        files["vocab.json"] = BORDER.join(Path(folder, name).read_bytes() for name in ("vocab.json", "merges.txt"))
    parsed = json.loads(files["tokenizer.json"])
    parsed["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Lowercase"}]}
    parsed["pre_tokenizer"] = {
        "type": "Sequence",
        "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": "[0-9]"}, "behavior": "MergedWithNext", "invert": False},
            {"type": "Digits", "individual_digits": True},
            {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True},
        ],
    }
    files["tokenizer.json with a chain"] = json.dumps(parsed).encode()
    return files


def swap(damaged: bytearray, generator: random.Random) -> None:
    """Give one value of a text the place of another."""
    values = list(VALUES.finditer(damaged))
    if values:
        (start, end), other = generator.choice(values).span(), generator.choice(values).group()
        damaged[start:end] = other


def damage(data: bytes, others: list[bytes], generator: random.Random) -> bytes:  # noqa: C901 (one kind a case)
    """Change a file in one to four places."""
    damaged = bytearray(data)
    for _ in range(generator.choice([1, 1, 1, 2, 4])):
        at = generator.randrange(len(damaged) + 1)
        length = generator.choice([1, 1, 2, 4, 8, 64, 1000])
        match generator.randrange(16):
            case 8 | 9 | 10 | 11 | 12:
                swap(damaged, generator)
            case 13 | 14 if VALUES.search(damaged):
                values = list(VALUES.finditer(damaged))
                start, end = generator.choice(values).span()
                damaged[start:end] = generator.choice(EXTREMES)
            case 0:
                damaged[at : at + length] = b""
            case 1:
                damaged[at:at] = generator.randbytes(length)
            case 2 if at < len(damaged):
                damaged[at] ^= 1 << generator.randrange(8)
            case 3:
                damaged[at:at] = damaged[at : at + length] * generator.choice([1, 2, 50])
            case 4:
                damaged[at : at + generator.choice([0, 1, 3])] = generator.choice(EXTREMES)
            case 5:
                damaged[at : at + 8] = struct.pack("<Q", generator.choice([0, 2**31, 2**32 - 1, 2**40, 2**64 - 1]))
            case 6:
                damaged = damaged[:at]
            case _:
                other = generator.choice(others)
                start = generator.randrange(len(other))
                damaged[at : at + length] = other[start : start + length]
        if not damaged:
            break
    return bytes(damaged)


def read(data: bytes, form: str, folder: Path) -> tokfast.Tokenizer:
    """Read bytes in a format."""
    if form == "vocab.json":
        vocab, _, merges = data.partition(BORDER)
        (folder / "vocab.json").write_bytes(vocab)
        (folder / "merges.txt").write_bytes(merges)
        return tokfast.Tokenizer.from_file(folder / "vocab.json")
    known = ("tokenizer.json", "tiktoken", "gguf", "tekken.json", "sentencepiece")
    kind: Any = next((kind for kind in known if kind in form), "sentencepiece")
    return tokfast.Tokenizer.from_bytes(data, format=kind, pattern="gpt2" if kind == "tiktoken" else None)


def main() -> int:
    """Damage files, read them, and say what became of them."""
    parser = argparse.ArgumentParser(description="Read damaged tokenizer files by the thousand.")
    parser.add_argument("count", type=int, nargs="?", default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--file", type=Path, action="append", default=[])
    parser.add_argument("--record", type=Path)
    options = parser.parse_args()
    generator = random.Random(options.seed)  # noqa: S311 (no secret)
    files = small_files()
    files |= {str(path): path.read_bytes() for path in options.file}
    forms = list(files)
    outcomes: Counter[tuple[str, str]] = Counter()
    wrong = 0
    slowest: tuple[float, str] = (0.0, "")
    scratch = tempfile.TemporaryDirectory()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(options.count):
        form = forms[number % len(forms)]
        data = damage(files[form], list(files.values()), generator)
        started = time.process_time()
        try:
            tokenizer = read(data, form, Path(scratch.name))
            tokenizer.decode(tokenizer.encode(TEXT))
            tokenizer.count(TEXT, allowed_special="all", add_special_tokens=True)
            outcome = "read"
        except tokfast.TokenizerFileError:
            outcome = "refused"
        except BaseException as error:  # noqa: BLE001 (anything else is what is looked for)
            outcome = type(error).__name__
            wrong += 1
            print(f"file {number} of {form}: {outcome}: {str(error)[:200]}", file=sys.stderr)
            Path(tempfile.gettempdir(), f"damaged-{number}").write_bytes(data)
        seconds = time.process_time() - started
        slowest = max(slowest, (seconds, f"file {number} of {form}"))
        wrong += seconds >= 1
        outcomes[form, outcome] += 1
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    scratch.cleanup()
    for (form, outcome), count in sorted(outcomes.items()):
        print(f"{form}: {count} {outcome}")
    print(f"slowest: {slowest[0]:.3f} s ({slowest[1]}); memory grew by {grown} kB")
    if options.record:
        by_form: dict[str, dict[str, int]] = {}
        for (form, outcome), count in sorted(outcomes.items()):
            by_form.setdefault(Path(form).name, {})[outcome] = count
        command = f"scripts/mutate_files.py {options.count} --seed {options.seed}"
        record: dict[str, object] = {"command": command, "files": by_form}
        record |= {"slowest seconds": round(slowest[0], 3), "memory grew by kB": grown, "wrong": wrong}
        options.record.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
