"""tiktoken's interface over tokfast: ``import tokfast.tiktoken as tiktoken``.

The names, arguments, results and exceptions of tiktoken 0.14, so that code written for it runs as it is. What differs,
on purpose:

- Nothing is downloaded: a vocabulary file is looked for as `tokfast.load` does. ``tokfast fetch NAME`` gets it.
- There are no plugins: the encodings are OpenAI's seven. Others are made by `Encoding`, as in tiktoken.
- Texts may be `bytes` too.

Naive: a second tokenizer with tiktoken's rules. Idea: the ids are the same by construction, so this is a `Tokenizer`
and the rules of the surface around it: special tokens raise unless they are allowed, lone surrogates become U+FFFD,
unknown ids are a `KeyError`.

Source: tiktoken 0.14 (MIT), ``tiktoken/core.py``; ``src/lib.rs`` for `Encoding.encode_with_unstable`.
"""

import threading
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tokfast._encodings import ENCODINGS, HARMONY_ALIASES
from tokfast._encodings import encoding_name_for_model as _encoding_name_for_model
from tokfast._errors import SpecialTokenError, TokenIdError
from tokfast._load import load
from tokfast._tokfast import Tokenizer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "Encoding",
    "encoding_for_model",
    "encoding_name_for_model",
    "get_encoding",
    "list_encoding_names",
    "load_tiktoken_bpe",
]

_Allowed = Literal["all"] | AbstractSet[str]
_Disallowed = Literal["all"] | Collection[str]
_NOTHING: frozenset[str] = frozenset()

_lock = threading.RLock()
_loaded: dict[str, "Encoding"] = {}


