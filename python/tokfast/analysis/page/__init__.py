"""One HTML page that shows a text's tokens, by one tokenizer or by several beside each other.

Naive: write HTML with f-strings. A text is data from anywhere, and one forgotten escape makes it a program.
Idea: the page is a template (``page.html``, with ``page.css`` and ``page.js`` inside it) that jinja2 fills with
escaping switched on. The tokens of the text stand in it as elements, and so it is readable without JavaScript; the
vocabulary stands in it as JSON, whose ``<``, ``>`` and ``&`` jinja2 writes as escapes, and the script makes elements of
it by ``textContent`` alone. The page's own Content-Security-Policy forbids it every connection.
Cost: linear in the tokens shown and the vocabulary; one of 150,000 tokens takes about 3 s and 5 MB.
``vocabulary=False`` keeps only the tokens of the text and their parts.
Invariant: every merge tree is that of `tokfast.analysis.explain`.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

from tokfast.analysis.comparison import name_tokenizers
from tokfast.analysis.explanation import MergeTable

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence

    from tokfast._tokfast import Tokenizer

__all__ = ["render_page", "spell"]

Row = list[Any]
"""``[id, token]``, then, where a merge makes the token, its rank and the two ids that it joins. A token is a string,
or, where its bytes are no UTF-8, a list of numbers."""


class Shown(NamedTuple):
    """A token in its place in the text: what is written there, and its span in bytes."""

    id: int
    spelling: str
    start: int
    end: int


class Panel(NamedTuple):
    """What the page says of one tokenizer."""

    name: str
    fingerprint: str
    vocab_size: int
    n_tokens: int
    tokens: list[Shown]
    rows: list[Row]
    special: list[int]


def render_page(
    tokenizers: Mapping[str, Tokenizer] | Sequence[Tokenizer | str | os.PathLike[str]],
    text: str | bytes,
    *,
    title: str | None = None,
    vocabulary: bool = True,
    max_tokens: int = 20_000,
) -> str:
    """Write an HTML page that shows how tokenizers cut a text.

    Parameters
    ----------
    tokenizers
        Tokenizers, or what `tokfast.load` takes; a mapping names them. Several stand side by side.
    text
        What is shown. It is data: a special token's spelling in it is ordinary text.
    title
        The heading; None for the beginning of the text.
    vocabulary
        Whether the page holds the whole vocabulary, to be searched; otherwise the tokens of the text and their parts.
    max_tokens
        The page shows the first so many tokens of the text, and says so.

    Returns
    -------
    str
        The page, whole: it needs no other file and no network.

    Raises
    ------
    ValueError
        There is no tokenizer, or two have one name.
    ImportError
        ``tokfast[cli]`` is needed: jinja2.

    Examples
    --------
    >>> from tokfast.analysis import render_page
    >>> page = render_page(["tokfast-32k"], "a <b> & c", vocabulary=False)
    >>> "&lt;b" in page, "<b>" in page
    (True, False)
    """
    try:
        import jinja2
    except ImportError as error:
        raise ImportError("a page needs jinja2: pip install 'tokfast[cli]'") from error
    raw = text.encode() if isinstance(text, str) else bytes(text)
    panels = [
        _panel(name, tokenizer, raw, vocabulary=vocabulary, max_tokens=max_tokens)
        for name, tokenizer in name_tokenizers(tokenizers).items()
    ]
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}
    here = files(__package__)
    return environment.from_string(here.joinpath("page.html").read_text(encoding="utf-8")).render(
        title=title if title is not None else spell(raw[:60]) or "an empty text",
        panels=panels,
        n_bytes=len(raw),
        data=[{"name": panel.name, "rows": panel.rows, "special": panel.special} for panel in panels],
        # Files of this package, and not the user's: they go in as they are.
        style=here.joinpath("page.css").read_text(encoding="utf-8"),
        script=here.joinpath("page.js").read_text(encoding="utf-8"),
    )


def spell(token: bytes) -> str:
    r"""Spell bytes so that all of them are seen: ``\\x..`` for those that are no text, arrows for tab and line end.

    Examples
    --------
    >>> spell(b" caf\xc3"), spell("é\n".encode())
    (' caf\\xc3', 'é⏎\n')
    """
    text = token.decode(errors="backslashreplace")
    return "".join(_spell_character(char) for char in text)


def _spell_character(char: str) -> str:
    if char in "\n\t":
        return {"\n": "⏎\n", "\t": "→\t"}[char]
    # What is invisible, or changes the direction of what follows, is named.
    return char if char.isprintable() else char.encode("unicode_escape").decode()


def _panel(name: str, tokenizer: Tokenizer, raw: bytes, *, vocabulary: bool, max_tokens: int) -> Panel:
    ids, spans = tokenizer.encode_with_offsets(raw, unit="byte")
    tokens = [
        Shown(number, spell(raw[start:end]), start, end)
        for number, (start, end) in zip(ids[:max_tokens], spans, strict=False)
    ]
    return Panel(
        name=name,
        fingerprint=tokenizer.fingerprint,
        vocab_size=tokenizer.vocab_size,
        n_tokens=len(ids),
        tokens=tokens,
        rows=_rows(tokenizer, None if vocabulary else ids[:max_tokens]),
        special=list(tokenizer.special_tokens.values()),
    )


def _rows(tokenizer: Tokenizer, ids: Iterable[int] | None) -> list[Row]:
    """Describe all tokens, or some and what they are made of."""
    table = MergeTable(tokenizer)
    if ids is None:
        wanted = {number for number, token in enumerate(tokenizer.vocab) if token}
    else:
        wanted = set()
        waiting = set(ids)
        while waiting:
            wanted.add(number := waiting.pop())
            merge = table.last_merge(number)
            waiting.update(set(merge[1:] if merge else ()) - wanted)
    return [
        [number, _as_json(tokenizer.token_bytes(number)), *(table.last_merge(number) or ())]
        for number in sorted(wanted)
    ]


def _as_json(token: bytes) -> str | list[int]:
    try:
        return token.decode()
    except UnicodeDecodeError:
        return list(token)
