"""What is known about a training run: afterwards, and before it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class TrainingReport:
    """What a training run knew of its text and of the tokens it made: ``Tokenizer.training_report``."""

    documents: int
    """Documents that were counted; 0 for counts made elsewhere."""
    text_bytes: int
    """Bytes of text that were counted; 0 for counts made elsewhere."""
    distinct_words: int
    """How many different pretokens the text has."""
    count_seconds: float
    """Seconds of counting; 0 where `train` was given counts."""
    merge_seconds: float
    """Seconds of finding merges."""
    peak_memory: int
    """The most memory the process had had when training ended, in bytes; 0 where the system does not say."""
    merge_counts: npt.NDArray[np.uint64]
    """For each new merge, in order, how often its pair occurred when it was chosen; shape [merges]."""
    token_counts: npt.NDArray[np.uint64]
    """For each id, how often it occurs in the text it was trained on; shape [vocab_size]."""


@dataclass(frozen=True)
class Estimate:
    """What a training run would cost: the answer of `tokfast.estimate`."""

    seconds: float
    """Wall time on this machine, with the threads that were asked for."""
    bytes: int
    """Peak memory, in bytes, the interpreter itself left out."""
    count_seconds: float
    """The part of `seconds` that is counting."""
    merge_seconds: float
    """The part of `seconds` that is finding merges."""
    text_bytes: int
    """How much text there is."""
    distinct_words: int
    """How many different pretokens it probably has."""
    sample_bytes: int
    """How much of the text was looked at."""
