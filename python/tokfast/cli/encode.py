"""``tokfast encode``: text to token ids."""

import click

from tokfast.cli._shared import (
    JSON_SCHEMA_VERSION,
    describe_tokenizer,
    json_option,
    load_tokenizer,
    quiet_option,
    read_input,
    tokenizer_option,
    write_json,
)

EPILOG = """
\b
Examples:
  echo 'Hello world' | tokfast encode -t cl100k_base
  tokfast encode -t tokenizer.json notes.txt > notes.ids
  tokfast encode notes.txt | tokfast decode     notes.txt, byte for byte
"""


@click.command(epilog=EPILOG, short_help="Turn text into token ids.")
@click.argument("file", required=False, type=click.Path(allow_dash=True))
@tokenizer_option
@json_option
@quiet_option
def encode(*, file: str | None, tokenizer: str | None, as_json: bool, quiet: bool) -> None:
    """Print the token ids of FILE or standard input, separated by spaces.

    Text is data: a special token's spelling in it is ordinary text. Bytes that are no UTF-8 are encoded as
    they are.
    """
    text = read_input(file)
    loaded = load_tokenizer(tokenizer, quiet=quiet)
    ids = loaded.encode(text)
    if as_json:
        description = describe_tokenizer(loaded, tokenizer)
        write_json({"schema_version": JSON_SCHEMA_VERSION, "tokenizer": description, "ids": ids})
    else:
        click.echo(" ".join(map(str, ids)))
