"""From the runs of a case to what is printed and kept: check the answers, then take medians."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cases import Case, Contender

Run = dict[str, Any]

QUOTIENT = "quotient_to_tokfast"  # median of the quotients of two times of one round


def judge(contenders: Iterable[Contender], runs: list[Run]) -> dict[str, str]:
    """Return what is wrong, by contender: a failure, or another answer than the first of the group gave."""
    wrong: dict[str, str] = {run["contender"]: run["failed"] for run in runs if "failed" in run}
    expected: dict[str, tuple[str, Run]] = {}
    for contender in contenders:
        for run in (run for run in runs if run["contender"] == contender.label and "failed" not in run):
            first, right = expected.setdefault(contender.group, (contender.label, run))
            if run["answer"] != right["answer"]:
                sizes = f"{run['answer_size']} and {right['answer_size']} items"
                wrong[contender.label] = f"its answer is not that of {first} ({sizes})"
    return wrong


def summarize(contenders: Iterable[Contender], runs: list[Run], wrong: dict[str, str]) -> list[dict[str, Any]]:
    """Medians of each contender whose answers are right, and quotients to tokfast in the same rounds."""
    rows = []
    for contender in contenders:
        mine = [run for run in runs if run["contender"] == contender.label]
        if contender.label in wrong or not mine:
            continue
        ours = {
            run["round"]: run
            for run in runs
            if run["contender"].startswith("tokfast")
            and run["group"] == contender.group
            and run["contender"] not in wrong
        }
        row: dict[str, Any] = {
            "contender": contender.label,
            "group": contender.group,
            "rounds": len(mine),
            "load_s": median(run["load_s"] for run in mine),
            "peak_memory_bytes": median(run["peak_memory_bytes"] for run in mine),
            "measured": {},
        }
        for name, first in mine[0]["measured"].items():
            entry: dict[str, Any] = {}
            for clock in ("cpu_s", "wall_s"):
                times = [run["measured"][name][clock] for run in mine]
                entry[clock] = {"median": median(times), "min": min(times), "max": max(times)}
                quotients = [
                    run["measured"][name][clock] / ours[run["round"]]["measured"][name][clock]
                    for run in mine
                    if run["round"] in ours
                ]
                if quotients:
                    entry[clock][QUOTIENT] = median(quotients)
            row["measured"][name] = entry | {unit: first[unit] for unit in ("bytes", "calls") if unit in first}
        rows.append(row)
    return rows


def rate(entry: dict[str, Any], seconds: float) -> str:
    """MB/s, or ns for each call."""
    if "calls" in entry:
        return f"{seconds / entry['calls'] * 1e9:,.0f} ns"
    return f"{entry['bytes'] / seconds / 1e6:.1f} MB/s"


def show(case: Case, rows: list[dict[str, Any]], wrong: dict[str, str]) -> None:
    """Print the table of a case."""
    print(f"\n{case.name}: {case.shows}\n  Not shown: {case.does_not_show}")
    titles = ("", "", "CPU s", "wall s", "of CPU", "peak MB", "CPU/tokfast", "wall/tokfast")
    for group in dict.fromkeys(row["group"] for row in rows):
        members = [row for row in rows if row["group"] == group]
        agreed = "all answers equal" if len(members) > 1 else "answer not compared with any other"
        print(f"  {group} ({agreed})")
        print(line(titles))
        for row in members:
            for name, entry in row["measured"].items():
                cpu, wall = entry["cpu_s"], entry["wall_s"]
                numbers = [f"{cpu['median']:.3f}", f"{wall['median']:.3f}", rate(entry, cpu["median"])]
                memory = f"{row['peak_memory_bytes'] / 1e6:.0f}"
                quotients = [f"{clock[QUOTIENT]:.2f}" if QUOTIENT in clock else "" for clock in (cpu, wall)]
                print(line([row["contender"], name, *numbers, memory, *quotients]))
    for contender, reason in wrong.items():
        print(f"    {contender}: no time, because {reason}")


def line(cells: Iterable[str]) -> str:
    """Align the cells of a table: two to the left, the others to the right."""
    first, second, *numbers = cells
    return f"    {first:24}{second:22}" + "".join(f"{number:>14}" for number in numbers)
