"""``tokfast fetch``: the file of a named tokenizer, into the cache."""

import click

import tokfast
from tokfast._encodings import ENCODINGS, encoding_name_for_model
from tokfast._load import DEFAULT_NAME, find
from tokfast.cli._progress import Progress
from tokfast.cli._shared import quiet_option, say

EPILOG = f"""
\b
Examples:
  tokfast fetch o200k_base      then tokfast.load("o200k_base") works offline
  tokfast fetch gpt-4o          the encoding of a model
  tokfast fetch org/name        of the Hugging Face Hub; needs huggingface_hub

Encodings: {", ".join(ENCODINGS)}. TOKFAST_OFFLINE=1 forbids downloads; TOKFAST_CACHE_DIR says where they go.
"""


@click.command(epilog=EPILOG, short_help="Download the file of a named tokenizer.")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@quiet_option
def fetch(*, names: tuple[str, ...], quiet: bool) -> None:
    """Download what the tokenizers NAME... need, unless it is on this machine already.

    Each file's sha256 is compared with the published one before it is kept. Prints where the file is.
    """
    for name in names:
        _fetch(name, quiet=quiet)


def _fetch(name: str, *, quiet: bool) -> None:
    if name == DEFAULT_NAME:
        if not quiet:
            say(f"{name} comes with tokfast; there is nothing to fetch")
        return
    if "/" in name:
        tokfast.Tokenizer.from_pretrained(name, download=True)
        if not quiet:
            say(f"{name} is in the cache of the Hugging Face Hub")
        return
    encoding = ENCODINGS.get(name) or ENCODINGS.get(encoding_name_for_model(name) or "")
    if encoding is None:
        tokfast.load(name)  # says what the names are, and what may have been meant
        raise click.ClickException(f"{name} is a file or a folder; there is nothing to fetch")
    path, *_ = find(encoding)
    if path is None:
        from tokfast._download import download

        progress = Progress(quiet=quiet)
        try:
            path = download(encoding, lambda size: progress.update(f"{encoding.name}: {size:,} bytes"))
        finally:
            progress.clear()
    click.echo(path)