class Encoding:
    """A tokenizer with tiktoken's methods.

    Parameters
    ----------
    name
        What it is called.
    pat_str
        The regular expression that cuts text into pieces, or the name of a pretokenizer.
    mergeable_ranks
        Tokens with their ranks, which are their ids.
    special_tokens
        Special tokens with their ids.
    explicit_n_vocab
        How many ids there are, to be checked.

    Raises
    ------
    ValueError
        The number of ids is another, or the parts make no tokenizer.

    Examples
    --------
    >>> from tokfast import tiktoken
    >>> ranks = {bytes([byte]): byte for byte in range(256)} | {b"he": 256, b"ll": 257, b"hell": 258}
    >>> enc = tiktoken.Encoding("tiny", pat_str="gpt2", mergeable_ranks=ranks, special_tokens={"<|end|>": 259})
    >>> enc.encode("hello"), enc.encode("<|end|>", allowed_special="all")
    ([258, 111], [259])
    >>> enc.decode([258, 111])
    'hello'
    """

    def __init__(
        self,
        name: str,
        *,
        pat_str: str,
        mergeable_ranks: Mapping[bytes, int],
        special_tokens: Mapping[str, int],
        explicit_n_vocab: int | None = None,
    ) -> None:
        tokenizer, aliases = _tokenizer(name, pat_str, mergeable_ranks, special_tokens)
        self._set(name, tokenizer, aliases)
        self._pat_str = pat_str
        if explicit_n_vocab and (
            len(mergeable_ranks) + len(special_tokens) != explicit_n_vocab
            or self.max_token_value != explicit_n_vocab - 1
        ):
            raise ValueError(
                f"explicit_n_vocab is {explicit_n_vocab}, but there are {len(mergeable_ranks)} mergeable and "
                f"{len(special_tokens)} special tokens, the greatest id being {self.max_token_value}; "
                "ids must be dense, or leave explicit_n_vocab out"
            )

    def _set(self, name: str, tokenizer: Tokenizer, aliases: Mapping[str, int]) -> None:
        self.name = name
        self.max_token_value = tokenizer.vocab_size - 1
        self._tokenizer = tokenizer
        self._special_tokens = tokenizer.special_tokens | dict(aliases)
        self._special_token_values = set(self._special_tokens.values())
        # A second spelling of an id: found here, because in a tokenizer each id has one.
        self._aliases = dict(aliases)
        self._pat_str = tokenizer.pattern or ""

    def __repr__(self) -> str:
        return f"<Encoding {self.name!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        if _loaded.get(self.name) is self:
            return get_encoding, (self.name,)
        return _restored, (self.name, self._tokenizer, self._aliases)

    # ------------------------------------------------------------------------------------- encoding

    def encode_ordinary(self, text: str) -> list[int]:
        """Return the ids of a text; special tokens in it are ordinary text."""
        try:
            return self._tokenizer.encode(text)
        except UnicodeEncodeError:
            return self._tokenizer.encode(_without_surrogates(text))

    def encode(
        self, text: str, *, allowed_special: _Allowed = _NOTHING, disallowed_special: _Disallowed = "all"
    ) -> list[int]:
        """Return the ids of a text.

        Parameters
        ----------
        allowed_special
            The special tokens that are found in the text: a set, or ``"all"``.
        disallowed_special
            The special tokens that raise: a set, or ``"all"`` that are not allowed; ``()`` for none.

        Raises
        ------
        SpecialTokenError
            A `ValueError`: the text holds a disallowed special token.
        """
        allowed = self._allowed(text, allowed_special, disallowed_special)
        try:
            return self._encode(text, allowed)
        except UnicodeEncodeError:
            return self._encode(_without_surrogates(text), allowed)

    def encode_to_numpy(
        self, text: str, *, allowed_special: _Allowed = _NOTHING, disallowed_special: _Disallowed = "all"
    ) -> "NDArray[np.uint32]":
        """Return the ids of a text as an array of shape ``(n_tokens,)``; the rest is as for `encode`."""
        allowed = self._allowed(text, allowed_special, disallowed_special)
        if not self._uses_aliases(allowed):
            return self._tokenizer.encode_to_numpy(text, allowed_special=allowed)
        import numpy as np

        return np.array(self._encode(text, allowed), dtype=np.uint32)

    def encode_ordinary_batch(self, text: Sequence[str], *, num_threads: int = 8) -> list[list[int]]:
        """Return the ids of many texts; special tokens in them are ordinary text."""
        try:
            return self._tokenizer.encode_batch(text, threads=num_threads).to_list()
        except UnicodeEncodeError:
            return [self.encode_ordinary(one) for one in text]

    def encode_batch(
        self,
        text: Sequence[str],
        *,
        num_threads: int = 8,
        allowed_special: _Allowed = _NOTHING,
        disallowed_special: _Disallowed = "all",
    ) -> list[list[int]]:
        """Return the ids of many texts, worked on by several threads; the rest is as for `encode`."""
        allowed: _Allowed = _NOTHING
        for one in text:
            allowed = self._allowed(one, allowed_special, disallowed_special)
        if not self._uses_aliases(allowed):
            try:
                return self._tokenizer.encode_batch(text, threads=num_threads, allowed_special=allowed).to_list()
            except UnicodeEncodeError:
                pass
        options: dict[str, Any] = {"allowed_special": allowed_special, "disallowed_special": disallowed_special}
        return [self.encode(one, **options) for one in text]

    def encode_single_token(self, text_or_bytes: str | bytes) -> int:
        """Return the id of a token, special or not; `KeyError` where it is none."""
        token = text_or_bytes.encode() if isinstance(text_or_bytes, str) else text_or_bytes
        found = self._tokenizer.token_id(token)
        if found is None:
            found = self._aliases.get(token.decode(errors="replace"))
        if found is None:
            raise KeyError(token)
        return found

    def encode_with_unstable(
        self, text: str, *, allowed_special: _Allowed = _NOTHING, disallowed_special: _Disallowed = "all"
    ) -> tuple[list[int], list[list[int]]]:
        """Return the ids that stay whatever follows the text, and what the rest may become.

        Returns
        -------
        stable
            Ids of a beginning of the text.
        completions
            Sequences of ids, sorted; each goes on after `stable`, and covers the rest of the text.

        Notes
        -----
        As in tiktoken: by trying every token that can straddle the end. Its time grows with the square of the last
        piece, and it is exact for patterns whose cuts are stable but for white space.
        """
        allowed = self._allowed(text, allowed_special, disallowed_special)
        ids, last = self._encode_with_last_piece(text, allowed)
        stable, unstable = ids[: len(ids) - last], self.decode_bytes(ids[len(ids) - last :])
        if not unstable:
            return stable, []
        found: set[tuple[int, ...]] = {
            (self._mergeable_ranks[token],) for token in self._tokens_that_begin_with(unstable)
        }
        possible = [
            unstable[:at] + token
            for at in range(1, len(unstable))
            for token in self._tokens_that_begin_with(unstable[at:])
        ]
        valid = [_is_utf8(text) for text in possible]
        for tokenizer, chosen in ((self._tokenizer, True), (self._pieces, False)):
            texts = [text for text, is_valid in zip(possible, valid, strict=True) if is_valid is chosen]
            for candidate in tokenizer.encode_batch(texts).to_list():
                size = count = 0
                while size < len(unstable):
                    size += len(self._tokenizer.token_bytes(candidate[count]))
                    count += 1
                found.add(tuple(candidate[:count]))
        character = unstable.decode(errors="replace")[-1]
        start = len(unstable) - len(character.encode())
        # White space at the end may be cut in two by what follows it.
        if start > 0 and character.isspace():
            found.add(tuple(self._encode_single_piece(unstable[:start]) + self._encode_single_piece(unstable[start:])))
        return stable, sorted(map(list, found))

    # ------------------------------------------------------------------------------------- decoding

    def decode_bytes(self, tokens: Sequence[int]) -> bytes:
        """Return the bytes of ids; `KeyError` for an unknown one."""
        try:
            return self._tokenizer.decode_bytes(tokens)
        except TokenIdError as error:
            raise _key_error(error, tokens) from None

    def decode(self, tokens: Sequence[int], errors: str = "replace") -> str:
        """Return the text of ids, as `bytes.decode` with `errors` makes it; `KeyError` for an unknown one."""
        try:
            return self._tokenizer.decode(tokens, errors=errors)
        except TokenIdError as error:
            raise _key_error(error, tokens) from None

    def decode_single_token_bytes(self, token: int) -> bytes:
        """Return the bytes of one id; `KeyError` for an unknown one."""
        try:
            return self._tokenizer.token_bytes(token)
        except TokenIdError as error:
            raise _key_error(error, [token]) from None

    def decode_tokens_bytes(self, tokens: Sequence[int]) -> list[bytes]:
        """Return the bytes of each id."""
        return [self.decode_single_token_bytes(token) for token in tokens]

    def decode_with_offsets(self, tokens: Sequence[int]) -> tuple[str, list[int]]:
        """Return the text of ids, and for each the first character that it has a byte of.

        Raises
        ------
        UnicodeDecodeError
            The bytes are no valid UTF-8.
        """
        offsets, characters = [], 0
        parts = self.decode_tokens_bytes(tokens)
        for part in parts:
            begun = sum(byte & 0xC0 != 0x80 for byte in part)
            offsets.append(max(0, characters - (part[:1] != b"" and part[0] & 0xC0 == 0x80)))
            characters += begun
        return b"".join(parts).decode(), offsets

    def decode_batch(
        self, batch: Iterable[Sequence[int]], *, errors: str = "replace", num_threads: int = 8
    ) -> list[str]:
        """Return the text of each list of ids; `num_threads` is taken for tiktoken's sake."""
        del num_threads
        return [self.decode(tokens, errors=errors) for tokens in batch]

    def decode_bytes_batch(self, batch: Iterable[Sequence[int]], *, num_threads: int = 8) -> list[bytes]:
        """Return the bytes of each list of ids; `num_threads` is taken for tiktoken's sake."""
        del num_threads
        return [self.decode_bytes(tokens) for tokens in batch]

    # ------------------------------------------------------------------------------------- the vocabulary

    def token_byte_values(self) -> list[bytes]:
        """Return the bytes of every token that is not special, sorted."""
        return list(self._sorted_tokens)

    @property
    def eot_token(self) -> int:
        """The id of ``<|endoftext|>``; `KeyError` where there is none."""
        return self._special_tokens["<|endoftext|>"]

    @cached_property
    def special_tokens_set(self) -> set[str]:
        """The special tokens."""
        return set(self._special_tokens)

    def is_special_token(self, token: int) -> bool:
        """Whether an id is that of a special token."""
        return token in self._special_token_values

    @property
    def n_vocab(self) -> int:
        """One more than the greatest id."""
        return self.max_token_value + 1

    # ------------------------------------------------------------------------------------- inside

    @cached_property
    def _mergeable_ranks(self) -> dict[bytes, int]:
        special = self._special_token_values
        return {token: rank for rank, token in enumerate(self._tokenizer.vocab) if token and rank not in special}

    @cached_property
    def _sorted_tokens(self) -> list[bytes]:
        return sorted(self._mergeable_ranks)

    @cached_property
    def _pieces(self) -> Tokenizer:
        """The same ranks without a pattern: each text is one piece."""
        return _tokenizer(self.name, r"(?s:.)+", self._mergeable_ranks, {})[0]

    def _allowed(self, text: str, allowed: _Allowed, disallowed: _Disallowed) -> _Allowed:
        """Refuse what is disallowed; return what is allowed, and known."""
        known = self.special_tokens_set
        if disallowed == "all":
            disallowed = _NOTHING if allowed == "all" else known - set(allowed)
        if present := [token for token in disallowed if token in text]:
            token = min(present, key=text.find)
            raise SpecialTokenError(
                f"Encountered text corresponding to disallowed special token {token!r}. To encode it as the special "
                f"token, pass allowed_special={{{token!r}}}; as ordinary text, disallowed_special=()"
            )
        return "all" if allowed == "all" else known & set(allowed)

    def _uses_aliases(self, allowed: _Allowed) -> bool:
        return bool(self._aliases) and (allowed == "all" or not self._aliases.keys().isdisjoint(allowed))

    def _encode(self, text: str, allowed: _Allowed) -> list[int]:
        if not self._uses_aliases(allowed):
            return self._tokenizer.encode(text, allowed_special=allowed)
        aliases = self._aliases if allowed == "all" else self._aliases.keys() & allowed
        tokens = allowed if allowed == "all" else set(allowed) - self._aliases.keys()
        for alias in aliases:
            if alias in text:
                before, _, after = text.partition(alias)
                return [*self._encode(before, allowed), self._aliases[alias], *self._encode(after, allowed)]
        return self._tokenizer.encode(text, allowed_special=tokens)

    def _encode_with_last_piece(self, text: str, allowed: _Allowed) -> tuple[list[int], int]:
        """Ids, and how many at the end may change: those of the last piece, and white space before white space."""
        tokens = allowed if allowed == "all" else set(allowed) - self._aliases.keys()
        ids, _, words = self._tokenizer._encode_with_words(text, allowed_special=tokens)  # noqa: SLF001
        if not ids or ids[-1] in self._special_token_values:
            return ids, 0
        last = sum(word == words[-1] for word in words)

        def is_space(token: int) -> bool:
            return token not in self._special_token_values and not self._tokenizer.token_bytes(token).strip(b" \n\t")

        while last < len(ids) and is_space(ids[-last]) and is_space(ids[-last - 1]):
            last += 1
        return ids, last

    def _tokens_that_begin_with(self, prefix: bytes) -> Iterable[bytes]:
        at = bisect_left(self._sorted_tokens, prefix)
        while at < len(self._sorted_tokens) and self._sorted_tokens[at].startswith(prefix):
            yield self._sorted_tokens[at]
            at += 1

    def _encode_single_piece(self, text_or_bytes: str | bytes) -> list[int]:
        return self._pieces.encode(text_or_bytes)

    def _encode_bytes(self, text: bytes) -> list[int]:
        """Ids of any bytes, by tiktoken's rule: what follows the last valid character joins the last piece."""
        if _is_utf8(text):
            return self._tokenizer.encode(text)
        valid = _valid_prefix(text)
        ids, last = self._encode_with_last_piece(valid.decode(), _NOTHING)
        rest = self.decode_bytes(ids[len(ids) - last :]) + text[len(valid) :]
        return ids[: len(ids) - last] + self._encode_single_piece(rest)


