"""Train at 32,000 entries on every corpus of a folder, and compare the merges with those of other trainers.

``python scripts/compare_training.py CORPORA [--size 32000] [--record FILE]``, with tokenizers and rustbpe installed.
tokenizers sees a file as lines, rustbpe as documents with raw byte ids; tokfast is run in the manner of each.
Exits with 1 if any merge differs.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "bench"))

from systems import Rustbpe, Tokenizers, Tokfast

MANNERS: dict[str, tuple[type[Tokenizers | Rustbpe], dict[str, str]]] = {
    "tokenizers": (Tokenizers, {"unit": "line"}),
    "rustbpe": (Rustbpe, {"tie_break": "bytes"}),
}


def main() -> int:
    """Compare, print a line for each corpus, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("corpora", type=Path)
    parser.add_argument("--size", type=int, default=32_000)
    parser.add_argument("--record", type=Path)
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for path in sorted(arguments.corpora.rglob("*.txt")):
        if path.name.isupper() or path.stat().st_size < 1 << 20:
            continue
        row: dict[str, Any] = {"corpus": str(path.relative_to(arguments.corpora)), "bytes": path.stat().st_size}
        for name, (system, options) in MANNERS.items():
            start = time.perf_counter()
            theirs = system(arguments.corpora, "", 2)
            expected = theirs.merges(theirs.train(str(path), arguments.size))
            middle = time.perf_counter()
            ours = Tokfast(arguments.corpora, "", 2)
            merges = ours.merges(ours.train(str(path), arguments.size, **options))
            seconds = [round(middle - start, 2), round(time.perf_counter() - middle, 2)]
            row[name] = {"merges": len(expected), "equal": merges == expected, "seconds, theirs and ours": seconds}
        rows.append(row)
        print(json.dumps(row), flush=True)
    if arguments.record:
        arguments.record.write_text(json.dumps({"vocab_size": arguments.size, "corpora": rows}, indent=1) + "\n")
    return int(not all(row[name]["equal"] for row in rows for name in MANNERS))


if __name__ == "__main__":
    sys.exit(main())
