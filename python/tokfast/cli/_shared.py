"""What the commands share: options, reading and writing, and the lines on standard error."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

import click

import tokfast
from tokfast._load import DEFAULT_NAME

if TYPE_CHECKING:
    from tokfast import Tokenizer

Command = TypeVar("Command", bound=Callable[..., Any])

JSON_SCHEMA_VERSION = 1
"""Raised when a field of the ``--json`` output changes its meaning or goes."""


FACTORS = {"ki": 1024, "mi": 1024**2, "k": 1000, "m": 1000**2, "": 1}


def number(value: str) -> int:
    """Read a whole number, also written ``32_000``, ``32k`` (thousands) or ``32Ki`` (1024s)."""
    suffix, factor = next(pair for pair in FACTORS.items() if value.lower().endswith(pair[0]))
    digits = value[: len(value) - len(suffix)].replace("_", "").replace(",", "")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 18:
        raise click.BadParameter(f"{value!r} is no whole number; write 32000, 32_000, 32k or 32Ki (32768)")
    return int(digits) * factor


def tokenizer_option(command: Command) -> Command:
    """Add ``-t/--tokenizer``."""
    return click.option(
        "-t",
        "--tokenizer",
        metavar="NAME|PATH",
        help="An encoding (cl100k_base, o200k_base, gpt2, ...), a tokenizer file, or a folder with a "
        f"tokenizer.json.  [default: {DEFAULT_NAME}, tokfast's own]",
    )(command)


def tokenizers_option(command: Command) -> Command:
    """Add ``-t/--tokenizer``, which may be given again."""
    return click.option(
        "-t",
        "--tokenizer",
        "tokenizers",
        multiple=True,
        metavar="NAME|PATH",
        help="An encoding (cl100k_base, o200k_base, gpt2, ...), a tokenizer file, or a folder with a "
        f"tokenizer.json; give it again to see several.  [default: {DEFAULT_NAME}, tokfast's own]",
    )(command)


def threads_option(command: Command) -> Command:
    """Add ``--threads``."""
    return click.option(
        "--threads",
        type=click.IntRange(min=1),
        metavar="N",
        help="Threads to use.  [default: one for each core]",
    )(command)


def json_option(command: Command) -> Command:
    """Add ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def csv_option(command: Command) -> Command:
    """Add ``--csv``."""
    return click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")(command)


def plot_option(command: Command) -> Command:
    """Add ``--plot``."""
    help_text = "Draw it into FILE (.png, .svg, .pdf); needs matplotlib."
    return click.option("--plot", metavar="FILE", type=click.Path(dir_okay=False), help=help_text)(command)


def quiet_option(command: Command) -> Command:
    """Add ``-q/--quiet``."""
    return click.option("-q", "--quiet", is_flag=True, help="No notes or progress on standard error.")(command)


def load_tokenizer(name_or_path: str | None, *, quiet: bool) -> "Tokenizer":
    """Load the tokenizer that was asked for, or the default one, and say so."""
    if name_or_path is not None:
        return tokfast.load(name_or_path)
    if not quiet:
        say(f"no tokenizer named, so this is {DEFAULT_NAME}, tokfast's own and no model's; choose with -t")
    return tokfast.load(DEFAULT_NAME)


def begin_to_load(names: "list[str | None]", *, quiet: bool) -> "Callable[[], list[Tokenizer]]":
    """Begin to load tokenizers on another thread; the function that comes back waits for them.

    To import concurrent.futures would take 18 ms, most of what is gained.
    """
    loaded: list[Tokenizer] = []
    failed: list[BaseException] = []

    def load() -> None:
        try:
            loaded.extend(load_tokenizer(name, quiet=quiet) for name in names)
        except BaseException as error:  # noqa: BLE001 (raised again where it is waited for)
            failed.append(error)

    thread = Thread(target=load)
    thread.start()

    def wait() -> "list[Tokenizer]":
        thread.join()
        if failed:
            raise failed[0]
        return loaded

    return wait


def describe_tokenizer(tokenizer: "Tokenizer", name_or_path: str | None) -> dict[str, object]:
    """Describe a tokenizer for ``--json``: enough to tell two counts of different tokenizers apart."""
    return {
        "name": tokenizer.name or name_or_path,
        "fingerprint": tokenizer.fingerprint,
        "vocab_size": tokenizer.vocab_size,
        "default": name_or_path is None,
    }


def read_input(path: str | None) -> bytes:
    """Read a file, or standard input for ``-`` and for no path at all."""
    if path is None:
        check_piped()
    if path is None or path == "-":
        return sys.stdin.buffer.read()
    return read_file(path)


def read_file(path: str | Path) -> bytes:
    """Read a file; an error names it, which one of reading, unlike one of opening, does not."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def write_file(path: str, text: str) -> None:
    """Write a file as a whole or not at all; ``-`` is standard output, and a device is written to as it is."""
    is_new = path != "-" and (not Path(path).exists() or Path(path).is_file())
    try:
        with click.open_file(path, "w", encoding="utf-8", atomic=is_new) as file:
            file.write(text)
    except OSError as error:
        # It names a temporary file, or none.
        raise OSError(error.errno, error.strerror, *([] if path == "-" else [path])) from error


def short_names(names: list[str]) -> dict[str, str]:
    """Name files by their last part where that tells them apart."""
    short = {name: Path(name).name.removesuffix(".json").removesuffix(".tokenizer") for name in names}
    return short if len(set(short.values())) == len(short) else {name: name for name in names}


def check_piped() -> None:
    """Refuse to wait for a text that nobody may know to type."""
    if sys.stdin.isatty():
        raise click.UsageError("nothing to read: name a file, pipe text in, or type it after '-'")


def write_json(value: object) -> None:
    """Print a value as JSON; ASCII only, so that any terminal and any file name can be shown."""
    import json

    click.echo(json.dumps(value, indent=2))


def readable_token(token: bytes, width: int) -> str:
    r"""Spell a token on one line: what cannot be printed as ``\\x..``, a space as ``␣``, cut at `width`."""
    text = token.decode(errors="backslashreplace").replace(" ", "␣")
    text = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return text if len(text) <= width else f"{text[: width - 1]}…"


def say(message: str) -> None:
    """Print one line to standard error; what is quoted in it moves no cursor and changes no colour."""
    line = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in message)
    click.echo(f"tokfast: {line}", err=True)
