"""The compiled half of tokfast; `tokfast` re-exports what is meant for users."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, AnyStr, Literal, Protocol, SupportsIndex, TypeAlias, final

import numpy as np
from numpy.typing import NDArray
from typing_extensions import CapsuleType

from tokfast._report import TrainingReport

__all__ = [
    "StreamDecoder",
    "TokenBatch",
    "Tokenizer",
    "WordCounter",
    "WordCounts",
    "__version__",
    "_unpickle",
    "count_text_files",
    "list_files",
    "scheme_names",
    "split",
    "train_words",
]

__version__: str

_Text: TypeAlias = str | bytes

class _ArrowArray(Protocol):
    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]: ...

class _ArrowStream(Protocol):
    def __arrow_c_stream__(self, requested_schema: object = None) -> object: ...

_Texts: TypeAlias = Iterable[_Text] | _ArrowArray | _ArrowStream
_Special: TypeAlias = Iterable[str] | Literal["all"]
_Format: TypeAlias = Literal["tokenizer.json", "tiktoken", "vocab.json", "tekken.json", "sentencepiece", "gguf"]
_Progress: TypeAlias = Callable[[str, int, int, str], object]
_Ids: TypeAlias = Iterable[SupportsIndex] | NDArray[np.integer[Any]]

@final
class Tokenizer:
    """Text to token ids and back, exactly.

    Frozen: nothing about a tokenizer changes after it is made, so threads share it freely. It pickles by content.
    Made by `tokfast.load`, `tokfast.train`, `Tokenizer.from_file` and `Tokenizer.from_bytes`.

    In every method `text` is a `str`, or `bytes` that need not be valid UTF-8: invalid sequences are encoded as the
    bytes they are. A `str` with a lone surrogate has no UTF-8 and raises `UnicodeEncodeError`.

    Text is data: the spelling of a special token is ordinary text unless the token is in `allowed_special`, a set of
    special tokens or ``"all"``. In `disallowed_special` (a set or ``"all"``) it raises `SpecialTokenError` unless it
    is allowed. `add_special_tokens` adds the ids that the tokenizer's own template puts around a text (BOS, EOS).

    Examples
    --------
    >>> import tokfast
    >>> tok = tokfast.train(["to tok toke token tokens"] * 3, 264, pattern="gpt2", special_tokens=["<|end|>"])
    >>> ids = tok.encode("tokens to tokenize")
    >>> tok.decode(ids), tok.count("tokens to tokenize") == len(ids)
    ('tokens to tokenize', True)
    >>> tok.encode("<|end|>", allowed_special="all")
    [0]
    """

    @staticmethod
    def from_file(
        path: str | os.PathLike[str],
        *,
        format: _Format | None = None,
        pattern: str | None = None,
        special_tokens: Mapping[str, int] | None = None,
        name: str | None = None,
    ) -> Tokenizer:
        """Read a tokenizer from a file.

        Parameters
        ----------
        path
            A ``tokenizer.json`` or a ``.tiktoken`` file.
        format
            Which of the two; None: by how the file begins.
        pattern, special_tokens
            What a ``.tiktoken`` file does not say: the pattern's name or regular expression, and the special tokens
            with their ids.
        name
            What the tokenizer is called.

        Raises
        ------
        TokenizerFileError
            The file is damaged, or something in it is not supported; the message names it.
        OSError
            The file cannot be read.
        """
    @staticmethod
    def from_bytes(
        data: bytes,
        *,
        format: _Format,
        pattern: str | None = None,
        special_tokens: Mapping[str, int] | None = None,
        name: str | None = None,
    ) -> Tokenizer:
        """Read a tokenizer from bytes; parameters and errors are those of `from_file`."""
    @staticmethod
    def from_pretrained(
        repo_or_dir: str | os.PathLike[str], *, download: bool = False, revision: str = "main"
    ) -> Tokenizer:
        """Read the tokenizer of a model on the Hugging Face Hub, or of a folder.

        Parameters
        ----------
        repo_or_dir
            A repository (``"org/name"``), or a folder that holds a ``tokenizer.json`` or another tokenizer file.
        download
            Whether a file that is not in the Hub's local cache is downloaded, by huggingface_hub (``pip install
            'tokfast[hub]'``). ``TOKFAST_OFFLINE=1`` and ``HF_HUB_OFFLINE=1`` forbid it.
        revision
            A branch, a tag or a commit.

        Raises
        ------
        UnknownEncodingError
            The file is not in the cache and may not, or cannot, be downloaded; the message names the places searched.
        TokenizerFileError
            The file is damaged, or something in it is not supported.
        OSError
            The folder holds no tokenizer file, or it cannot be read.

        Notes
        -----
        The cache is that of huggingface_hub (``$HF_HUB_CACHE``, ``$HF_HOME/hub``, ``~/.cache/huggingface/hub``), read
        without it.

        Examples
        --------
        >>> import tokfast
        >>> tokfast.train(["low lower"], 260, pattern="gpt2").save("tokenizer.json")
        >>> tokfast.Tokenizer.from_pretrained(".").vocab_size
        260
        """
    def save(self, path: str | os.PathLike[str], *, format: _Format | None = None, verify: bool = True) -> None:
        """Write the tokenizer to a file.

        The file is written beside its place and then renamed, so a crash leaves the old one or the new one.

        Parameters
        ----------
        path
            ``.json`` or ``.tiktoken`` says the format, unless `format` does.
        verify
            Read the bytes back and compare before anything is written.

        Raises
        ------
        TokenizerFileError
            The format cannot hold this tokenizer, or the ending says nothing.
        OSError
            The file cannot be written.
        """
    def encode(
        self,
        text: _Text,
        *,
        add_special_tokens: bool = False,
        allowed_special: _Special = (),
        disallowed_special: _Special = (),
    ) -> list[int]:
        """Return the ids of a text.

        Raises
        ------
        SpecialTokenError
            The text holds a disallowed special token, or a name is no special token.
        """
    def encode_to_numpy(
        self,
        text: _Text,
        *,
        add_special_tokens: bool = False,
        allowed_special: _Special = (),
        disallowed_special: _Special = (),
    ) -> NDArray[np.uint32]:
        """Return the ids of a text as an array of shape ``(n_tokens,)``."""
    def encode_with_offsets(
        self,
        text: _Text,
        *,
        unit: Literal["char", "byte"] = "char",
        add_special_tokens: bool = False,
        allowed_special: _Special = (),
        disallowed_special: _Special = (),
    ) -> tuple[list[int], list[tuple[int, int]]]:
        """Return the ids of a text, and where in the text each stands.

        Parameters
        ----------
        unit
            What a span counts: ``"char"``, for slices of a `str`, or ``"byte"``, for slices of its UTF-8.

        Returns
        -------
        ids
            Those of `encode`.
        spans
            ``(start, end)`` for each id. In bytes, ``text[start:end]`` is the token's bytes, and spans follow each
            other without overlap. In characters, a span holds every character that the token has a byte of: two tokens
            that share a character both span it, as in Hugging Face tokenizers. White space that belongs to a token
            belongs to its span. An id that `add_special_tokens` adds spans ``(0, 0)``. Characters of `bytes` are those
            of ``text.decode("utf-8", "replace")``.

        Raises
        ------
        ValueError
            The unit is another.

        Examples
        --------
        >>> import tokfast
        >>> tok = tokfast.load("tokfast-32k")
        >>> text = "naïve tokens"
        >>> ids, spans = tok.encode_with_offsets(text)
        >>> [text[start:end] for start, end in spans]
        ['na', 'ï', 've', ' tokens']
        >>> tok.encode_with_offsets(text, unit="byte")[1]
        [(0, 2), (2, 4), (4, 6), (6, 13)]
        """
    def truncate(
        self,
        text: AnyStr,
        max_tokens: int,
        *,
        add_special_tokens: bool = False,
        allowed_special: _Special = (),
        disallowed_special: _Special = (),
    ) -> AnyStr:
        """Return the longest beginning of a text that has at most `max_tokens` tokens.

        The text is cut where one of its first `max_tokens` tokens ends, moved back to a character so that none is cut
        in two; of these beginnings it is the longest whose own encoding, with the same options, has at most
        `max_tokens` ids. So ``count(truncate(text, n)) <= n`` always, and a text that fits comes back as it is. Of a
        long text only the part that is kept is encoded.

        Parameters
        ----------
        max_tokens
            The most tokens, with those of `add_special_tokens` if that is true.

        Returns
        -------
        str or bytes
            As the text is.

        Raises
        ------
        ValueError
            `max_tokens` is negative, or less than what `add_special_tokens` adds to any text.

        Examples
        --------
        >>> import tokfast
        >>> tok = tokfast.load("tokfast-32k")
        >>> tok.truncate("naïve tokens", 3)
        'naïve'
        """
    def split_by_tokens(
        self,
        text: AnyStr,
        size: int,
        overlap: int = 0,
        *,
        add_special_tokens: bool = False,
        allowed_special: _Special = (),
        disallowed_special: _Special = (),
    ) -> list[AnyStr]:
        """Cut a text into parts of at most `size` tokens, as for an index of passages.

        Each part is as long as `truncate` would make it, and each but the first begins `overlap` tokens of the whole
        text before the end of the one before it. Parts begin and end at characters; without overlap they join to the
        text.

        Parameters
        ----------
        size
            The most tokens of a part, counted in the part alone, with those of `add_special_tokens` if that is true.
        overlap
            How many tokens a part shares with the one before it; fewer where a character would be cut in two, or where
            a part would not get beyond the one before it.

        Returns
        -------
        list of str or of bytes
            As the text is. Empty for an empty text.

        Raises
        ------
        ValueError
            `size` is not above `overlap`, or a single character of the text has more tokens than `size`.

        Examples
        --------
        >>> import tokfast
        >>> tok = tokfast.load("tokfast-32k")
        >>> tok.split_by_tokens("one two three four five", 2, 1)
        ['one two', ' two three', ' three four', ' four five']
        """
    def encode_batch(
        self,
        texts: _Texts,
        *,
        threads: int | None = None,
        add_special_tokens: bool = False,
        allowed_special: _Special = (),
        disallowed_special: _Special = (),
    ) -> TokenBatch:
        """Return the ids of many texts, in order, worked on by several threads.

        Texts may be an object with the Arrow PyCapsule interface (pyarrow, polars, pandas, DuckDB) that holds strings
        or binaries; they are read where they lie.

        Parameters
        ----------
        threads
            None: one a processor, or ``TOKFAST_THREADS``.
        """
    def count(
        self,
        text: _Text,
        *,
        add_special_tokens: bool = False,
        allowed_special: _Special = (),
        disallowed_special: _Special = (),
    ) -> int:
        """Return how many ids a text has: ``len(encode(text))``, without making the list."""
    def count_up_to(
        self,
        text: _Text,
        limit: int,
        *,
        add_special_tokens: bool = False,
        allowed_special: _Special = (),
        disallowed_special: _Special = (),
    ) -> int:
        """Return ``min(count(text), limit + 1)``, and stop reading the text once that is known.

        So ``count_up_to(text, limit) <= limit`` says whether a text fits, at the price of the part that does.

        Parameters
        ----------
        limit
            A number of tokens, 0 or more.

        Raises
        ------
        ValueError
            The limit is negative.

        Examples
        --------
        >>> import tokfast
        >>> tok = tokfast.load("tokfast-32k")
        >>> tok.count_up_to("one two three " * 1000, 5), tok.count_up_to("one", 5)
        (6, 1)
        """
    def cache_stats(self) -> dict[str, int]:
        """Return what this tokenizer keeps of texts it has encoded, to encode the next ones faster.

        What is kept never changes a result. All tokenizers of a process share one budget: 64 MiB for each thread that
        a call uses by default, at most 512 MiB, or the number of bytes in the environment variable
        ``TOKFAST_CACHE_BYTES``.

        Returns
        -------
        dict
            ``lookups``: pieces of text looked up; ``misses``: those that had to be merged; ``entries``: pieces that
            are kept; ``bytes``: memory for them; ``process_bytes``: memory of all tokenizers; ``budget``: the most
            that may be. What belongs to calls that are under way is left out.
        """
    def clear_cache(self) -> None:
        """Forget the texts that were encoded before, and free their memory. Results stay the same."""
    def count_batch(
        self,
        texts: _Texts,
        *,
        threads: int | None = None,
        add_special_tokens: bool = False,
        allowed_special: _Special = (),
        disallowed_special: _Special = (),
    ) -> NDArray[np.int64]:
        """Return how many ids each of many texts has, as an array of shape ``(n_texts,)``."""
    def decode(self, ids: _Ids, *, errors: str = "replace") -> str:
        """Return the text that ids stand for.

        Parameters
        ----------
        ids
            Integers, or a one-dimensional numpy array of them.
        errors
            What to do where the bytes are no valid UTF-8, as for `bytes.decode`: a text cut between the tokens of one
            character ends in U+FFFD under ``"replace"``.

        Raises
        ------
        TokenIdError
            An id is not in the vocabulary.
        """
    def decode_bytes(self, ids: _Ids) -> bytes:
        """Return the bytes that ids stand for: the inverse of `encode` for any `str` or `bytes`."""
    def decode_batch(self, batch: TokenBatch | Iterable[_Ids], *, errors: str = "replace") -> list[str]:
        """Return the texts that the rows of a batch stand for."""
    def stream_decoder(self, *, errors: str = "replace") -> StreamDecoder:
        """Return a decoder for ids that arrive one by one, such as those of a model that is writing.

        Parameters
        ----------
        errors
            As for `decode`.
        """
    def _encode_with_words(
        self, text: _Text, *, unit: str = "char", allowed_special: _Special | None = None
    ) -> tuple[list[int], list[tuple[int, int]], list[int | None]]: ...
    def token_bytes(self, id: int) -> bytes:
        """Return the bytes of one id; `TokenIdError` where there is none."""
    def token_id(self, token: _Text) -> int | None:
        """Return the id of a token's bytes, or None where they are no token."""
    def with_vocab_size(self, n: int) -> Tokenizer:
        """Return the same tokenizer with only the ids below `n`: what training to `n` would have given.

        Raises
        ------
        TrainingError
            A special token or a single byte would be lost, or there are fewer ids.
        """
    @property
    def vocab_size(self) -> int:
        """One more than the greatest id, special tokens included."""
    @property
    def vocab(self) -> list[bytes]:
        """The bytes of every id; empty where no token has the id."""
    @property
    def merges(self) -> list[tuple[int, int]]:
        """The merges in rank order, as (left id, right id)."""
    @property
    def special_tokens(self) -> dict[str, int]:
        """The special tokens with their ids, by ascending id."""
    @property
    def pattern(self) -> str | None:
        """The regular expression that cuts text into pieces; None: no cuts."""
    @property
    def name(self) -> str | None:
        """What the tokenizer is called, if anything."""
    @property
    def training_report(self) -> TrainingReport | None:
        """What training knew of its text and of the tokens it made; None for a tokenizer not trained just now.

        Examples
        --------
        >>> import tokfast
        >>> tok = tokfast.train(["to tok toke token tokens"], 259, pattern="gpt2")
        >>> report = tok.training_report
        >>> report.merge_counts.tolist(), int(report.token_counts[258])
        ([5, 4, 4], 4)
        """
    @property
    def fingerprint(self) -> str:
        """SHA-256, in hexadecimal, of everything that decides ids."""
    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]: ...

