"""One system, one operation, one process: prints one line of JSON.

    python bench/worker.py '{"system": "tiktoken", "operation": "encode", ...}'     # as run.py calls it

Cold is the first pass over the input in this process, warm the second over the same input. CPU time is that
of all threads. The answer is hashed after the clock has stopped.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from systems import SYSTEMS

if TYPE_CHECKING:
    from collections.abc import Callable

# Maps, touches and frees memory, half of it in large pages and half in small ones.
TOUCH = """
import mmap, sys
kept = []
for advice in ("MADV_HUGEPAGE", "MADV_NOHUGEPAGE"):
    memory = mmap.mmap(-1, int(sys.argv[1]) // 2)
    if hasattr(mmap, advice):
        memory.madvise(getattr(mmap, advice))
    for place in range(0, len(memory), 4096):
        memory[place] = 1
    kept.append(memory)
"""

CHARACTERS = 3_000  # of a document, where a text is not cut into some
CALL_LENGTHS = {10: 50_000, 100: 20_000, 1000: 2_000}  # characters: number of calls

Measurement = dict[str, Any]


def timed(operation: Callable[..., Any], *arguments: Any, **options: Any) -> tuple[Any, Measurement]:
    """Return the result with seconds of wall and CPU time."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = operation(*arguments, **options)
    return result, {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}


def touch_memory(n_bytes: int) -> None:
    """Touch and free memory in another process, so that a virtual machine's host has backed what is asked for next."""
    if n_bytes:
        subprocess.run([sys.executable, "-c", TOUCH, str(n_bytes)], check=True)


def digest(answer: Any) -> str:
    """Hash an array or bytes."""
    content: bytes = answer.tobytes() if isinstance(answer, np.ndarray) else answer
    return hashlib.sha256(content).hexdigest()


def read_documents(path: Path, max_bytes: int | None) -> list[str]:
    """Read the texts of a .jsonl file, or a text in documents of so many characters, up to so many bytes."""
    documents: list[str] = []
    size = 0
    with path.open(encoding="utf-8", errors="replace") as file:
        texts = (
            (json.loads(line)["text"] for line in file)
            if path.suffix == ".jsonl"
            else iter(lambda: file.read(CHARACTERS), "")
        )
        for text in texts:
            size += len(text.encode())
            if max_bytes is not None and size > max_bytes:
                break
            documents.append(text)
    return documents


def train(system: Any, task: dict[str, Any]) -> dict[str, Any]:
    """Train once; the answer is the list of merges that fit beside 256 bytes."""
    path = Path(task["corpus"])
    touch_memory(task["touch"])
    trained, measured = timed(system.train, str(path), task["vocab_size"], **task["options"])
    merges = system.merges(trained)[: task["vocab_size"] - 256]
    answer = "\n".join(f"{left.hex()} {right.hex()}" for left, right in merges).encode()
    measured |= {"bytes": path.stat().st_size}
    return {"measured": {"train": measured}, "answer": digest(answer), "answer_size": len(merges)}


def batch(system: Any, task: dict[str, Any]) -> dict[str, Any]:
    """Encode or count all documents, twice."""
    documents = read_documents(Path(task["corpus"]), task["max_bytes"])
    size = sum(len(text.encode()) for text in documents)
    operation = task["operation"]
    answers, measured = [], {}
    for run in ("cold", "warm"):
        touch_memory(task["touch"])
        result, seconds = timed(getattr(system, operation), documents)
        measured[run] = seconds | {"bytes": size}
        if operation == "count":
            answer = np.asarray(result, dtype=np.int64)
        else:
            answer = system.flat(result) if operation == "encode" else join_lists(result)
        answers.append((digest(answer), len(answer)))
        del result, answer
    if answers[0] != answers[1]:
        raise SystemExit(f"{task['system']}: the second pass gave another answer than the first: {answers}")
    return {"measured": measured, "answer": answers[0][0], "answer_size": answers[0][1]}


def join_lists(lists: list[list[int]]) -> Any:
    """Make one array of lists of ids."""
    return np.concatenate([np.asarray(ids, dtype=np.uint32) for ids in lists])


def call(system: Any, task: dict[str, Any]) -> dict[str, Any]:
    """Encode short texts, one call for each, twice for each length; then count them.

    Lists are let go at once: kept, Python's garbage collector would look through tens of thousands of them, again and
    again, which is no part of a call.
    """
    text = "\n".join(read_documents(Path(task["corpus"]), task["max_bytes"]))
    answer = hashlib.sha256()
    measured, size = {}, 0
    for length, calls in CALL_LENGTHS.items():
        step = len(text) // calls
        texts = [text[start : start + length] for start in range(0, step * calls, step)]
        for run in ("cold", "warm"):
            _, seconds = timed(lambda texts=texts: deque(map(system.call, texts), maxlen=0))
            measured[f"{length} characters {run}"] = seconds | {"calls": calls}
        _, seconds = timed(lambda texts=texts: deque(map(system.count_one, texts), maxlen=0))
        measured[f"{length} characters counted"] = seconds | {"calls": calls}
        ids = join_lists([system.call(text) for text in texts])
        if sum(map(system.count_one, texts)) != len(ids):
            raise SystemExit(f"{task['system']}: its counts are not the lengths of its lists")
        answer.update(ids.tobytes())
        size += len(ids)
    return {"measured": measured, "answer": answer.hexdigest(), "answer_size": size}


def decode(system: Any, task: dict[str, Any]) -> dict[str, Any]:
    """Decode the ids of each document, one call for each, twice; the answer is the text itself."""
    documents = read_documents(Path(task["corpus"]), task["max_bytes"])
    size = sum(len(text.encode()) for text in documents)
    ids = [list(map(int, system.call(text))) for text in documents]
    measured = {}
    for run in ("cold", "warm"):
        texts, seconds = timed(lambda: [system.decode(document) for document in ids])
        measured[run] = seconds | {"bytes": size}
    joined = b"".join(text if isinstance(text, bytes) else text.encode() for text in texts)
    return {"measured": measured, "answer": digest(joined), "answer_size": len(joined)}


def peak_memory() -> int:
    """Return the largest resident set of this process in bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss starts at the size of the parent process on Linux
        line = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    """Do the task of the command line."""
    task = json.loads(sys.argv[1])
    if hasattr(os, "sched_setaffinity"):  # not every system heeds a setting for its number of threads
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: task["threads"]])
    operations = {"train": train, "call": call, "decode": decode}
    adapter = SYSTEMS[task["system"]]
    system, load = timed(adapter, Path(task["data"]), task["vocabulary"], task["threads"])
    result = operations.get(task["operation"], batch)(system, task)
    print(json.dumps(result | {"load_s": load["wall_s"], "peak_memory_bytes": peak_memory()}))


if __name__ == "__main__":
    main()
