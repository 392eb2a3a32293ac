"""The exceptions of tokfast, all under one base.

::

    TokfastError (Exception)
    ├── TokenizerFileError    also ValueError     a tokenizer file that is not what its format asks for
    ├── TokenIdError          also ValueError     an id that is not in the vocabulary
    ├── PatternError          also ValueError     a pretokenizer pattern that cannot be used
    ├── SpecialTokenError     also ValueError     a special token that is refused, or defined twice
    ├── TrainingError         also ValueError     training options that contradict each other or the corpus
    ├── MemoryLimitError      also MemoryError    the memory limit would be passed
    ├── UnknownEncodingError  also LookupError    a name without a tokenizer behind it
    └── InternalError         also RuntimeError   a fault of tokfast itself

Each is also the built-in exception that fits, so ``except ValueError`` works as it does elsewhere in Python.
A failing file system stays an `OSError`. The extension module imports these classes by name and raises them;
this module imports nothing, so that it can.
"""

__all__ = [
    "InternalError",
    "MemoryLimitError",
    "PatternError",
    "SpecialTokenError",
    "TokenIdError",
    "TokenizerFileError",
    "TokfastError",
    "TrainingError",
    "UnknownEncodingError",
]


class TokfastError(Exception):
    """The base of every exception that tokfast defines.

    Its message says what was wrong, the value, and what to do.

    Examples
    --------
    >>> import tokfast
    >>> try:
    ...     tokfast.load("tokfast-32k").decode([10**9])
    ... except tokfast.TokfastError as error:
    ...     print(type(error).__name__)
    TokenIdError
    """

    # Tracebacks and pickles name the class where users find it.
    __module__ = "tokfast"


class TokenizerFileError(TokfastError, ValueError):
    """A tokenizer file is damaged, hostile, or not in the format it was read as.

    The message names the file and the entry at fault. A file that cannot be opened at all is an `OSError`.
    """

    __module__ = "tokfast"


class TokenIdError(TokfastError, ValueError):
    """An id given to a decoder, or asked about, is not in the vocabulary."""

    __module__ = "tokfast"


class PatternError(TokfastError, ValueError):
    """A pretokenizer pattern is neither a known name nor a regular expression that compiles and runs."""

    __module__ = "tokfast"


class SpecialTokenError(TokfastError, ValueError):
    """A special token stands in a text that may not hold it, or a set of special tokens cannot be used."""

    __module__ = "tokfast"


class TrainingError(TokfastError, ValueError):
    """Training cannot give what was asked: too small a vocabulary, an empty corpus, a bad option."""

    __module__ = "tokfast"


class MemoryLimitError(TokfastError, MemoryError):
    """The work would need more memory than ``memory_limit`` allows. Nothing was written."""

    __module__ = "tokfast"


class UnknownEncodingError(TokfastError, LookupError):
    """A name is no known encoding or model, or its vocabulary file is nowhere on this machine.

    A `LookupError` and not a `KeyError`, whose text would be shown in quotes.
    """

    __module__ = "tokfast"


class InternalError(TokfastError, RuntimeError):
    """A fault of tokfast itself. Please report it with the input that caused it."""

    __module__ = "tokfast"
