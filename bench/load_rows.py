"""Loading a tokenizer in a fresh process: tokfast against each file's own library.

``python bench/load_rows.py VOCABULARIES [--rounds 9]`` writes ``record/load-rows.json``. VOCABULARIES holds
``llama3_1.tokenizer.json`` and ``o200k_base.tiktoken``. Every figure is the median of processes taken in turn, files in
the page cache: import, load, and the first text after it, for which tokfast makes its tables only then.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import tokfast

O200K = {"<|endoftext|>": 199999, "<|endofprompt|>": 200018}
# What is imported, what is loaded.
SYSTEMS = {
    ("llama3_1.tokenizer.json", "tokfast"): ("import tokfast", "tokfast.Tokenizer.from_file(path)"),
    ("llama3_1.tokenizer.json", "tokenizers"): ("import tokenizers", "tokenizers.Tokenizer.from_file(path)"),
    ("o200k_base.tiktoken", "tokfast"): (
        "import tokfast",
        f"tokfast.Tokenizer.from_file(path, pattern='o200k', special_tokens={O200K})",
    ),
    ("o200k_base.tiktoken", "tiktoken"): (
        "import tiktoken, tiktoken.load, tiktoken_ext.openai_public as public",
        (
            "(ranks := tiktoken.load.load_tiktoken_bpe(path),"
            " setattr(public, 'load_tiktoken_bpe', lambda *a, **k: ranks),"
            " tiktoken.Encoding(**public.o200k_base()))[2]"
        ),
    ),
}
PROGRAM = """
import sys, time
path, start = sys.argv[1], time.perf_counter()
{imports}
imported = time.perf_counter()
tokenizer = {load}
loaded = time.perf_counter()
tokenizer.encode("hello world, a first text")
print(imported - start, loaded - imported, time.perf_counter() - loaded)
"""


def measure(path: Path, imports: str, load: str) -> list[float]:
    """Return the seconds of import, load and first text in a new process."""
    program = PROGRAM.format(imports=imports, load=load)
    environment = {**os.environ, "PYTHONPATH": str(Path(tokfast.__file__).parents[1])}
    command = [sys.executable, "-c", program, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return [float(number) for number in done.stdout.split()]


def main() -> None:
    """Measure all in turns, print and record."""
    parser = argparse.ArgumentParser(description="Load tokenizers in fresh processes.")
    parser.add_argument("vocabularies", type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    found: dict[tuple[str, str], list[list[float]]] = {key: [] for key in SYSTEMS}
    for _ in range(options.rounds):
        for key, (imports, load) in SYSTEMS.items():
            found[key].append(measure(options.vocabularies / key[0], imports, load))
    rows = []
    for (name, system), rounds in found.items():
        parts = [statistics.median(column) for column in zip(*rounds, strict=True)]
        row = {"file": name, "system": system, "rounds": len(rounds)}
        row |= {part: round(value, 4) for part, value in zip(("import", "load", "first text"), parts, strict=True)}
        if system != "tokfast":
            pairs = list(zip(found[name, "tokfast"], rounds, strict=True))
            row["tokfast / this, load"] = round(statistics.median(ours[1] / theirs[1] for ours, theirs in pairs), 3)
            both = [sum(ours[1:]) / sum(theirs[1:]) for ours, theirs in pairs]
            row["tokfast / this, load and first text"] = round(statistics.median(both), 3)
        rows.append(row)
        print(json.dumps(row))
    record = Path(__file__).parent / "record" / "load-rows.json"
    record.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
