"""``tokfast check``: does this tokenizer fit this model."""

from __future__ import annotations

from pathlib import Path

import click

from tokfast.cli._shared import JSON_SCHEMA_VERSION, json_option, write_json

EPILOG = """
\b
Examples:
  tokfast check Llama-3.1-8B/                the folder's own tokenizer.json
  tokfast check Llama-3.1-8B/ tokenizer.json another tokenizer against it
  tokfast check config.json cl100k_base --json

Exit status: 0 nothing found, 1 something found (or a file cannot be read).
"""


@click.command(epilog=EPILOG, short_help="Check that a tokenizer fits a model.")
@click.argument("model", type=click.Path(), metavar="MODEL_DIR|config.json")
@click.argument("tokenizer", required=False)
@json_option
def check(*, model: str, tokenizer: str | None, as_json: bool) -> None:
    """Compare a model's files with a tokenizer, and name every mismatch with its consequence.

    Read are config.json, generation_config.json, tokenizer_config.json, chat_template.jinja, tokenizer.json, and the
    headers of the safetensors files, as far as they are there.
    """
    from tokfast import analysis

    if Path(model).is_dir() and tokenizer is None and not (Path(model) / "tokenizer.json").is_file():
        raise click.UsageError(f"{model} has no tokenizer.json; name a tokenizer as second argument")
    if Path(model).is_file() and tokenizer is None and not (Path(model).parent / "tokenizer.json").is_file():
        raise click.UsageError("name a tokenizer as second argument")
    result = analysis.check(model, tokenizer)
    if as_json:
        write_json(
            {
                "schema_version": JSON_SCHEMA_VERSION,
                "exact": True,
                "tokenizer": {
                    "name": tokenizer or model,
                    "fingerprint": result.fingerprint,
                    "vocab_size": result.vocab_size,
                },
                "embedding_rows": result.embedding_rows,
                "findings": result.rows(),
            }
        )
    else:
        for finding in result.findings:
            click.echo(f"{finding.severity}: {finding.code}: {finding.message}\n  so {finding.consequence}")
        rows = f"{result.embedding_rows:,}" if result.embedding_rows is not None else "unknown"
        click.echo(
            f"{len(result.findings) or 'no'} mismatch{'' if len(result.findings) == 1 else 'es'}: "
            f"{result.vocab_size:,} ids, {rows} embedding rows, fingerprint {result.fingerprint[:12]}"
        )
    if result.findings:
        click.get_current_context().exit(1)
