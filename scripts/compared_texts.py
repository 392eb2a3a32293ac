"""The texts that `compare_vocabularies.py` gives to two libraries: real, hostile, random ones, every code point."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

# What pretokenizers tell apart.
FRAGMENTS = (
    *"a b the The THE don't I'LL 's \u017f 1 23 4567 . ... !? / // _ - # @ <s> </s> <| |> [INST]".split(" "),  # noqa: SIM905
    *(" ", "  ", "\n", "\r\n", "\t", "\u00a0", "\u3000", "\u00e9", "e\u0301", "\u0130", "\u4e2d", "\u6587", "\u3042"),
    *("\ud55c", "\u0e01\u0e33", "\u0939\u093f", "\u0628", "\U0001f600", "\U0001f468\u200d\U0001f469", "\u2581"),
    *("<0x0A>", "\ufb01", "\u00bd", "\x00", "\ufeff"),
)
# What patterns count and look ahead at.
COUNTED = (
    *(" ", " ", " ", "  ", "   ", "\n", "\n", "\r", "\r\n", "\t", "\v", "\f", "\x1c", "\x85", "\u00a0", "\u2003"),
    *"\u2028 ' ' '' \u2019 's 'S 't 're 'VE 'm 'll 'Ll 'd '\u017f s x A 0 1 12 345 6789".split(" "),  # noqa: SIM905
    *"\u00b2 \u0663 \u0967 \u2167 \u4e09 \U0001d7d8 . , / _".split(" "),  # noqa: SIM905
)
LATIN1 = tuple(map(chr, range(256)))
# Where scripts, symbols and emoji are; most code points elsewhere are alike to a tokenizer.
RANGES = (
    *((0x20, 0x250), (0x370, 0x600), (0x600, 0xE80), (0x1E00, 0x2C00), (0x3000, 0xA000), (0xAC00, 0xD800)),
    *((0x300, 0x370), (0xF900, 0x10000), (0x1F300, 0x1FB00), (0x10000, 0x110000), (0, 0xD800)),
)


def documents(folder: Path, size: int) -> Iterator[tuple[str, list[str]]]:
    """Yield adversarial texts whole and in large parts; of others the first `size` bytes, in paragraphs and whole."""
    for path in sorted([*folder.rglob("*.txt"), *folder.rglob("*.bin")]):
        if path.parent.name == "adversarial":
            text = path.read_bytes().decode("utf-8", errors="ignore")
            yield path.name, [text, *(text[start : start + 99_991] for start in range(0, len(text), 99_991))]
            continue
        with path.open("rb") as file:
            text = file.read(size).decode("utf-8", errors="ignore")
        yield path.name, [*(part + "\n\n" for part in text.split("\n\n") if part), text]


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

    def character() -> str:
        return chr(generator.randrange(*generator.choice(RANGES)))

    def of_fragments() -> str:
        parts = generator.choices(FRAGMENTS, k=generator.randrange(1, 12))
        return "".join([*parts, character()] if generator.random() < 0.3 else parts)

    kinds: list[Callable[[], str]] = [
        of_fragments,
        lambda: "".join(character() for _ in range(generator.randrange(1, 16))),
        lambda: "".join(generator.choices(LATIN1, k=generator.randrange(1, 24))),
        lambda: "".join(generator.choices(COUNTED, k=generator.randrange(1, 20))),
    ]
    return [kinds[index % len(kinds)]() for index in range(count)]


def strings_of(tokens: Sequence[str], specials: Sequence[str], seed: int) -> list[str]:
    """Make a document of each token of a vocabulary, alone and after another, and of special tokens in random text."""
    generator = random.Random(seed)  # noqa: S311 (no secret)
    shuffled = generator.sample(tokens, len(tokens))
    pairs = [one + other for one, other in zip(tokens, shuffled, strict=True)]
    around = [
        "".join(
            piece
            for special in generator.choices(specials, k=generator.randrange(1, 5))
            for piece in (*generator.choices(FRAGMENTS, k=generator.randrange(3)), special)
        )
        + generator.choice(FRAGMENTS)
        for _ in range(20_000 if specials else 0)
    ]
    return [*tokens, *pairs, *around]
