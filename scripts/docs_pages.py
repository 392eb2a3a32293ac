"""Pages of the documentation that are made when it is built: the commands' help, and the benchmark records.

A hook of mkdocs (see mkdocs.yml). Nothing here is written by hand, so that nothing here can be out of date: help comes
from the commands themselves, figures from the files in bench/record/.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORDS = Path(__file__).parents[1] / "bench" / "record"
INTRODUCTION = """\
Made from the files in `bench/record/`, which keep every run with its machine, versions, command and input;
`bench/README.md` is the protocol. A time is shown only where ids or merges were equal. Compare systems within a table,
never across two. *times tokfast* is the system's time divided by tokfast's in the same rounds: above 1, tokfast took
less time, below 1 more."""


EXACTNESS = """\
Made from the files in `bench/record/`; `scripts/compare_vocabularies.py`, `compare_exports.py`, `mutate_files.py` and
`stress_files.py` make those. Documents are the beginnings of texts in 25 languages, code, HTML and logs, a million
bytes of each of 19 kinds of hostile text, every code point, a million random strings, and each vocabulary's own
tokens. Where the text differs, a vocabulary has added tokens such as "\u00f5", which the other library decodes as the
byte that this letter stands for in its files, and not as the letter."""


def on_files(files: Any, config: Any) -> Any:
    """Add the pages; mkdocs calls this."""
    from mkdocs.structure.files import File

    pages = {
        "commands.md": commands_page(),
        "benchmarks.md": benchmarks_page(RECORDS),
        "exactness.md": exactness_page(RECORDS),
    }
    for name, content in pages.items():
        files.append(File.generated(config, name, content=content))
    return files


def commands_page() -> str:
    """Return the help of every command."""
    import click

    from tokfast.cli import COMMANDS, cli

    parts = ["# Commands", "As `tokfast COMMAND --help` prints them."]
    context = click.Context(cli, info_name="tokfast", terminal_width=100, max_content_width=100)
    parts.append(f"```text\n{cli.get_help(context)}\n```")
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        inner = click.Context(command, parent=context, info_name=name, terminal_width=100, max_content_width=100)
        parts.append(f"## {name}\n\n```text\n{command.get_help(inner)}\n```")
    return "\n\n".join(parts) + "\n"


def benchmarks_page(folder: Path) -> str:
    """Return the records as tables: those of bench/run.py by case, attention's, training's, the commands'."""
    parts = [
        "# Benchmarks",
        INTRODUCTION,
    ]
    for path in sorted(folder.glob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        if "case" in record:
            parts += _case(record, path.name)
    sections = (
        ("text-rows.json", _texts),
        ("attention-peers.json", _attention),
        ("train-rows.json", _training),
        ("command-rows.json", _commands),
    )
    for name, section in sections:
        if (folder / name).is_file():
            parts += section(json.loads((folder / name).read_text(encoding="utf-8")), name)
    return "\n\n".join(parts) + "\n"


def exactness_page(folder: Path) -> str:
    """Return what was compared with the models' own libraries, and what became of damaged files."""
    parts = ["# Exactness", EXACTNESS]
    rows = json.loads((folder / "vocabularies.json").read_text(encoding="utf-8"))["rows"]
    compared = [row for row in rows if "documents" in row]
    parts.append("## Ids, against each model's own library")
    parts.append(
        _table(
            ["file", "library", "documents", "ids differ", "text differs"],
            [
                [row["file"], row["library"], f"{row['documents']:,}", str(row["differ"]), _text_differs(row)]
                for row in compared
            ],
        )
    )
    refused = [f"- `{row['file']}`: {row['refused']}" for row in rows if "refused" in row]
    parts += ["Refused, with these words:", "\n".join(refused)]
    parts.append("## Saved tokenizers, read by others")
    exports = json.loads((folder / "exports.json").read_text(encoding="utf-8"))
    others = [key for key in exports[0] if key not in {"pattern", "bytes", "documents", "tokens"}]
    lines = [[row["pattern"], f"{row['documents']:,}", *(str(row[other]) for other in others)] for row in exports]
    parts.append(_table(["trained with", "documents", *(f"differ in {other}" for other in others)], lines))
    parts.append("## Damaged files")
    mutated = json.loads((folder / "mutated-files.json").read_text(encoding="utf-8"))
    lines = [
        [form, f"{outcomes.get('read', 0):,}", f"{outcomes.get('refused', 0):,}"]
        for form, outcomes in mutated["files"].items()
    ]
    parts.append(f"`{mutated['command']}`; the slowest took {mutated['slowest seconds']} s.")
    parts.append(_table(["format", "still read", "refused with a TokenizerFileError"], lines))
    parts.append("Large files that were made to break a reader, each in a process of its own:")
    stressed = json.loads((folder / "stress-files.json").read_text(encoding="utf-8"))
    formats = {"bytes": "{:,}", "seconds": "{:.2f}", "memory / file": "{:.1f}"}
    lines = [
        [row["file"], *(form.format(row[key]) for key, form in formats.items()), row["outcome"]] for row in stressed
    ]
    parts.append(_table(["file", *formats, "outcome"], lines))
    return "\n\n".join(parts) + "\n"


def _text_differs(row: dict[str, Any]) -> str:
    return str(row["decoded otherwise"]) if "decoded otherwise" in row else "-"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _case(record: dict[str, Any], file: str) -> Iterator[str]:
    case = record["case"]
    yield f"## {case['name']}"
    threads = f"{case['threads']} thread" + "s" * (case["threads"] != 1)
    machine = record["machine"]
    yield (
        f"{record['date']}, {machine.get('processor', '')}, {machine.get('cores', '?')} cores, {threads}. "
        f"Shows: {case['shows']}. Does not show: {case['does_not_show']}. `{record['command']}`, `{file}`."
    )
    rows = []
    for row in record["summary"]:
        version = record["versions"].get(row["contender"], "")
        for name, measured in row["measured"].items():
            wall = measured["wall_s"]
            quotient = wall.get("quotient_to_tokfast")
            rows.append(
                [
                    f"{row['contender']} {version}".strip(),
                    row["group"],
                    name,
                    f"{wall['median']:.3g}",
                    _rate(measured, wall["median"]),
                    f"{row['peak_memory_bytes'] / 1e6:,.0f}",
                    "-" if quotient is None else f"{quotient:.2f}",
                    str(row["rounds"]),
                ]
            )
    yield _table(["system", "answer", "pass", "wall s", "rate", "peak MB", "times tokfast", "rounds"], rows)
    if record.get("no_time"):
        yield "No time, because the answer differs or the system failed:"
        yield "\n".join(f"- {name}: {reason}" for name, reason in record["no_time"].items())


def _rate(measured: dict[str, Any], seconds: float) -> str:
    if "calls" in measured:
        return f"{seconds / measured['calls'] * 1e9:,.0f} ns a call"
    return f"{measured['bytes'] / seconds / 1e6:,.1f} MB/s"


def _texts(record: dict[str, Any], file: str) -> Iterator[str]:
    yield "## kinds of text"
    yield f"cl100k, one thread, processor time. `{record['command']}`, `{file}`."
    passes = ("first sight", "second pass")
    rows = [
        [name, f"{text['bytes'] / 1e6:.1f}", *(f"{text[f'gigatoken / tokfast, {each}']:.2f}" for each in passes)]
        for name, text in record["rows"]["languages"]["texts"].items()
    ]
    yield _table(["text", "MB", *(f"gigatoken / tokfast, {each}" for each in passes)], rows)
    yield "Texts made to be slow, encoded in one call at first sight, and a hundred times over:"
    rows = [
        [name, f"{text['MB/s x 1']:.0f}", f"{text['MB/s x 100']:.0f}"]
        for name, text in record["rows"]["adversarial"]["texts"].items()
    ]
    yield _table(["text", "MB/s", "MB/s, 100 times"], rows)
    threads = record["rows"]["threads"]
    yield f"Counting {threads['bytes'] / 1e6:,.0f} MB with one thread and with two, and the same text again:"
    rows = [
        [name, *(f"{wall:.2f}" for wall in threads[name]["wall_s"]), f"{threads[name]['one thread / two']:.2f}"]
        for name in ("first", "second", "both")
    ]
    yield _table(["pass", "one thread, s", "two, s", "quotient"], rows)


def _attention(record: dict[str, Any], file: str) -> Iterator[str]:
    yield "## attention"
    yield f"8 heads of 64 features, float32, milliseconds. `{record['command']}`, `{file}`."
    rows = [
        [str(row["n"]), row["mode"], system, f"{time:.1f}", f"{time / row['ms']['ours']:.2f}"]
        for row in record["rows"]
        for system, time in row["ms"].items()
    ]
    yield _table(["length", "mode", "system", "ms", "times tokfast"], rows)


def _training(record: dict[str, Any], file: str) -> Iterator[str]:
    yield "## training by option"
    yield f"Medians of {record['rounds']} rounds. `{record['command']}`, `{file}`."
    rows = [
        [name, row["text"], f"{row['vocab_size']:,}", f"{row['seconds']:.2f}", f"{row['peak MB']:,.0f}"]
        for name, row in record["rows"].items()
        if {"text", "vocab_size", "seconds", "peak MB"} <= row.keys()
    ]
    yield _table(["row", "text", "vocabulary", "wall s", "peak MB"], rows)


def _commands(record: dict[str, Any], file: str) -> Iterator[str]:
    yield "## the command line"
    yield f"Medians of fresh processes. `{record['command']}`, `{file}`."
    rows = [
        [name, key, f"{value:,}" if isinstance(value, int | float) else str(value)]
        for name, row in record["rows"].items()
        for key, value in (row | {"versions": row["versions"]["tokfast"]}).items()
    ]
    yield _table(["row", "what", "value"], rows)
