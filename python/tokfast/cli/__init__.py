"""The command line: ``tokfast train``, ``count``, ``encode``, ``decode``, ``info``, ``convert``, ``fetch``.

One file for each command, and `_shared` for what they have in common. Rules for all of them: results go to
standard output and everything else to standard error; progress is shown only on a terminal; a bad input is
one line and never a traceback; a pipe closed by its reader ends the program quietly.

Exit status: 0 done, 1 something failed (said on standard error), 2 wrong usage, 130 interrupted by Ctrl-C.

Start-up counts here: nothing on this path imports numpy, and what only one option needs is imported where it
is used.
"""

import os
import sys
from typing import NoReturn

import click

import tokfast
from tokfast.cli._shared import say
from tokfast.cli.convert import convert
from tokfast.cli.count import count
from tokfast.cli.decode import decode
from tokfast.cli.encode import encode
from tokfast.cli.fetch import fetch
from tokfast.cli.info import info
from tokfast.cli.train import train

EPILOG = """
\b
Examples:
  tokfast count .                            tokens of every file below here
  tokfast count -t cl100k_base README.md     with a model's own tokenizer
  tokfast train corpus/ -n 32k -o tok.json   a tokenizer of your own
  tokfast encode -t tok.json text.txt        text to ids

"tokfast COMMAND --help" shows the options of a command.

\b
The shell completes commands with one of these in its start-up file:
  eval "$(_TOKFAST_COMPLETE=bash_source tokfast)"         bash
  eval "$(_TOKFAST_COMPLETE=zsh_source tokfast)"          zsh
  _TOKFAST_COMPLETE=fish_source tokfast | source          fish
"""


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(tokfast.__version__, prog_name="tokfast")
def cli() -> None:
    """Train byte-level BPE tokenizers, and count, encode and decode with them."""


for command in (train, count, encode, decode, info, convert, fetch):
    cli.add_command(command)


def main() -> NoReturn:
    """Run the command line on ``sys.argv`` and exit."""
    sys.exit(_run())


def _run() -> int:
    try:
        return cli.main(prog_name="tokfast", standalone_mode=False) or 0
    except click.UsageError as error:
        error.show()
        return 2
    except click.Abort:  # Ctrl-C
        return 130
    except BrokenPipeError:
        # The reader has seen enough, which is no failure.
        _discard_standard_output()
        return 0
    except (tokfast.TokfastError, click.ClickException, OSError, MemoryError) as error:
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
