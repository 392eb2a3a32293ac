#!/usr/bin/env python3
"""Compare tokfast with each model's own library: ids and decoded text, document by document.

usage: compare_vocabularies.py VOCABULARIES CORPORA [--only NAME]... [--bytes N] [--random N]
                                [--seed N] [--record FILE]

VOCABULARIES holds the models' files under their published names, CORPORA folders of text. Of each text the
first N bytes are compared (whole paragraphs as documents), then every code point, then random strings; with
--bytes 0 the random strings alone, of another seed each time if that is wanted.
The libraries are tiktoken, tokenizers, sentencepiece and mistral-common; llama.cpp is compared by its own
test vectors (`*.gguf.inp`, `*.gguf.out`).

Exit status: 0 when no document differs, 1 when one does.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import tokfast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# What `.tiktoken` files do not say.
PATTERNS = {
    "gpt2.tiktoken": "gpt2",
    "r50k_base.tiktoken": "gpt2",
    "p50k_base.tiktoken": "gpt2",
    "whisper_multilingual.tiktoken": "gpt2",
    "cl100k_base.tiktoken": "cl100k",
    "o200k_base.tiktoken": "o200k",
    "llama3_tokenizer.model.tiktoken": "llama3",
    "llama4_tokenizer.model.tiktoken": "o200k",
    "qwen.tiktoken": "qwen2",
    "qwen3_6.tiktoken": "qwen3.5",
}


class Pair(NamedTuple):
    """A tokenizer in tokfast, and the same in its own library."""

    ours: tokfast.Tokenizer
    encode: Callable[[list[str]], list[list[int]]]
    decode: Callable[[list[int]], str]
    library: str


def tiktoken_pair(path: Path) -> Pair:
    """Open ranks, with the pattern that belongs to them."""
    import tiktoken
    from tiktoken.load import load_tiktoken_bpe

    pattern = PATTERNS[path.name]
    ours = tokfast.Tokenizer.from_file(path, format="tiktoken", pattern=pattern, special_tokens={})
    theirs = tiktoken.Encoding(
        path.name, pat_str=ours.pattern or "", mergeable_ranks=load_tiktoken_bpe(str(path)), special_tokens={}
    )
    return Pair(ours, lambda texts: [theirs.encode_ordinary(text) for text in texts], theirs.decode, "tiktoken")


def tokenizers_pair(path: Path) -> Pair:
    """Open a tokenizer.json; both find all special tokens."""
    import tokenizers

    theirs = tokenizers.Tokenizer.from_file(str(path))

    def encode(texts: list[str]) -> list[list[int]]:
        return [encoding.ids for encoding in theirs.encode_batch(texts, add_special_tokens=False)]

    def decode(ids: list[int]) -> str:
        return str(theirs.decode(ids, skip_special_tokens=False))

    return Pair(tokfast.Tokenizer.from_file(path), encode, decode, "tokenizers")


def sentencepiece_pair(path: Path) -> Pair:
    """Open a `.model` file."""
    import sentencepiece

    theirs = sentencepiece.SentencePieceProcessor(model_file=str(path))
    return Pair(tokfast.Tokenizer.from_file(path), theirs.encode, theirs.decode, "sentencepiece")


def tekken_pair(path: Path) -> Pair:
    """Open a tekken.json."""
    import warnings

    from mistral_common.tokens.tokenizers.tekken import Tekkenizer

    warnings.simplefilter("ignore")
    theirs = Tekkenizer.from_file(path)
    return Pair(
        tokfast.Tokenizer.from_file(path),
        lambda texts: [theirs.encode(text, bos=False, eos=False) for text in texts],
        theirs.decode,
        "mistral-common",
    )


def gpt2_pair(path: Path) -> Pair:
    """Open GPT-2's encoder.json, with vocab.bpe beside it."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    theirs = Tokenizer(models.BPE.from_file(str(path), str(path.with_name("vocab.bpe"))))
    theirs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    ours = tokfast.Tokenizer.from_file(path)

    def encode(texts: list[str]) -> list[list[int]]:
        return [encoding.ids for encoding in theirs.encode_batch(texts, add_special_tokens=False)]

    return Pair(ours, encode, ours.decode, "tokenizers")


