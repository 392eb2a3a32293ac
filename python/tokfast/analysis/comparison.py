r"""Several tokenizers on the same texts: which needs fewer tokens, for which language.

Naive: encode every text with every tokenizer and divide lengths.
Idea: that is all; what matters is that each figure is defined. For a language's text, of ``n_bytes`` bytes of UTF-8,
``n_characters`` code points and ``n_words`` words (runs of letters, marks and digits, ``[\p{L}\p{M}\p{N}]+``):

- *tokens per byte, per character, per word* (the last is known as fertility): tokens divided by these;
- *whole words*: the share of words, as they occur, that are one token with the space before them;
- *byte tokens*: the share of tokens that are a single byte of a character that has several;
- *inflation*: tokens divided by those of the reference language's text, which means something only where the texts
  say the same (parallel text): then it is what a speaker pays for the same content.

Words are not reported for text without spaces between them (more than half of the letters in Chinese, Japanese, Thai,
Lao, Khmer or Myanmar script), where a run of letters is a clause.
Cost: one encoding of the texts a tokenizer; memory is the largest text and its ids.

Sources: Rust et al. 2021 (fertility, words kept whole); Petrov et al. 2023 (inflation on parallel text).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tokfast._load import load
from tokfast._tokfast import Tokenizer
from tokfast.analysis._table import Table
from tokfast.analysis._words import count_words_of, is_unspaced
from tokfast.baselines import CharTokenizer, WordTokenizer

if TYPE_CHECKING:
    import os
    from collections import Counter
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Comparison", "LanguageRow", "VocabularyUse", "compare"]

N_LONGEST = 10


@dataclass(frozen=True)
class LanguageRow:
    """One tokenizer on one language.

    Attributes
    ----------
    tokenizer, language
        Whose tokens, and of which text.
    n_bytes, n_characters, n_words, n_tokens
        Sizes of the text. `n_words` is None where words are not separated by spaces.
    tokens_per_byte, tokens_per_character, tokens_per_word, bytes_per_token
        Quotients of these.
    whole_word_share
        Share of the words that are one token.
    byte_token_share
        Share of the tokens that are one byte of a longer character.
    inflation
        Tokens, divided by the tokens of the reference language; None without one.
    oov_rate
        For a word-level or character-level baseline, the share of words or characters outside its vocabulary, in the
        second half of the text (it was trained on the first halves). None for a byte-level tokenizer, which has none.
    """

    tokenizer: str
    language: str
    n_bytes: int
    n_characters: int
    n_words: int | None
    n_tokens: int
    tokens_per_byte: float
    tokens_per_character: float
    tokens_per_word: float | None
    bytes_per_token: float
    whole_word_share: float | None
    byte_token_share: float | None
    inflation: float | None
    oov_rate: float | None


@dataclass(frozen=True)
class VocabularyUse:
    """What of a tokenizer's vocabulary the texts used.

    Attributes
    ----------
    tokenizer, fingerprint, vocab_size
        Which vocabulary; a baseline has no fingerprint.
    n_used, used_share
        Ids that occur, and their share of the vocabulary.
    unused
        The first ids that do not occur, at most ten.
    longest
        The longest tokens that occur, at most ten, longest first.
    """

    tokenizer: str
    fingerprint: str | None
    vocab_size: int
    n_used: int
    used_share: float
    unused: tuple[bytes, ...]
    longest: tuple[bytes, ...]


@dataclass(frozen=True)
class Comparison(Table):
    """The answer of `compare`: a row for each tokenizer and language, and each vocabulary's use.

    Attributes
    ----------
    languages
        The rows, by tokenizer, then by language in the order given.
    vocabularies
        One for each tokenizer.
    reference
        The language that inflation is against, or None.
    """

    languages: tuple[LanguageRow, ...]
    vocabularies: tuple[VocabularyUse, ...]
    reference: str | None

    @property
    def table(self) -> Sequence[LanguageRow]:
        """The rows as dataclasses."""
        return self.languages


def compare(
    tokenizers: Mapping[str, Tokenizer] | Sequence[Tokenizer | str | os.PathLike[str]],
    data: Mapping[str, str | bytes],
    *,
    reference: str | None = "en",
    baselines: bool = False,
    threads: int | None = None,
    progress: Callable[[str, int, int], object] | None = None,
) -> Comparison:
    """Compare tokenizers on texts of several languages.

    Parameters
    ----------
    tokenizers
        Tokenizers, or what `tokfast.load` takes; a mapping names them.
    data
        The text of each language. For `inflation` the texts say the same in each.
    reference
        The language that inflation is against; ignored where `data` does not have it.
    baselines
        Also the character-level and the word-level tokenizer of `tokfast.baselines`, the latter of 32,000 words, both
        trained on the first half of each text.
    threads
        How many threads encode; None for one a processor.
    progress
        Called as ``progress("compare", tokenizers done, tokenizers in all)`` after each.

    Returns
    -------
    Comparison
        ``.languages`` and ``.vocabularies`` as dataclasses; ``.rows()`` and ``.to_dict()`` for pandas and polars.

    Raises
    ------
    ValueError
        There is no tokenizer or no text, a text is empty, or two tokenizers have one name.

    Examples
    --------
    >>> from tokfast.analysis import compare
    >>> texts = {"en": "The same in every language.", "de": "Dasselbe in jeder Sprache."}
    >>> result = compare(["tokfast-32k"], texts)
    >>> [(row.language, row.n_tokens) for row in result.languages]
    [('en', 6), ('de', 11)]
    """
    named = name_tokenizers(tokenizers)
    if not data:
        raise ValueError("data is empty; pass a text for at least one language, as {'en': text}")
    texts = {language: _Text.of(language, text) for language, text in data.items()}
    reference = reference if reference in texts else None
    if baselines:
        halves = [text.halves[0] for text in texts.values()]
        # One vocabulary for all languages, as a subword tokenizer has.
        trained: list[CharTokenizer | WordTokenizer]
        trained = [CharTokenizer.train(halves), WordTokenizer.train(halves, 32_000)]
        named |= {baseline.name: baseline for baseline in trained}
    rows: list[LanguageRow] = []
    vocabularies: list[VocabularyUse] = []
    for done, (name, tokenizer) in enumerate(named.items(), 1):
        found, use = _measure(name, tokenizer, texts, reference, threads)
        rows += found
        vocabularies.append(use)
        if progress is not None:
            progress("compare", done, len(named))
    return Comparison(tuple(rows), tuple(vocabularies), reference)


@dataclass(frozen=True)
class _Text:
    """A language's text with what is the same for all tokenizers."""

    text: bytes
    n_characters: int
    words: Counter[bytes] | None

    @classmethod
    def of(cls, language: str, text: str | bytes) -> _Text:
        raw = text.encode() if isinstance(text, str) else bytes(text)
        if not raw:
            raise ValueError(f"the text of {language!r} is empty; give each language some text")
        characters = raw.decode(errors="surrogateescape")
        words = None
        if not is_unspaced(characters):
            words = count_words_of(raw)
        return cls(raw, len(characters), words or None)

    @property
    def halves(self) -> tuple[bytes, bytes]:
        """The text cut at the line that crosses its middle."""
        middle = self.text.rfind(b"\n", 0, len(self.text) // 2) + 1 or len(self.text) // 2
        return self.text[:middle], self.text[middle:]


def name_tokenizers(
    tokenizers: Mapping[str, Tokenizer] | Sequence[Tokenizer | str | os.PathLike[str]],
) -> dict[str, Any]:
    """Load what is a name, and call each tokenizer by its own name where none is given."""
    if isinstance(tokenizers, (str, Tokenizer)):
        raise TypeError("tokenizers is a single one; pass a list, [tokenizer]")
    if not tokenizers:
        raise ValueError("no tokenizer is given; pass at least one, as ['cl100k_base']")
    if hasattr(tokenizers, "items"):
        return dict(tokenizers.items())
    named: dict[str, Any] = {}
    for given in tokenizers:
        tokenizer = given if isinstance(given, Tokenizer) else load(given)
        name = tokenizer.name or (tokenizer.fingerprint[:8] if isinstance(given, Tokenizer) else str(given))
        if name in named:
            raise ValueError(f"two tokenizers are called {name!r}; pass a mapping, {{'a': ..., 'b': ...}}")
        named[name] = tokenizer
    return named


def _measure(
    name: str,
    tokenizer: Tokenizer | CharTokenizer | WordTokenizer,
    texts: dict[str, _Text],
    reference: str | None,
    threads: int | None,
) -> tuple[list[LanguageRow], VocabularyUse]:
    import numpy as np

    used = np.zeros(tokenizer.vocab_size, dtype=bool)
    is_byte = _byte_tokens(tokenizer)
    counts: dict[str, int] = {}
    byte_tokens: dict[str, int] = {}
    raw = [text.text for text in texts.values()]
    if isinstance(tokenizer, Tokenizer):
        encoded = iter(tokenizer.encode_batch(raw, threads=threads))
    else:
        encoded = (np.asarray(tokenizer.encode(text), dtype=np.uint32) for text in raw)
    for language, ids in zip(texts, encoded, strict=True):
        counts[language] = len(ids)
        byte_tokens[language] = int(is_byte[ids].sum())
        used[ids] = True
    rows = []
    for language, text in texts.items():
        n_tokens = counts[language]
        n_words = sum(text.words.values()) if text.words else None
        rows.append(
            LanguageRow(
                tokenizer=name,
                language=language,
                n_bytes=len(text.text),
                n_characters=text.n_characters,
                n_words=n_words,
                n_tokens=n_tokens,
                tokens_per_byte=n_tokens / len(text.text),
                tokens_per_character=n_tokens / text.n_characters,
                tokens_per_word=n_tokens / n_words if n_words else None,
                bytes_per_token=len(text.text) / n_tokens if n_tokens else 0.0,
                whole_word_share=_whole_words(tokenizer, text.words, threads) if text.words else None,
                byte_token_share=byte_tokens[language] / n_tokens if n_tokens else 0.0,
                inflation=n_tokens / counts[reference] if reference is not None else None,
                oov_rate=None if isinstance(tokenizer, Tokenizer) else tokenizer.oov_rate(text.halves[1]),
            )
        )
    vocab = _vocab(tokenizer)
    ids_used = np.flatnonzero(used)
    by_length = sorted(ids_used.tolist(), key=lambda number: (-len(vocab[number]), number))[:N_LONGEST]
    # An id without a token (a hole, a reserved number) cannot be used; it is not counted as unused.
    unused = [number for number in np.flatnonzero(~used).tolist() if vocab[number]]
    n_tokens_there = sum(map(bool, vocab))
    use = VocabularyUse(
        tokenizer=name,
        fingerprint=tokenizer.fingerprint if isinstance(tokenizer, Tokenizer) else None,
        vocab_size=tokenizer.vocab_size,
        n_used=len(ids_used),
        used_share=len(ids_used) / n_tokens_there if n_tokens_there else 0.0,
        unused=tuple(vocab[number] for number in unused[:N_LONGEST]),
        longest=tuple(vocab[number] for number in by_length),
    )
    return rows, use


def _whole_words(
    tokenizer: Tokenizer | CharTokenizer | WordTokenizer, words: Counter[bytes], threads: int | None
) -> float:
    """Share of the words, as often as they occur, that are one token with the space before them."""
    if isinstance(tokenizer, Tokenizer):
        counts = tokenizer.count_batch([b" " + word for word in words], threads=threads).tolist()
        whole = sum(n for n, count in zip(words.values(), counts, strict=True) if count == 1)
    else:  # the baselines have no tokens with spaces
        known = set(_vocab(tokenizer)[1:])  # 0 is the unknown word, or the byte 0
        whole = sum(n for word, n in words.items() if word in known)
    return whole / sum(words.values())


def _byte_tokens(tokenizer: Tokenizer | CharTokenizer | WordTokenizer) -> Any:
    """Whether each id is a single byte outside ASCII: a part of a character."""
    import numpy as np

    if isinstance(tokenizer, WordTokenizer):
        return np.zeros(tokenizer.vocab_size, dtype=bool)
    if isinstance(tokenizer, CharTokenizer):
        return np.arange(tokenizer.vocab_size) < 256
    return np.fromiter((len(token) == 1 and token[0] >= 0x80 for token in tokenizer.vocab), dtype=bool)


def _vocab(tokenizer: Tokenizer | CharTokenizer | WordTokenizer) -> Sequence[bytes]:
    if isinstance(tokenizer, CharTokenizer):
        return [*(bytes([byte]) for byte in range(256)), *(char.encode() for char in tokenizer.alphabet or ())]
    return tokenizer.vocab
