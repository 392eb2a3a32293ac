"""Training against itself: patterns, sources, threads, sizes of text, and words of millions of bytes.

``python bench/train_rows.py --data DIR [--rounds 3]`` writes ``record/train-rows.json``. DIR is as for ``run.py``; the
largest text is made of what lies there, twice. Each figure is the median of fresh processes, taken in turn.
"""

import argparse
import json
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

REGEX = r"\p{N}{1,3}| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
GPT2: dict[str, Any] = {"pattern": "gpt2", "threads": 2}
LONGEST = 10_000_000


def inputs(data: Path, folder: Path) -> dict[str, Path]:
    """Write the texts that are not there, and name them all."""
    corpus = data / "corpus"
    mixed = (corpus / "mixed_100MB.txt").read_bytes()
    languages = sorted((corpus / "multilingual").glob("*.txt"))
    names = ["mixed_100MB.txt", "en_prose.txt", "code.txt", "html.txt", "json_logs_base64.txt"]
    everything = b"".join(path.read_bytes() for path in [*(corpus / name for name in names), *languages])
    ideographs = "".join(
        re.findall(r"[\u4e00-\u9fff]", (corpus / "multilingual" / "zh.txt").read_text(encoding="utf-8"))
    )
    chinese = (ideographs * (LONGEST // len(ideographs) + 1)).encode()[: LONGEST // 3 * 3]
    texts = {
        "mixed 10 MB": mixed[: mixed.rfind(b"\n", 0, LONGEST) + 1],
        "mixed 100 MB": mixed,
        "1 GB": everything * 2,
        "a * 10^7": b"a" * LONGEST,
        "DNA 10 MB": "".join(random.Random(1).choices("ACGT", k=LONGEST)).encode(),
        "Chinese 10 MB": chinese,
    }
    paths = {}
    for name, text in texts.items():
        paths[name] = folder / name.replace(" ", "_")
        paths[name].write_bytes(text)
    return paths


ROWS: dict[str, tuple[str, int, dict[str, Any]]] = {
    "gpt2": ("mixed 100 MB", 32_000, GPT2),
    "o200k": ("mixed 100 MB", 32_000, {**GPT2, "pattern": "o200k"}),
    "a regular expression": ("mixed 100 MB", 32_000, {**GPT2, "pattern": REGEX}),
    "documents, an iterable": ("mixed 100 MB", 32_000, {**GPT2, "documents": True}),
    "10 MB": ("mixed 10 MB", 32_000, GPT2),
    "1 GB, 1 thread": ("1 GB", 32_000, {**GPT2, "threads": 1}),
    "1 GB, 2 threads": ("1 GB", 32_000, GPT2),
    "a * 10^7, no pattern": ("a * 10^7", 4000, {"pattern": None, "threads": 2}),
    "DNA 10 MB, no pattern": ("DNA 10 MB", 4000, {"pattern": None, "threads": 2}),
    "Chinese 10 MB, no pattern": ("Chinese 10 MB", 4000, {"pattern": None, "threads": 2}),
}


def peak_megabytes() -> float:
    """Return the most memory this process has had; ``ru_maxrss`` would be that of the process that started it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s*(\d+) kB", status)
    return int(found[1]) / 1024 if found else 0.0


def work(path: str, size: int, options: dict[str, Any]) -> None:
    """Train once and print the figures; what runs in a process of its own."""
    import tokfast

    source: Any = path
    if options.pop("documents", False):
        text = Path(path).read_text(encoding="utf-8")
        ends = [0, *(found.end() for found in re.finditer(r"\n\n", text)), len(text)]
        documents = [text[start:end] for start, end in pairwise(ends) if end > start]
        source = iter(documents)
    start = time.perf_counter()
    tokenizer = tokfast.train(source, size, **options)
    seconds = time.perf_counter() - start
    report = tokenizer.training_report
    assert report is not None
    print(
        json.dumps(
            {
                "seconds": seconds,
                "count seconds": report.count_seconds,
                "merge seconds": report.merge_seconds,
                "distinct words": report.distinct_words,
                "documents": report.documents,
                "vocabulary": tokenizer.vocab_size,
                "peak MB": peak_megabytes(),
            }
        )
    )


def main() -> None:
    """Run all rows in turn, print and record them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in ROWS}
    with tempfile.TemporaryDirectory() as folder:
        paths = inputs(arguments.data, Path(folder))
        for _ in range(arguments.rounds):
            for name, (text, size, options) in ROWS.items():
                task = json.dumps([str(paths[text]), size, options])
                done = subprocess.run([sys.executable, __file__, task], check=True, capture_output=True, text=True)
                runs[name].append(json.loads(done.stdout))
        sizes = {name: path.stat().st_size for name, path in paths.items()}
    rows = {
        name: {"text": text, "bytes": sizes[text], "vocab_size": size, "options": options}
        | {key: round(statistics.median(run[key] for run in runs[name]), 3) for key in runs[name][0]}
        for name, (text, size, options) in ROWS.items()
    }

    def ratio(above: str, below: str) -> float:
        quotients = [a["seconds"] / b["seconds"] for a, b in zip(runs[above], runs[below], strict=True)]
        return round(statistics.median(quotients), 2)

    ratios = {
        "o200k / gpt2": ratio("o200k", "gpt2"),
        "a regular expression / gpt2": ratio("a regular expression", "gpt2"),
        "an iterable / a file": ratio("documents, an iterable", "gpt2"),
        "1 thread / 2 threads, 1 GB": ratio("1 GB, 1 thread", "1 GB, 2 threads"),
        "100 MB / 10 MB": ratio("gpt2", "10 MB"),
        "1 GB / 100 MB": ratio("1 GB, 2 threads", "gpt2"),
    }
    for name, row in rows.items():
        print(f"{name:28} {row['seconds']:7.2f} s {row['peak MB']:7.0f} MB {row['distinct words']:9.0f} words")
    for name, value in ratios.items():
        print(f"{name:28} {value:7.2f}")
    from run import machine, versions

    record = {
        "command": "python bench/train_rows.py",
        "rounds": arguments.rounds,
        "machine": machine(),
        "versions": versions(),
    }
    target = Path(__file__).parent / "record" / "train-rows.json"
    target.write_text(json.dumps(record | {"rows": rows, "ratios": ratios}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) == 2 and sys.argv[1].startswith("["):
        work(*json.loads(sys.argv[1]))
    else:
        main()
