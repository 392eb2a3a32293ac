"""Words, as people count them, in text of any language that puts spaces between them."""

from __future__ import annotations

import re
from collections import Counter
from unicodedata import category

from tokfast._tokfast import split

WORDS = r"[\p{L}\p{M}\p{N}]+"
LETTER = re.compile(r"[^\W\d_]")
# Scripts whose words are not separated: Thai, Lao, Myanmar, Khmer, kana, Han.
UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)


def count_words_of(text: bytes) -> Counter[bytes]:
    """Count the words of a text. What is one is asked of each distinct piece, of which there are few."""
    pieces = Counter(split(text, WORDS))
    return Counter({piece: n for piece, n in pieces.items() if is_word(piece)})


def is_word(piece: bytes) -> bool:
    """Whether a piece of `WORDS` is a match, and not what stands between two."""
    return category(piece.decode(errors="replace")[0])[0] in "LMN"


def is_unspaced(text: str) -> bool:
    """Whether most letters are of scripts that put no spaces between words."""
    sample = text[:100_000]
    return 2 * len(UNSPACED.findall(sample)) > len(LETTER.findall(sample))
