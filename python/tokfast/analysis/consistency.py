"""Does this tokenizer fit this model: every mismatch that files can show, with what would come of it.

Naive: load both and generate. A mismatch is then an index error on a rare token, a text that never ends, or nothing at
all but worse answers.
Idea: what must agree is written down in files: rows of the embedding in ``config.json`` (and in the headers of the
weights, in one file or in several), special ids in ``config.json`` and ``generation_config.json``, special tokens and
their ids in ``tokenizer_config.json``, markers in the chat template, ids and strings in the tokenizer. Compare each
pair of sources that says the same thing twice.
Cost: reading the files; of the weights only the header is read.

A vocabulary smaller than the embedding is normal where the rows are padded to a multiple (Qwen: 151,669 tokens, 151,936
rows): rows that are a multiple of 8 and at most `MOST_PADDING` of the vocabulary more are no finding.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokfast._load import load
from tokfast._tokfast import Tokenizer
from tokfast.analysis._model_files import ModelFiles, beside, spelling
from tokfast.analysis._table import Table

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["Check", "Finding", "check"]

MOST_PADDING = 0.02
SPECIAL_NAMES = ("bos", "eos", "pad", "unk")
# How configurations call an id: eos_token_id, image_token_id, boi_token_index.
ID_NAME = re.compile(r"(\w+)_token_(?:id|index)")
# The spellings that are special tokens and nothing else: <|im_start|>, and with DeepSeek's full-width bars.
MARKER = re.compile(r"<[|\uff5c][^<>{}'\"\s|\uff5c]+[|\uff5c]>")
EXAMPLES = 3


@dataclass(frozen=True)
class Finding:
    """One mismatch.

    Attributes
    ----------
    code
        What kind, for programs: ``"ids-beyond-embedding"``, ``"eos-differs"``, ...
    severity
        ``"error"``: results are wrong or a run fails. ``"warning"``: something is wasted or depends on luck.
    message
        What disagrees, with the values.
    consequence
        What comes of it.
    """

    code: str
    severity: str
    message: str
    consequence: str


@dataclass(frozen=True)
class Check(Table):
    """The answer of `check`.

    Attributes
    ----------
    findings
        The mismatches; empty where everything agrees.
    fingerprint, vocab_size
        Of the tokenizer.
    embedding_rows
        Of the model; None where no file says it.
    """

    findings: tuple[Finding, ...]
    fingerprint: str
    vocab_size: int
    embedding_rows: int | None

    @property
    def table(self) -> Sequence[Finding]:
        """The findings."""
        return self.findings

    @property
    def is_consistent(self) -> bool:
        """Whether there is no finding."""
        return not self.findings


def check(
    model: Mapping[str, Any] | str | os.PathLike[str],
    tokenizer: Tokenizer | str | os.PathLike[str] | None = None,
) -> Check:
    """Compare a model's files with a tokenizer.

    Parameters
    ----------
    model
        A model's folder, the path of its ``config.json``, or the parsed ``config.json``. With a path, the files beside
        it are read too: ``generation_config.json``, ``tokenizer_config.json``, ``chat_template.jinja``,
        ``tokenizer.json``, and the header of ``model.safetensors``, or those that its index names.
    tokenizer
        A tokenizer or what `tokfast.load` takes; None: the folder's own. Given with a folder that has its own, the two
        are compared id by id.

    Returns
    -------
    Check
        ``.findings`` with what each would lead to.

    Raises
    ------
    OSError
        A named file cannot be read.
    TokenizerFileError
        A file is no JSON object, or the tokenizer's file is damaged.

    Examples
    --------
    >>> from tokfast.analysis import check
    >>> config = {"vocab_size": 31_000, "eos_token_id": 0}
    >>> [finding.code for finding in check(config, "tokfast-32k").findings]
    ['ids-beyond-embedding']
    """
    files = ModelFiles.read(model)
    own = load(files.tokenizer) if files.tokenizer else None
    if tokenizer is None:
        if own is None:
            raise ValueError("there is no tokenizer.json beside the configuration; name a tokenizer as second argument")
        given = own
    else:
        given = tokenizer if isinstance(tokenizer, Tokenizer) else load(tokenizer)
    if tokenizer is not None and not isinstance(tokenizer, Tokenizer) and not files.tokenizer_config:
        files.tokenizer_config.update(beside(Path(tokenizer), "tokenizer_config.json"))
    found = [
        *_embedding(files, given),
        *_special_ids(files, given),
        *_special_strings(files, given),
        *_chat_template(files, given),
    ]
    if own is not None and own.fingerprint != given.fingerprint:
        found += _two_tokenizers(own, given)
    return Check(tuple(found), given.fingerprint, given.vocab_size, files.rows)


def _embedding(files: ModelFiles, tokenizer: Tokenizer) -> Iterator[Finding]:
    rows, size = files.rows, tokenizer.vocab_size
    stated = files.config.get("vocab_size")
    for name, found in files.tensor_rows.items():
        if isinstance(stated, int) and found != stated:
            yield Finding(
                "weights-differ-from-config",
                "error",
                f"{name} has {found:,} rows, config.json says vocab_size {stated:,}",
                "the weights do not load, or load with rows left out",
            )
    if rows is None:
        yield Finding(
            "no-vocab-size",
            "warning",
            "config.json does not say vocab_size",
            "whether every id has an embedding cannot be checked",
        )
        return
    if size > rows:
        beyond = [number for number, token in enumerate(tokenizer.vocab) if number >= rows and token]
        added = {number: text for text, number in tokenizer.special_tokens.items() if number >= rows}
        yield Finding(
            "added-tokens-beyond-embedding" if beyond and set(beyond) <= set(added) else "ids-beyond-embedding",
            "error",
            f"the tokenizer has ids up to {size - 1:,}, the embedding {rows:,} rows"
            + (f"; beyond it: {_list(added.values())}" if added else f"; {len(beyond):,} tokens are beyond it"),
            "an index error, or a read of foreign memory, when one of these tokens occurs",
        )
    elif size < rows and (rows % 8 or rows - size > MOST_PADDING * size):
        yield Finding(
            "rows-without-tokens",
            "warning",
            f"the embedding has {rows:,} rows, the tokenizer {size:,} ids: {rows - size:,} rows are no padding",
            "the model can generate ids that no token has, or the tokenizer is another model's",
        )


def _ids(value: object) -> list[int]:
    values = value if isinstance(value, list) else [value]
    return [number for number in values if isinstance(number, int) and not isinstance(number, bool)]


def _special_ids(files: ModelFiles, tokenizer: Tokenizer) -> Iterator[Finding]:
    vocab = tokenizer.vocab
    for source, config in (("config.json", files.config), ("generation_config.json", files.generation)):
        named = ((match[1], key, value) for key, value in config.items() if (match := ID_NAME.fullmatch(key)))
        for name, key, value in named:
            for number in _ids(value):
                if not 0 <= number < len(vocab) or not vocab[number]:
                    yield Finding(
                        f"{name}-without-token",
                        "error",
                        f"{source} names {key} {number:,}, which is no token of the tokenizer ({len(vocab):,} ids)",
                        _consequence(name),
                    )
    for name in SPECIAL_NAMES:
        ids = set(_ids(files.config.get(f"{name}_token_id")))
        generation = set(_ids(files.generation.get(f"{name}_token_id")))
        if ids and generation and not ids & generation:
            yield Finding(
                f"{name}-differs-in-generation",
                "error",
                f"config.json has {name}_token_id {_list(ids)}, generation_config.json {_list(generation)}",
                _consequence(name),
            )
        text = spelling(files.tokenizer_config.get(f"{name}_token"))
        marked = _find(tokenizer, text) if text is not None else None
        stated = ids | generation
        if marked is not None and stated and marked not in stated:
            yield Finding(
                f"{name}-differs",
                "error",
                f"tokenizer_config.json has {name}_token {text!r}, which is id {marked:,}; "
                f"the model's configuration has {_list(stated)}",
                _consequence(name),
            )


def _special_strings(files: ModelFiles, tokenizer: Tokenizer) -> Iterator[Finding]:
    for name in SPECIAL_NAMES:
        text = spelling(files.tokenizer_config.get(f"{name}_token"))
        if text is not None and _find(tokenizer, text) is None:
            yield Finding(
                f"{name}-not-in-tokenizer",
                "error",
                f"tokenizer_config.json has {name}_token {text!r}, which the tokenizer does not have",
                "it is spelled in several ordinary tokens, which the model never learned as a mark",
            )
        if text is None and files.tokenizer_config.get(f"add_{name}_token"):
            yield Finding(
                f"add-{name}-without-token",
                "warning",
                f"tokenizer_config.json sets add_{name}_token, but names no {name}_token",
                "nothing is added where the model expects it",
            )
    decoder = files.tokenizer_config.get("added_tokens_decoder")
    added = {
        text: int(key)
        for key, entry in (decoder.items() if isinstance(decoder, dict) else ())
        if (text := spelling(entry)) is not None and str(key).isdecimal()
    }
    more = [text for text in files.more_special() if text not in added]
    unknown = [text for text in more if _find(tokenizer, text) is None]
    if unknown:
        yield Finding(
            "special-not-in-tokenizer",
            "error",
            f"tokenizer_config.json names special tokens that the tokenizer does not have: {_list(unknown)}",
            "they are spelled in several ordinary tokens, or get new ids, which the model never learned",
        )
    differing = [text for text, number in added.items() if _find(tokenizer, text) != number]
    if differing:
        found = [(text, _find(tokenizer, text)) for text in differing[:EXAMPLES]]
        shown = ", ".join(f"{text!r} is {added[text]:,} and {'none' if id_ is None else id_}" for text, id_ in found)
        yield Finding(
            "added-token-differs",
            "error",
            f"{len(differing):,} added tokens have other ids in tokenizer_config.json than in the tokenizer: {shown}",
            "two programs that read one of the files each give the same text different ids",
        )


def _chat_template(files: ModelFiles, tokenizer: Tokenizer) -> Iterator[Finding]:
    unknown = {marker for marker in MARKER.findall(files.template) if _find(tokenizer, marker) is None}
    if unknown:
        yield Finding(
            "chat-marker-not-in-tokenizer",
            "error",
            f"the chat template writes what looks like special tokens and is none: {_list(unknown)}",
            "they are spelled in several ordinary tokens; the model does not see the turns that they mark",
        )


def _two_tokenizers(own: Tokenizer, given: Tokenizer) -> Iterator[Finding]:
    left, right = own.vocab, given.vocab
    both = min(len(left), len(right))
    different = [number for number in range(both) if left[number] != right[number]]
    if different:
        shown = ", ".join(f"{number:,} is {left[number]!r} and {right[number]!r}" for number in different[:EXAMPLES])
        yield Finding(
            "ids-differ",
            "error",
            f"{len(different):,} of {both:,} ids stand for different tokens in the model's own tokenizer and in the "
            f"given one: {shown}",
            "text encoded with one is other text to the other",
        )
    elif len(left) != len(right):
        more = abs(len(left) - len(right))
        yield Finding(
            "sizes-differ",
            "warning",
            f"the model's own tokenizer has {len(left):,} ids, the given one {len(right):,}; the common ones agree",
            f"{more:,} tokens are known to one of them only",
        )
    elif own.pattern != given.pattern:
        yield Finding(
            "pattern-differs",
            "error",
            f"the tokens agree, the patterns that cut text do not: {own.pattern!r} and {given.pattern!r}",
            "the same text gets different ids",
        )
    else:
        yield Finding(
            "fingerprint-differs",
            "warning",
            f"the tokens agree, the fingerprints do not: {own.fingerprint[:12]} and {given.fingerprint[:12]}",
            "merges, special tokens or normalization differ, so some text gets different ids",
        )


def _find(tokenizer: Tokenizer, text: str) -> int | None:
    special = tokenizer.special_tokens.get(text)
    return special if special is not None else tokenizer.token_id(text)


def _consequence(name: str) -> str:
    return {
        "bos": "the text begins with another mark than in training",
        "eos": "generation does not stop where it should, or stops where it should not",
        "pad": "padding is not recognised, and is attended to or trained on",
        "unk": "unknown text becomes another token",
    }.get(name, "what it stands for is never found in a text, or the wrong token is put in its place")


def _list(values: Any) -> str:
    listed = [f"{value:,}" if isinstance(value, int) else repr(value) for value in sorted(values)]
    more = f" and {len(listed) - 5} more" if len(listed) > 5 else ""
    return ", ".join(listed[:5]) + more