def get_encoding(encoding_name: str) -> Encoding:
    """Return an encoding by name; always the same object.

    Raises
    ------
    ValueError
        There is none of this name.
    UnknownEncodingError
        Its vocabulary file is nowhere on this machine; ``tokfast fetch NAME`` gets it.
    """
    with _lock:
        if encoding_name not in _loaded:
            if encoding_name not in ENCODINGS:
                raise ValueError(f"Unknown encoding {encoding_name!r}; the names are {', '.join(ENCODINGS)}")
            aliases = HARMONY_ALIASES if encoding_name == "o200k_harmony" else {}
            _loaded[encoding_name] = _restored(encoding_name, load(encoding_name), aliases)
        return _loaded[encoding_name]


def list_encoding_names() -> list[str]:
    """Return the names that `get_encoding` knows.

    Examples
    --------
    >>> from tokfast import tiktoken
    >>> tiktoken.list_encoding_names()[:3]
    ['gpt2', 'r50k_base', 'p50k_base']
    """
    return list(ENCODINGS)


def encoding_name_for_model(model_name: str) -> str:
    """Return the name of the encoding of a model; `KeyError` where it is not known.

    Examples
    --------
    >>> from tokfast import tiktoken
    >>> tiktoken.encoding_name_for_model("gpt-4o-2024-05-13")
    'o200k_base'
    """
    name = _encoding_name_for_model(model_name)
    if name is None:
        raise KeyError(f"no encoding is known for the model {model_name!r}; name one with get_encoding")
    return name


