"""Tokens that are added to a tokenizer.json.

Source: Hugging Face tokenizers 0.23.3, ``tokenizer/added_vocabulary.rs`` (Apache-2.0), for which ids tokens get.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class AddedToken:
    """A token that is found in text as it is spelled, and never cut.

    Attributes
    ----------
    content
        Its spelling.
    single_word
        Whether it is found only where no letter or digit touches it.
    lstrip, rstrip
        Whether it takes the white space before or after it along.
    normalized
        Whether it is looked for in normalized text; None: unless it is special.
    special
        Whether decoding may pass over it.
    """

    content: str
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool | None = None
    special: bool = False


def _entry(token: Any, *, special: bool) -> dict[str, Any]:
    """Return what a tokenizer.json says of a token, which may be the other library's."""
    if isinstance(token, str):
        token = AddedToken(token)
    elif not isinstance(getattr(token, "content", None), str):
        raise TypeError(f"a token must be str or AddedToken, not {type(token).__name__}")
    special = special or token.special
    normalized = token.normalized
    if not isinstance(token, AddedToken) and special and not token.special:
        # The other library says True where nothing was chosen, and then takes False for a special token.
        normalized = None
    return {
        "content": token.content,
        "single_word": token.single_word,
        "lstrip": token.lstrip,
        "rstrip": token.rstrip,
        "normalized": not special if normalized is None else normalized,
        "special": special,
    }


def entries_with(
    old: Sequence[Mapping[str, Any]], tokens: Sequence[Any], vocab: Mapping[str, int], *, special: bool
) -> tuple[list[Mapping[str, Any]], int]:
    """Return the ``added_tokens`` of a file with more of them, and how many were added."""
    if isinstance(tokens, str):
        raise TypeError("tokens must be a list of tokens, not one str")
    known = {entry["content"]: entry for entry in old}
    count = 0
    for token in tokens:
        entry = _entry(token, special=special)
        content = entry["content"]
        before = known.get(content)
        if not content or (before is not None and all(before.get(name) == entry[name] for name in entry)):
            continue
        greatest = max((entry["id"] for entry in known.values()), default=-1)
        number = before["id"] if before is not None else vocab.get(content, max(greatest + 1, len(vocab)))
        known[content] = {"id": number, **entry}
        count += 1
    return sorted(known.values(), key=lambda entry: entry["id"]), count
