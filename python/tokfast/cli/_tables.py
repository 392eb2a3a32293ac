"""Tables on standard output: with rich on a terminal where it is installed, plain columns everywhere else."""

from __future__ import annotations

import csv
import io
import os
import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Cell = str | int | float | None


def shows_colour() -> bool:
    """Whether colours and lines are wanted: on a terminal, unless NO_COLOR or TERM=dumb says otherwise."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def format_cell(cell: Cell) -> str:
    """Spell a value: thousands separated, three significant places after the point, a dash for None."""
    if cell is None:
        return "-"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int):
        return f"{cell:,}"
    if isinstance(cell, float):
        return f"{cell:.3f}" if cell and abs(cell) < 1 else f"{cell:.2f}"
    return cell


def display_width(text: str) -> int:
    """Count the columns that a terminal gives a text: two for the wide characters of East Asia, none for marks."""
    from unicodedata import combining, east_asian_width

    return sum((2 if east_asian_width(char) in "WF" else 1) for char in text if not combining(char))


def print_table(title: str, head: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Print a table: text to the left, numbers to the right."""
    given = [list(row) for row in rows]
    cells = [[format_cell(cell) for cell in row] for row in given]
    columns = range(len(head))
    is_text = [column == 0 or all(isinstance(row[column], str) for row in given) for column in columns]
    if shows_colour():
        try:
            _print_with_rich(title, head, cells, is_text)
        except ImportError:
            pass
        else:
            return
    widths = [max(display_width(row[column]) for row in [list(head), *cells]) for column in columns]
    lines = [title] if title else []
    for row in (list(head), *cells):
        spaces = [" " * (width - display_width(cell)) for cell, width in zip(row, widths, strict=True)]
        places = zip(row, spaces, is_text, strict=True)
        lines.append("  ".join(cell + space if left else space + cell for cell, space, left in places).rstrip())
    click.echo("\n".join([*lines, ""]))


def _print_with_rich(title: str, head: Sequence[str], cells: list[list[str]], is_text: list[bool]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, title_justify="left", header_style="bold")
    for name, left in zip(head, is_text, strict=True):
        table.add_column(name, justify="left" if left else "right", no_wrap=True)
    for row in cells:
        table.add_row(*map(Text, row))
    Console(width=max(Console().width, 40)).print(table)


def write_csv(rows: Sequence[dict[str, Any]]) -> None:
    """Print rows as CSV with a header line."""
    buffer = io.StringIO()
    if rows:
        writer = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    click.echo(buffer.getvalue(), nl=False)
