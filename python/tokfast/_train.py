"""Text to word counts to a tokenizer: the Python edge of training.

What this module does is take a source apart: paths go to the extension as they are and are read there, an iterable
is taken in batches (the strings are held, the counting runs without the GIL), ready-made counts skip counting.
Everything that decides the result is in the extension.
"""

import glob
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, cast

from tokfast._errors import TrainingError
from tokfast._tokfast import Tokenizer, WordCounter, WordCounts, list_files, train_words

Text = str | bytes
StrPath = str | os.PathLike[str]
Source = StrPath | Iterable[StrPath] | Iterable[Text] | WordCounts
Progress = Callable[[str, int, int], object]

# Documents of an iterable are held until they fill this many bytes (characters for str), then counted together.
_BATCH_SIZE = 8 << 20
_LONGEST_PATH = 4096


def _batches(documents: Iterable[Text]) -> Iterator[list[Text]]:
    batch: list[Text] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += len(document) if isinstance(document, (str, bytes)) else 0
        if size >= _BATCH_SIZE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _paths(source: Source) -> list[str] | None:
    """Return the files that `source` names, or None where it holds documents."""
    if isinstance(source, (str, os.PathLike)):
        return list_files([source])
    if not isinstance(source, (list, tuple)) or not source:
        return None
    if all(isinstance(item, os.PathLike) for item in source):
        return list_files(source)
    # Strings may be either. A corpus of a million short documents is not asked a million times.
    if not any(_names_files(item) for item in source[:100]):
        return None
    strays = [item for item in source if not _names_files(item)]
    if strays:
        raise ValueError(
            f"some of these strings name files, but {strays[0]!r:.200} does not; pass pathlib.Path objects for files, "
            "or iter(source) for documents"
        )
    return list_files(source)


def _names_files(item: object) -> bool:
    """Whether a str is an existing path or a glob that matches; long or broken ones are text."""
    if not isinstance(item, str) or not item or len(item) > _LONGEST_PATH or "\n" in item or "\0" in item:
        return False
    # Asked of a str, and for many of them.
    if os.path.exists(item):  # noqa: PTH110
        return True
    return glob.has_magic(item) and any(glob.iglob(item, recursive=True))  # noqa: PTH207


def _kept_bytes(initial_alphabet: Literal["bytes"] | Iterable[int]) -> bytes:
    if initial_alphabet == "bytes":
        return b""
    if not isinstance(initial_alphabet, str):
        values = list(initial_alphabet)
        if all(isinstance(value, int) and 0 <= value < 256 for value in values):
            return bytes(values)
    raise TrainingError(
        f'initial_alphabet is {initial_alphabet!r:.200}; pass "bytes", or the bytes to keep as integers from 0 to 255'
    )


def count_words(
    source: Source,
    *,
    pattern: str | None = "cl100k",
    special_tokens: Iterable[str] = (),
    unit: Literal["document", "line"] = "document",
    threads: int | None = None,
    progress: Progress | None = None,
) -> WordCounts:
    """Count how often each pretoken of a corpus occurs: all that training needs to know of it.

    Parameters
    ----------
    source
        One path (a file, a directory, a glob), a list of paths, or an iterable of documents (`str` or `bytes`).
        A list of `str` is read as paths if they name files, as documents if none does, and refused if some do;
        `pathlib.Path` objects are always paths, and what any other iterable gives is always documents. Directories
        are walked as git would: what ``.gitignore`` names is left out, and so are binary files.
    pattern
        How text is cut before counting: a scheme's name (``"gpt2"``, ``"cl100k"``, ``"o200k"``, ``"llama3"``,
        ``"qwen2"``, ``"qwen3.5"``), a regular expression, or None for no cuts.
    special_tokens
        Cut out of the text, and not counted.
    unit
        What a pretoken may not reach across: a ``"document"`` (a file, an item) or a ``"line"``.
    threads
        How many threads count; None for one a processor, or ``TOKFAST_THREADS``. The result is the same.
    progress
        Called as ``progress("count", bytes_done, bytes_in_all)`` about every 50 ms while files are read.

    Returns
    -------
    WordCounts
        By descending count, then by bytes.

    Raises
    ------
    PatternError
        The pattern is no scheme and no regular expression.
    SpecialTokenError
        A special token is empty or a single byte.
    OSError
        A file cannot be read.

    Examples
    --------
    >>> import tokfast
    >>> counts = tokfast.count_words(["low low lower"], pattern="gpt2")
    >>> list(counts)
    [(b' low', 1), (b' lower', 1), (b'low', 1)]
    """
    if isinstance(source, WordCounts):
        return source
    counter = WordCounter(pattern=pattern, special_tokens=list(special_tokens), unit=unit, threads=threads)
    paths = _paths(source)
    if paths is not None:
        counter.add_files(paths, progress=progress)
    elif isinstance(source, bytes):
        raise TypeError("source is bytes; pass a list of documents, [source], or a path as str or Path")
    else:
        # What is no text is refused by the counter.
        for batch in _batches(cast("Iterable[Text]", source)):
            counter.add_documents(batch)
    return counter.finish()


