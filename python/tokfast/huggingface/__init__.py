"""The `tokenizers` interface over tokfast: ``from tokfast.huggingface import Tokenizer``.

The calls of Hugging Face tokenizers 0.23 that encode, decode, batch, pad and truncate with a tokenizer.json, and add
tokens to it, with their names, arguments and results; `tokfast.huggingface.decoders.DecodeStream` decodes ids as they
arrive. What differs, on purpose:

- Nothing is downloaded: `Tokenizer.from_pretrained` reads the Hub's local cache (``tokfast fetch org/name`` fills it).
- A `Tokenizer` is safe to share between threads: settings and added tokens are replaced as a whole, never changed.
- A ``max_length`` below what the template adds leaves only the template; the other library then cuts nothing.
- An added token such as "ú" comes back as it is; the other library's byte-level decoder takes it for a byte.
- An added token that is found in normalized text is spelled in `Encoding.tokens` as it was added, not as normalized.
- It does not train, and its parts cannot be replaced: `tokfast.train` and the file are for that.

Naive: bind the other library. Idea: ids, places and pieces are the core's (`Tokenizer.encode_with_offsets`); only what
stands around a text, cutting and filling up is done here.
"""

import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tokfast import _tokfast
from tokfast._errors import TokenizerFileError
from tokfast._hub import tokenizer_json
from tokfast.huggingface._added import AddedToken, entries_with
from tokfast.huggingface._encoding import Encoding
from tokfast.huggingface._template import PostProcessor

__all__ = ["AddedToken", "Encoding", "Tokenizer"]

_Text = str | Sequence[str]
_Result = TypeVar("_Result")

_STRATEGIES = {"longest_first": "LongestFirst", "only_first": "OnlyFirst", "only_second": "OnlySecond"}