@final
class StreamDecoder:
    """Text out of ids that arrive one by one; made by `Tokenizer.stream_decoder`.

    A character of several tokens comes out when its last byte is there, and nothing is lost: what `feed` and `finish`
    return, joined, is ``tok.decode`` of all ids, however they were cut into calls. At most three bytes are kept back.
    One stream is for one thread; a tokenizer gives out as many as are asked for.

    Examples
    --------
    >>> import tokfast
    >>> tok = tokfast.load("tokfast-32k")
    >>> stream = tok.stream_decoder()
    >>> [stream.feed(id) for id in tok.encode("a 🦜!")]
    ['a', ' ', '', '', '', '🦜', '!']
    >>> stream.finish()
    ''
    """

    def feed(self, ids: SupportsIndex | _Ids) -> str:
        """Take an id, or several, and return the text that is complete.

        Raises
        ------
        TokenIdError
            An id is not in the vocabulary; none of the ids was taken.
        UnicodeDecodeError
            Under ``errors="strict"`` the bytes are no UTF-8; none of the ids was taken.
        """
    def finish(self) -> str:
        """Return what is left, the beginning of a character, as `errors` says; the stream is then as new."""

@final
class TokenBatch:
    """The ids of many texts: one flat array, and where each text begins.

    ``batch[i]`` is a view of the ids of text ``i``; ``len(batch)`` and iteration work as for a list.

    Examples
    --------
    >>> import tokfast
    >>> batch = tokfast.load("tokfast-32k").encode_batch(["one", "two words"])
    >>> len(batch), int(batch.offsets[-1]) == len(batch.ids)
    (2, True)
    """

    @property
    def ids(self) -> NDArray[np.uint32]:
        """All ids, shape ``(n_tokens,)``."""
    @property
    def offsets(self) -> NDArray[np.int64]:
        """Where each text begins in `ids`, shape ``(n_texts + 1,)``."""
    def to_list(self) -> list[list[int]]:
        """Return the ids as a list of lists."""
    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[CapsuleType, CapsuleType]:
        """Export the ids as a list of uint32 a text, by the Arrow PyCapsule interface: ``pyarrow.array(batch)``."""
    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> NDArray[np.uint32]: ...
    def __iter__(self) -> Iterator[NDArray[np.uint32]]: ...

