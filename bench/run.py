"""Compare tokfast with its peers: fresh processes, in turn, and no time without the right answer.

    python bench/run.py --data DIR [--case NAME ...] [--rounds N]

Each round runs every contender of a case once, one after the other, each in a new process, which has memory touched
and freed by a helper before each timed pass (see README.md). Printed and recorded are medians over
the rounds, and medians of the quotients of two times of the same round.
"""

from __future__ import annotations

import argparse
import datetime as dt
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import shlex
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cases import CASES, Case, Contender
from report import Run, judge, show, summarize
from systems import SYSTEMS

HERE = Path(__file__).resolve().parent
RECORD = HERE / "record"


def run_worker(case: Case, contender: Contender, data: Path, touch: int) -> Run:
    """Run one contender in a fresh process."""
    task = {
        "system": contender.system,
        "operation": case.operation,
        "options": contender.options,
        "vocabulary": case.vocabulary,
        "vocab_size": case.vocab_size,
        "threads": case.threads,
        "max_bytes": case.max_bytes,
        "touch": touch,
        "data": str(data),
        "corpus": str(data / "corpus" / case.corpus),
    }
    threads = str(case.threads)
    environment = os.environ | {
        "RAYON_NUM_THREADS": threads,
        "TOKENIZERS_PARALLELISM": "true" if case.threads > 1 else "false",
        "OMP_NUM_THREADS": threads,
    }
    command = [sys.executable, str(HERE / "worker.py"), json.dumps(task)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1]
        return {"contender": contender.label, "group": contender.group, "failed": reason}
    result: Run = json.loads(done.stdout.splitlines()[-1])  # a peer may have printed before
    return {"contender": contender.label, "group": contender.group} | result


def run_case(case: Case, contenders: list[Contender], data: Path, rounds: int, touch: int) -> list[Run]:
    """Run all rounds of a case; the order turns by one place from round to round."""
    runs = []
    for number in range(rounds):
        shift = number % len(contenders)
        for contender in contenders[shift:] + contenders[:shift]:
            if contender.rounds is None or number < contender.rounds:
                runs.append({"round": number + 1} | run_worker(case, contender, data, touch))
                print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return runs


def machine() -> dict[str, Any]:
    """Describe what the times depend on."""
    info = Path("/proc/cpuinfo")
    fields = dict(re.findall(r"^([^\t:]+)\t*: (.*)$", info.read_text("utf-8"), re.MULTILINE)) if info.exists() else {}
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": fields.get("model name") or platform.processor() or platform.machine(),
        "family_model_stepping": [fields.get(key, "") for key in ("cpu family", "model", "stepping")],
        "cores": os.cpu_count(),
        "memory_bytes": memory,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def versions() -> dict[str, str]:
    """Return the version of each system that is here; tokfast's also says which build was measured."""
    found = {}
    for name, module, distribution in [
        *((name, adapter.module, adapter.distribution) for name, adapter in SYSTEMS.items()),
        ("numpy", "numpy", "numpy"),
    ]:
        if importlib.util.find_spec(module):
            try:
                found[name] = importlib.metadata.version(distribution)
            except importlib.metadata.PackageNotFoundError:
                found[name] = "unknown"
    if "tokfast" in found:
        found["tokfast"] += f", commit {revision()}, extension sha256 {extension_hash()}"
    return found


def revision() -> str | None:
    """Commit of this checkout, marked if it has changes."""
    command = ["git", "-C", str(HERE), "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def extension_hash() -> str | None:
    """Hash the compiled module: a version, or a commit with changes, does not tell two builds apart."""
    folder = importlib.util.find_spec("tokfast")
    for place in (folder and folder.submodule_search_locations) or ():
        for path in sorted(Path(place).glob("_tokfast*.[sp][oy]*")):
            if path.suffix in {".so", ".pyd"}:
                return sha256(path)
    return None


def sha256(path: Path) -> str:
    """Hash of a file."""
    whole = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            whole.update(block)
    return whole.hexdigest()


def keep_row(file: str, command: str, name: str, row: dict[str, Any]) -> None:
    """Write a row, with the versions it was measured with, into a record of several; the others stay as they are."""
    path = RECORD / file
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.is_file() else {}
    rows[name] = row | {"versions": versions()}
    whole = {"command": command, "machine": machine(), "rows": rows}
    path.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")


def options_of_command_line() -> argparse.Namespace:
    """Read the command line and check it."""
    names = [case.name for case in CASES]
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--case", action="append", choices=names, metavar="NAME", help=f"one of {', '.join(names)}")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each case (default 5)")
    parser.add_argument("--data", type=Path, default=os.environ.get("TOKFAST_DATA"), help="default: $TOKFAST_DATA")
    parser.add_argument("--touch", type=int, default=3_000_000_000, help="bytes to touch before each pass")
    options = parser.parse_args()
    if options.data is None:
        parser.error("no data: pass --data DIR or set TOKFAST_DATA; bench/README.md says what DIR holds")
    if options.rounds < 1:
        parser.error(f"--rounds is {options.rounds}; pass 1 or more")
    return options


def compare(case: Case, data: Path, rounds: int, touch: int, found: dict[str, str]) -> bool:
    """Run a case, print and record it; return whether every system that ran gave the right answer."""
    corpus = data / "corpus" / case.corpus
    if not corpus.exists():
        raise SystemExit(f"case {case.name} needs corpus/{case.corpus}, which is not in {data}; see bench/README.md")
    missing = sorted({each.system for each in case.contenders if each.system not in found})
    here = [each for each in case.contenders if each.system in found]
    if missing:
        print(f"{case.name}: not installed: {', '.join(missing)} (pip install -r bench/requirements.txt)")
    runs = run_case(case, here, data, rounds, touch)
    if versions() != found:
        raise SystemExit(f"{case.name}: a package changed while it was measured; nothing recorded, run it again")
    wrong = judge(here, runs)
    rows = summarize(here, runs, wrong)
    show(case, rows, wrong)

    this_machine = machine()
    today = dt.datetime.now(tz=dt.timezone.utc).date().isoformat()
    record = {
        "case": asdict(case),
        "date": today,
        "command": shlex.join(["python", "bench/run.py", "--case", case.name, "--rounds", str(rounds)]),
        "machine": this_machine,
        "versions": found,
        "not_installed": missing,
        "input": {"file": f"corpus/{case.corpus}", "bytes": corpus.stat().st_size, "sha256": sha256(corpus)},
        "touched_bytes": touch,
        "summary": rows,
        "no_time": wrong,
        "runs": runs,
    }
    processor = re.sub(r"[^a-z0-9]+", "-", f"{this_machine['processor']} {this_machine['cores']} cores".lower())
    RECORD.mkdir(exist_ok=True)
    path = RECORD / f"{today}-{processor}-{case.name}.json"
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"  recorded in bench/record/{path.name}")
    return not wrong


def main() -> int:
    """Run the cases that were asked for, or all."""
    options = options_of_command_line()
    found = versions()
    chosen = [case for case in CASES if not options.case or case.name in options.case]
    right = [compare(case, options.data.resolve(), options.rounds, options.touch, found) for case in chosen]
    return 0 if all(right) else 1


if __name__ == "__main__":
    sys.exit(main())
