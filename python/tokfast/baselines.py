r"""The two tokenizers that subwords stand between: one token a character, and one token a word.

Naive: ``list(text)`` and ``text.split()``. The first cannot number a character that it never saw, the second
loses white space and cannot number a word that it never saw.
Idea: both are trained (a vocabulary is chosen from text), and both say how often it did not suffice:

- `CharTokenizer` spells a character outside its alphabet in UTF-8 bytes, which are always tokens. So it handles
  any string, and every text comes back; the price is length.
- `WordTokenizer` has no such way out: a word outside its vocabulary is ``<unk>``, and what it was is lost. Its
  sequences are short; the price is a vocabulary that is never large enough.

Cost: a look-up for each character, a regular expression and a look-up for each word; memory is the vocabulary.
These are measures, not products: plain code, one thread.

A word is a run of letters, marks and digits (``[\p{L}\p{M}\p{N}]+``). Everything else is a token a character, and a
run of white space is one token, except the single space between two words: it is implied, and put back by `decode`.

Sources: Sennrich et al. 2016, section 2, for the problem of open vocabularies; Xue et al. 2022 (ByT5) for bytes as
the way out.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING
from unicodedata import category

from tokfast._tokfast import split

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["CharTokenizer", "WordTokenizer"]

Text = str | bytes
PIECES = r"[\p{L}\p{M}\p{N}]+|[^\s\p{L}\p{M}\p{N}]|\s+"
N_BYTES = 256


@dataclass(frozen=True)
class CharTokenizer:
    """One token a character; what is not in the alphabet is spelled in bytes.

    Ids 0 to 255 are the single bytes, then come the characters of the alphabet. Without an alphabet
    (``CharTokenizer()``) every character is known: its id is its code point, and the vocabulary has 1,114,112
    entries, which no model can afford.

    Attributes
    ----------
    alphabet
        The characters that are tokens, by descending frequency; None: all of them.

    Examples
    --------
    >>> tok = CharTokenizer.train(["banana"])
    >>> tok.encode("nab"), tok.encode("é"), tok.decode(tok.encode("nabé"))
    ([257, 256, 258], [195, 169], 'nabé')
    >>> tok.count("nab"), tok.oov_rate("nabé")
    (3, 0.25)
    """

    alphabet: tuple[str, ...] | None = None
    name: str = "characters"

    @classmethod
    def train(cls, source: Text | Iterable[Text], vocab_size: int | None = None) -> CharTokenizer:
        """Choose the alphabet: the most frequent characters of a text, or of several.

        Parameters
        ----------
        source
            One text or an iterable of texts.
        vocab_size
            Tokens in all, with the 256 bytes; None: every character that occurs.

        Raises
        ------
        ValueError
            `vocab_size` is below 256.
        """
        _check_size(vocab_size, N_BYTES, "the 256 single bytes")
        counts: Counter[str] = Counter()
        for text in _texts(source):
            counts.update(_characters(text))
        known = sorted(counts, key=lambda char: (-counts[char], char))
        room = None if vocab_size is None else vocab_size - N_BYTES
        return cls(tuple(char for char in known if not _is_lone(char))[:room])

    @property
    def vocab_size(self) -> int:
        """Number of ids."""
        return 0x110000 if self.alphabet is None else N_BYTES + len(self.alphabet)

    @cached_property
    def _id_of(self) -> dict[str, int]:
        return {char: N_BYTES + number for number, char in enumerate(self.alphabet or ())}

    def encode(self, text: Text) -> list[int]:
        """Return the ids of a text."""
        if self.alphabet is None:
            return list(map(ord, _characters(text)))
        ids: list[int] = []
        for char in _characters(text):
            known = self._id_of.get(char)
            if known is None:
                ids += char.encode(errors="surrogateescape")
            else:
                ids.append(known)
        return ids

    def decode(self, ids: Iterable[int], *, errors: str = "replace") -> str:
        """Return the text that ids stand for; `errors` is as for `bytes.decode`."""
        if self.alphabet is None:
            return _bytes("".join(map(chr, ids))).decode(errors=errors)
        parts = (bytes([number]) if number < N_BYTES else self.alphabet[number - N_BYTES].encode() for number in ids)
        return b"".join(parts).decode(errors=errors)

    def count(self, text: Text) -> int:
        """Return how many ids a text has."""
        characters = _characters(text)
        if self.alphabet is None:
            return len(characters)
        return sum(1 if char in self._id_of else len(_bytes(char)) for char in characters)

    def oov_rate(self, text: Text) -> float:
        """Return the share of characters that are not in the alphabet, 0 to 1."""
        characters = _characters(text)
        if self.alphabet is None or not characters:
            return 0.0
        return sum(char not in self._id_of for char in characters) / len(characters)


@dataclass(frozen=True)
class WordTokenizer:
    """One token a word; a word that training did not meet is ``<unk>``.

    Attributes
    ----------
    vocab
        The tokens; the index is the id. Id 0 is `unk`.
    unk
        How an unknown token is shown by `decode`.

    Examples
    --------
    >>> tok = WordTokenizer.train(["the cat sat, the cat ran"])
    >>> tok.decode(tok.encode("the cat, the dog"))
    'the cat, the <unk>'
    >>> tok.count("the cat"), tok.oov_rate("the cat, the dog")
    (2, 0.25)
    """

    vocab: tuple[bytes, ...] = (b"<unk>",)
    unk: str = "<unk>"
    name: str = "words"

    @classmethod
    def train(
        cls,
        source: Text | Iterable[Text],
        vocab_size: int | None = None,
        *,
        min_frequency: int = 1,
        unk: str = "<unk>",
    ) -> WordTokenizer:
        """Choose the vocabulary: the most frequent words of a text, or of several.

        Parameters
        ----------
        source
            One text or an iterable of texts.
        vocab_size
            Tokens in all, with `unk`; None: every word that occurs.
        min_frequency
            A word that occurs less often is left out.

        Raises
        ------
        ValueError
            `vocab_size` is below 1.
        """
        _check_size(vocab_size, 1, "the unknown word")
        counts: Counter[bytes] = Counter()
        for text in _texts(source):
            counts.update(piece for piece, _ in _words(text))
        known = [piece for piece in counts if counts[piece] >= min_frequency]
        known.sort(key=lambda piece: (-counts[piece], piece))
        return cls((unk.encode(), *known[: None if vocab_size is None else vocab_size - 1]), unk)

    @property
    def vocab_size(self) -> int:
        """Number of ids."""
        return len(self.vocab)

    @property
    def unk_id(self) -> int:
        """Id of every unknown token."""
        return 0

    @cached_property
    def _known(self) -> _Vocabulary:
        pieces = list(self.vocab)
        return _Vocabulary(
            {piece: number for number, piece in enumerate(pieces) if number},
            [True, *(_is_word(piece) for piece in pieces[1:])],
        )

    def encode(self, text: Text) -> list[int]:
        """Return the ids of a text, `unk_id` for what is not in the vocabulary."""
        find = self._known.id_of.get
        return [find(piece, 0) for piece, _ in _words(text)]

    def decode(self, ids: Iterable[int], *, errors: str = "replace") -> str:
        """Return the text that ids stand for: exact but for the words that are unknown."""
        parts: list[bytes] = []
        after_word = False
        for number in ids:
            is_word = self._known.is_word[number]
            if after_word and is_word:
                parts.append(b" ")
            parts.append(self.unk.encode() if number == 0 else self.vocab[number])
            after_word = is_word
        return b"".join(parts).decode(errors=errors)

    def count(self, text: Text) -> int:
        """Return how many ids a text has."""
        return sum(1 for _ in _words(text))

    def oov_rate(self, text: Text) -> float:
        """Return the share of words (runs of letters, marks and digits) that are unknown, 0 to 1."""
        words = [piece for piece, is_word in _words(text) if is_word]
        return sum(word not in self._known.id_of for word in words) / len(words) if words else 0.0


@dataclass(frozen=True)
class _Vocabulary:
    id_of: dict[bytes, int]
    is_word: list[bool] = field(default_factory=list)


def _words(text: Text) -> Iterator[tuple[bytes, bool]]:
    """Yield (piece, whether it is a word), without the single space between two words."""
    pieces = split(text, PIECES)
    kinds = list(map(_is_word, pieces))
    for index, piece in enumerate(pieces):
        implied = piece == b" " and 0 < index < len(pieces) - 1 and kinds[index - 1] and kinds[index + 1]
        if not implied:
            yield piece, kinds[index]


def _is_word(piece: bytes) -> bool:
    """Whether a piece is a run of letters, marks and digits: its first character says it for all of them."""
    return category(piece.decode(errors="replace")[0])[0] in "LMN"


def _texts(source: Text | Iterable[Text]) -> Iterable[Text] | Sequence[Text]:
    return [source] if isinstance(source, (str, bytes)) else source


def _characters(text: Text) -> str:
    # A byte that is no UTF-8 stands as a lone surrogate, and leaves as the byte that it was.
    return text if isinstance(text, str) else text.decode(errors="surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def _is_lone(char: str) -> bool:
    return "\ud800" <= char <= "\udfff"


def _check_size(vocab_size: int | None, least: int, always: str) -> None:
    if vocab_size is not None and vocab_size < least:
        raise ValueError(f"vocab_size is {vocab_size}, but {always} is always in; pass vocab_size >= {least}")
