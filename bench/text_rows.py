"""Kinds of text, each by itself: languages, texts made to be slow, and a gigabyte on two threads.

``python bench/text_rows.py ROW DATA [--rounds 3] [--only NAME ...]`` measures one row by cl100k and writes it into
``record/text-rows.json``. DATA is described in README.md. Every time is a fresh process's.

- ``languages``: each text of ``corpus/multilingual``, and code, html and logs: encoding its first 12 MB, in documents
  of 3,000 characters, at first sight and a second time, against gigatoken in turns;
- ``adversarial``: each file of ``corpus/adversarial``, encoded once in one call at first sight, by a tokenizer that has
  seen 20 MB of other text; then the same text a hundred times over;
- ``threads``: counting all texts of the corpus, and those of the folders of ``--more`` until they are 1 GB, in
  shuffled documents of 6,000 characters, twice over, by one thread and by two, and the memory that it takes beyond
  the documents. What is recorded had a tree of Python and Rust sources beside the corpus, and the pages of Rust's
  documentation.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from cases import Case, Contender
from report import judge
from run import RECORD, keep_row, run_case, versions

ADVERSARIAL = """
import json, sys, time
from pathlib import Path
import tokfast
from worker import read_documents
from systems import VOCABULARIES
data, times = Path(sys.argv[1]), int(sys.argv[3])
ranks = data / "vocab" / VOCABULARIES["cl100k"].ranks
tokenizer = tokfast.Tokenizer.from_file(ranks, pattern="cl100k", special_tokens={})
tokenizer.encode_batch(read_documents(data / "corpus/mixed_docs.jsonl", 20_000_000), threads=1)
text = Path(sys.argv[2]).read_bytes() * times
tokenizer.count(b"x" * 10_000_000)  # memory that was touched
start = time.process_time()
ids = tokenizer.encode_to_numpy(text)
print(json.dumps({"bytes": len(text), "tokens": len(ids), "seconds": time.process_time() - start}))
"""

THREADS = """
import json, random, sys, time
from pathlib import Path
import tokfast
from worker import touch_memory
from systems import VOCABULARIES
data, threads, *more = Path(sys.argv[1]), int(sys.argv[2]), *map(Path, sys.argv[3:])
texts = sorted((data / "corpus").glob("*.txt")) + sorted((data / "corpus/multilingual").glob("*.txt"))
texts = [path for path in texts if path.name != "PACKAGES.txt"]
documents, size = [], 0
for path in [*texts, *(path for folder in more for path in sorted(folder.rglob("*")) if path.is_file())]:
    text = path.read_bytes()
    if size < 1_000_000_000 and (path in texts or b"\\0" not in text[:8192]):
        size += len(text)
        text = text.decode("utf-8", "replace")
        documents += [text[at : at + 6000].encode() for at in range(0, len(text), 6000)]
random.Random(7).shuffle(documents)
ranks = data / "vocab" / VOCABULARIES["cl100k"].ranks
tokenizer = tokfast.Tokenizer.from_file(ranks, pattern="cl100k", special_tokens={})
def resident():
    line = next(line for line in open("/proc/self/status") if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024
found = {"bytes": sum(map(len, documents)), "documents": len(documents)}
for name in ("first", "second"):
    touch_memory(1_000_000_000)
    before, start, wall = resident(), time.process_time(), time.perf_counter()
    counts = tokenizer.count_batch(documents, threads=threads)
    found[name] = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - start}
    found["tokens"], found[name]["more_memory"] = int(counts.sum()), resident() - before
print(json.dumps(found))
"""


def run(program: str, *arguments: object) -> dict[str, Any]:
    """Run a program in a fresh process of this folder; return what it prints."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def chosen(paths: Iterable[Path], only: list[str]) -> list[Path]:
    """Return those that were asked for, or all."""
    return [path for path in paths if not only or path.stem in only]


