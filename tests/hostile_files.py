"""Tokenizer files that must be refused: truncated, contradictory, or made to break a reader.

Each is a name and, for tokenizer.json, a change of a sound file's content. A crash that is found adds one.
"""

from __future__ import annotations

import base64
import gzip
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def changed(change: Callable[[dict[str, Any]], object]) -> Callable[[dict[str, Any]], bytes]:
    """Make bytes of a tokenizer.json after a change of its parsed form."""

    def make(parsed: dict[str, Any]) -> bytes:
        change(parsed)
        return json.dumps(parsed).encode()

    return make


HOSTILE_JSON: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "empty": lambda _: b"",
    "null": lambda _: b"null",
    "list": lambda _: b"[]",
    "text": lambda _: b"not json at all",
    "no UTF-8": lambda _: b'{"model": "\xff"}',
    "binary": lambda _: bytes(range(256)) * 10,
    "compressed": lambda parsed: gzip.compress(json.dumps(parsed).encode()),
    "deep nesting": lambda _: b'{"model":' + b"[" * 200_000,
    "deep pre_tokenizer": lambda parsed: (
        json.dumps(parsed)
        .replace('"pre_tokenizer": {', '"pre_tokenizer": ' + '{"type":"Sequence","pretokenizers":[' * 5000 + "{", 1)
        .encode()
    ),
    "no model": changed(lambda parsed: parsed.pop("model")),
    "other model": changed(lambda parsed: parsed["model"].update(type="Unigram")),
    "WordPiece": changed(lambda parsed: parsed["model"].update(type="WordPiece")),
    "no vocab": changed(lambda parsed: parsed["model"].pop("vocab")),
    "vocab of a wrong type": changed(lambda parsed: parsed["model"].update(vocab=["a"])),
    "empty vocab": changed(lambda parsed: parsed["model"].update(vocab={}, merges=[])),
    "id of text": changed(lambda parsed: parsed["model"]["vocab"].update(a="0")),
    "negative id": changed(lambda parsed: parsed["model"]["vocab"].update(a=-1)),
    "fraction as id": changed(lambda parsed: parsed["model"]["vocab"].update(a=1.5)),
    "huge id": changed(lambda parsed: parsed["model"]["vocab"].update(zzz=4_000_000_000)),
    "id of 64 bits": changed(lambda parsed: parsed["model"]["vocab"].update(zzz=2**63)),
    "one id twice": changed(lambda parsed: parsed["model"]["vocab"].update(zzzz=5)),
    "missing byte": changed(lambda parsed: parsed["model"]["vocab"].pop("~")),
    "empty token": changed(lambda parsed: parsed["model"]["vocab"].update({"": 1000})),
    "merge of an unknown token": changed(lambda parsed: parsed["model"]["merges"].append(["zzz", "a"])),
    "merge into an unknown token": changed(lambda parsed: parsed["model"]["merges"].append(["~", "~"])),
    "merge of one": changed(lambda parsed: parsed["model"]["merges"].append("a")),
    "merge of three": changed(lambda parsed: parsed["model"]["merges"].append(["a", "b", "c"])),
    "merge of numbers": changed(lambda parsed: parsed["model"]["merges"].append([1, 2])),
    "merges of a wrong type": changed(lambda parsed: parsed["model"].update(merges={})),
    "dropout": changed(lambda parsed: parsed["model"].update(dropout=0.1)),
    "suffix": changed(lambda parsed: parsed["model"].update(end_of_word_suffix="</w>")),
    "unknown normalizer": changed(lambda parsed: parsed.update(normalizer={"type": "Nonsense"})),
    "unknown pre-tokenizer": changed(lambda parsed: parsed.update(pre_tokenizer={"type": "Nonsense"})),
    "no byte level": changed(lambda parsed: parsed.update(pre_tokenizer={"type": "Whitespace"})),
    "bad expression": changed(
        lambda parsed: parsed.update(
            pre_tokenizer={
                "type": "Sequence",
                "pretokenizers": [
                    {"type": "Split", "pattern": {"Regex": "("}, "behavior": "Isolated", "invert": False},
                    {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False},
                ],
            }
        )
    ),
    "special token with an id of another": changed(
        lambda parsed: parsed.update(added_tokens=[{"id": 5, "content": "<s>", "special": True}])
    ),
    "two special tokens with one id": changed(
        lambda parsed: parsed.update(
            added_tokens=[{"id": 5000, "content": text, "special": True} for text in ("<a>", "<b>")]
        )
    ),
    "special token with a huge id": changed(
        lambda parsed: parsed.update(added_tokens=[{"id": 4_294_967_295, "content": "<s>", "special": True}])
    ),
    "empty special token": changed(
        lambda parsed: parsed.update(added_tokens=[{"id": 1000, "content": "", "special": True}])
    ),
    "special token without text": changed(lambda parsed: parsed.update(added_tokens=[{"id": 1000}])),
}


BYTES = b"".join(base64.b64encode(bytes([byte])) + b" %d\n" % byte for byte in range(256))
HOSTILE_RANKS = {
    "empty": b"",
    "JSON": b'{"model": {}}',
    "binary": bytes(range(256)) * 10,
    "compressed": gzip.compress(BYTES),
    "no base64": BYTES + b"!!!! 256\n",
    "bad padding": BYTES + b"IGZvb 256\n",
    "no rank": BYTES + b"IGZv\n",
    "rank of text": BYTES + b"IGZv first\n",
    "negative rank": BYTES + b"IGZv -1\n",
    "fraction as rank": BYTES + b"IGZv 1.5\n",
    "huge rank": BYTES + b"IGZv 4000000000\n",
    "rank of 70 bits": BYTES + b"IGZv 999999999999999999999\n",
    "three columns": BYTES + b"IGZv 256 7\n",
    "one rank twice": BYTES + b"IGZv 5\n",
    "one token twice": BYTES + b"AA== 256\n",
    "empty token": BYTES + b" 256\n",
    "missing byte": BYTES[BYTES.index(b"\n") + 1 :],
}
