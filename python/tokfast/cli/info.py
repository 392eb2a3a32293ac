"""``tokfast info``: what a tokenizer is."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import tokfast
from tokfast._encodings import ENCODINGS, encoding_name_for_model
from tokfast._hub import file_in
from tokfast._load import DATA, DEFAULT_NAME, find
from tokfast.cli._shared import JSON_SCHEMA_VERSION, json_option, write_json

if TYPE_CHECKING:
    from tokfast import Tokenizer

EPILOG = """
\b
Examples:
  tokfast info o200k_base
  tokfast info tokenizer.json --json
"""

SHOWN = 8
"""Special tokens that are shown without ``--json``."""


@click.command(epilog=EPILOG, short_help="Show what a tokenizer is.")
@click.argument("tokenizer", metavar="NAME|PATH")
@json_option
def info(*, tokenizer: str, as_json: bool) -> None:
    """Print name, file, size, vocabulary, special tokens, pattern and fingerprint of a tokenizer.

    Equal fingerprints are equal ids for every text, whatever the files are.
    """
    name = encoding_name_for_model(tokenizer) or tokenizer
    loaded = tokfast.load(name)
    facts = describe(loaded, name)
    if as_json:
        write_json({"schema_version": JSON_SCHEMA_VERSION, **facts})
        return
    special = facts.pop("special_tokens")
    shown = [f"{token} {number}" for token, number in list(special.items())[:SHOWN]]
    shown += [f"... and {len(special) - SHOWN} more (--json shows all)"] if len(special) > SHOWN else []
    facts["special_tokens"] = ", ".join(shown) or "none"
    for key, value in facts.items():
        click.echo(f"{key.replace('_', ' '):<16}{'none' if value is None else value}")


def describe(tokenizer: "Tokenizer", name_or_path: str) -> dict[str, Any]:
    """Facts of a tokenizer, by name."""
    path = _file(name_or_path)
    return {
        "name": tokenizer.name or name_or_path,
        "file": os.fspath(path) if path else None,
        "format": file_format(path),
        "size": path.stat().st_size if path else None,
        "vocab_size": tokenizer.vocab_size,
        "merges": len(tokenizer.merges),
        "longest_token": max(map(len, tokenizer.vocab)),
        "pattern": tokenizer.pattern,
        "fingerprint": tokenizer.fingerprint,
        "special_tokens": tokenizer.special_tokens,
    }


def _file(name_or_path: str) -> Path | None:
    if name_or_path == DEFAULT_NAME:
        return DATA / f"{DEFAULT_NAME}.tiktoken"
    if name_or_path in ENCODINGS:
        return find(ENCODINGS[name_or_path])[0]
    path = Path(name_or_path)
    return file_in(path) if path.is_dir() else path


def file_format(path: Path | None) -> str | None:
    """Name the format of a file, by how it begins."""
    if path is None:
        return None
    with path.open("rb") as file:
        head = file.read(4096)
    if head.startswith(b"GGUF"):
        return "gguf"
    if head.lstrip().startswith(b"{"):
        if path.name == "vocab.json":
            return "vocab.json"
        return "tekken.json" if b'"config"' in head and b'"pattern"' in head else "tokenizer.json"
    return "sentencepiece" if head.startswith(b"\n") else "tiktoken"
