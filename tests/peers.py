"""What tokfast is compared with: real files, published patterns, and the peers that read them.

Files come from `scripts/fetch_test_data.py`. Where one is missing, the tests that need it are skipped by
name and reason; where `CI` is set, they fail.
"""

from __future__ import annotations

import base64
import os
import runpy
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tiktoken
import tokenizers

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[1]
_FETCH: dict[str, Any] = runpy.run_path(str(ROOT / "scripts" / "fetch_test_data.py"))
FOLDER: Path = _FETCH["default_folder"]()
LANGUAGES = sorted(Path(name).stem for name in _FETCH["SHA256"] if name.startswith("text/"))
PARALLEL = sorted(name.removesuffix(".txt") for name in _FETCH["SHA256"] if name.startswith("parallel/"))

_CL100K_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
_CL100K_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_O200K_WORD = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
_O200K_END = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"

PATTERNS = {
    "gpt2": r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "cl100k": _CL100K_WORDS + _CL100K_REST,
    "llama3": _CL100K_WORDS + _CL100K_REST,
    "o200k": (
        rf"{_O200K_WORD}*[\p{{Ll}}\p{{Lm}}\p{{Lo}}\p{{M}}]+{_O200K_END}"
        rf"|{_O200K_WORD}+[\p{{Ll}}\p{{Lm}}\p{{Lo}}\p{{M}}]*{_O200K_END}"
        r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
}

# The special tokens that tiktoken itself gives these encodings, and Llama 3's most used ones.
SPECIAL_TOKENS = {
    "gpt2": {"<|endoftext|>": 50256},
    "cl100k": {
        "<|endoftext|>": 100257,
        "<|fim_prefix|>": 100258,
        "<|fim_middle|>": 100259,
        "<|fim_suffix|>": 100260,
        "<|endofprompt|>": 100276,
    },
    "o200k": {"<|endoftext|>": 199999, "<|endofprompt|>": 200018},
    "llama3": {"<|begin_of_text|>": 128000, "<|end_of_text|>": 128001, "<|eot_id|>": 128009},
}
RANKS = {
    "gpt2": "gpt2.tiktoken",
    "cl100k": "cl100k_base.tiktoken",
    "o200k": "o200k_base.tiktoken",
    "llama3": "llama3.tiktoken",
}


def real_file(name: str) -> Path:
    """Path of a fetched file; without it the test is skipped, or fails where `CI` is set."""
    path = FOLDER / name
    if not path.is_file():
        reason = f"{name} is not in {FOLDER}; run: python scripts/fetch_test_data.py"
        if os.environ.get("CI"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return path


def real_text(language: str) -> str:
    """Text in a language, at most 200 kB."""
    return real_file(f"text/{language}.txt").read_text(encoding="utf-8")


def code(size: int) -> str:
    """Python source text of the running interpreter's standard library."""
    library = Path(sysconfig.get_paths()["stdlib"])
    sources: list[str] = []
    for path in sorted(library.glob("*.py")):
        sources.append(path.read_text(encoding="utf-8"))
        if sum(map(len, sources)) >= size:
            break
    return "".join(sources)[:size]


def tiktoken_encoding(name: str) -> tiktoken.Encoding:
    """tiktoken's encoding from the same ranks; OpenAI's own patterns where it is OpenAI's encoding."""
    lines = real_file(RANKS[name]).read_bytes().splitlines()
    ranks = {base64.b64decode(token): int(rank) for token, rank in map(bytes.split, lines)}
    return tiktoken.Encoding(
        name, pat_str=published_pattern(name), mergeable_ranks=ranks, special_tokens=SPECIAL_TOKENS[name]
    )


def published_pattern(name: str) -> str:
    """Pattern in tiktoken's own spelling, which has possessive repeats and another order of white space."""
    from tiktoken_ext import openai_public

    if name == "gpt2":
        return str(openai_public.r50k_pat_str)
    if name == "llama3":
        return PATTERNS[name]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(openai_public, "load_tiktoken_bpe", lambda *_args, **_options: {})
        return str(getattr(openai_public, f"{name}_base")()["pat_str"])


def llama3_json(*, ignore_merges: bool) -> str:
    """Llama 3's tokenizer.json with the flag set: whether a piece that is a token is looked up first."""
    text = real_file("llama3.2.tokenizer.json").read_text(encoding="utf-8")
    before = '"ignore_merges": false'
    assert text.count(before) == 1
    return text.replace(before, f'"ignore_merges": {str(ignore_merges).lower()}')


def huggingface_train(
    texts: Iterable[str], vocab_size: int, *, pattern: str, full_alphabet: bool = True, **options: Any
) -> tokenizers.Tokenizer:
    """Train with Hugging Face's trainer: byte-level alphabet, and the pattern as an isolating split."""
    from tokenizers import Regex, models, pre_tokenizers, trainers

    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet() if full_alphabet else []
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, initial_alphabet=alphabet, show_progress=False, **options)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer
