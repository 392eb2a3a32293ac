"""Conversations as a model reads them: its own chat template, filled in.

Naive: add a few tokens for each message, by a rule of thumb. Each model wraps messages in its own way.
Idea: models carry the wrapping as a jinja2 template, in ``tokenizer_config.json`` or ``chat_template.jinja`` beside the
tokenizer. It is a program from outside, so it runs in jinja2's sandbox; what it may use besides is what Hugging Face
transformers, which defined these templates, gives it.
Cost: that of the template.

Source: Hugging Face transformers, "Chat templates" (``apply_chat_template``).
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

CONFIG = "tokenizer_config.json"
TEMPLATE = "chat_template.jinja"


@dataclass(frozen=True)
class ChatTemplate:
    """A model's templates by name, most often ``"default"`` alone, and the special tokens that they may write."""

    file: Path
    templates: Mapping[str, str]
    special_tokens: Mapping[str, str]

    @classmethod
    def find(cls, tokenizer: str | os.PathLike[str]) -> ChatTemplate | None:
        """Look beside a tokenizer file, or in a folder; None where there is no template."""
        path = Path(tokenizer)
        folder = path if path.is_dir() else path.parent
        if not path.exists():
            return None
        file = folder / CONFIG
        config: dict[str, Any] = {}
        if file.is_file():
            try:
                config = dict(json.loads(file.read_text(encoding="utf-8")))
            except (ValueError, TypeError) as error:
                raise ValueError(f"{str(file)!r} is no JSON object ({error}); get it again") from error
        special = {
            name: value["content"] if isinstance(value, dict) else value
            for name, value in config.items()
            if name.endswith("_token") and (isinstance(value, str) or (isinstance(value, dict) and "content" in value))
        }
        own = folder / TEMPLATE
        if own.is_file():
            return cls(own, {"default": own.read_text(encoding="utf-8")}, special)
        given = config.get("chat_template")
        if isinstance(given, str):
            return cls(file, {"default": given}, special)
        if isinstance(given, list):
            named = {entry["name"]: entry["template"] for entry in given}
            return cls(file, named, special)
        return None

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Any] | None = None,
        add_generation_prompt: bool = True,
    ) -> str:
        """Return the text of a conversation, its special tokens spelled out.

        Raises
        ------
        ValueError
            The template refuses the messages, or is damaged.
        ImportError
            ``tokfast[chat]`` is needed: jinja2.
        """
        environment, template_error = _environment()
        name = "tool_use" if tools and "tool_use" in self.templates else "default"
        if name not in self.templates:
            there = ", ".join(map(repr, self.templates))
            raise ValueError(f"{str(self.file)!r} has no template 'default', but {there}")
        try:
            return str(
                environment.from_string(self.templates[name]).render(
                    messages=messages,
                    tools=tools,
                    documents=None,
                    add_generation_prompt=add_generation_prompt,
                    **self.special_tokens,
                )
            )
        except (template_error, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError) as error:
            raise ValueError(
                f"the chat template of {str(self.file)!r} does not take these messages: {error}"
            ) from error


def _environment() -> tuple[Any, type[Exception]]:
    """Return the sandbox, and what templates raise."""
    try:
        import jinja2
        from jinja2.ext import Extension, loopcontrols
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError as error:
        raise ImportError("a chat template needs jinja2: pip install 'tokfast[chat]'") from error

    class Generation(Extension):
        """``{% generation %}`` marks what the model wrote, which changes nothing in the text."""

        tags = {"generation"}  # noqa: RUF012 - as jinja2 declares it

        def parse(self, parser: Any) -> Any:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    def refuse(message: str) -> NoReturn:
        raise jinja2.TemplateError(message)

    def to_json(value: Any, *, ensure_ascii: bool = False, indent: int | None = None, **options: Any) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **options)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, Generation]
    )
    environment.filters["tojson"] = to_json
    environment.globals["raise_exception"] = refuse
    environment.globals["strftime_now"] = lambda format_: dt.datetime.now().astimezone().strftime(format_)
    return environment, jinja2.TemplateError


@dataclass(frozen=True)
class Conversation:
    """Messages, and the tools that the model may call."""

    messages: list[dict[str, Any]]
    tools: list[Any] | None = None

    @classmethod
    def from_json(cls, data: bytes, name: str) -> Conversation:
        """Read a list of messages, or an object that holds it, as the request of a chat API does."""
        try:
            given = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{name!r} is no JSON ({error}); pass a list of messages") from error
        tools = given.get("tools") if isinstance(given, dict) else None
        messages = given.get("messages") if isinstance(given, dict) else given
        if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
            raise ValueError(f'{name!r} holds no messages; pass a list such as [{{"role": "user", "content": "Hi"}}]')
        for place, message in enumerate(messages):
            if not isinstance(message.get("role"), str):
                raise ValueError(  # noqa: TRY004 - the file is at fault
                    f"{name!r}: message {place} has no role; give it one, such as 'user'"
                )
        return cls(messages, tools if isinstance(tools, list) else None)

    def contents(self) -> list[str]:
        """Return the texts of the messages, without any wrapping."""
        found = []
        for message in self.messages:
            content = message.get("content")
            parts = content if isinstance(content, list) else [content]
            for part in parts:
                text = part.get("text") if isinstance(part, dict) else part
                if isinstance(text, str):
                    found.append(text)
        return found
