"""``tokfast vocab-sizes``: what a larger vocabulary buys, and what it costs."""

from __future__ import annotations

from pathlib import Path

import click

from tokfast.cli._progress import Clock, Progress, describe
from tokfast.cli._shared import (
    JSON_SCHEMA_VERSION,
    csv_option,
    describe_tokenizer,
    json_option,
    number,
    plot_option,
    quiet_option,
    read_file,
    threads_option,
    write_json,
)
from tokfast.cli._tables import Cell, print_table, write_csv

EPILOG = """
\b
Examples:
  tokfast vocab-sizes corpus/ --sizes 1k,4k,16k,64k --hidden 2048 --tied
  tokfast vocab-sizes corpus.txt --plot sizes.png
  tokfast vocab-sizes corpus/ --held-out en=en.txt --held-out de=de.txt
  tokfast vocab-sizes corpus.txt --save largest.json --json

One training run to the largest size serves all: the first n merges of a run are the run to n.
"""


@click.command("vocab-sizes", epilog=EPILOG, short_help="Say what each vocabulary size buys and costs.")
@click.argument("paths", nargs=-1, required=True, type=click.Path())
@click.option(
    "--sizes",
    default="1k,2k,4k,8k,16k,32k,64k,128k,256k",
    show_default=True,
    metavar="N,N,...",
    help="Vocabulary sizes.",
)
@click.option("--hidden", default="4096", show_default=True, type=number, help="Width of the model.")
@click.option("--tied", is_flag=True, help="Embedding and output layer are one matrix.")
@click.option(
    "--held-out", multiple=True, metavar="LANG=FILE", help="Text to measure on.  [default: a twentieth of the corpus]"
)
@click.option(
    "--document-bytes",
    default="32Ki",
    show_default=True,
    type=number,
    help="Document whose length in tokens and attention cost are shown.",
)
@click.option("--pattern", default="cl100k", show_default=True, metavar="NAME|REGEX", help="As for tokfast train.")
@click.option("--save", metavar="FILE", type=click.Path(dir_okay=False), help="Keep the largest tokenizer.")
@plot_option
@json_option
@csv_option
@threads_option
@quiet_option
def vocab_sizes(
    *,
    paths: tuple[str, ...],
    sizes: str,
    hidden: int,
    tied: bool,
    held_out: tuple[str, ...],
    document_bytes: int,
    pattern: str,
    save: str | None,
    plot: str | None,
    as_json: bool,
    as_csv: bool,
    threads: int | None,
    quiet: bool,
) -> None:
    """Train once to the largest size, and say for each size what it gives on text that training did not see."""
    wanted = [number(size) for size in sizes.split(",")]
    if min(wanted) < 256:
        raise click.UsageError(f"--sizes {min(wanted)}: the 256 single bytes are in every vocabulary; give 256 or more")
    texts = dict(map(_read, held_out)) or None
    progress = Progress(quiet=quiet)
    clock = Clock()

    def show(phase: str, done: int, total: int) -> None:
        progress.update(describe(phase, done, total) + clock.left(phase, done, total))

    from tokfast import analysis

    result = analysis.vocab_sizes(
        [Path(path) for path in paths],
        wanted,
        hidden=hidden,
        is_tied=tied,
        held_out=texts,
        document_bytes=document_bytes,
        threads=threads,
        pattern=None if pattern == "none" else pattern,
        progress=show if progress.shown else None,
    )
    progress.clear()
    if save:
        result.tokenizer.save(save)
    if plot:
        from tokfast.analysis.plot import plot_vocab_sizes

        plot_vocab_sizes(result, plot)
    if as_json:
        write_json(
            {
                "schema_version": JSON_SCHEMA_VERSION,
                "exact": True,
                "tokenizer": describe_tokenizer(result.tokenizer, save or "trained"),
                "hidden": hidden,
                "tied": tied,
                "document_bytes": document_bytes,
                "sizes": result.rows(),
            }
        )
    elif as_csv:
        write_csv(result.rows())
    else:
        _print(result.rows(), document_bytes)


def _read(given: str) -> tuple[str, bytes]:
    language, is_pair, name = given.partition("=")
    if not is_pair:
        raise click.UsageError(f"--held-out {given!r} is not LANG=FILE")
    return language, read_file(name)


def _print(rows: list[dict[str, Cell]], document_bytes: int) -> None:
    for language in dict.fromkeys(row["language"] for row in rows):
        cells: list[list[Cell]] = [
            [
                f"{row['vocab_size']:,}",
                row["tokens_per_word"],
                row["bytes_per_token"],
                float(row["vocabulary_parameters"] or 0) / 1e6,
                float(row["vocabulary_bytes"] or 0) / 1e6,
                row["sequence_tokens"],
                float(row["attention_flops"] or 0) / 1e12,
                float(row["kv_bytes"] or 0) / 1e6,
                row["gain"],
                row["mark"],
            ]
            for row in rows
            if row["language"] == language
        ]
        head = ["size", "tok/word", "bytes/tok", "M param", "MB", "tok/doc", "TFLOP/doc", "MB cache", "gain", ""]
        title = f"held-out text: {language}; a document is {document_bytes:,} bytes; gain: tokens saved in 1 MB of text"
        print_table(f"{title} for 1 M parameters more", head, cells)
