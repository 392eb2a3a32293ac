"""Tokenizer files that must be refused: truncated, contradictory, or made to break a reader.

Each is a name and, for tokenizer.json, a change of a sound file's content; for the other formats bytes, or two files.
A crash that is found adds one.
"""

from __future__ import annotations

import base64
import gzip
import json
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

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


# ------------------------------------------------------------------------------------ GGUF


class Raw(NamedTuple):
    """A value of a GGUF file, byte by byte."""

    kind: int
    data: bytes


def gguf(keys: dict[str, Any], *, version: int = 3, count: int | None = None) -> bytes:
    """Write a GGUF file of these keys under ``tokenizer.ggml.``; None leaves a key out."""

    def text(value: str | bytes) -> bytes:
        data = value if isinstance(value, bytes) else value.encode()
        return struct.pack("<Q", len(data)) + data

    def value(given: Any) -> tuple[int, bytes]:
        match given:
            case Raw(kind, data):
                return kind, data
            case bool():
                return 7, bytes([given])
            case int():
                return 4, struct.pack("<I", given)
            case str():
                return 8, text(given)
        kinds = {str: (8, text), bytes: (8, text), int: (5, lambda n: struct.pack("<i", n))}
        kind, write = kinds.get(type(given[0]), (6, lambda number: struct.pack("<f", number)))
        return 9, struct.pack("<IQ", kind, len(given)) + b"".join(map(write, given))

    named = {f"tokenizer.ggml.{key}": given for key, given in keys.items() if given is not None}
    entries = [
        text(key) + struct.pack("<I", kind) + data
        for key, (kind, data) in zip(named, map(value, named.values()), strict=True)
    ]
    return b"GGUF" + struct.pack("<IQQ", version, 0, len(entries) if count is None else count) + b"".join(entries)