def encoding_for_model(model_name: str) -> Encoding:
    """Return the encoding of a model; `KeyError` where it is not known."""
    return get_encoding(encoding_name_for_model(model_name))


def load_tiktoken_bpe(tiktoken_bpe_file: str, expected_hash: str | None = None) -> dict[bytes, int]:
    """Return the tokens of a ``.tiktoken`` file with their ranks.

    Parameters
    ----------
    tiktoken_bpe_file
        The path of a file; an address is not read, because nothing here downloads.
    expected_hash
        The sha256 that the file must have, if given.

    Raises
    ------
    ValueError
        The hash is another, or a line is no token with its rank.
    """
    import base64
    import hashlib

    data = Path(tiktoken_bpe_file).read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if expected_hash and found != expected_hash:
        raise ValueError(f"{tiktoken_bpe_file} has sha256 {found}, expected {expected_hash}; get the file again")
    ranks = {}
    for number, line in enumerate(data.splitlines(), 1):
        if line:
            try:
                token, rank = line.split()
                ranks[base64.b64decode(token, validate=True)] = int(rank)
            except ValueError as error:
                raise ValueError(f"{tiktoken_bpe_file}, line {number}: {error}") from None
    return ranks


def _tokenizer(
    name: str, pattern: str, ranks: Mapping[bytes, int], special_tokens: Mapping[str, int]
) -> tuple[Tokenizer, dict[str, int]]:
    """Make a tokenizer of ranks, and the special tokens whose id another one has already."""
    import base64

    lines = b"".join(
        b"%b %d\n" % (base64.b64encode(token), rank) for token, rank in sorted(ranks.items(), key=lambda item: item[1])
    )
    first: dict[int, str] = {}
    for token, number in special_tokens.items():
        first.setdefault(number, token)
    kept = {token: number for number, token in first.items()}
    aliases = {token: number for token, number in special_tokens.items() if token not in kept}
    made = Tokenizer.from_bytes(lines, format="tiktoken", pattern=pattern, special_tokens=kept, name=name)
    return made, aliases


def _restored(name: str, tokenizer: Tokenizer, aliases: Mapping[str, int]) -> Encoding:
    encoding = Encoding.__new__(Encoding)
    encoding._set(name, tokenizer, aliases)  # noqa: SLF001 (this module's own class)
    return encoding


def _without_surrogates(text: str) -> str:
    """Join surrogate pairs to characters; a lone one becomes U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _is_utf8(text: bytes) -> bool:
    return len(_valid_prefix(text)) == len(text)


def _valid_prefix(text: bytes) -> bytes:
    try:
        text.decode()
    except UnicodeDecodeError as error:
        return text[: error.start]
    return text


def _key_error(error: TokenIdError, tokens: Iterable[int]) -> Exception:
    """Name the fault as tiktoken does: `OverflowError` for what can be no id."""
    if any(not 0 <= token < 2**32 for token in tokens):
        return OverflowError(str(error))
    return KeyError(str(error))
