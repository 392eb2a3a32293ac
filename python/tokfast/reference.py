r"""Byte-pair encoding in pure Python: the whole idea on one page.

A byte-pair-encoding (BPE) tokenizer starts from the 256 single bytes and learns *merges* from text:

1. cut the text into pieces (words, roughly), and count how often each piece occurs;
2. count how often each pair of neighbouring tokens occurs in these pieces;
3. join the most frequent pair into a new token everywhere, and write the merge down;
4. repeat from 2 until the vocabulary is as large as wanted.

Encoding replays the merges, in the order in which they were learned, on the bytes of a new text.
Decoding concatenates the bytes of the tokens. Every byte is a token, so nothing is ever unknown and
every text comes back exactly.

>>> corpus = "tokenizer\ntokens\ntoken\nstoke\ntokyo\ntop\n"
>>> tokenizer = train(corpus, vocab_size=256 + 4, verbose=True)
t o -> to
to k -> tok
tok e -> toke
toke n -> token
>>> explain(tokenizer, "tokenless")  # never seen, shown in the pieces that were learned
'token l e s s'
>>> encode(tokenizer, "tokenless")
[259, 75, 68, 82, 82]
>>> decode(tokenizer, [259, 75, 68, 82, 82])
'tokenless'
>>> count(tokenizer, "tokenless")
5

**Ids.** First the special tokens in the order given, then the 256 bytes, then one id for each merge.
The bytes stand in the order of GPT-2 and Hugging Face: the printable ones first (0x21-0x7E,
0xA1-0xAC, 0xAE-0xFF), then the others (0x00-0x20, 0x7F-0xA0, 0xAD). With ``tie_break="bytes"`` they
stand in their raw order, 0x00-0xFF.

**The rule of ties.** The pair with the higher count is merged first. Among equal counts it is the
pair with the smaller left id, then the one with the smaller right id. With it, training has exactly
one answer. Counts are over adjacent windows: "aaa" holds (a, a) twice. Merging goes from left to
right without overlap: "aaa" becomes (aa, a).

**Cost.** Training rescans only the pieces that hold the merged pair, but looks through all pairs to
find the best one: O(merges x distinct pairs). Encoding a piece of n bytes is O(n^2). The compiled
`tokfast.train` and `Tokenizer.encode` give the same results and are some hundred times as fast; this
module is what they are tested against.

**Sources.** Gage 1994 (the algorithm), Sennrich et al. 2016 (words with counts), GPT-2 (bytes). The
rule of ties and `max_token_length` are those of Hugging Face's `BpeTrainer`.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["ReferenceTokenizer", "count", "decode", "decode_bytes", "encode", "explain", "train"]

Pair = tuple[int, int]

PRINTABLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
BYTE_ORDER = {
    "huggingface": [*PRINTABLE, *(byte for byte in range(256) if byte not in PRINTABLE)],
    "bytes": list(range(256)),
}


class Pattern(Protocol):
    """A compiled regular expression, of `re` or of the `regex` package."""

    def finditer(self, string: str, /) -> Iterator[Any]:
        """Yield the matches from left to right."""


WORDS = re.compile(r" ?\S+|\s+")  # a word takes the space before it along


@dataclass(frozen=True)
class ReferenceTokenizer:
    """What training learned.

    Attributes
    ----------
    vocab
        The bytes of each token; the index is the id.
    merges
        The pairs of ids that were merged, first merge first.
    special_tokens
        Ids of the special tokens by their text.
    pattern
        What cuts a text into pieces; no merge crosses a cut. None: a text is one piece.
    """

    vocab: list[bytes]
    merges: list[Pair]
    special_tokens: dict[str, int] = field(default_factory=dict)
    pattern: Pattern | None = WORDS

    @cached_property
    def id_of(self) -> dict[bytes, int]:
        """Id of each token by its bytes, the special tokens left out."""
        special = set(self.special_tokens.values())
        return {token: number for number, token in enumerate(self.vocab) if number not in special}

    @cached_property
    def rank(self) -> dict[Pair, int]:
        """Position in the merge list of each pair: the lower, the earlier it is applied."""
        return {pair: position for position, pair in enumerate(self.merges)}


def train(
    source: str | bytes | Iterable[str | bytes],
    vocab_size: int,
    *,
    pattern: Pattern | None = WORDS,
    special_tokens: Sequence[str] = (),
    min_frequency: int = 1,
    max_token_length: int | None = None,
    limit_alphabet: int | None = None,
    tie_break: Literal["huggingface", "bytes"] = "huggingface",
    verbose: bool = False,
) -> ReferenceTokenizer:
    r"""Learn merges from a text, or from several.

    Parameters
    ----------
    source
        One text, or an iterable of texts; no piece runs from one text into the next.
    vocab_size
        Number of tokens wanted, the special tokens and the 256 bytes included. Training stops
        earlier when no pair is left.
    pattern
        Compiled regular expression whose matches are the pieces. Text between two matches is a
        piece too, so nothing is lost. None: each text is one piece.
    special_tokens
        Texts that are cut out before counting and get the first ids.
    min_frequency
        A pair that occurs less often is not merged.
    max_token_length
        A pair of this many bytes or more is not merged, but for two single bytes.
    limit_alphabet
        Only this many bytes take part, the most frequent ones (equal counts: the smaller id).
        The others vanish from the pieces and their neighbours become adjacent.
    tie_break
        Order of the 256 byte ids, and so of ties; see the head of this module.
    verbose
        Print each merge as it is learned.

    Raises
    ------
    ValueError
        If the special tokens and the 256 bytes do not fit into `vocab_size`.

    Examples
    --------
    >>> train("low lower lowest", 258).vocab[256:]
    [b'lo', b'low']
    """
    specials = {text: number for number, text in enumerate(dict.fromkeys(special_tokens))}
    if vocab_size < len(specials) + 256:
        raise ValueError(
            f"vocab_size is {vocab_size}, but {len(specials)} special tokens and the 256 single bytes "
            f"are always in the vocabulary; pass vocab_size >= {len(specials) + 256}"
        )
    special_bytes = {text.encode() for text in specials}
    vocab = [text.encode() for text in specials] + [bytes([byte]) for byte in BYTE_ORDER[tie_break]]
    merges: list[Pair] = []
    byte_id = {byte: len(specials) + position for position, byte in enumerate(BYTE_ORDER[tie_break])}

    # Equal pieces are counted once and carried as a list of ids with a weight.
    occurrences = _limit_alphabet(_count_pieces(source, pattern, specials), limit_alphabet, byte_id)
    pieces = [[byte_id[byte] for byte in piece] for piece in occurrences]
    weights = list(occurrences.values())

    pair_counts: Counter[Pair] = Counter()
    holders: defaultdict[Pair, set[int]] = defaultdict(set)  # the pieces that (may) hold a pair

    def tally(number: int, sign: int) -> None:
        """Add the pairs of one piece to the counts, or take them away."""
        for pair in pairwise(pieces[number]):
            pair_counts[pair] += sign * weights[number]
            holders[pair].add(number)

    def may_merge(pair: Pair) -> bool:
        left, right = vocab[pair[0]], vocab[pair[1]]
        length = len(left) + len(right)
        fits = max_token_length is None or length < max_token_length or length == 2
        # No two tokens are spelled alike. A limited alphabet leaves out bytes, so it can spell a special token.
        return fits and left + right not in special_bytes and pair_counts[pair] >= max(1, min_frequency)

    for number in range(len(pieces)):
        tally(number, +1)
    while len(vocab) < vocab_size:
        best = min(filter(may_merge, pair_counts), key=lambda pair: (-pair_counts[pair], pair), default=None)
        if best is None:
            break
        left, right = vocab[best[0]], vocab[best[1]]
        if verbose:
            print(*map(_readable, (left, right)), "->", _readable(left + right))  # noqa: T201 (asked for)
        for number in holders.pop(best):
            tally(number, -1)
            pieces[number] = _merge(pieces[number], best, len(vocab))
            tally(number, +1)
        vocab.append(left + right)
        merges.append(best)
    return ReferenceTokenizer(vocab, merges, specials, pattern)


def encode(tokenizer: ReferenceTokenizer, text: str | bytes, *, allowed_special: Iterable[str] = ()) -> list[int]:
    r"""Turn a text into token ids.

    A special token's text is ordinary text unless it is in `allowed_special`.

    Examples
    --------
    >>> tokenizer = train("low lower lowest", 259, special_tokens=["<end>"])
    >>> encode(tokenizer, "low<end>", allowed_special=["<end>"])
    [258, 0]
    >>> len(encode(tokenizer, "low<end>"))
    6
    """
    ids = []
    for piece, special in _pieces(text, tokenizer.pattern, allowed_special):
        if special:
            ids.append(tokenizer.special_tokens[special])
        else:
            ids += _encode_piece(tokenizer, piece)
    return ids


def _encode_piece(tokenizer: ReferenceTokenizer, piece: bytes) -> list[int]:
    """Apply to one piece the merges that were learned, the earliest one first."""
    ids = [tokenizer.id_of[bytes([byte])] for byte in piece]
    while True:
        pairs = [pair for pair in pairwise(ids) if pair in tokenizer.rank]
        if not pairs:
            return ids
        first = min(pairs, key=tokenizer.rank.__getitem__)
        ids = _merge(ids, first, tokenizer.id_of[tokenizer.vocab[first[0]] + tokenizer.vocab[first[1]]])


def decode_bytes(tokenizer: ReferenceTokenizer, ids: Iterable[int]) -> bytes:
    """Turn token ids back into the exact bytes that were encoded."""
    return b"".join(tokenizer.vocab[number] for number in ids)


def decode(tokenizer: ReferenceTokenizer, ids: Iterable[int], *, errors: str = "replace") -> str:
    """Turn token ids back into text; `errors` as in `bytes.decode`, for ids that cut a character."""
    return decode_bytes(tokenizer, ids).decode(errors=errors)


def count(tokenizer: ReferenceTokenizer, text: str | bytes, *, allowed_special: Iterable[str] = ()) -> int:
    """Return the number of tokens of a text."""
    return len(encode(tokenizer, text, allowed_special=allowed_special))


def explain(tokenizer: ReferenceTokenizer, text: str | bytes) -> str:
    """Show a text in its tokens, with spaces between them."""
    return " ".join(_readable(tokenizer.vocab[number]) for number in encode(tokenizer, text))


def _readable(token: bytes) -> str:
    """Spell a token on one line: spaces as ``_``, what cannot be printed in hexadecimal."""
    text = token.decode(errors="backslashreplace").replace(" ", "_")
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)


def _merge(ids: list[int], pair: Pair, new: int) -> list[int]:
    """Replace a pair by a new id, from left to right without overlap."""
    merged: list[int] = []
    position = 0
    while position < len(ids):
        found = tuple(ids[position : position + 2]) == pair
        merged.append(new if found else ids[position])
        position += 2 if found else 1
    return merged


def _pieces(text: str | bytes, pattern: Pattern | None, specials: Iterable[str]) -> Iterator[tuple[bytes, str]]:
    """Cut a text: yield (bytes, "") for each piece, and (b"", special) for each special token.

    Where two special tokens begin at one place, the longer one is taken. Bytes that are not UTF-8
    pass through the regular expression as lone surrogates: no letters, no numbers, no white space.
    """
    raw = text.encode() if isinstance(text, str) else text
    characters = raw.decode(errors="surrogateescape")
    by_length = sorted(specials, key=len, reverse=True)
    parts = re.split(f"({'|'.join(map(re.escape, by_length))})", characters) if by_length else [characters]
    for number, part in enumerate(parts):  # every second part is a special token
        if number % 2:
            yield b"", part
            continue
        position = 0
        for match in pattern.finditer(part) if pattern else ():
            for piece in (part[position : match.start()], match.group()):
                if piece:
                    yield piece.encode(errors="surrogateescape"), ""
            position = match.end()
        if part[position:]:
            yield part[position:].encode(errors="surrogateescape"), ""


def _count_pieces(
    source: str | bytes | Iterable[str | bytes], pattern: Pattern | None, specials: Iterable[str]
) -> Counter[bytes]:
    """Count the occurrences of each distinct piece."""
    texts = [source] if isinstance(source, str | bytes) else source
    return Counter(piece for text in texts for piece, special in _pieces(text, pattern, specials) if not special)


def _limit_alphabet(occurrences: Counter[bytes], size: int | None, byte_id: dict[int, int]) -> Counter[bytes]:
    """Delete all but the most frequent bytes from the pieces; None keeps them all."""
    totals: Counter[int] = Counter()
    for piece, occurrence in occurrences.items():
        for byte in piece:
            totals[byte] += occurrence
    kept = set(sorted(totals, key=lambda byte: (-totals[byte], byte_id[byte]))[:size])
    limited: Counter[bytes] = Counter()
    for piece, occurrence in occurrences.items():
        limited[bytes(byte for byte in piece if byte in kept)] += occurrence
    return limited
