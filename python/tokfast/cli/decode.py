"""``tokfast decode``: token ids to the bytes they stand for."""

import click

from tokfast.cli._shared import load_tokenizer, quiet_option, read_input, tokenizer_option

EPILOG = """
\b
Examples:
  echo '9906 1917' | tokfast decode -t cl100k_base
  tokfast encode notes.txt | tokfast decode     notes.txt, byte for byte
"""

# Ids as a Python or JSON list are as welcome as bare ones.
PUNCTUATION = bytes.maketrans(b"[],", b"   ")


@click.command(epilog=EPILOG, short_help="Turn token ids into text.")
@click.argument("file", required=False, type=click.Path(allow_dash=True))
@tokenizer_option
@quiet_option
def decode(*, file: str | None, tokenizer: str | None, quiet: bool) -> None:
    """Write the bytes of the token ids in FILE or standard input.

    Ids are separated by white space or commas; a list in brackets is understood. Nothing is added, not even a
    final newline, so what was encoded comes back byte for byte.
    """
    ids = [_parse(word) for word in read_input(file).translate(PUNCTUATION).split()]
    click.echo(load_tokenizer(tokenizer, quiet=quiet).decode_bytes(ids), nl=False)


def _parse(word: bytes) -> int:
    if not word.isdigit() or len(word) > 18:
        shown = word[:40].decode("utf-8", "backslashreplace")
        raise click.ClickException(f"{shown!r} is no token id; give whole numbers separated by spaces")
    return int(word)
