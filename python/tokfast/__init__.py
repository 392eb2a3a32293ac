"""Byte-pair-encoding tokenizers, fast and exact, and a thin numpy half for what comes after the ids.

Text to ids and back: `load`, `encoding_for_model`, `Tokenizer`. Training: `train`, `count_words`, `WordCounts`,
`estimate`.
The same in readable Python: `tokfast.reference`. After the ids: `tokfast.embeddings`, `tokfast.positions`,
`tokfast.attention`.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from tokfast._errors import (
    InternalError,
    MemoryLimitError,
    PatternError,
    SpecialTokenError,
    TokenIdError,
    TokenizerFileError,
    TokfastError,
    TrainingError,
    UnknownEncodingError,
)

if TYPE_CHECKING:
    from tokfast._documents import read_documents
    from tokfast._estimate import estimate
    from tokfast._files import FileCount, FileCounts, count_files, encode_files
    from tokfast._load import encoding_for_model, load
    from tokfast._report import Estimate, TrainingReport
    from tokfast._tokfast import StreamDecoder, TokenBatch, Tokenizer, WordCounts, __version__
    from tokfast._train import count_words, train

__all__ = [
    "Estimate",
    "FileCount",
    "FileCounts",
    "InternalError",
    "MemoryLimitError",
    "PatternError",
    "SpecialTokenError",
    "StreamDecoder",
    "TokenBatch",
    "TokenIdError",
    "Tokenizer",
    "TokenizerFileError",
    "TokfastError",
    "TrainingError",
    "TrainingReport",
    "UnknownEncodingError",
    "WordCounts",
    "__version__",
    "count_files",
    "count_words",
    "encode_files",
    "encoding_for_model",
    "estimate",
    "load",
    "read_documents",
    "train",
]

# Where the names above are, but for the errors: imported when first used, so that `import tokfast.attention` needs
# nothing compiled, and `import tokfast` takes no time. The imports above say the same to type checkers.
_HOMES = {
    "_documents": ("read_documents",),
    "_estimate": ("estimate",),
    "_files": ("FileCount", "FileCounts", "count_files", "encode_files"),
    "_load": ("encoding_for_model", "load"),
    "_report": ("Estimate", "TrainingReport"),
    "_tokfast": ("StreamDecoder", "TokenBatch", "Tokenizer", "WordCounts", "__version__"),
    "_train": ("count_words", "train"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


if not TYPE_CHECKING:  # or every misspelled name would pass

    def __getattr__(name: str) -> object:
        """Import a public name, or a public module, on first use."""
        if name in _HOME_OF:
            value = getattr(import_module(f"tokfast.{_HOME_OF[name]}"), name)
            globals()[name] = value
            return value
        if not name.startswith("_") and find_spec(f"tokfast.{name}"):
            return import_module(f"tokfast.{name}")
        raise AttributeError(f"module 'tokfast' has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
