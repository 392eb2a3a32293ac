"""Text to word counts to a tokenizer: the Python edge of training.

What this module does is take a source apart: paths go to the extension as they are and are read there, an iterable
is taken in batches (the strings are held, the counting runs without the GIL), ready-made counts skip counting.
Everything that decides the result is in the extension.
"""

import glob
import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, Protocol, TypeGuard, cast

from tokfast._checkpoint import Checkpoint, Digest, describe_files, skip
from tokfast._documents import is_plain_text, read_documents
from tokfast._errors import TrainingError
from tokfast._tokfast import Tokenizer, WordCounter, WordCounts, list_files, train_words

Text = str | bytes
StrPath = str | os.PathLike[str]


class ArrowStream(Protocol):
    """What pyarrow, polars, pandas and DuckDB columns and tables are."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Export the data; see the Arrow PyCapsule interface."""


class ArrowArray(Protocol):
    """What a pyarrow array is."""

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]:
        """Export the data; see the Arrow PyCapsule interface."""


Source = StrPath | Iterable[StrPath] | Iterable[Text] | ArrowArray | ArrowStream | WordCounts
Progress = Callable[[str, int, int], object] | Callable[[str, int, int, str], object]

# Documents of an iterable are held until they fill this many bytes (characters for str), then counted together.
_BATCH_SIZE = 8 << 20
# Between two checkpoints: blocks of files (1 MiB each), few at first and twice as many each time; batches of documents.
_BLOCKS_AT_FIRST = 256
_BLOCKS_BETWEEN = 4096
_BATCHES_BETWEEN = 64
_LONGEST_PATH = 4096
# What the second stage of superwords is cut by where nothing else is said: numbers as cl100k cuts them, and lines.
_SUPERWORDS = r"\p{N}{1,3}|[^\r\n\p{N}]+|[\r\n]+"


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
    memory_limit: int | None = None,
    progress: Progress | None = None,
) -> WordCounts:
    """Count how often each pretoken of a corpus occurs: all that training needs to know of it.

    Parameters
    ----------
    source
        One path (a file, a directory, a glob), a list of paths, or an iterable of documents (`str` or `bytes`).
        A list of `str` is read as paths if they name files, as documents if none does, and refused if some do;
        `pathlib.Path` objects are always paths, and what any other iterable gives is always documents. An object with
        the Arrow PyCapsule interface (a pyarrow array or table, a polars or pandas column, a DuckDB relation) that
        holds one column of strings or binaries is read where it lies, batch after batch. Files that end in ``.gz``,
        ``.zst``, ``.jsonl`` or ``.parquet`` are read as `read_documents` reads them, by their field or column "text";
        for another one, pass ``read_documents(path, field=...)``. Directories
        are walked as git would: what ``.gitignore`` names is left out, and so are binary files.
    pattern
        How text is cut before counting: a scheme's name (``"gpt2"``, ``"cl100k"``, ``"o200k"``, ``"llama3"``,
        ``"qwen2"``, ``"qwen3.5"``, ``"tekken"``, ``"deepseek-v3"``, ``"starcoder"``), a regular expression,
        or None for no cuts.
    special_tokens
        Cut out of the text, and not counted.
    unit
        What a pretoken may not reach across: a ``"document"`` (a file, an item) or a ``"line"``.
    threads
        How many threads count; None for one a processor, or ``TOKFAST_THREADS``. The result is the same.
    memory_limit
        Bytes that the tables of all threads may take, at least 256 KiB a thread; None for no limit. What is more is
        written to temporary files, sorted, and added up at the end: the result is the same. One block of text a
        thread and the final counts come on top.
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
    MemoryLimitError
        `memory_limit` is too small for the number of threads.
    OSError
        A file cannot be read.

    Examples
    --------
    >>> import tokfast
    >>> counts = tokfast.count_words(["low low lower"], pattern="gpt2")
    >>> list(counts)
    [(b' low', 1), (b' lower', 1), (b'low', 1)]
    """
    counter = WordCounter(
        pattern=pattern,
        special_tokens=list(special_tokens),
        unit=unit,
        threads=threads,
        memory_limit=memory_limit,
    )
    return _count(source, counter, progress)


