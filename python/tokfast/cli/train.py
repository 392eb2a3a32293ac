"""``tokfast train``: text to a tokenizer file."""

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

import tokfast
from tokfast.cli._progress import Clock, Progress, describe
from tokfast.cli._shared import check_piped, number, quiet_option, say, threads_option

if TYPE_CHECKING:
    from tokfast import Tokenizer

SUFFIXES = (".json", ".tiktoken")

EPILOG = """
\b
Examples:
  tokfast train corpus/ -n 32k -o tokenizer.json
  tokfast train '**/*.md' -n 8k --pattern gpt2 --special '<|end|>' -o md.json
  tokfast train corpus/ -n 64k --checkpoint state/ -o big.json   # goes on
  zcat dump.gz | tokfast train - -n 8k --unit line -o small.tiktoken

The same text and options give the same file, whatever the number of threads.
"""


@click.command(epilog=EPILOG, short_help="Train a tokenizer on files.")
@click.argument("paths", nargs=-1, type=click.Path(allow_dash=True))
@click.option(
    "-o",
    "--out",
    required=True,
    metavar="FILE",
    help="FILE.json, or FILE.tiktoken, which keeps the tokens only.",
)
@click.option(
    "-n",
    "--vocab-size",
    required=True,
    type=number,
    help="Tokens in all, with the 256 bytes and the special tokens; 32k = 32,000, 32Ki = 32,768.",
)
@click.option(
    "--pattern",
    default="cl100k",
    show_default=True,
    metavar="NAME|REGEX",
    help="How text is cut before merging: gpt2, cl100k, o200k, llama3, qwen2, qwen3.5, tekken, deepseek-v3, starcoder, "
    "a regex, or none.",
)
@click.option("--special", multiple=True, metavar="TOKEN", help="A special token; may be given again.")
@click.option(
    "--min-frequency",
    type=number,
    default="1",
    show_default=True,
    help="Merge only pairs that occur this often.",
)
@click.option(
    "--max-token-length",
    type=number,
    help="Make no token of this many bytes or more, other than pairs of single bytes.",
)
@click.option("--limit-alphabet", type=number, help="Merge only this many of the 256 bytes, the most frequent ones.")
@click.option(
    "--tie-break",
    type=click.Choice(["huggingface", "bytes"]),
    default="huggingface",
    show_default=True,
    help="Which of two equally frequent pairs goes first: by Hugging Face's byte order, or by raw bytes.",
)
@click.option(
    "--unit",
    type=click.Choice(["document", "line"]),
    default="document",
    show_default=True,
    help="What is cut as one text: a whole file, or each of its lines.",
)
@click.option("--field", metavar="NAME", help="Train on this field of JSON lines, or this column of parquet files.")
@click.option("--base", metavar="NAME|PATH", help="Go on from this tokenizer: its tokens keep their ids.")
@click.option("--superwords", is_flag=True, help="With --base: the new tokens may be phrases of several words.")
@click.option(
    "--memory-limit",
    type=number,
    metavar="BYTES",
    help="Keep the tables of counting within this, by way of temporary files; 500M = 500,000,000.",
)
@click.option(
    "--checkpoint",
    metavar="DIR",
    help="Keep what was counted in this folder; run the same command again to go on after a stop.",
)
@click.option("--report", metavar="FILE.json", help="Also write counts of tokens and merges, times and memory.")
@threads_option
@quiet_option
def train(
    *,
    paths: tuple[str, ...],
    out: str,
    vocab_size: int,
    pattern: str,
    special: tuple[str, ...],
    min_frequency: int,
    max_token_length: int | None,
    limit_alphabet: int | None,
    tie_break: Literal["huggingface", "bytes"],
    unit: Literal["document", "line"],
    field: str | None,
    base: str | None,
    superwords: bool,
    memory_limit: int | None,
    checkpoint: str | None,
    report: str | None,
    threads: int | None,
    quiet: bool,
) -> None:
    """Train a byte-level BPE tokenizer on files, folders, globs, or standard input (-).

    Files that end in .gz, .zst, .jsonl or .parquet are read as documents, by their field or column "text", or that of
    --field. In folders, hidden files and those that .gitignore excludes are left out.
    """
    _check_out(Path(out))
    progress = Progress(quiet=quiet)
    clock = Clock()

    def show(phase: str, done: int, total: int, detail: str) -> None:
        progress.update(f"{describe(phase, done, total, detail)}{clock.left(phase, done, total)}{_peak()}")

    tokenizer = tokfast.train(
        _source(paths, unit, field),
        vocab_size,
        pattern=None if pattern == "none" else pattern,
        special_tokens=list(special),
        min_frequency=min_frequency,
        max_token_length=max_token_length,
        limit_alphabet=limit_alphabet,
        tie_break=tie_break,
        unit=unit,
        base=None if base is None else tokfast.load(base),
        superwords=superwords,
        threads=threads,
        memory_limit=memory_limit,
        checkpoint=checkpoint,
        resume=checkpoint is not None,
        progress=show if progress.shown else None,
    )
    progress.clear()
    tokenizer.save(out)
    if tokenizer.vocab_size < vocab_size:
        say(
            f"the text gave {tokenizer.vocab_size:,} tokens of the {vocab_size:,} asked for: "
            f"no pair is left that occurs {min_frequency:,} times or more"
        )
    if report is not None:
        _write_report(tokenizer, Path(report))
    if not quiet:
        say(f"saved {out}: {tokenizer.vocab_size:,} tokens")


def _source(paths: tuple[str, ...], unit: str, field: str | None) -> list[Path] | Iterable[str | bytes]:
    if paths and "-" not in paths and field is not None:
        from tokfast import read_documents

        return read_documents(paths, field=field)
    if paths and "-" not in paths:
        return [Path(path) for path in paths]  # a list of str could be meant as texts
    if field is not None:
        raise click.UsageError("--field is of files, and standard input (-) is text; pass files, or leave it out")
    if len(paths) > 1:
        raise click.UsageError("standard input (-) cannot be mixed with files; train on either")
    if not paths:
        check_piped()
    standard_input = sys.stdin.buffer
    return standard_input if unit == "line" else [standard_input.read()]


def _check_out(out: Path) -> None:
    """Refuse before the work what would fail after it."""
    if out.suffix not in SUFFIXES:
        raise click.UsageError(f"--out {str(out)!r} must end in {' or '.join(SUFFIXES)}, which is the format")
    if not out.parent.is_dir():
        raise click.UsageError(f"--out {str(out)!r}: there is no folder {str(out.parent)!r}; make it first")
    if out.is_dir() or not os.access(out.parent, os.W_OK):
        raise click.UsageError(f"--out {str(out)!r} cannot be written")


def _peak() -> str:
    """Say how much memory the process has had, where the system knows."""
    try:
        import resource
    except ImportError:  # Windows
        return ""
    unit = 1 if sys.platform == "darwin" else 1024
    return f", {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6:,.0f} MB"


def _write_report(tokenizer: "Tokenizer", path: Path) -> None:
    report = tokenizer.training_report
    if report is not None:
        fields = {**vars(report), "merge_counts": report.merge_counts.tolist()}
        fields["token_counts"] = report.token_counts.tolist()
        path.write_text(json.dumps(fields, indent=1), encoding="utf-8")