def languages(data: Path, rounds: int, only: list[str]) -> dict[str, Any]:
    """Encode each text by itself, gigatoken and tokfast in turns."""
    corpus = data / "corpus"
    texts = [*sorted((corpus / "multilingual").glob("*.txt")), *(corpus / f"{name}.txt" for name in ("code", "html"))]
    contenders = [Contender("gigatoken"), Contender("tokfast")]
    rows = {}
    for path in chosen([*texts, corpus / "json_logs_base64.txt"], only):
        name = str(path.relative_to(corpus))
        case = Case(path.stem, "encode", name, "", "", tuple(contenders), vocabulary="cl100k", max_bytes=12_000_000)
        runs = run_case(case, contenders, data, rounds, 1_000_000_000)
        if wrong := judge(contenders, runs):
            raise SystemExit(f"{name}: {wrong}")
        times = {
            (system, run): [each["measured"][run]["cpu_s"] for each in runs if each["contender"] == system]
            for system in ("gigatoken", "tokfast")
            for run in ("cold", "warm")
        }
        row: dict[str, Any] = {"bytes": runs[0]["measured"]["cold"]["bytes"], "tokens": runs[0]["answer_size"]}
        for run, words in (("cold", "first sight"), ("warm", "second pass")):
            quotients = [a / b for a, b in zip(times["gigatoken", run], times["tokfast", run], strict=True)]
            row[f"seconds, {words}"] = round(statistics.median(times["tokfast", run]), 4)
            row[f"gigatoken / tokfast, {words}"] = round(statistics.median(quotients), 2)
        rows[path.stem] = row
        print(path.stem, json.dumps(row), flush=True)
    return rows


def adversarial(data: Path, rounds: int, only: list[str]) -> dict[str, Any]:
    """Encode each text once, and a hundred times over."""
    rows = {}
    for path in chosen(sorted((data / "corpus" / "adversarial").iterdir()), only):
        row: dict[str, Any] = {}
        for times in (1, 100):
            runs = [run(ADVERSARIAL, data, path, times) for _ in range(rounds if times == 1 else 1)]
            rate = runs[0]["bytes"] / statistics.median(each["seconds"] for each in runs) / 1e6
            row |= {f"bytes x {times}": runs[0]["bytes"], f"tokens x {times}": runs[0]["tokens"]}
            row[f"MB/s x {times}"] = round(rate, 1)
        rows[path.stem] = row
        print(path.stem, json.dumps(row), flush=True)
    return rows


def threads(data: Path, rounds: int, more: list[str]) -> dict[str, Any]:
    """Count everything, twice over, by one thread and by two in turns."""
    runs = [{number: run(THREADS, data, number, *more) for number in (1, 2)} for _ in range(rounds)]
    one = runs[0][1]
    row: dict[str, Any] = {"bytes": one["bytes"], "documents": one["documents"], "tokens": one["tokens"]}
    if any(each["tokens"] != one["tokens"] for both in runs for each in both.values()):
        raise SystemExit("two threads count otherwise than one")
    for name, passes in (("first", ["first"]), ("second", ["second"]), ("both", ["first", "second"])):
        walls = [{n: sum(both[n][each]["wall_s"] for each in passes) for n in both} for both in runs]
        cpu = [{n: sum(both[n][each]["cpu_s"] for each in passes) for n in both} for both in runs]
        row[name] = {
            "one thread / two": round(statistics.median(both[1] / both[2] for both in walls), 2),
            "wall_s": [round(statistics.median(both[n] for both in walls), 3) for n in (1, 2)],
            "cpu_s": [round(statistics.median(both[n] for both in cpu), 3) for n in (1, 2)],
        }
    row["most memory beyond the documents"] = max(both[n]["first"]["more_memory"] for both in runs for n in both)
    return row


ROWS: dict[str, Callable[[Path, int, list[str]], dict[str, Any]]] = {
    "languages": languages,
    "adversarial": adversarial,
    "threads": threads,
}


def texts_before(row: str) -> dict[str, Any]:
    """Return the figures of texts that are kept."""
    record = RECORD / "text-rows.json"
    rows = json.loads(record.read_text(encoding="utf-8"))["rows"] if record.is_file() else {}
    texts: dict[str, Any] = rows.get(row, {}).get("texts", {})
    return texts


def main() -> None:
    """Measure a row, print and record it; texts that were not asked for keep their figures."""
    parser = argparse.ArgumentParser(description="Measure kinds of text, each by itself.")
    parser.add_argument("row", choices=list(ROWS))
    parser.add_argument("data", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help="these texts only")
    parser.add_argument("--more", nargs="*", default=[], metavar="FOLDER", help="threads: texts beside the corpus")
    options = parser.parse_args()
    chosen_texts = (
        [str(Path(folder).resolve()) for folder in options.more] if options.row == "threads" else options.only
    )
    row = ROWS[options.row](options.data.resolve(), options.rounds, chosen_texts)
    print(json.dumps(row))
    if options.row != "threads":
        stamp = {"rounds": options.rounds, "tokfast": versions()["tokfast"]}
        row = {"texts": texts_before(options.row) | {name: text | stamp for name, text in row.items()}}
    keep_row("text-rows.json", "python bench/text_rows.py", options.row, {"rounds": options.rounds, **row})


if __name__ == "__main__":
    main()