def _count(source: Source, counter: WordCounter, progress: Progress | None) -> WordCounts:
    if isinstance(source, WordCounts):
        return source
    paths = _paths(source)
    if paths is not None and all(map(is_plain_text, paths)):
        counter.add_files(paths, progress=_with_detail(progress))
    elif paths is not None:
        for batch in _batches(read_documents(paths)):
            counter.add_documents(batch)
    elif _is_arrow(source):
        counter.add_documents(source)
    else:
        for batch in _batches(_documents(source)):
            counter.add_documents(batch)
    return counter.finish()


def _is_arrow(source: object) -> TypeGuard[ArrowArray | ArrowStream]:
    return hasattr(source, "__arrow_c_array__") or hasattr(source, "__arrow_c_stream__")


def _documents(source: Source) -> Iterator[Text]:
    if isinstance(source, bytes):
        raise TypeError("source is bytes; pass a list of documents, [source], or a path as str or Path")
    # What is no text is refused by the counter.
    return iter(cast("Iterable[Text]", source))


def _with_detail(progress: Progress | None) -> Callable[[str, int, int, str], object] | None:
    """Return a callback of four arguments: the last is for those who ask for it."""
    if progress is None:
        return None
    import inspect

    callback = cast("Callable[..., object]", progress)
    try:
        inspect.signature(callback).bind("", 0, 0, "")
    except (TypeError, ValueError):
        return lambda phase, done, total, _detail: callback(phase, done, total)
    return callback