@final
class WordCounts:
    """How often each pretoken of a corpus occurs, by descending count, then by bytes.

    Iteration gives ``(bytes, int)``. Made by `tokfast.count_words` and `WordCounts.from_counts`.

    Examples
    --------
    >>> import tokfast
    >>> counts = tokfast.WordCounts.from_counts({"low": 5, "lower": 2})
    >>> list(counts.merge(tokfast.WordCounts.from_counts({"low": 1})))
    [(b'low', 6), (b'lower', 2)]
    """

    @staticmethod
    def from_counts(
        counts: Mapping[str, int] | Mapping[bytes, int] | Iterable[tuple[_Text, int]],
        *,
        pattern: str | None = None,
    ) -> WordCounts:
        """Return counts made elsewhere, up to 2^64 - 1; equal words are added up, counts of 0 left out.

        Parameters
        ----------
        counts
            A mapping of words to counts, or pairs of them.
        pattern
            The pattern the text was cut with, if it is known.
        """
    def merge(self, other: WordCounts) -> WordCounts:
        """Return the sum of both; in any order and grouping the same, so shards add up.

        Raises
        ------
        TrainingError
            The two were cut by different patterns, units or special tokens.
        """
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the counts to a file that `load` reads: sorted, about 5 bytes a word, the same for equal counts."""
    @staticmethod
    def load(path: str | os.PathLike[str]) -> WordCounts:
        """Read counts that `save` wrote.

        Raises
        ------
        TrainingError
            The file is none of these, or is damaged.
        """
    @property
    def pattern(self) -> str | None:
        """The pattern the text was cut with; None for no cuts, or where it is not known."""
    @property
    def knows_pattern(self) -> bool:
        """Whether it is known how the text was cut, even if not at all."""
    @property
    def documents(self) -> int:
        """How many documents were counted; 0 where that is not known."""
    @property
    def text_bytes(self) -> int:
        """How many bytes of text were counted; 0 where that is not known."""
    def __arrow_c_stream__(self, requested_schema: object = None) -> CapsuleType:
        """Export the columns ``word`` and ``count`` by the Arrow PyCapsule interface: ``polars.DataFrame(counts)``."""
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[tuple[bytes, int]]: ...

@final
class WordCounter:
    """Counts words, batch after batch; behind `tokfast.count_words`."""

    def __new__(
        cls,
        *,
        pattern: str | None,
        special_tokens: Sequence[str],
        unit: str,
        threads: int | None,
        memory_limit: int | None = None,
        directory: str | os.PathLike[str] | None = None,
    ) -> WordCounter: ...
    def add_documents(self, documents: _Texts) -> None:
        """Count documents."""
    def add_files(
        self,
        paths: Sequence[str | os.PathLike[str]],
        *,
        start: int = 0,
        stop: int | None = None,
        progress: _Progress | None = None,
    ) -> int:
        """Count the blocks `start` to `stop` of files, each a document; return how many blocks they have."""
    def flush(self) -> list[str]:
        """Write what was counted to sorted runs in the directory; return the files of all runs."""
    def add_runs(self, runs: Sequence[str | os.PathLike[str]], documents: int, bytes: int) -> None:
        """Add the runs of an earlier counter, and what they stand for."""
    def counted(self) -> tuple[int, int]:
        """Return how many documents and bytes were counted."""
    def finish(self) -> WordCounts:
        """Return the counts; the counter is used up."""

def train_words(
    counts: WordCounts,
    vocab_size: int,
    *,
    pattern: str | None,
    special_tokens: Sequence[str],
    min_frequency: int,
    max_token_length: int | None,
    limit_alphabet: int | None,
    keep_bytes: bytes,
    tie_break: str,
    threads: int | None = None,
    base: Tokenizer | None = None,
    count_seconds: float = 0.0,
    progress: _Progress | None = None,
) -> Tokenizer:
    """Train on word counts; behind `tokfast.train`."""

def split(text: _Text, pattern: str | None) -> list[bytes]:
    """Return the pieces of a text, inside which merges happen."""

def scheme_names() -> list[str]:
    """Return the names of the pretokenizer schemes."""

def list_files(paths: Sequence[str | os.PathLike[str]], *, hidden: bool = False, binary: bool = False) -> list[str]:
    """Return the files that paths, directories (as git sees them) and globs name.

    From directories and globs, hidden files and binary files (a NUL in the first 8 kB) are taken only if asked for.
    A directory that cannot be listed stands in the result itself, so that reading it reports why.
    """

def count_text_files(
    tokenizer: Tokenizer,
    paths: Sequence[str | os.PathLike[str]],
    *,
    binary: Sequence[bool] | None = None,
    threads: int | None = None,
    progress: Callable[[str, int, int, str], object] | None = None,
) -> tuple[list[int], list[int], dict[int, OSError | None]]:
    """Count the tokens of files, each of which is one text, on all threads: behind `tokfast.count_files`.

    Parameters
    ----------
    tokenizer, threads
        As for `Tokenizer.count_batch`. A large file is shared by the threads where the pattern allows it.
    paths
        The files.
    binary
        For each file, whether it is counted even where it is binary (a NUL in the first 8 kB); None: all are.
    progress
        Called with ``("encode", bytes done, bytes in all, "")`` about every 50 ms.

    Returns
    -------
    tuple
        The tokens of each file; its bytes; and, by the places of those that have neither (0 stands there), None for a
        binary file and the exception for one that cannot be read.
    """

def _unpickle(data: bytes, name: str | None, ranks: list[int] | None = None) -> Tokenizer: ...