def pairs(folder: Path, only: list[str]) -> Iterator[tuple[str, Callable[[Path], Pair], Path]]:
    """Yield each vocabulary file with the function that opens it."""
    kinds: list[tuple[str, Callable[[Path], Pair]]] = [
        ("*.tiktoken", tiktoken_pair),
        ("*tokenizer.json", tokenizers_pair),
        ("*.model.v*", sentencepiece_pair),
        ("tekken_*.json", tekken_pair),
        ("gpt2/encoder.json", gpt2_pair),
    ]
    for pattern, make in kinds:
        for path in sorted(folder.glob(pattern)):
            if not only or any(name in str(path) for name in only):
                yield str(path.relative_to(folder)), make, path


def documents(folder: Path, size: int) -> Iterator[tuple[str, list[str]]]:
    """Yield the beginning of each text, whole and in parts; adversarial texts as one document each."""
    for path in sorted(folder.rglob("*.txt")) + sorted(folder.rglob("*.bin")):
        with path.open("rb") as file:
            text = file.read(size).decode("utf-8", errors="ignore")
        parts = [part + "\n\n" for part in text.split("\n\n") if part]
        yield path.name, [text] if path.parent.name == "adversarial" else [*parts, text[: size // 8]]


def code_points() -> list[str]:
    """Make documents of every code point: after a letter, after a space, and twice, 32 to a document."""
    alone = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    shown = [f"a{character} {character}{character}" for character in alone]
    return ["".join(shown[start : start + 32]) for start in range(0, len(shown), 32)]


def random_strings(count: int, seed: int) -> list[str]:
    """Make strings of four kinds in turn, the same for a seed each time.

    Fragments that pretokenizers tell apart; characters of any script; Latin-1, as bytes read as text look; and what
    patterns count and look ahead at: white space, apostrophes, digits.
    """
    generator = random.Random(seed)  # noqa: S311 (no secret)
    fragments = [
        *("a", "b", "the", "The", "THE", "don't", "I'LL", "'s", "\u017f", "1", "23", "4567", " ", "  ", "\n", "\r\n"),
        *(
            "\t",
            "\u00a0",
            "\u3000",
            ".",
            "...",
            "!?",
            "/",
            "//",
            "_",
            "-",
            "#",
            "@",
            "<s>",
            "</s>",
            "<|",
            "|>",
            "[INST]",
        ),
        *(
            "\u00e9",
            "e\u0301",
            "\u0130",
            "\u4e2d",
            "\u6587",
            "\u3042",
            "\ud55c",
            "\u0e01\u0e33",
            "\u0939\u093f",
            "\u0628",
        ),
        *("\U0001f600", "\U0001f468\u200d\U0001f469", "\u2581", "<0x0A>", "\ufb01", "\u00bd", "\x00", "\ufeff"),
    ]
    latin1 = [chr(code) for code in range(256)]
    counted = [
        *(
            " ",
            " ",
            " ",
            "  ",
            "   ",
            "\n",
            "\n",
            "\r",
            "\r\n",
            "\t",
            "\v",
            "\f",
            "\x1c",
            "\x85",
            "\u00a0",
            "\u2003",
            "\u2028",
        ),
        *("'", "'", "''", "\u2019", "'s", "'S", "'t", "'re", "'VE", "'m", "'ll", "'Ll", "'d", "'\u017f", "s", "x", "A"),
        *(
            "0",
            "1",
            "12",
            "345",
            "6789",
            "\u00b2",
            "\u0663",
            "\u0967",
            "\u2167",
            "\u4e09",
            "\U0001d7d8",
            ".",
            ",",
            "/",
            "_",
        ),
    ]
    # Where scripts, symbols and emoji are; most code points elsewhere are alike to a tokenizer.
    ranges = [(0x20, 0x250), (0x370, 0x600), (0x600, 0xE80), (0x1E00, 0x2C00), (0x3000, 0xA000), (0xAC00, 0xD800)]
    ranges += [(0x300, 0x370), (0xF900, 0x10000), (0x1F300, 0x1FB00), (0x10000, 0x110000), (0, 0xD800)]

    def character() -> str:
        return chr(generator.randrange(*generator.choice(ranges)))

    def of_fragments() -> str:
        parts = generator.choices(fragments, k=generator.randrange(1, 12))
        return "".join([*parts, character()] if generator.random() < 0.3 else parts)

    kinds: list[Callable[[], str]] = [
        of_fragments,
        lambda: "".join(character() for _ in range(generator.randrange(1, 16))),
        lambda: "".join(generator.choices(latin1, k=generator.randrange(1, 24))),
        lambda: "".join(generator.choices(counted, k=generator.randrange(1, 20))),
    ]
    return [kinds[index % len(kinds)]() for index in range(count)]


def compare(pair: Pair, texts: list[str]) -> tuple[int, int, list[str]]:
    """Count documents whose ids differ and whose decoded text differs; name the first few."""
    ours = pair.ours.encode_batch(texts, allowed_special="all" if pair.library == "tokenizers" else ())
    theirs = pair.encode(texts)
    ids, decoded, examples = 0, 0, []
    for index, text in enumerate(texts):
        if ours[index].tolist() != theirs[index]:
            ids += 1
            examples.append(ascii(text[:60]))
        elif index % 16 == 0 and pair.ours.decode(theirs[index]) != pair.decode(theirs[index]):
            decoded += 1
            examples.append("decode " + ascii(text[:60]))
    return ids, decoded, examples[:3]


def llama_cpp(folder: Path, only: list[str]) -> Iterator[dict[str, object]]:
    """Compare with the ids that llama.cpp's own tests expect."""
    for path in sorted((folder / "gguf").glob("*.gguf")):
        expected, given = path.with_name(path.name + ".out"), path.with_name(path.name + ".inp")
        if not expected.exists() or (only and not any(name in str(path) for name in only)):
            continue
        row: dict[str, object] = {"file": path.name, "library": "llama.cpp vectors"}
        try:
            ours = tokfast.Tokenizer.from_file(path)
        except tokfast.TokfastError as error:
            yield {**row, "refused": str(error).split(": ", 1)[1]}
            continue
        with given.open(encoding="utf-8", newline="") as file:
            texts = file.read().split("\n__ggml_vocab_test__\n")
        lines = expected.read_text(encoding="utf-8").split("\n")
        ids = [[int(number) for number in line.split()] for line in lines[: len(texts)]]
        texts = texts[: len(ids)]
        differ = [text for text, row in zip(texts, ids, strict=True) if ours.encode(text, allowed_special="all") != row]
        yield {**row, "documents": len(texts), "differ": len(differ), "examples": [ascii(text) for text in differ[:3]]}


def main() -> int:
    """Run the comparison, print a line a vocabulary, write the record."""
    parser = argparse.ArgumentParser(description="Compare tokfast with each model's own library.")
    parser.add_argument("vocabularies", type=Path)
    parser.add_argument("corpora", type=Path)
    parser.add_argument("--only", action="append", default=[], metavar="NAME")
    parser.add_argument("--bytes", type=int, default=200_000, metavar="N")
    parser.add_argument("--random", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--seed", type=int, default=4, metavar="N")
    parser.add_argument("--record", type=Path, metavar="FILE")
    options = parser.parse_args()
    texts = [("random strings", random_strings(options.random, options.seed))]
    if options.bytes:
        texts += [*documents(options.corpora, options.bytes), ("every code point", code_points())]
    rows: list[dict[str, object]] = []
    for name, make, path in pairs(options.vocabularies, options.only):
        row: dict[str, object] = {"file": name}
        started = time.perf_counter()
        try:
            pair = make(path)
        except tokfast.TokfastError as error:
            row["refused"] = str(error).split(": ", 1)[1]
        else:
            results = {title: compare(pair, group) for title, group in texts}
            row |= {
                "library": f"{pair.library} {version(pair.library)}",
                "documents": sum(len(group) for _, group in texts),
                "differ": sum(ids for ids, _, _ in results.values()),
                "decoded otherwise": sum(decoded for _, decoded, _ in results.values()),
                "where": {title: found[2] for title, found in results.items() if found[2]},
            }
        row["seconds"] = round(time.perf_counter() - started, 1)
        rows.append(row)
        print(json.dumps(row, ensure_ascii=True), flush=True)
    for row in llama_cpp(options.vocabularies, options.only):
        rows.append(row)
        print(json.dumps(row, ensure_ascii=True), flush=True)
    if options.record:
        options.record.write_text(json.dumps(rows, indent=1, ensure_ascii=True) + "\n", encoding="utf-8")
    return int(any(row.get("differ") for row in rows))


if __name__ == "__main__":
    sys.exit(main())
