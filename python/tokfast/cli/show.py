"""``tokfast show``: how a text is cut into tokens, in the terminal or as a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tokfast.cli._shared import (
    JSON_SCHEMA_VERSION,
    describe_tokenizer,
    json_option,
    load_tokenizer,
    number,
    quiet_option,
    read_input,
    say,
    short_names,
    tokenizers_option,
    write_file,
    write_json,
)
from tokfast.cli._tables import shows_colour

if TYPE_CHECKING:
    from tokfast import Tokenizer

# Black on these of the 256 colours of terminals; neighbours differ in every kind of colour vision.
COLOURS = ("153", "229", "151", "223", "183")
# And on those of a terminal that has sixteen.
FEW_COLOURS = ("6", "3", "2", "5", "7")
SEPARATOR = "|"

EPILOG = """
\b
Examples:
  tokfast show 'Hello, world' -t cl100k_base
  tokfast show README.md | less
  git show | tokfast show -
  tokfast show notes.txt --html page.html      to look around in
  tokfast show a.txt -t gpt2 -t o200k_base --html page.html   side by side

What is the name of a file is read; anything else is the text. Without colours (no terminal, NO_COLOR, or rich
is not installed) tokens are parted by |.
"""


@click.command(epilog=EPILOG, short_help="Show the tokens of a text, in colours or as a page.")
@click.argument("source", metavar="TEXT|FILE", required=False)
@tokenizers_option
@click.option("--html", "page", metavar="PAGE.html", type=click.Path(allow_dash=True), help="Write one page.")
@click.option("--no-vocabulary", is_flag=True, help="Leave the vocabulary out of the page, which makes it small.")
@click.option(
    "--max-tokens", default="20k", show_default=True, type=number, metavar="N", help="The page shows the first N."
)
@json_option
@quiet_option
def show(
    *,
    source: str | None,
    tokenizers: tuple[str, ...],
    page: str | None,
    no_vocabulary: bool,
    max_tokens: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Show how a text, or a file, or standard input (-) is cut into tokens.

    The page of --html is one file without links to others. It shows id, bytes, rank and merges of the token that is
    pointed at, searches the vocabulary, and sets tokenizers side by side.
    """
    if as_json and page is not None:
        raise click.UsageError("--json and --html are two outputs; ask for one")
    text = _read(source, quiet=quiet)
    given: list[tuple[str | None, Tokenizer]]
    given = [(name, load_tokenizer(name, quiet=quiet)) for name in dict.fromkeys(tokenizers)] or [
        (None, load_tokenizer(None, quiet=quiet))
    ]
    shown = short_names([name for name, _ in given if name is not None])
    named = {shown[name] if name is not None else str(loaded.name): loaded for name, loaded in given}
    if page is not None:
        from tokfast import analysis

        title = source if source is not None and source != "-" and len(source) <= 80 else None
        write_file(
            page,
            analysis.render_page(named, text, title=title, vocabulary=not no_vocabulary, max_tokens=max_tokens),
        )
        if not quiet and page != "-":
            say(f"saved {page}; open it in a browser")
    elif as_json:
        results = [{**describe_tokenizer(loaded, name), **_report(loaded, text)} for name, loaded in given]
        write_json({"schema_version": JSON_SCHEMA_VERSION, "exact": bool(tokenizers), "tokenizers": results})
    else:
        for place, (name, loaded) in enumerate(named.items()):
            if place:
                click.echo()
            _print(name, loaded, text)


def _read(source: str | None, *, quiet: bool) -> bytes:
    if source is None or source == "-":
        return read_input(source)
    try:
        is_path = Path(source).exists()
    except (OSError, ValueError):  # too long for a name, or a NUL in it
        is_path = False
    if is_path:
        return read_input(source)
    if not quiet and not any(char.isspace() for char in source) and ("/" in source or Path(source).suffix):
        say(f"there is no file {source!r}, so this is the text")
    return source.encode(errors="surrogateescape")


def _pieces(tokenizer: Tokenizer, text: bytes) -> list[tuple[int, bytes]]:
    """Return each token's id and what it stands for in the text."""
    ids, spans = tokenizer.encode_with_offsets(text, unit="byte")
    return [(token, text[start:end]) for token, (start, end) in zip(ids, spans, strict=True)]


def _print(name: str, tokenizer: Tokenizer, text: bytes) -> None:
    from tokfast.analysis.page import spell

    pieces = _pieces(tokenizer, text)
    spelled = [spell(piece) for _, piece in pieces]
    if not (shows_colour() and _print_with_rich(spelled)):
        click.echo(SEPARATOR.join(spelled))
    each = f", {len(text) / len(pieces):.2f} bytes each" if pieces else ""
    click.echo(f"{len(pieces):,} tokens{each}: {name} ({tokenizer.fingerprint[:12]})")


def _print_with_rich(spelled: list[str]) -> bool:
    """Print tokens on alternating colours; returns whether rich is there to do it."""
    try:
        from rich.console import Console
        from rich.text import Text
    except ImportError:
        return False
    console = Console(soft_wrap=True, highlight=False)
    if console.color_system == "standard":
        styles = [f"color(0) on color({colour})" for colour in FEW_COLOURS]
    else:
        styles = [f"color(16) on color({colour})" for colour in COLOURS]
    text = Text(tab_size=4)
    for place, token in enumerate(spelled):
        text.append(token, style=styles[place % len(styles)])
    console.print(text)
    return True


def _report(tokenizer: Tokenizer, text: bytes) -> dict[str, Any]:
    from tokfast.analysis.page import spell

    return {
        "n_bytes": len(text),
        "tokens": [
            {"id": token, "text": spell(piece), "bytes": piece.hex()} for token, piece in _pieces(tokenizer, text)
        ],
    }
