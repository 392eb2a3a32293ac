"""Byte-pair-encoding tokenizers, fast and exact, and a thin numpy half for what comes after the ids.

Text to ids and back: `load`, `encoding_for_model`, `Tokenizer`. Training: `train`, `count_words`, `WordCounts`,
`estimate`.
The same in readable Python: `tokfast.reference`. After the ids: `tokfast.embeddings`, `tokfast.positions`,
`tokfast.attention`.
"""

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
from tokfast._estimate import estimate
from tokfast._load import encoding_for_model, load
from tokfast._report import Estimate, TrainingReport
from tokfast._tokfast import StreamDecoder, TokenBatch, Tokenizer, WordCounts, __version__
from tokfast._train import count_words, train

__all__ = [
    "Estimate",
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
    "count_words",
    "encoding_for_model",
    "estimate",
    "load",
    "train",
]
