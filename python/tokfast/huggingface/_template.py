"""What a tokenizer.json puts around texts, and which white space it leaves out of offsets.

Source: Hugging Face tokenizers 0.23.3, ``processors/template.rs``, ``processors/roberta.rs``, ``processors/bert.rs``
and ``pre_tokenizers/byte_level.rs`` (Apache-2.0).
"""

from collections.abc import Callable
from copy import copy
from itertools import takewhile
from typing import Any

from tokfast._errors import TokenizerFileError
from tokfast.huggingface._encoding import Encoding

# A piece of a template: the number of a text, or ids; and the type id.
_Piece = tuple[int | list[int], int]


class PostProcessor:
    """The post-processor of a tokenizer.json."""

    def __init__(self, description: dict[str, Any] | None, tokens_of: Callable[[list[int]], list[str]]) -> None:
        self._tokens_of = tokens_of
        self._is_there = description is not None
        self._templates: dict[int, list[_Piece]] = {}
        self._trims: list[bool] = []  # for each trimming in turn, whether a space was put in front
        for part in _flattened(description):
            self._read(part)

    def _read(self, part: dict[str, Any]) -> None:
        kind = part.get("type")
        if kind == "ByteLevel":
            if part.get("trim_offsets", True):
                self._trims.append(bool(part.get("add_prefix_space", True)))
        elif kind == "TemplateProcessing":
            ids = {name: token["ids"] for name, token in part["special_tokens"].items()}
            self._templates = {
                count: [_piece(item, ids) for item in part[name]] for count, name in ((1, "single"), (2, "pair"))
            }
        elif kind in {"RobertaProcessing", "BertProcessing"}:
            begin, end = [int(part["cls"][1])], [int(part["sep"][1])]
            second = 1 if kind == "BertProcessing" else 0
            between: list[_Piece] = [] if kind == "BertProcessing" else [(end, 0)]
            single: list[_Piece] = [(begin, 0), (0, 0), (end, 0)]
            self._templates = {1: single, 2: [*single, *between, (1, second), (end, second)]}
            if kind == "RobertaProcessing" and part.get("trim_offsets", True):
                self._trims.append(bool(part.get("add_prefix_space", True)))
        else:
            raise TokenizerFileError(
                f"the post-processor {kind!r} is not supported by tokfast.huggingface; it knows ByteLevel, "
                "TemplateProcessing, RobertaProcessing, BertProcessing and Sequence"
            )

    def added(self, count: int) -> int:
        """How many ids are put around one text or two."""
        return sum(len(what) for what, _ in self._templates.get(count, []) if isinstance(what, list))

    def process(self, texts: list[Encoding], *, add_special_tokens: bool) -> Encoding:
        """Join one text or two, with what stands around them."""
        for number, text in enumerate(texts):
            self._prepare(text, number)
        template = self._templates.get(len(texts), [(number, number) for number in range(len(texts))])
        parts = []
        for what, type_id in template:
            if isinstance(what, int):
                text = copy(texts[what])
                if self._templates:
                    text.type_ids = [type_id] * len(text)
                parts.append(text)
            elif add_special_tokens:
                places = [(0, 0)] * len(what)
                nothing: list[int | None] = [None] * len(what)
                parts.append(Encoding(what, places, nothing, self._tokens_of, type_id=type_id, special=True))
        merged = Encoding.merge(parts, growing_offsets=False)
        merged.n_sequences = len(texts)
        return merged

    def _prepare(self, text: Encoding, number: int) -> None:
        """Trim offsets, and say which text the tokens are of."""
        if self._is_there:
            text.type_ids = [number] * len(text)
        for part in (text, *text.overflowing):
            for add_prefix_space in self._trims:
                _trim(part, add_prefix_space=add_prefix_space)
            part.sequence_ids = [number] * len(part)


def _flattened(description: dict[str, Any] | None) -> list[dict[str, Any]]:
    if description is None:
        return []
    if description.get("type") != "Sequence":
        return [description]
    return [part for inner in description["processors"] for part in _flattened(inner)]


def _piece(item: dict[str, Any], ids: dict[str, list[int]]) -> _Piece:
    if "Sequence" in item:
        return {"A": 0, "B": 1}[item["Sequence"]["id"]], item["Sequence"]["type_id"]
    return ids[item["SpecialToken"]["id"]], item["SpecialToken"]["type_id"]


def _is_space(character: str) -> bool:
    return character == "\u0120" or character.isspace()  # GPT-2's spelling of a space, or one


def _trim(encoding: Encoding, *, add_prefix_space: bool) -> None:
    """Leave white space at the ends of tokens out of their offsets."""
    offsets = []
    for index, (token, (start, end)) in enumerate(zip(encoding.tokens, encoding.offsets, strict=True)):
        leading = sum(1 for _ in takewhile(_is_space, token))
        trailing = sum(1 for _ in takewhile(_is_space, reversed(token)))
        begin, stop = start, end
        if leading:
            if leading == 1 and (index == 0 or start == 0) and add_prefix_space:
                leading = 0  # it is the space that was put in front, and none of the text
            begin = min(start + leading, end)
        if trailing and stop >= trailing:
            stop = max(stop - trailing, begin)
        offsets.append((begin, stop))
    encoding.offsets = offsets
