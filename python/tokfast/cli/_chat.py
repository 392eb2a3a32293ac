"""``tokfast count --chat``: a conversation, as the model reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tokfast._chat import ChatTemplate, Conversation
from tokfast.cli._shared import (
    JSON_SCHEMA_VERSION,
    describe_tokenizer,
    load_tokenizer,
    read_input,
    say,
    short_names,
    write_json,
)

if TYPE_CHECKING:
    from tokfast import Tokenizer


def count_chat(path: str, names: tuple[str, ...], *, is_prompt: bool, as_json: bool, quiet: bool) -> tuple[int, ...]:
    """Count a conversation with each tokenizer, print it, and return the counts."""
    conversation = Conversation.from_json(read_input(path), path)
    wanted: list[str | None] = [*dict.fromkeys(names)] or [None]
    counts, reports = [], []
    for name in wanted:
        tokenizer = load_tokenizer(name, quiet=quiet)
        template = None if name is None else ChatTemplate.find(name)
        n_tokens = _count(tokenizer, template, conversation, is_prompt=is_prompt)
        if not quiet:
            _note(tokenizer, template, conversation, name)
        counts.append(n_tokens)
        reports.append(
            {
                "schema_version": JSON_SCHEMA_VERSION,
                "tokenizer": describe_tokenizer(tokenizer, name),
                # Without the wrapping the count is less than what the model reads.
                "exact": template is not None,
                "chat": {
                    "messages": len(conversation.messages),
                    "template": None if template is None else template.file.name,
                    "generation_prompt": template is not None and is_prompt,
                },
                "total": {"files": 1, "tokens": n_tokens},
            }
        )
    if as_json:
        together = {"schema_version": JSON_SCHEMA_VERSION, "tokenizers": reports}
        write_json(reports[0] if len(reports) == 1 else together)
    elif len(wanted) == 1:
        click.echo(f"{counts[0]} {path}")
    else:
        short = short_names([name for name in wanted if name is not None])
        width = len(str(max(counts)))
        for name, n_tokens in zip(wanted, counts, strict=True):
            click.echo(f"{n_tokens:>{width}} {path} ({short[str(name)]})")
    return tuple(counts)


def _count(tokenizer: Tokenizer, template: ChatTemplate | None, conversation: Conversation, *, is_prompt: bool) -> int:
    if template is None:
        return sum(tokenizer.count(content) for content in conversation.contents())
    text = template.render(conversation.messages, tools=conversation.tools, add_generation_prompt=is_prompt)
    # The template spells special tokens out, and those are what the model's own code makes of them.
    return tokenizer.count(text, allowed_special="all")


def _note(tokenizer: Tokenizer, template: ChatTemplate | None, conversation: Conversation, name: str | None) -> None:
    if template is None:
        beside = f" beside {name!r}" if name is not None else ""
        say(f"there is no chat template{beside}, so the wrapping of messages is not counted, their contents alone")
        return
    contents = "\n".join(conversation.contents())
    spelled = [token for token in tokenizer.special_tokens if token in contents]
    if spelled:
        say(f"a message spells the special token {spelled[0]!r}, counted as that token, as by the model's code")