def _count_with_checkpoint(
    source: Source, checkpoint: Checkpoint, counter: WordCounter, progress: Progress | None
) -> WordCounts:
    """Count as `_count` does, in steps after each of which the state is kept."""
    callback = _with_detail(progress)
    paths = _paths(source)
    done = checkpoint.start(counter)
    if paths is not None and all(map(is_plain_text, paths)):
        before = checkpoint.state["bytes"]

        def report(phase: str, part: int, total: int, detail: str) -> None:
            if callback is not None:
                callback(phase, before + part, total, detail)

        blocks = counter.add_files(paths, stop=0)
        step = min(_BLOCKS_AT_FIRST, _BLOCKS_BETWEEN)
        while done < blocks:
            stop = min(done + step, blocks)
            counter.add_files(paths, start=done, stop=stop, progress=report)
            checkpoint.save(counter, stop)
            before = checkpoint.state["bytes"]
            done, step = stop, min(2 * step, _BLOCKS_BETWEEN)
    else:
        documents, digest = _documents(source) if paths is None else read_documents(paths), Digest()
        skip(documents, done, digest, checkpoint.state.get("sha256", digest.hexdigest()), checkpoint.directory)
        finished = checkpoint.counts() is not None
        for number, batch in enumerate([] if finished else _batches(documents), 1):
            counter.add_documents(batch)
            digest.update(batch)
            done += len(batch)
            if number % _BATCHES_BETWEEN == 0:
                checkpoint.save(counter, done, sha256=digest.hexdigest())
        if not finished:
            checkpoint.save(counter, done, sha256=digest.hexdigest())
    counts = checkpoint.counts()
    if counts is None:
        counts = counter.finish()
        checkpoint.finish(counts)
    return counts


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
    base: Tokenizer | None = None,
    superwords: bool | str = False,
    split_special_tokens: bool = True,
    threads: int | None = None,
    memory_limit: int | None = None,
    checkpoint: StrPath | None = None,
    resume: bool = False,
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
    pattern, special_tokens, unit, threads, memory_limit
        As for `count_words`. Word counts that know their pattern keep it, and so does a `base`.
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
    base
        A tokenizer to go on from: its ids, merges, special tokens and pattern are kept, and `vocab_size` counts them.
        New special tokens and then new merges get the ids after its last. No merge makes a string that is a token
        already.
    superwords
        A second stage after `base`, whose merges may go across the borders of the base's pretokens, so that frequent
        phrases become tokens (SuperBPE). True cuts the text only at numbers and lines; a regular expression says
        where else. It is the pattern of the result.
    split_special_tokens
        Whether the spelling of special tokens is cut out of the text. False is Hugging Face's behaviour, which reads
        them as ordinary text.
    checkpoint
        A directory that keeps what was counted, from time to time and when counting is done, so that a run that was
        stopped or killed can go on.
    resume
        Whether to go on with the run that `checkpoint` holds, if it holds one; the result is that of an unbroken run.
        A checkpoint of other options or of another corpus is refused.
    progress
        Called as ``progress(phase, done, total)`` about every 50 ms; phase ``"count"`` in bytes of text read from
        files, then ``"merge"`` in merges. A callback that takes a fourth argument is told the token that was merged
        last and its count, as in ``"' the' 1234"``.

    Returns
    -------
    Tokenizer
        Ids: special tokens in order, single bytes, merges in order. Its ``training_report`` holds counts and times.

    Raises
    ------
    TrainingError
        `vocab_size` has no room for the bytes and the special tokens, there is no text, or the checkpoint is of
        another run.
    PatternError, SpecialTokenError, MemoryLimitError, OSError
        As for `count_words`.

    References
    ----------
    Sennrich, Haddow, Birch 2016, "Neural Machine Translation of Rare Words with Subword Units", arXiv 1508.07909.
    Liu et al. 2025, "SuperBPE: Space Travel for Language Models", arXiv 2503.13423.

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
    if base is not None:
        pattern = base.pattern
    if superwords is not False:
        if base is None:
            raise TrainingError("superwords are a second stage; train the first one, and pass it as base")
        pattern = _SUPERWORDS if superwords is True else superwords

    def merge(counts: WordCounts, count_seconds: float, progress: Progress | None) -> Tokenizer:
        return train_words(
            counts,
            vocab_size,
            pattern=counts.pattern if base is None and counts.knows_pattern else pattern,
            special_tokens=special_tokens,
            min_frequency=min_frequency,
            max_token_length=max_token_length,
            limit_alphabet=limit_alphabet,
            keep_bytes=_kept_bytes(initial_alphabet),
            tie_break=tie_break,
            threads=threads,
            base=base,
            count_seconds=count_seconds,
            progress=_with_detail(progress),
        )

    # Options that cannot be met are refused before the work, by training on one letter.
    merge(WordCounts.from_counts({"a": 1}), 0.0, None)
    start = time.perf_counter()
    if isinstance(source, WordCounts):
        return merge(source, 0.0, progress)
    # The special tokens of a base are cut out of the text as the new ones are.
    cut = [*(base.special_tokens if base is not None else ()), *special_tokens] if split_special_tokens else []
    kept = None
    if checkpoint is not None:
        if _is_arrow(source):
            raise TypeError(
                "a checkpoint needs files or an iterable of texts, and source is an Arrow object; pass those"
            )
        paths = _paths(source)
        options: dict[str, Any] = {
            "pattern": pattern,
            "special_tokens": cut,
            "unit": unit,
            "vocab_size": vocab_size,
            "min_frequency": min_frequency,
            "max_token_length": max_token_length,
            "limit_alphabet": limit_alphabet,
            "tie_break": tie_break,
            "base": None if base is None else base.fingerprint,
            "corpus": "an iterable" if paths is None else describe_files(paths),
        }
        kept = Checkpoint(checkpoint, resume=resume, options=options)
    counter = WordCounter(
        pattern=pattern,
        special_tokens=cut,
        unit=unit,
        threads=threads,
        memory_limit=memory_limit,
        directory=None if kept is None else kept.directory,
    )
    if kept is None:
        counts = _count(source, counter, progress)
    else:
        counts = _count_with_checkpoint(source, kept, counter, progress)
    return merge(counts, time.perf_counter() - start, progress)
