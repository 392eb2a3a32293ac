"""The command line: ``tokfast train``, ``count``, ``encode``, ``decode``, files of tokenizers, and analysis.

One file for each command, imported when it is run, and `_shared` for what they have in common. Rules for all of
them: results go to standard output and everything else to standard error; progress is shown only on a terminal; a
bad input is one line and never a traceback; a pipe closed by its reader ends the program quietly.

Exit status: 0 done, 1 something failed (said on standard error), 2 wrong usage, 130 interrupted by Ctrl-C.

Start-up counts here: nothing on this path imports numpy, and what only one option needs is imported where it
is used.
"""

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, NoReturn

import click

import tokfast
from tokfast.cli._shared import say

EPILOG = """
\b
Examples:
  tokfast count .                            tokens of every file below here
  tokfast count -t cl100k_base README.md     with a model's own tokenizer
  tokfast train corpus/ -n 32k -o tok.json   a tokenizer of your own
  tokfast encode -t tok.json text.txt        text to ids
  tokfast compare gpt2 o200k_base --data texts/   which needs fewer tokens

"tokfast COMMAND --help" shows the options of a command.

\b
The shell completes commands with one of these in its start-up file:
  eval "$(_TOKFAST_COMPLETE=bash_source tokfast)"         bash
  eval "$(_TOKFAST_COMPLETE=zsh_source tokfast)"          zsh
  _TOKFAST_COMPLETE=fish_source tokfast | source          fish
"""


# In the order of ``--help``; each is the function of that name in the module of that name.
COMMANDS = (
    "train",
    "count",
    "encode",
    "decode",
    "compare",
    "vocab-sizes",
    "check",
    "explain",
    "show",
    "info",
    "convert",
    "fetch",
)


class Commands(click.Group):
    """The commands, each imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in their order."""
        return [*COMMANDS, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        name = cmd_name.replace("-", "_")
        command = getattr(import_module(f"tokfast.cli.{name}"), name)
        return command if isinstance(command, click.Command) else None

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Read the arguments; ``--help`` prints here."""
        with _until_the_reader_has_enough():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        with _until_the_reader_has_enough():
            return super().invoke(ctx)


@contextmanager
def _until_the_reader_has_enough() -> Iterator[None]:
    """End with 0 when the reader of a pipe has closed it, which is no failure; click would end with 1."""
    try:
        yield
    except BrokenPipeError:
        _discard_standard_output()
        raise click.exceptions.Exit(0) from None


@click.group(cls=Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(tokfast.__version__, prog_name="tokfast")
def cli() -> None:
    """Train byte-level BPE tokenizers, and count, encode and decode with them."""


def main() -> NoReturn:
    """Run the command line on ``sys.argv`` and exit."""
    # Two tuples for each of ten thousand files: to look among them for cycles takes longer than to make them.
    gc.set_threshold(200_000)
    status = _run()
    # Nor is there any need to look for them at the end.
    gc.freeze()
    sys.exit(status)


def _run() -> int:
    try:
        return cli.main(prog_name="tokfast", standalone_mode=False) or 0
    except click.UsageError as error:
        error.show()
        return 2
    except click.Abort:  # Ctrl-C
        return 130
    except (tokfast.TokfastError, click.ClickException, OSError, MemoryError, ImportError, ValueError) as error:
        _discard_standard_output()
        say(f"error: {_in_one_line(error)}")
        return 1


def _in_one_line(error: Exception) -> str:
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, OSError) and error.strerror:
        where = [os.fsdecode(error.filename)] if error.filename is not None else []
        return ": ".join([*where, error.strerror])
    return " ".join(str(error).split()) or "out of memory"


def _discard_standard_output() -> None:
    # What is still buffered cannot be written; without this the interpreter would try again at exit, and
    # complain.
    if sys.stdout is sys.__stdout__ and sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
