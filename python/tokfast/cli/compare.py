"""``tokfast compare``: several tokenizers on the same texts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tokfast.cli._progress import Clock, Progress
from tokfast.cli._shared import (
    JSON_SCHEMA_VERSION,
    csv_option,
    describe_tokenizer,
    json_option,
    load_tokenizer,
    plot_option,
    quiet_option,
    read_file,
    readable_token,
    short_names,
    threads_option,
    write_json,
)
from tokfast.cli._tables import Cell, print_table, write_csv

if TYPE_CHECKING:
    from tokfast.analysis import Comparison

METRICS = {
    "bytes_per_token": "bytes per token",
    "tokens_per_byte": "tokens per byte",
    "tokens_per_character": "tokens per character",
    "tokens_per_word": "tokens per word (fertility)",
    "whole_word_share": "share of words that are one token",
    "byte_token_share": "share of tokens that are a single byte of a longer character",
    "inflation": "tokens for the same text",
    "oov_rate": "share of words or characters outside the vocabulary",
    "n_tokens": "tokens",
}
METRIC_HELP = f"What to show, repeatable: {', '.join(METRICS)}."
DEFAULT_METRICS = ("bytes_per_token", "tokens_per_word", "inflation")

EPILOG = """
\b
Examples:
  tokfast compare cl100k_base o200k_base --data en=en.txt zh=zh.txt
  tokfast compare cl100k_base tok.json --data texts/ --baselines
  tokfast compare gpt2 o200k_base --data texts/ --plot inflation.png
  tokfast compare gpt2 o200k_base --data en=en.txt --json

Inflation is against --reference, and means something where the texts say the same in each language.
"""


@click.command(epilog=EPILOG, short_help="Compare tokenizers on texts of several languages.")
@click.argument("arguments", nargs=-1, required=True, metavar="TOKENIZER...")
@click.option(
    "--data", multiple=True, metavar="LANG=FILE|DIR", help="A language's text, or a folder of LANG.txt files."
)
@click.option(
    "--reference", default="en", show_default=True, metavar="LANG", help="Inflation is against this language."
)
@click.option("--metric", "metrics", multiple=True, type=click.Choice(list(METRICS)), metavar="NAME", help=METRIC_HELP)
@click.option("--baselines", is_flag=True, help="Also one token a character, and one token a word.")
@plot_option
@json_option
@csv_option
@threads_option
@quiet_option
def compare(
    *,
    arguments: tuple[str, ...],
    data: tuple[str, ...],
    reference: str,
    metrics: tuple[str, ...],
    baselines: bool,
    plot: str | None,
    as_json: bool,
    as_csv: bool,
    threads: int | None,
    quiet: bool,
) -> None:
    """Compare tokenizers: tokens per byte, character and word, inflation, and what of a vocabulary is used.

    TOKENIZER is an encoding's name, a tokenizer file, or a folder with a tokenizer.json.
    """
    # What follows the first LANG=FILE is an argument to the parser: it is data too.
    names = [argument for argument in arguments if "=" not in argument]
    texts = _read([*data, *(argument for argument in arguments if "=" in argument)])
    if not names:
        raise click.UsageError("no tokenizer is named; write tokfast compare cl100k_base --data en=FILE")
    from tokfast import analysis

    tokenizers = {name: load_tokenizer(name, quiet=True) for name in names}
    shown = short_names(names)
    progress = Progress(quiet=quiet)
    clock = Clock()

    def show(phase: str, done: int, total: int) -> None:
        progress.update(f"compared {done:,} of {total:,} tokenizers{clock.left(phase, done, total)}")

    show("compare", 0, len(names))
    result = analysis.compare(
        {shown[name]: tokenizer for name, tokenizer in tokenizers.items()},
        texts,
        reference=reference,
        baselines=baselines,
        threads=threads,
        progress=show,
    )
    progress.clear()
    if plot:
        from tokfast.analysis.plot import plot_comparison

        plot_comparison(result, plot)
    if as_json:
        described = [describe_tokenizer(tokenizer, name) for name, tokenizer in tokenizers.items()]
        write_json(_report(result, described))
    elif as_csv:
        write_csv(result.rows())
    else:
        _print(result, metrics or (*DEFAULT_METRICS, *(["oov_rate"] if baselines else [])))


def _read(data: list[str]) -> dict[str, bytes]:
    texts: dict[str, bytes] = {}
    for given in data:
        language, is_pair, name = given.partition("=")
        found = [(language, Path(name))]
        if not is_pair:
            folder = Path(given)
            if not folder.is_dir():
                raise click.UsageError(f"--data {given!r} is neither LANG=FILE nor a folder of LANG.txt files")
            found = [(path.stem, path) for path in sorted(folder.glob("*.txt"))]
            if not found:
                raise click.UsageError(f"--data {given!r}: the folder holds no .txt file")
        for key, path in found:
            texts[key] = read_file(path)
    if not texts:
        raise click.UsageError("no text is named; write --data en=FILE, or --data DIR with files LANG.txt")
    return texts


def _print(result: Comparison, metrics: tuple[str, ...]) -> None:
    tokenizers = [use.tokenizer for use in result.vocabularies]
    languages = list(dict.fromkeys(row.language for row in result.languages))
    cell = {(row.language, row.tokenizer): row for row in result.languages}
    for metric in metrics:
        values = {key: getattr(row, metric) for key, row in cell.items()}
        if all(value is None for value in values.values()):
            continue
        title = METRICS[metric] + (f", {result.reference} = 1" if metric == "inflation" else "")
        rows: list[list[Cell]] = [
            [language, *(values[language, tokenizer] for tokenizer in tokenizers)] for language in languages
        ]
        print_table(title, ["", *tokenizers], rows)
    uses: list[list[Cell]] = [
        [
            use.tokenizer,
            use.vocab_size,
            use.n_used,
            use.used_share,
            use.fingerprint[:12] if use.fingerprint else None,
            _examples(use.longest),
            _examples(use.unused),
        ]
        for use in result.vocabularies
    ]
    head = ["", "size", "used", "share", "fingerprint", "longest used", "first unused"]
    print_table("vocabularies", head, uses)


def _examples(tokens: tuple[bytes, ...]) -> str:
    return "  ".join(readable_token(token, 20) for token in tokens[:2])


def _report(result: Comparison, tokenizers: list[dict[str, object]]) -> dict[str, Any]:
    return {
        "schema_version": JSON_SCHEMA_VERSION,
        "exact": True,
        "reference": result.reference,
        "tokenizers": tokenizers,
        "languages": result.rows(),
        "vocabularies": [
            {
                "tokenizer": use.tokenizer,
                "fingerprint": use.fingerprint,
                "vocab_size": use.vocab_size,
                "n_used": use.n_used,
                "used_share": use.used_share,
                "longest": [readable_token(token, 1000) for token in use.longest],
                "unused": [readable_token(token, 1000) for token in use.unused],
            }
            for use in result.vocabularies
        ],
    }
