"""The command line as a user waits for it: start-up, a tree of source files, many vocabulary sizes.

``python bench/command_rows.py ROW TREE|CORPUS [--rounds 5]`` measures one row in fresh processes, files in the page
cache, and writes it into ``record/command-rows.json``:

- ``start-up FILE``: ``tokfast count`` on a small file, by the default tokenizer and by cl100k_base;
- ``tree FOLDER``: ``tokfast count -t cl100k_base`` on a folder of text (no hidden, binary or ignored file in it, all
  UTF-8), against a loop over its files with tiktoken; both totals must be equal;
- ``vocab-sizes FILE``: eight sizes by ``vocab_sizes``, against training the largest and counting the held-out text once
  a size.

cl100k_base must be where tokfast and tiktoken find it.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from run import keep_row

SIZES = [2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000]
COUNT = [sys.executable, "-m", "tokfast", "count", "--quiet"]

TIKTOKEN = """
import sys
from pathlib import Path
import tiktoken
encoding = tiktoken.get_encoding("cl100k_base")
total = 0
for path in sorted(Path(sys.argv[1]).rglob("*")):
    if path.is_file():
        total += len(encoding.encode_ordinary(path.read_bytes().decode()))
print(total)
"""
VOCAB_SIZES = f"""
import sys, time
from tokfast.analysis import vocab_sizes
start = time.perf_counter()
vocab_sizes(sys.argv[1], {SIZES})
print(time.perf_counter() - start)
"""
LARGEST_AND_COUNTS = f"""
import sys, time
from pathlib import Path
import tokfast
from tokfast.analysis import sizes
kept = []
list(sizes._hold_out([sys.argv[1]], kept, None))
start = time.perf_counter()
tokenizer = tokfast.train([Path(sys.argv[1])], {SIZES[-1]})
trained = time.perf_counter()
for size in {SIZES}:
    tokenizer.with_vocab_size(size).count_batch(kept).sum()
print(trained - start, time.perf_counter() - trained)
"""


# Compiled modules are kept, as an installation keeps them, also where this is switched off for developers.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def run(command: list[str]) -> tuple[float, str]:
    """Return the seconds that a process took, and what it printed."""
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=ENVIRONMENT)
    return time.perf_counter() - start, done.stdout


def start_up(path: Path, rounds: int) -> dict[str, Any]:
    """Count a small file, in turns."""
    commands = {"tokfast-32k": [*COUNT, str(path)], "cl100k_base": [*COUNT, "-t", "cl100k_base", str(path)]}
    commands["python -c pass"] = [sys.executable, "-c", "pass"]
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            seconds[name].append(run(command)[0])
    medians = {f"seconds, {name}": round(statistics.median(times), 4) for name, times in seconds.items()}
    return {"bytes": path.stat().st_size, **medians}


def tree(path: Path, rounds: int) -> dict[str, Any]:
    """Count a folder by tokfast, and once by a loop with tiktoken."""
    sizes = [file.stat().st_size for file in path.rglob("*") if file.is_file()]
    loop_seconds, expected = run([sys.executable, "-c", TIKTOKEN, str(path)])
    row: dict[str, Any] = {"files": len(sizes), "bytes": sum(sizes), "tokens": int(expected)}
    row["tiktoken seconds"] = round(loop_seconds, 2)
    for threads in ("1", "2"):
        command = [*COUNT, "-t", "cl100k_base", "--by", "none", "--threads", threads, str(path)]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        results = [run(command) for _ in range(rounds)]
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = sum(after[:2]) - sum(before[:2])
        if any(output != expected for _, output in results):
            raise SystemExit(f"tiktoken counts {expected.strip()}, tokfast {results[0][1].strip()}: no times")
        median = statistics.median(seconds for seconds, _ in results)
        least = min(seconds for seconds, _ in results)
        row |= {f"seconds, {threads} threads": round(median, 3), f"least, {threads} threads": round(least, 3)}
        row[f"processor seconds, {threads} threads"] = round(cpu / rounds, 3)
        row[f"tiktoken / tokfast, {threads} threads"] = round(loop_seconds / median, 1)
    return row


def vocab_sizes(path: Path, rounds: int) -> dict[str, Any]:
    """Measure eight sizes in one run, and the largest alone with a count for each size, in turns."""
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(float(run([sys.executable, "-c", VOCAB_SIZES, str(path)])[1]))
        theirs.append([float(part) for part in run([sys.executable, "-c", LARGEST_AND_COUNTS, str(path)])[1].split()])
    return {
        "bytes": path.stat().st_size,
        "sizes": SIZES,
        "seconds": round(statistics.median(ours), 2),
        "largest alone": round(statistics.median(train for train, _ in theirs), 2),
        "eight counts": round(statistics.median(count for _, count in theirs), 2),
        "quotient": round(statistics.median(a / sum(b) for a, b in zip(ours, theirs, strict=True)), 2),
    }


ROWS: dict[str, Callable[[Path, int], dict[str, Any]]] = {
    "start-up": start_up,
    "tree": tree,
    "vocab-sizes": vocab_sizes,
}


def main() -> None:
    """Measure a row, print and record it."""
    parser = argparse.ArgumentParser(description="Measure commands in fresh processes.")
    parser.add_argument("row", choices=list(ROWS))
    parser.add_argument("path", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    row = {"rounds": options.rounds, **ROWS[options.row](options.path, options.rounds)}
    print(json.dumps(row))
    keep_row("command-rows.json", "python bench/command_rows.py", options.row, row)


if __name__ == "__main__":
    main()
