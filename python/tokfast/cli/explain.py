"""``tokfast explain``: how a word is built from bytes, and why it is split where it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tokfast.cli._shared import (
    JSON_SCHEMA_VERSION,
    describe_tokenizer,
    json_option,
    load_tokenizer,
    quiet_option,
    readable_token,
    tokenizer_option,
    write_json,
)

if TYPE_CHECKING:
    from tokfast.analysis import Explanation, TokenTree

EPILOG = """
\b
Examples:
  tokfast explain -t cl100k_base tokenization
  tokfast explain -t tok.json ' unbelievably'     with the space before it
  tokfast explain -t gpt2 naïveté --json
"""
REASONS = {"pattern": "the pattern cuts here, before any merge", "no merge": "no merge joins them"}


@click.command(epilog=EPILOG, short_help="Show merge by merge how a word becomes tokens.")
@click.argument("words", nargs=-1, required=True)
@tokenizer_option
@json_option
@quiet_option
def explain(*, words: tuple[str, ...], tokenizer: str | None, as_json: bool, quiet: bool) -> None:
    """Show merge by merge how WORDS become tokens, with ranks, and why they are split where they are.

    A merge's rank is its place in the order in which merges were learned; of those possible, the lowest goes first.
    """
    from tokfast import analysis

    loaded = load_tokenizer(tokenizer, quiet=quiet)
    result = analysis.explain(loaded, " ".join(words))
    if as_json:
        write_json(
            {
                "schema_version": JSON_SCHEMA_VERSION,
                "exact": tokenizer is not None,
                "tokenizer": describe_tokenizer(loaded, tokenizer),
                **_report(result),
            }
        )
    else:
        click.echo("\n".join(_lines(result)))


def _show(token: bytes) -> str:
    return readable_token(token, 60)


def _lines(result: Explanation) -> list[str]:
    single = " ".join(_show(bytes([byte])) for byte in result.text)
    lines = [f"bytes   {single}"]
    merges = [
        (f"{merge.rank:,}", f"{_show(merge.left)} + {_show(merge.right)}", _show(merge.token))
        for merge in result.merges
    ]
    width = max((len(rank) for rank, _, _ in merges), default=0)
    lines += [f"merge   {rank:>{width}}  {joined} -> {token}" for rank, joined, token in merges]
    lines.append("tokens  " + " ".join(f"{_show(tree.token)}({tree.id})" for tree in result.tokens))
    for boundary in result.boundaries:
        note = f" ({boundary.note})" if boundary.note else ""
        reason = REASONS.get(boundary.reason, boundary.reason)
        lines.append(f"split   {_show(boundary.left)} | {_show(boundary.right)}: {reason}{note}")
    return lines


def _report(result: Explanation) -> dict[str, Any]:
    return {
        "text": _show(result.text) if len(result.text) < 60 else result.text.decode(errors="replace"),
        "ids": result.ids,
        "tokens": [_tree(tree) for tree in result.tokens],
        "merges": [
            {"rank": m.rank, "left": _show(m.left), "right": _show(m.right), "token": _show(m.token), "id": m.id}
            for m in result.merges
        ],
        "boundaries": [
            {"left": _show(b.left), "right": _show(b.right), "reason": b.reason, "note": b.note}
            for b in result.boundaries
        ],
    }


def _tree(tree: TokenTree) -> dict[str, Any]:
    parts = {"left": _tree(tree.left), "right": _tree(tree.right)} if tree.left and tree.right else {}
    return {"token": _show(tree.token), "id": tree.id, "rank": tree.rank, **parts}
