"""Counting that goes on where it was killed: what is done so far, in a directory.

Counting is the long part of training, and its state is a set of sorted runs and a number: how many blocks of the
files, or documents of the iterable, they stand for. Runs are written first; then ``checkpoint.json``, which names
them, replaces the one before it in one step. So a process that is killed at any moment leaves a state that is true,
and what it had done since is done again. Merging takes seconds, and is done again as a whole: the result is the same.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tokfast._errors import TrainingError
from tokfast._tokfast import WordCounter, WordCounts

VERSION = 1
_STATE = "checkpoint.json"
_COUNTS = "counts.words"


class Checkpoint:
    """The state of one run, in a directory of its own.

    Parameters
    ----------
    directory
        Made if it is not there.
    resume
        Whether a state that is there already is to be gone on with. Without one, the run begins anew.
    options
        What decides the result, as JSON; a state with other options is refused.
    """

    def __init__(self, directory: str | os.PathLike[str], *, resume: bool, options: dict[str, Any]) -> None:
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / _STATE
        self.state: dict[str, Any] = {"version": VERSION, "done": 0, "runs": [], "documents": 0, "bytes": 0}
        if path.exists():
            if not resume:
                raise TrainingError(
                    f"{str(self.directory)!r} holds the checkpoint of a run already; pass resume=True to go on with "
                    "it, or another directory"
                )
            self.state = self._read(path)
            _refuse_difference(self.state["options"], json.loads(json.dumps(options)), str(self.directory))
        self.state["options"] = options
        # Runs that were written and not yet named when the process was killed.
        for stray in self.directory.glob("*.words*"):
            if stray.name not in [*self.state["runs"], _COUNTS]:
                stray.unlink()

    def _read(self, path: Path) -> dict[str, Any]:
        try:
            state = json.loads(path.read_text(encoding="utf-8"))
            if state["version"] == VERSION and {"done", "runs", "documents", "bytes", "options"} <= state.keys():
                return dict(state)
        except (ValueError, KeyError, TypeError):
            pass
        raise TrainingError(f"{str(path)!r} is no checkpoint of this version of tokfast; pass another directory")

    def counts(self) -> WordCounts | None:
        """Return the counts, if counting was finished."""
        return WordCounts.load(self.directory / _COUNTS) if self.state.get("finished") else None

    def start(self, counter: WordCounter) -> int:
        """Hand over what was counted before; return how many blocks or documents that are."""
        runs = [self.directory / name for name in self.state["runs"]]
        counter.add_runs(runs, self.state["documents"], self.state["bytes"])
        return int(self.state["done"])

    def save(self, counter: WordCounter, done: int, **more: str) -> None:
        """Keep what was counted so far."""
        runs = [Path(run).name for run in counter.flush()]
        documents, text_bytes = counter.counted()
        self.state |= {"done": done, "runs": runs, "documents": documents, "bytes": text_bytes, **more}
        self._write()

    def finish(self, counts: WordCounts) -> None:
        """Keep the counts of the whole text."""
        counts.save(self.directory / _COUNTS)
        runs = self.state["runs"]
        self.state |= {"finished": True, "runs": []}
        self._write()
        for name in runs:
            (self.directory / name).unlink(missing_ok=True)

    def _write(self) -> None:
        path = self.directory / _STATE
        temporary = path.with_suffix(".tmp")
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(self.state, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)


def _refuse_difference(before: dict[str, Any], now: dict[str, Any], directory: str) -> None:
    for name in {**before, **now}:
        then, today = before.get(name), now.get(name)
        if then == today:
            continue
        if isinstance(then, list) and isinstance(today, list):
            # Of a thousand files, those that are not the same.
            then, today = [item for item in then if item not in today], [item for item in today if item not in then]
        raise TrainingError(
            f"the checkpoint in {directory!r} is of another run: {name} was {_short(then)}, and is {_short(today)} "
            "now; go on with what it was, or pass another directory"
        )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) < 200 else f"{text[:100]} ... {text[-90:]}"


def describe_files(paths: Sequence[str]) -> list[list[str | int]]:
    """Return name, size and time of change of each file: what tells whether they are the same as before."""
    return [[path, (stat := Path(path).stat()).st_size, stat.st_mtime_ns] for path in paths]


class Digest:
    """A digest of the documents seen so far, to tell whether an iterable gives the same as before."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()

    def update(self, documents: Sequence[str | bytes]) -> None:
        """Take note of documents."""
        for document in documents:
            data = document.encode("utf-8", "surrogatepass") if isinstance(document, str) else document
            self._sha256.update(len(data).to_bytes(8, "little"))
            self._sha256.update(data)

    def hexdigest(self) -> str:
        """Return the digest so far."""
        return self._sha256.hexdigest()


def skip(documents: Iterator[str | bytes], done: int, digest: Digest, expected: str, directory: Path) -> None:
    """Pass over the documents that were counted before, and refuse if they are not the same."""
    seen = 0
    for document in documents if done else ():
        digest.update([document])
        seen += 1
        if seen == done:
            break
    if seen < done or digest.hexdigest() != expected:
        raise TrainingError(
            f"the checkpoint in {str(directory)!r} is of another corpus: its first {done:,} documents are not those "
            "that the iterable gives now; go on with the same, or pass another directory"
        )
