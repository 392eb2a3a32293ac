"""``tokfast convert``: a tokenizer from one file format to another."""

import click

import tokfast
from tokfast.cli._shared import quiet_option, say

EPILOG = """
\b
Examples:
  tokfast convert tokenizer.json ranks.tiktoken
  tokfast convert cl100k_base cl100k.json
"""


@click.command(epilog=EPILOG, short_help="Write a tokenizer in another format.")
@click.argument("source", metavar="NAME|PATH")
@click.argument("target", metavar="PATH", type=click.Path())
@click.option("--format", "file_format", metavar="FORMAT", help="Of PATH.  [default: by its ending]")
@click.option("--no-verify", is_flag=True, help="Write it even where the format cannot hold this tokenizer.")
@quiet_option
def convert(*, source: str, target: str, file_format: str | None, no_verify: bool, quiet: bool) -> None:
    """Write the tokenizer NAME or PATH to a file; the format is that of its ending.

    What is written is read back and compared first; where the format cannot hold the tokenizer, nothing is
    written and the reason is said.
    """
    tokenizer = tokfast.load(source)
    try:
        tokenizer.save(target, format=file_format, verify=not no_verify)  # type: ignore[arg-type] # the core checks it
    except tokfast.TokenizerFileError as error:
        raise tokfast.TokenizerFileError(str(error).replace("verify=False", "--no-verify")) from error
    if not quiet:
        say(f"wrote {target}, {tokenizer.vocab_size:,} ids" + ("" if no_verify else ", read back and compared"))
