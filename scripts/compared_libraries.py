"""Each model's tokenizer in tokfast and in its own library, for `compare_vocabularies.py`."""

from __future__ import annotations

import gzip
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import tokfast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# What `.tiktoken` files do not say.
PATTERNS = {
    "gpt2.tiktoken": "gpt2",
    "r50k_base.tiktoken": "gpt2",
    "p50k_base.tiktoken": "gpt2",
    "whisper_multilingual.tiktoken": "gpt2",
    "cl100k_base.tiktoken": "cl100k",
    "o200k_base.tiktoken": "o200k",
    "llama3_tokenizer.model.tiktoken": "llama3",
    "llama4_tokenizer.model.tiktoken": "o200k",
    "qwen.tiktoken": "qwen2",
    "qwen3_6.tiktoken": "qwen3.5",
}


class Pair(NamedTuple):
    """A tokenizer in tokfast, and the same in its own library."""

    ours: tokfast.Tokenizer
    encode: Callable[[list[str]], list[list[int]]]
    decode: Callable[[list[int]], str]
    library: str
    # Whether special tokens are found in text.
    finds_special: bool = False


def tiktoken_pair(path: Path) -> Pair:
    """Open ranks, with the pattern that belongs to them."""
    import tiktoken
    from tiktoken.load import load_tiktoken_bpe

    pattern = PATTERNS[path.name]
    ours = tokfast.Tokenizer.from_file(path, format="tiktoken", pattern=pattern, special_tokens={})
    theirs = tiktoken.Encoding(
        path.name, pat_str=ours.pattern or "", mergeable_ranks=load_tiktoken_bpe(str(path)), special_tokens={}
    )
    return Pair(ours, lambda texts: [theirs.encode_ordinary(text) for text in texts], theirs.decode, "tiktoken")


def harmony_pair(path: Path) -> Pair:
    """Open o200k_harmony: tiktoken's own pattern and special tokens, which both find."""
    import tiktoken
    import tiktoken_ext.openai_public as public
    from tiktoken.load import load_tiktoken_bpe

    ranks = load_tiktoken_bpe(str(path))
    public.load_tiktoken_bpe = lambda *_args, **_options: ranks
    theirs = tiktoken.Encoding(**public.o200k_harmony())
    # A second spelling of one id, which a vocabulary has once.
    special = {text: number for text, number in theirs._special_tokens.items() if text != "<|reserved_200018|>"}  # noqa: SLF001
    ours = tokfast.Tokenizer.from_file(path, format="tiktoken", pattern="o200k", special_tokens=special)
    allowed = set(special)
    return Pair(
        ours,
        lambda texts: [theirs.encode(text, allowed_special=allowed, disallowed_special=()) for text in texts],
        theirs.decode,
        "tiktoken",
        finds_special=True,
    )


def tokenizers_pair(path: Path) -> Pair:
    """Open a tokenizer.json; both find all special tokens."""
    import tokenizers

    return backed_by_tokenizers(tokfast.Tokenizer.from_file(path), tokenizers.Tokenizer.from_file(str(path)))


def backed_by_tokenizers(ours: tokfast.Tokenizer, theirs: Any, library: str = "tokenizers") -> Pair:
    """Put a pair together whose other half is of the library tokenizers."""

    def encode(texts: list[str]) -> list[list[int]]:
        return [encoding.ids for encoding in theirs.encode_batch_fast(texts, add_special_tokens=False)]

    def decode(ids: list[int]) -> str:
        return str(theirs.decode(ids, skip_special_tokens=False))

    return Pair(ours, encode, decode, library, finds_special=True)


def sentencepiece_pair(path: Path) -> Pair:
    """Open a `.model` file."""
    import sentencepiece

    theirs = sentencepiece.SentencePieceProcessor(model_file=str(path))
    return Pair(tokfast.Tokenizer.from_file(path), theirs.encode, theirs.decode, "sentencepiece")


def tekken_pair(path: Path) -> Pair:
    """Open a tekken.json."""
    from mistral_common.tokens.tokenizers.tekken import Tekkenizer

    warnings.simplefilter("ignore")
    theirs = Tekkenizer.from_file(path)
    return Pair(
        tokfast.Tokenizer.from_file(path),
        lambda texts: [theirs.encode(text, bos=False, eos=False) for text in texts],
        theirs.decode,
        "mistral-common",
    )


def gpt2_pair(path: Path) -> Pair:
    """Open GPT-2's encoder.json, with vocab.bpe beside it."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    theirs = Tokenizer(models.BPE.from_file(str(path), str(path.with_name("vocab.bpe"))))
    theirs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    theirs.add_special_tokens(["<|endoftext|>"])
    ours = tokfast.Tokenizer.from_file(path)
    return backed_by_tokenizers(ours, theirs)._replace(decode=ours.decode)


def clip_pair(path: Path) -> Pair:
    """Open CLIP's merges as the pair of files that transformers publishes."""
    from tokenizers import Tokenizer, pre_tokenizers
    from transformers import CLIPTokenizer

    size, special = 49_408, ("<|startoftext|>", "<|endoftext|>")
    lines = gzip.decompress(path.read_bytes()).decode().split("\n")[1 : size - 2 * 256 - 2 + 1]
    # As CLIP orders them: printable bytes first.
    letters = sorted(pre_tokenizers.ByteLevel.alphabet(), key=lambda letter: (ord(letter) > 0xFF, ord(letter)))
    tokens = [*letters, *(letter + "</w>" for letter in letters), *(line.replace(" ", "") for line in lines), *special]
    vocab = {token: number for number, token in enumerate(tokens)}
    backend = CLIPTokenizer(vocab=vocab, merges=[tuple(line.split()) for line in lines]).backend_tokenizer
    # transformers puts a space for each "</w>" in decoded text and strips it; the library below gives what is there.
    theirs = Tokenizer.from_str(backend.to_str())
    with tempfile.TemporaryDirectory() as folder:
        theirs.model.save(folder)
        ours = tokfast.Tokenizer.from_file(Path(folder, "vocab.json"))
    return backed_by_tokenizers(ours, theirs, "transformers")


KINDS: list[tuple[str, Callable[[Path], Pair], str]] = [
    ("*.tiktoken", tiktoken_pair, ""),
    ("o200k_base.tiktoken", harmony_pair, " as o200k_harmony"),
    ("*tokenizer.json", tokenizers_pair, ""),
    ("*.model", sentencepiece_pair, ""),
    ("*.model.v*", sentencepiece_pair, ""),
    ("tekken_*.json", tekken_pair, ""),
    ("gpt2/encoder.json", gpt2_pair, ""),
    ("clip_*.txt.gz", clip_pair, " as vocab.json and merges.txt"),
]


def pairs(folder: Path, only: list[str]) -> Iterator[tuple[str, Callable[[Path], Pair], Path]]:
    """Yield each vocabulary file with the function that opens it."""
    for pattern, make, remark in KINDS:
        for path in sorted(folder.glob(pattern)):
            name = f"{path.relative_to(folder)}{remark}"
            if not only or any(wanted in name for wanted in only):
                yield name, make, path