def byte_letters() -> list[str]:
    """GPT-2's letters of the 256 bytes."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]


LETTERS = [*byte_letters(), "ab", "abc", "<s>"]
SOUND_GGUF: dict[str, Any] = {
    "model": "gpt2",
    "pre": "gpt-2",
    "tokens": LETTERS,
    "token_type": [1] * (len(LETTERS) - 1) + [3],
    "merges": ["a b", "ab c"],
    "bos_token_id": 258,
    "add_bos_token": True,
}
PIECES = ["<unk>", "<s>", *(f"<0x{byte:02X}>" for byte in range(256)), "\u2581", "a", "b", "ab"]
SOUND_GGUF_OF_PIECES: dict[str, Any] = {
    "model": "llama",
    "tokens": PIECES,
    "scores": [0.0] * 258 + [-1.0, -2.0, -3.0, -4.0],
    "token_type": [2, 3, *[6] * 256, *[1] * 4],
}


def of_pieces(at: int, text: str | None = None, **change: Any) -> dict[str, Any]:
    """Change one piece, and other keys."""
    pieces = PIECES if text is None else [*PIECES[:at], text, *PIECES[at + 1 :]]
    return SOUND_GGUF_OF_PIECES | {"tokens": pieces} | change


def nested(depth: int) -> bytes:
    """Lists of one list, so deep."""
    return struct.pack("<IQ", 9, 1) * depth


HOSTILE_GGUF: dict[str, bytes] = {
    "magic alone": b"GGUF",
    "cut off": gguf(SOUND_GGUF)[:-5],
    "cut off in the head": gguf(SOUND_GGUF)[:20],
    "version 1": gguf(SOUND_GGUF, version=1),
    "version 99": gguf(SOUND_GGUF, version=99),
    "one key too many": gguf(SOUND_GGUF, count=8),
    "2^63 keys": gguf(SOUND_GGUF, count=1 << 63),
    "no keys": gguf({}),
    "no model": gguf(SOUND_GGUF | {"model": None}),
    "other model": gguf(SOUND_GGUF | {"model": "bert"}),
    "model of a number": gguf(SOUND_GGUF | {"model": 3}),
    "no tokens": gguf(SOUND_GGUF | {"tokens": None}),
    "tokens of numbers": gguf(SOUND_GGUF | {"tokens": [1, 2]}),
    "one text as tokens": gguf(SOUND_GGUF | {"tokens": "abc"}),
    "token that is not UTF-8": gguf(SOUND_GGUF | {"tokens": [b"\xff", b"a"]}),
    "2^60 tokens": gguf(SOUND_GGUF | {"tokens": Raw(9, struct.pack("<IQ", 8, 1 << 60))}),
    "token of 2^62 bytes": gguf(SOUND_GGUF | {"tokens": Raw(9, struct.pack("<IQQ", 8, 1, 1 << 62))}),
    "list of an unknown kind": gguf(SOUND_GGUF | {"tokens": Raw(9, struct.pack("<IQ", 77, 1) + b"\0" * 64)}),
    "value of an unknown kind": gguf(SOUND_GGUF | {"x": Raw(99, b"\0" * 64)}),
    "lists in lists": gguf(SOUND_GGUF | {"x": Raw(9, nested(100_000))}),
    "keys twice": gguf(SOUND_GGUF, count=14) + gguf(SOUND_GGUF)[24:],
    "empty token": gguf(SOUND_GGUF | {"tokens": ["", *LETTERS[1:]]}),
    "one token twice": gguf(SOUND_GGUF | {"tokens": ["b", "b", *LETTERS[2:]]}),
    "missing byte": gguf(SOUND_GGUF | {"tokens": [*LETTERS[:99], "zz", *LETTERS[100:]]}),
    "fewer types than tokens": gguf(SOUND_GGUF | {"token_type": [1, 1]}),
    "more types than tokens": gguf(SOUND_GGUF | {"token_type": [1] * 300}),
    "unknown type": gguf(SOUND_GGUF | {"token_type": [1] * 258 + [7]}),
    "negative type": gguf(SOUND_GGUF | {"token_type": [1] * 258 + [-1]}),
    "no merges": gguf(SOUND_GGUF | {"merges": None}),
    "merge of one": gguf(SOUND_GGUF | {"merges": ["ab"]}),
    "merge of three": gguf(SOUND_GGUF | {"merges": ["a b c"]}),
    "merge of an unknown token": gguf(SOUND_GGUF | {"merges": ["a zz"]}),
    "merge into an unknown token": gguf(SOUND_GGUF | {"merges": ["b a"]}),
    "no pre": gguf(SOUND_GGUF | {"pre": None}),
    "unknown pre": gguf(SOUND_GGUF | {"pre": "nonsense"}),
    "id of BOS beyond the tokens": gguf(SOUND_GGUF | {"bos_token_id": 259}),
    "id of BOS of 2^32-1": gguf(SOUND_GGUF | {"bos_token_id": 4_294_967_295}),
    "negative id of BOS": gguf(SOUND_GGUF | {"bos_token_id": Raw(5, struct.pack("<i", -1))}),
    "pieces without scores": gguf(SOUND_GGUF_OF_PIECES | {"scores": None}),
    "fewer scores than pieces": gguf(SOUND_GGUF_OF_PIECES | {"scores": [0.0, 0.0]}),
    "score that is no number": gguf(SOUND_GGUF_OF_PIECES | {"scores": [float("nan")] * len(PIECES)}),
    "byte piece <0x-1>": gguf(of_pieces(5, "<0x-1>")),
    "byte piece <0x100>": gguf(of_pieces(5, "<0x100>")),
    "byte piece of text": gguf(of_pieces(5, "zz")),
    "one byte piece twice": gguf(of_pieces(5, "<0x00>")),
    "one piece twice": gguf(of_pieces(260, "a")),
    "empty piece": gguf(of_pieces(260, "")),
    "extra white space removed": gguf(SOUND_GGUF_OF_PIECES | {"remove_extra_whitespaces": True}),
}


# ------------------------------------------------------------------------------------ SentencePiece


def field(number: int, payload: bytes) -> bytes:
    """Write a field of a protocol buffer that has a length."""
    size, length = len(payload), b""
    while size > 0x7F:
        length += bytes([size & 0x7F | 0x80])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + payload


def sentencepiece(pieces: list[tuple[str | bytes, float, int]], model_type: int = 2, normalizer: bytes = b"") -> bytes:
    """Write a `.model` of pieces with scores and types; the normalizer keeps all white space."""
    data = b""
    for text, score, kind in pieces:
        spelled = text if isinstance(text, bytes) else text.encode()
        data += field(1, field(1, spelled) + b"\x15" + struct.pack("<f", score) + bytes([3 << 3, kind]))
    return data + field(2, bytes([3 << 3, model_type])) + field(3, b"\x18\x01\x20\x00\x28\x01" + normalizer)


SOUND_PIECES: list[tuple[str | bytes, float, int]] = [
    (text, score, kind)
    for text, score, kind in zip(
        PIECES, SOUND_GGUF_OF_PIECES["scores"], SOUND_GGUF_OF_PIECES["token_type"], strict=True
    )
]
SOUND_MODEL = sentencepiece(SOUND_PIECES)
HOSTILE_SENTENCEPIECE: dict[str, bytes] = {
    "cut off": SOUND_MODEL[:-3],
    "cut off in a piece": SOUND_MODEL[:25],
    "no pieces": sentencepiece([]),
    "Unigram": sentencepiece(SOUND_PIECES, model_type=1),
    "type 99 of model": sentencepiece(SOUND_PIECES, model_type=99),
    "character map": sentencepiece(SOUND_PIECES, normalizer=field(2, b"map")),
    "white space removed": sentencepiece(SOUND_PIECES, normalizer=b"\x20\x01"),
    "piece of 2^62 bytes": b"\x0a" + b"\xff" * 8 + b"\x3f" + SOUND_MODEL,
    "endless number": b"\x0a" + b"\xff" * 20 + SOUND_MODEL,
    "groups in groups": b"\x0b" * 100_000 + SOUND_MODEL,
    "field of number 0": SOUND_MODEL + b"\x02\x01a",
    "text as score": SOUND_MODEL + field(1, field(1, b"x") + field(2, b"high")),
    "zeros": SOUND_MODEL + bytes(1000),
    "not UTF-8": sentencepiece([*SOUND_PIECES, (b"\xff", -9.0, 1)]),
    "unknown type": sentencepiece([*SOUND_PIECES, ("x", -9.0, 9)]),
    "score that is no number": sentencepiece([*SOUND_PIECES, ("x", float("nan"), 1)]),
    "endless score": sentencepiece([*SOUND_PIECES, ("x", float("inf"), 1)]),
    "one piece twice": sentencepiece([*SOUND_PIECES, ("ab", -9.0, 1)]),
    "empty piece": sentencepiece([*SOUND_PIECES, ("", -9.0, 1)]),
    "empty control piece": sentencepiece([*SOUND_PIECES, ("", 0.0, 3)]),
    "byte piece <0x-1>": sentencepiece([*SOUND_PIECES, ("<0x-1>", 0.0, 6)]),
    "byte piece of text": sentencepiece([*SOUND_PIECES, ("byte", 0.0, 6)]),
}


# ------------------------------------------------------------------------------------ tekken, and GPT-2's pair


def tekken(size: int = 276, reserved: int = 20, pattern: str = r"\w+|\W", **change: Any) -> bytes:
    """Write a tekken.json of the single bytes."""
    vocab = [{"rank": byte, "token_bytes": base64.b64encode(bytes([byte])).decode()} for byte in range(256)]
    config = {"pattern": pattern, "default_vocab_size": size, "default_num_special_tokens": reserved}
    return json.dumps({"config": config, "vocab": vocab} | change).encode()


SOUND_TEKKEN = tekken()
HOSTILE_TEKKEN: dict[str, bytes] = {
    "cut off": SOUND_TEKKEN[:-10],
    "no vocab": tekken(vocab=None),
    "empty vocab": tekken(vocab=[]),
    "no config": tekken(config=None),
    "more ranks than are there": tekken(size=300),
    "fewer ids than special tokens": tekken(size=10, reserved=20),
    "negative size": tekken(size=-1),
    "2^32 special tokens": tekken(size=1 << 32, reserved=(1 << 32) - 256),
    "four thousand million special tokens": tekken(size=4_000_000_256, reserved=4_000_000_000),
    "a million special tokens": tekken(size=1_000_256, reserved=1_000_000),
    "bad pattern": tekken(pattern="("),
    "rank without bytes": tekken(vocab=[{"rank": 0}]),
    "no base64": tekken(vocab=[{"rank": rank, "token_bytes": "!!!!"} for rank in range(256)]),
    "one rank twice": tekken(vocab=[{"rank": 0, "token_bytes": "YQ=="}, {"rank": 0, "token_bytes": "Yg=="}] * 128),
    "negative rank": tekken(vocab=[{"rank": -1, "token_bytes": "YQ=="}] * 256),
    "special token beyond its place": tekken(special_tokens=[{"rank": 20, "token_str": "<s>"}]),
    "one special token twice": tekken(special_tokens=[{"rank": rank, "token_str": "<s>"} for rank in (0, 1)]),
    "two special tokens with one rank": tekken(special_tokens=[{"rank": 0, "token_str": text} for text in "ab"]),
    "empty special token": tekken(special_tokens=[{"rank": 0, "token_str": ""}]),
}

SOUND_PAIR = (
    json.dumps({token: number for number, token in enumerate(LETTERS)}).encode(),
    b"#version: 0.2\na b\nab c\n",
)
_VOCAB, _MERGES = SOUND_PAIR
HOSTILE_PAIRS: dict[str, tuple[bytes, bytes]] = {
    "empty vocabulary": (b"", _MERGES),
    "list as vocabulary": (b"[]", _MERGES),
    "deep vocabulary": (b'{"a":' * 100_000, _MERGES),
    "cut off": (_VOCAB[:-10], _MERGES),
    "id of text": (_VOCAB.replace(b'"abc": 257', b'"abc": "257"'), _MERGES),
    "negative id": (_VOCAB.replace(b'"abc": 257', b'"abc": -1'), _MERGES),
    "id of 2^32-1": (_VOCAB.replace(b'"abc": 257', b'"abc": 4294967295'), _MERGES),
    "one id twice": (_VOCAB.replace(b'"abc": 257', b'"abc": 256'), _MERGES),
    "empty token": (_VOCAB.replace(b'"abc"', b'""'), b"a b\n"),
    "missing byte": (_VOCAB.replace(b'"b":', b'"zz":'), b""),
    "merges that are not UTF-8": (_VOCAB, b"a \xff\n"),
    "merges of binary": (_VOCAB, bytes(range(256)) * 10),
    "merge of one": (_VOCAB, b"ab\n"),
    "merge of three": (_VOCAB, b"a b c\n"),
    "merge of an unknown token": (_VOCAB, b"a zz\n"),
    "merge into an unknown token": (_VOCAB, b"b a\n"),
    "tokenizer.json as merges": (_VOCAB, b'{"model": {}}\n'),
}
