"""How far a long command is, in one line on standard error; nothing at all unless that is a terminal."""

import sys
import time

import click


class Progress:
    """One line that is written over and over."""

    def __init__(self, *, quiet: bool) -> None:
        self.shown = not quiet and sys.stderr.isatty()
        self.next_time = 0.0

    def update(self, text: str) -> None:
        """Show ``text``, at most ten times a second."""
        if self.shown and (now := time.monotonic()) >= self.next_time:
            self.next_time = now + 0.1
            click.echo(f"\r\x1b[Ktokfast: {text}", err=True, nl=False)

    def clear(self) -> None:
        """Take the line away before anything else is printed."""
        if self.shown and self.next_time:
            click.echo("\r\x1b[K", err=True, nl=False)


class Clock:
    """Says how long a phase will still take, by how long it has taken so far."""

    def __init__(self) -> None:
        self.phase = ""
        self.start = 0.0
        self.first = 0

    def left(self, phase: str, done: int, total: int) -> str:
        """Return ``", 12 s left"``; nothing in the first second, and where the end is not known."""
        now = time.monotonic()
        if phase != self.phase:
            self.phase, self.start, self.first = phase, now, done
        if done <= self.first or now - self.start < 1 or total < done:
            return ""
        return f", {(total - done) * (now - self.start) / (done - self.first):,.0f} s left"


def describe(phase: str, done: int, total: int, detail: str = "") -> str:
    """Say how far a phase of the core is."""
    share = f" ({100 * done / total:.0f}%)" if total else ""
    if phase == "merge":
        return f"{done:,} of {total:,} merges{share}" + (f", last {detail}" if detail else "")
    verb = "read" if phase == "count" else "counted"
    return f"{verb} {done / 1e6:,.0f} of {total / 1e6:,.0f} MB{share}"