def train(
    source: Source,
    vocab_size: int,
    *,
    pattern: str | None = "cl100k",
    special_tokens: Iterable[str] = (),
    min_frequency: int = 1,
    max_token_length: int | None = None,
    limit_alphabet: int | None = None,
    initial_alphabet: Literal["bytes"] | Iterable[int] = "bytes",
    tie_break: Literal["huggingface", "bytes"] = "huggingface",
    unit: Literal["document", "line"] = "document",
    threads: int | None = None,
    progress: Progress | None = None,
) -> Tokenizer:
    """Train a byte-level BPE tokenizer, exactly and deterministically.

    The result is that of Hugging Face's ``BpeTrainer`` (tokenizers 0.23) with the same pretokenizer, merge for merge,
    for any number of threads.

    Parameters
    ----------
    source
        As for `count_words`, or the `WordCounts` it returned.
    vocab_size
        Tokens in all: special tokens, the 256 single bytes, merges. Fewer where the text gives no more.
    pattern, special_tokens, unit, threads
        As for `count_words`. Word counts that know their pattern keep it.
    min_frequency
        A pair that occurs less often is not merged.
    max_token_length
        Hugging Face's rule: a pair of this many bytes or more is merged only if both its sides are single bytes.
    limit_alphabet
        Only the so many most frequent bytes take part in merges; the others vanish from the words. All 256 keep
        their ids, so every text can still be encoded.
    initial_alphabet
        Bytes (as integers) that `limit_alphabet` never drops; ``"bytes"`` names none of them.
    tie_break
        Of pairs that occur equally often, the one with the smaller (left id, right id) goes first; with
        ``"huggingface"`` the single bytes have the order of GPT-2's alphabet, with ``"bytes"`` their own.
    progress
        Called as ``progress(phase, done, total)`` about every 50 ms; phase ``"count"`` in bytes of text read from
        files, then ``"merge"`` in merges.

    Returns
    -------
    Tokenizer
        Ids: special tokens in order, single bytes, merges in order.

    Raises
    ------
    TrainingError
        `vocab_size` has no room for the bytes and the special tokens, or there is no text.
    PatternError, SpecialTokenError, OSError
        As for `count_words`.

    References
    ----------
    Sennrich, Haddow, Birch 2016, "Neural Machine Translation of Rare Words with Subword Units", arXiv 1508.07909.

    Examples
    --------
    >>> import tokfast
    >>> tok = tokfast.train(["to tok toke token tokens"] * 3, 260, pattern="gpt2")
    >>> [tok.token_bytes(id) for id in range(256, 260)]
    [b'to', b' to', b' tok', b' toke']
    >>> tok.decode(tok.encode("any text"))
    'any text'
    """
    special_tokens = list(special_tokens)
    counts = count_words(
        source, pattern=pattern, special_tokens=special_tokens, unit=unit, threads=threads, progress=progress
    )
    return train_words(
        counts,
        vocab_size,
        pattern=counts.pattern if counts.knows_pattern else pattern,
        special_tokens=special_tokens,
        min_frequency=min_frequency,
        max_token_length=max_token_length,
        limit_alphabet=limit_alphabet,
        keep_bytes=_kept_bytes(initial_alphabet),
        tie_break=tie_break,
        threads=threads,
        progress=progress,
    )