class Tokenizer:
    """A tokenizer.json with the methods of ``tokenizers.Tokenizer``.

    Parameters
    ----------
    source
        The text of a tokenizer.json.

    Raises
    ------
    TokenizerFileError
        The file is damaged, or something in it is not supported; the message names it.

    Examples
    --------
    >>> import tokfast
    >>> from tokfast.huggingface import Tokenizer
    >>> tokfast.train(["low lower lowest"] * 3, 262, pattern="gpt2").save("tokenizer.json")
    >>> tokenizer = Tokenizer.from_file("tokenizer.json")
    >>> encoding = tokenizer.encode("low lower")
    >>> encoding.tokens, encoding.offsets
    (['low', 'Ġlower'], [(0, 3), (3, 9)])
    >>> tokenizer.decode(encoding.ids)
    'low lower'
    >>> tokenizer.enable_padding(pad_id=0)
    >>> [encoding.attention_mask for encoding in tokenizer.encode_batch(["low", "low lower"])]
    [[1, 0], [1, 1]]
    """

    def __init__(self, source: str) -> None:
        self._tokenizer = _tokfast.Tokenizer.from_bytes(source.encode(), format="tokenizer.json")
        self._source = source
        description = json.loads(source)
        self._vocab: dict[str, int] = description["model"]["vocab"]
        added = {token["content"]: token for token in description.get("added_tokens") or []}
        self._ids: dict[str, int] = self._vocab | {token: entry["id"] for token, entry in added.items()}
        self._token_of = {number: token for token, number in self._ids.items()}
        self._special = frozenset(entry["id"] for entry in added.values() if entry.get("special"))
        self._bytes = _byte_tokens(self._vocab) if description["model"].get("byte_fallback") else {}
        # Without a pre-tokenizer all that stands between added tokens is one word.
        self._cuts_words = description.get("pre_tokenizer") is not None
        self._added = {entry["id"]: token for token, entry in added.items()}
        self._stripping = frozenset(
            entry["id"] for entry in added.values() if entry.get("lstrip") or entry.get("rstrip")
        )
        self._truncation: dict[str, Any] | None = None
        self._padding: dict[str, Any] | None = None
        self.encode_special_tokens = False
        """Whether special tokens in a text are ordinary text."""
        try:
            self._post_processor = PostProcessor(description.get("post_processor"), self._tokens_of)
            self._restore(description.get("truncation"), description.get("padding"))
        except (LookupError, TypeError, AttributeError, StopIteration) as error:
            raise TokenizerFileError(
                "the post_processor, truncation or padding of this tokenizer.json is not in the form of Hugging Face "
                f"tokenizers 0.23 ({error!r}); write it again with that library"
            ) from error

    # ------------------------------------------------------------------------------------------ files

    @staticmethod
    def from_file(path: str | os.PathLike[str]) -> "Tokenizer":
        """Read a tokenizer.json."""
        return Tokenizer(Path(path).read_text(encoding="utf-8"))

    @staticmethod
    def from_str(json: str) -> "Tokenizer":
        """Read the text of a tokenizer.json."""
        return Tokenizer(json)

    @staticmethod
    def from_buffer(buffer: bytes) -> "Tokenizer":
        """Read the bytes of a tokenizer.json."""
        return Tokenizer(bytes(buffer).decode())

    @staticmethod
    def from_pretrained(identifier: str, revision: str = "main", token: str | None = None) -> "Tokenizer":
        """Read the tokenizer.json of a repository from the Hub's local cache; `token` is not needed.

        Raises
        ------
        UnknownEncodingError
            It is not in the cache; ``tokfast fetch`` gets it.
        """
        del token
        return Tokenizer.from_file(tokenizer_json(identifier, revision))

    def to_str(self, pretty: bool = False) -> str:
        """Return the text of the tokenizer.json, with the truncation and padding that are set."""
        description = json.loads(self._source)
        truncation, padding = self._truncation, self._padding
        description["truncation"] = truncation and {
            "direction": truncation["direction"].capitalize(),
            "max_length": truncation["max_length"],
            "strategy": _STRATEGIES[truncation["strategy"]],
            "stride": truncation["stride"],
        }
        description["padding"] = padding and {
            "strategy": "BatchLongest" if padding["length"] is None else {"Fixed": padding["length"]},
            "direction": padding["direction"].capitalize(),
            **{name: padding[name] for name in ("pad_to_multiple_of", "pad_id", "pad_type_id", "pad_token")},
        }
        return json.dumps(description, ensure_ascii=False, indent=2 if pretty else None)

    def save(self, path: str | os.PathLike[str], pretty: bool = True) -> None:
        """Write the tokenizer.json; a crash leaves the old file or the new one."""
        from tokfast._download import write_atomically

        write_atomically(Path(path), self.to_str(pretty).encode())

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (self.to_str(), self.encode_special_tokens)

    def __repr__(self) -> str:
        return f"<tokfast.huggingface.Tokenizer, {self.get_vocab_size()} tokens>"

    # ------------------------------------------------------------------------------------------ encoding

    def encode(
        self, sequence: _Text, pair: _Text | None = None, is_pretokenized: bool = False, add_special_tokens: bool = True
    ) -> Encoding:
        """Encode a text, or two.

        Parameters
        ----------
        sequence, pair
            Texts; lists of words if `is_pretokenized`.
        add_special_tokens
            Whether the ids that the tokenizer's template puts around texts are added.

        Raises
        ------
        TypeError
            A text is no `str`, or words are no list of `str`.
        ValueError
            Truncation cannot do what is set.
        """
        encoding = self._encode(sequence, pair, is_pretokenized, add_special_tokens)
        self._pad([encoding])
        return encoding

    def encode_batch(
        self,
        input: Iterable[_Text | tuple[_Text, _Text]],  # noqa: A002 (the other library's name)
        is_pretokenized: bool = False,
        add_special_tokens: bool = True,
    ) -> list[Encoding]:
        """Encode many texts, or pairs of them, and fill them up to one length if padding is on."""
        encodings = []
        for item in input:
            is_pair = (
                isinstance(item, tuple | list)
                and len(item) == 2
                and (not is_pretokenized or not isinstance(item[0], str))
            )
            first, second = item if is_pair else (item, None)
            encodings.append(self._encode(first, second, is_pretokenized, add_special_tokens))  # type: ignore[arg-type]
        self._pad(encodings)
        return encodings

    encode_batch_fast = encode_batch

    async def async_encode(
        self, sequence: _Text, pair: _Text | None = None, is_pretokenized: bool = False, add_special_tokens: bool = True
    ) -> Encoding:
        """As `encode`, on another thread, so that an event loop goes on meanwhile."""
        return await _on_a_thread(self.encode, sequence, pair, is_pretokenized, add_special_tokens)

    async def async_encode_batch(
        self,
        input: Iterable[_Text | tuple[_Text, _Text]],  # noqa: A002 (the other library's name)
        is_pretokenized: bool = False,
        add_special_tokens: bool = True,
    ) -> list[Encoding]:
        """As `encode_batch`, on another thread."""
        return await _on_a_thread(self.encode_batch, input, is_pretokenized, add_special_tokens)

    async_encode_batch_fast = async_encode_batch

    def post_process(
        self, encoding: Encoding, pair: Encoding | None = None, add_special_tokens: bool = True
    ) -> Encoding:
        """Do to an encoding, or two, what `encode` does once a text is in tokens: cut, add the template, fill up.

        Parameters
        ----------
        encoding, pair
            What `encode` returned with ``add_special_tokens=False``, without truncation or padding. They stay as they
            are.
        add_special_tokens
            Whether the ids that the tokenizer's template puts around texts are added.
        """
        encoding = self._process([text.copied() for text in (encoding, pair) if text is not None], add_special_tokens)
        self._pad([encoding])
        return encoding

    def _encode(self, first: _Text, second: _Text | None, is_pretokenized: bool, add_special_tokens: bool) -> Encoding:
        texts = [
            self._encode_one(text, number, is_pretokenized)
            for number, text in enumerate((first, second))
            if text is not None
        ]
        return self._process(texts, add_special_tokens)

    def _process(self, texts: list[Encoding], add_special_tokens: bool) -> Encoding:
        """Cut one text or two to the length that is set, and put the template around them."""
        if truncation := self._truncation:
            room = truncation["max_length"] - (self._post_processor.added(len(texts)) if add_special_tokens else 0)
            _truncate(texts, **{**truncation, "max_length": max(room, 0)})
        return self._post_processor.process(texts, add_special_tokens=add_special_tokens)

    def _encode_one(self, text: _Text, type_id: int, is_pretokenized: bool) -> Encoding:
        allowed: Any = () if self.encode_special_tokens else "all"
        if not is_pretokenized:
            if not isinstance(text, str):
                raise TypeError(f"a text must be str, not {type(text).__name__}; pass is_pretokenized=True for words")
            ids, spans, words = self._tokenizer._encode_with_words(text, allowed_special=allowed)  # noqa: SLF001
            if not self._cuts_words:
                words = self._words_between_added(text, ids, spans)
            encoding = Encoding(ids, spans, words, self._tokens_of, type_id=type_id)
            if not self._stripping.isdisjoint(ids):
                encoding.set_tokens([self._with_white_space(text, *token) for token in zip(ids, spans, strict=True)])
            return encoding
        if isinstance(text, str) or not all(isinstance(word, str) for word in text):
            raise TypeError(f"with is_pretokenized=True a text is a list of words, not {type(text).__name__}")
        parts = []
        for number, word in enumerate(text):
            ids, spans, _ = self._tokenizer._encode_with_words(word, allowed_special=allowed)  # noqa: SLF001
            parts.append(Encoding(ids, spans, [number] * len(ids), self._tokens_of, type_id=type_id))
        return Encoding.merge(parts or [Encoding([], [], [], self._tokens_of)], growing_offsets=False)

    def _with_white_space(self, text: str, number: int, span: tuple[int, int]) -> str:
        """Spell a token, with the white space of the text that it takes along."""
        token, part = self._token_of[number], text[slice(*span)]
        return part if number in self._stripping and part.strip() == token.strip() else token

    def _words_between_added(self, text: str, ids: list[int], spans: list[tuple[int, int]]) -> list[int | None]:
        words: list[int | None] = []
        word, begun = -1, False
        for number, (start, end) in zip(ids, spans, strict=True):
            # The same token may also be made of ordinary text, such as two spaces that stand as U+2581 U+2581.
            added = self._added.get(number)
            is_added = added is not None and text[start:end].strip() == added.strip()
            word += is_added or not begun
            begun = not is_added
            words.append(word)
        return words

    def num_special_tokens_to_add(self, is_pair: bool) -> int:
        """Return how many ids the template puts around a text, or around two."""
        return self._post_processor.added(2 if is_pair else 1)

    # ------------------------------------------------------------------------------------------ decoding

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = True) -> str:
        """Return the text of ids; ids that are in no vocabulary are passed over.

        Parameters
        ----------
        skip_special_tokens
            Whether special tokens are passed over too.
        """
        skipped = self._special if skip_special_tokens else frozenset()
        kept = [number for number in ids if number in self._token_of and number not in skipped]
        if self._bytes:
            kept = self._without_broken_characters(kept)
        return self._tokenizer.decode(kept)

    def decode_batch(self, sequences: Iterable[Sequence[int]], skip_special_tokens: bool = True) -> list[str]:
        """Return the text of each list of ids."""
        return [self.decode(ids, skip_special_tokens) for ids in sequences]

    async def async_decode_batch(
        self, sequences: Iterable[Sequence[int]], skip_special_tokens: bool = True
    ) -> list[str]:
        """As `decode_batch`, on another thread."""
        return await _on_a_thread(self.decode_batch, sequences, skip_special_tokens)

    def _without_broken_characters(self, ids: list[int]) -> list[int]:
        """Put U+FFFD for each token of a run of byte tokens that is no valid UTF-8, as the other library does."""
        replacement = self._vocab.get("\ufffd")
        if replacement is None or not any(number in self._bytes for number in ids):
            return ids
        out: list[int] = []
        run: list[int] = []
        for number in [*ids, -1]:
            if number in self._bytes:
                run.append(number)
                continue
            try:
                bytes(self._bytes[byte] for byte in run).decode()
                out += run
            except UnicodeDecodeError:
                out += [replacement] * len(run)
            run = []
            out.append(number)
        return out[:-1]

    # ------------------------------------------------------------------------------------------ the vocabulary

    def token_to_id(self, token: str) -> int | None:
        """Return the id of a token as the vocabulary spells it, or None."""
        return self._ids.get(token)

    def id_to_token(self, id: int) -> str | None:  # noqa: A002 (the other library's name)
        """Return the token of an id as the vocabulary spells it, or None."""
        return self._token_of.get(id)

    def get_vocab(self, with_added_tokens: bool = True) -> dict[str, int]:
        """Return the tokens with their ids."""
        return dict(self._ids if with_added_tokens else self._vocab)

    def get_vocab_size(self, with_added_tokens: bool = True) -> int:
        """Return how many tokens there are."""
        return len(self._ids if with_added_tokens else self._vocab)

    def _tokens_of(self, ids: list[int]) -> list[str]:
        return [self._token_of[number] for number in ids]

    def get_added_tokens_decoder(self) -> dict[int, AddedToken]:
        """Return the added tokens by id."""
        names = AddedToken.__dataclass_fields__
        return {
            entry["id"]: AddedToken(**{name: value for name, value in entry.items() if name in names})
            for entry in json.loads(self._source).get("added_tokens") or []
        }

    def add_tokens(self, tokens: Sequence["str | AddedToken"]) -> int:
        """Add tokens that are always found in text and never cut, unless they are added already.

        Parameters
        ----------
        tokens
            Texts, or `AddedToken` (of the other library too). One that the vocabulary has keeps its id; others get
            the ids after the greatest.

        Returns
        -------
        int
            How many were added.

        Raises
        ------
        TokenizerFileError
            A token cannot be one; nothing is changed then.

        Notes
        -----
        The tokenizer is built again, which takes as long as reading the file: add all tokens in one call. Threads
        that use it meanwhile have the old one or the new one.
        """
        return self._add(tokens, special=False)

    def add_special_tokens(self, tokens: Sequence["str | AddedToken"]) -> int:
        """Add special tokens, as `add_tokens` does; decoding may pass over them."""
        return self._add(tokens, special=True)

    def _add(self, tokens: Sequence["str | AddedToken"], *, special: bool) -> int:
        description = json.loads(self.to_str())
        old = description.get("added_tokens") or []
        description["added_tokens"], count = entries_with(old, tokens, self._vocab, special=special)
        if count:
            new = Tokenizer(json.dumps(description, ensure_ascii=False))
            new.encode_special_tokens = self.encode_special_tokens
            self.__dict__ = new.__dict__  # at once, for threads
        return count

    # ------------------------------------------------------------------------------------------ settings

    @property
    def truncation(self) -> dict[str, Any] | None:
        """The truncation that is set, or None."""
        return self._truncation and dict(self._truncation)

    @property
    def padding(self) -> dict[str, Any] | None:
        """The padding that is set, or None."""
        return self._padding and dict(self._padding)

    def enable_truncation(
        self, max_length: int, stride: int = 0, strategy: str = "longest_first", direction: str = "right"
    ) -> None:
        """Cut what `encode` returns to `max_length` tokens, those of the template included.

        Parameters
        ----------
        stride
            How many tokens the parts in `Encoding.overflowing` share.
        strategy
            Of two texts: ``"longest_first"``, ``"only_first"`` or ``"only_second"`` is cut.
        direction
            Which end is cut off: ``"right"`` or ``"left"``.

        Raises
        ------
        ValueError
            An option has another value, or `stride` leaves no room.
        """
        if strategy not in _STRATEGIES:
            raise ValueError(f"strategy is {strategy!r}; pass one of {', '.join(_STRATEGIES)}")
        if max_length < 0 or stride < 0:
            raise ValueError(f"max_length is {max_length} and stride is {stride}; pass numbers from 0 up")
        room = max_length - self.num_special_tokens_to_add(False)
        if max_length and stride >= max(room, 1):
            raise ValueError(
                f"stride is {stride}, and of max_length = {max_length} tokens {room} are for the text; "
                "pass a smaller stride or a greater max_length"
            )
        self._truncation = {
            "direction": _direction(direction),
            "max_length": max_length,
            "stride": stride,
            "strategy": strategy,
        }

    def no_truncation(self) -> None:
        """Cut nothing."""
        self._truncation = None

    def enable_padding(  # noqa: PLR0917 (the other library's order)
        self,
        direction: str = "right",
        pad_id: int = 0,
        pad_type_id: int = 0,
        pad_token: str = "[PAD]",  # noqa: S107 (no password)
        length: int | None = None,
        pad_to_multiple_of: int | None = None,
    ) -> None:
        """Fill what `encode` returns up to `length` tokens, or a batch to its longest.

        Parameters
        ----------
        pad_to_multiple_of
            Round the length up to a multiple of this.

        Raises
        ------
        ValueError
            The direction is another.
        """
        self._padding = {
            "length": length,
            "pad_to_multiple_of": pad_to_multiple_of,
            "pad_id": pad_id,
            "pad_token": pad_token,
            "pad_type_id": pad_type_id,
            "direction": _direction(direction),
        }

    def no_padding(self) -> None:
        """Fill nothing up."""
        self._padding = None

    def _restore(self, truncation: dict[str, Any] | None, padding: dict[str, Any] | None) -> None:
        """Take the settings of the file."""
        if truncation:
            strategy = next(name for name, spelling in _STRATEGIES.items() if spelling == truncation["strategy"])
            direction = str(truncation.get("direction", "Right")).lower()
            self.enable_truncation(truncation["max_length"], truncation["stride"], strategy, direction)
        if padding:
            strategy = padding["strategy"]
            self.enable_padding(
                str(padding["direction"]).lower(),
                padding["pad_id"],
                padding["pad_type_id"],
                padding["pad_token"],
                strategy["Fixed"] if isinstance(strategy, dict) else None,
                padding.get("pad_to_multiple_of"),
            )

    def _pad(self, encodings: list[Encoding]) -> None:
        if not (options := self._padding) or not encodings:
            return
        length = max(map(len, encodings)) if options["length"] is None else options["length"]
        if multiple := options["pad_to_multiple_of"]:
            length = -(-length // multiple) * multiple
        chosen = {name: options[name] for name in ("direction", "pad_id", "pad_type_id", "pad_token")}
        for encoding in encodings:
            encoding.pad(length, **chosen)


async def _on_a_thread(call: Callable[..., _Result], *arguments: Any) -> _Result:
    import asyncio

    return await asyncio.to_thread(call, *arguments)


def _truncate(texts: list[Encoding], *, max_length: int, stride: int, strategy: str, direction: str) -> None:
    """Cut one text or two to `max_length` tokens together."""
    sizes = [len(text) for text in texts]
    excess = sum(sizes) - max_length
    if excess <= 0:
        return
    if max_length == 0:
        kept = [0] * len(texts)
    elif strategy == "longest_first":
        kept = [max_length] if len(texts) == 1 else _share(sizes, max_length)
    else:
        chosen = 0 if strategy == "only_first" else 1
        if chosen >= len(texts):
            raise ValueError("truncation is set to cut the second text, but there is one; pass two, or set another")
        if sizes[chosen] <= excess:
            raise ValueError(
                f"truncation is set to cut one text of {sizes[chosen]} tokens, but {excess} are too many; "
                "set strategy='longest_first', or a greater max_length"
            )
        kept = [size - (excess if number == chosen else 0) for number, size in enumerate(sizes)]
    for text, length in zip(texts, kept, strict=True):
        text.truncate(length, stride, direction)


def _share(sizes: list[int], max_length: int) -> list[int]:
    """Lengths of two texts of which the longer is cut first."""
    short, long = sorted(sizes)
    long = short if short > max_length else max(short, max_length - short)
    if short + long > max_length:
        short = max_length // 2
        long = short + max_length % 2
    return [long, short] if sizes[0] > sizes[1] else [short, long]


def _direction(direction: str) -> str:
    if direction not in {"right", "left"}:
        raise ValueError(f"direction is {direction!r}; pass 'right' or 'left'")
    return direction


def _byte_tokens(vocab: dict[str, int]) -> dict[int, int]:
    """Tokens that stand for a byte, by id."""
    return {vocab[token]: byte for byte in range(256) if (token := f"<0x{byte:02X}>") in vocab}


def _unpickled(source: str, encode_special_tokens: bool) -> Tokenizer:
    tokenizer = Tokenizer(source)
    tokenizer.encode_special_tokens = encode_special_tokens
    return tokenizer
