"""What `tokfast.huggingface.Tokenizer.encode` returns, and how it is cut, joined and filled up.

Source: Hugging Face tokenizers 0.23.3, ``tokenizer/encoding.rs`` and ``utils/truncation.rs`` (Apache-2.0), for what
each operation does with overflowing parts.
"""
# ruff: noqa: SLF001 (encodings look into encodings)

from collections.abc import Callable, Sequence
from copy import copy

_NAMES = ("ids", "type_ids", "offsets", "word_ids", "special_tokens_mask", "attention_mask", "sequence_ids")


class Encoding:
    """Ids with what is known of each; all lists are of one length.

    Attributes
    ----------
    ids
        Token ids.
    type_ids
        0 for the first text, 1 for the second, unless the template says otherwise.
    offsets
        ``(start, end)`` in characters of the text (of the word, if words were given).
    word_ids
        Number of the piece (or of the word, if words were given); None for what the template or padding adds.
    special_tokens_mask, attention_mask
        1 for what the template or padding adds; 1 for all but padding.
    sequence_ids
        0 for the first text, 1 for the second, None for what the template or padding adds.
    n_sequences
        How many texts were given.
    overflowing
        What truncation has cut off, in parts.
    """

    __slots__ = (*_NAMES, "_tokens", "_tokens_of", "n_sequences", "overflowing")

    ids: list[int]
    type_ids: list[int]
    offsets: list[tuple[int, int]]
    word_ids: list[int | None]
    special_tokens_mask: list[int]
    attention_mask: list[int]
    sequence_ids: list[int | None]
    n_sequences: int
    overflowing: list["Encoding"]

    def __init__(
        self,
        ids: list[int],
        offsets: list[tuple[int, int]],
        word_ids: list[int | None],
        tokens_of: Callable[[list[int]], list[str]],
        *,
        type_id: int = 0,
        special: bool = False,
    ) -> None:
        size = len(ids)
        self.ids, self.offsets, self.word_ids = ids, offsets, word_ids
        self.type_ids = [type_id] * size
        self.special_tokens_mask = [int(special)] * size
        self.attention_mask = [1] * size
        self.sequence_ids = [None if special else 0] * size
        self.n_sequences = 1
        self.overflowing = []
        self._tokens: list[str] | None = None
        self._tokens_of = tokens_of

    @property
    def tokens(self) -> list[str]:
        """Tokens as the vocabulary spells them."""
        if self._tokens is None:
            self._tokens = self._tokens_of(self.ids)
        return self._tokens

    def set_tokens(self, tokens: list[str]) -> None:
        """Spell the tokens otherwise than the vocabulary does."""
        self._tokens = tokens

    def set_sequence_id(self, sequence_id: int) -> None:
        """Say of all tokens which text they are of."""
        self.sequence_ids = [sequence_id] * len(self)

    def copied(self) -> "Encoding":
        """Return an encoding whose changes, and those of its overflowing parts, leave this one as it is."""
        other = copy(self)
        other.overflowing = [part.copied() for part in self.overflowing]
        return other

    @property
    def words(self) -> list[int | None]:
        """Another name of `word_ids`."""
        return self.word_ids

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"<tokfast.huggingface.Encoding: {len(self)} tokens>"

    # ----------------------------------------------------------------------------------------- places

    def token_to_chars(self, token_index: int) -> tuple[int, int] | None:
        """Return the characters of a token; None for one that stands for no text."""
        return self.offsets[token_index] if self.token_to_sequence(token_index) is not None else None

    def token_to_word(self, token_index: int) -> int | None:
        """Return the number of a token's word, if it has one."""
        return self.word_ids[token_index] if 0 <= token_index < len(self) else None

    def token_to_sequence(self, token_index: int) -> int | None:
        """Return the number of a token's text, if it has one."""
        return self.sequence_ids[token_index] if 0 <= token_index < len(self) else None

    def char_to_token(self, char_pos: int, sequence_index: int = 0) -> int | None:
        """Return the first token that spans a character of a text, if one does."""
        return next(
            (
                index
                for index, ((start, end), sequence) in enumerate(zip(self.offsets, self.sequence_ids, strict=True))
                if start <= char_pos < end and sequence == sequence_index
            ),
            None,
        )

    def char_to_word(self, char_pos: int, sequence_index: int = 0) -> int | None:
        """Return the word that holds a character of a text, if one does."""
        token = self.char_to_token(char_pos, sequence_index)
        return None if token is None else self.word_ids[token]

    def word_to_tokens(self, word_index: int, sequence_index: int = 0) -> tuple[int, int] | None:
        """Return the tokens of a word, as the first and the one after the last; None where there is no such word."""
        found = [
            index
            for index, (word, sequence) in enumerate(zip(self.word_ids, self.sequence_ids, strict=True))
            if word == word_index and sequence == sequence_index
        ]
        return (found[0], found[-1] + 1) if found else None

    def word_to_chars(self, word_index: int, sequence_index: int = 0) -> tuple[int, int] | None:
        """Return the characters of a word; None where there is no such word."""
        tokens = self.word_to_tokens(word_index, sequence_index)
        return None if tokens is None else (self.offsets[tokens[0]][0], self.offsets[tokens[1] - 1][1])

    # ----------------------------------------------------------------------------------------- operations

    def truncate(self, max_length: int, stride: int = 0, direction: str = "right") -> None:
        """Keep `max_length` tokens; the others go to `overflowing`, in parts that share `stride` tokens.

        Raises
        ------
        ValueError
            `stride` is not below `max_length`.
        """
        size = len(self)
        if max_length >= size:
            return
        if max_length == 0:
            rest = copy(self)
            self._become(self._slice(0, 0))
            self.overflowing = [rest]
            return
        if stride >= max_length:
            raise ValueError(f"stride is {stride} and max_length is {max_length}; pass a stride below max_length")
        step = max_length - stride
        ranges: list[tuple[int, int]] = []
        if direction == "right":
            starts = range(0, size, step)
            ranges = [(start, min(start + max_length, size)) for start in starts]
            last = next(index for index, (_, stop) in enumerate(ranges) if stop == size)
        else:
            stops = range(size, 0, -step)
            ranges = [(max(stop - max_length, 0), stop) for stop in stops]
            last = next(index for index, (start, _) in enumerate(ranges) if start == 0)
        parts = [self._slice(start, stop) for start, stop in ranges[: last + 1]]
        self._become(parts[0])
        self.overflowing = parts[1:]

    def pad(
        self,
        length: int,
        *,
        direction: str = "right",
        pad_id: int = 0,
        pad_type_id: int = 0,
        pad_token: str = "[PAD]",  # noqa: S107 (no password)
    ) -> None:
        """Fill up to `length` tokens, and all overflowing parts too."""
        options = {"direction": direction, "pad_id": pad_id, "pad_type_id": pad_type_id, "pad_token": pad_token}
        for part in self.overflowing:
            part.pad(length, **options)  # type: ignore[arg-type] # the options of this very method
        count = length - len(self)
        if count <= 0:
            return
        tokens = self.tokens
        filled = (pad_id, pad_type_id, (0, 0), None, 1, 0, None)
        for name, value in zip(_NAMES, filled, strict=True):
            old = getattr(self, name)
            setattr(self, name, old + [value] * count if direction == "right" else [value] * count + old)
        self._tokens = tokens + [pad_token] * count if direction == "right" else [pad_token] * count + tokens

    @staticmethod
    def merge(encodings: Sequence["Encoding"], growing_offsets: bool = True) -> "Encoding":
        """Join encodings; `growing_offsets`: each begins where the one before it ends."""
        first, *others = encodings
        merged = copy(first)
        for other in others:
            merged = merged._with(other, growing_offsets=growing_offsets)
        return merged

    def _with(self, other: "Encoding", *, growing_offsets: bool) -> "Encoding":
        """Join two; every overflowing part of one is joined with the other and its parts."""
        parts = [
            mine._with(theirs, growing_offsets=growing_offsets)
            for mine in self.overflowing
            for theirs in (other, *other.overflowing)
        ]
        parts += [self._alone()._with(theirs, growing_offsets=growing_offsets) for theirs in other.overflowing]
        merged = copy(self)
        for name in _NAMES:
            setattr(merged, name, getattr(self, name) + getattr(other, name))
        shift = self.offsets[-1][1] if growing_offsets and self.offsets else 0
        if shift:
            moved = [(start + shift, end + shift) for start, end in other.offsets]
            merged.offsets = self.offsets + moved
        known = self._tokens is not None and other._tokens is not None
        merged._tokens = self.tokens + other.tokens if known else None
        merged.overflowing = parts
        return merged

    def _alone(self) -> "Encoding":
        return self._slice(0, len(self))

    def _slice(self, start: int, stop: int) -> "Encoding":
        part = copy(self)
        for name in _NAMES:
            setattr(part, name, getattr(self, name)[start:stop])
        part._tokens = None if self._tokens is None else self._tokens[start:stop]
        part.overflowing = []
        return part

    def _become(self, other: "Encoding") -> None:
        for name in (*_NAMES, "_tokens"):
            setattr(self, name, getattr(other, name))
