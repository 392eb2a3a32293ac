"""Real tokenizer files of every other format, against the libraries that they are made for."""

from __future__ import annotations

import base64
import gzip
import io
import json
import warnings
from typing import TYPE_CHECKING, Any

import pytest
import tiktoken
import tokenizers
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, processors

import peers
import tokfast
from hard_strings import HARD_STRINGS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def texts() -> list[str]:
    """Hard strings, and the beginning of a text in every language."""
    beginnings = [peers.real_file(f"text/{name}.txt").read_bytes()[:4000] for name in peers.LANGUAGES]
    return [*HARD_STRINGS, *(text.decode(errors="ignore") for text in beginnings), peers.code(8000), "", " ", "  a"]


def assert_same(ours: tokfast.Tokenizer, encode: Callable[[str], list[int]], **options: Any) -> None:
    for text in texts():
        assert ours.encode(text, **options) == encode(text), ascii(text[:80])


def sentencepiece() -> Any:
    """Import the library; its generated types warn where Python is newer than they."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import sentencepiece

    return sentencepiece


# ------------------------------------------------------------------------------------ SentencePiece


@pytest.mark.parametrize("name", ["mistral.v1.model", "mistral.v3.model"])
def test_a_sentencepiece_model(name: str) -> None:
    path = peers.real_file(name)
    theirs = sentencepiece().SentencePieceProcessor(model_file=str(path))
    ours = tokfast.Tokenizer.from_file(path)
    assert_same(ours, theirs.encode)
    for text in texts():
        ids = theirs.encode(text)
        # U+2581 is a space to both; what was one in the text does not come back.
        assert ours.decode(ids) == theirs.decode(ids), ascii(text[:80])


@pytest.mark.parametrize(
    "options",
    [
        {"byte_fallback": True, "split_digits": True},
        {"byte_fallback": False, "add_dummy_prefix": False},
        {"byte_fallback": True, "user_defined_symbols": ["<tool>", "ing"], "allow_whitespace_only_pieces": True},
    ],
    ids=str,
)
def test_a_sentencepiece_model_trained_now(options: dict[str, Any], tmp_path: Path) -> None:
    lines = iter((peers.code(60_000) + "the <tool> is doing nothing, <tool>").split("\n"))
    model = io.BytesIO()
    library = sentencepiece()
    library.SentencePieceTrainer.train(
        sentence_iterator=lines,
        model_writer=model,
        vocab_size=800,
        model_type="bpe",
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        minloglevel=2,
        **options,
    )
    (tmp_path / "t.model").write_bytes(model.getvalue())
    theirs = library.SentencePieceProcessor(model_proto=model.getvalue())
    ours = tokfast.Tokenizer.from_file(tmp_path / "t.model")
    assert_same(ours, theirs.encode)
    assert ours.encode("a <tool> going") == theirs.encode("a <tool> going")


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"model_type": "unigram"}, "Unigram"),
        ({"model_type": "char"}, "Char"),
        ({"model_type": "bpe", "normalization_rule_name": "nmt_nfkc"}, "nmt_nfkc"),
        ({"model_type": "bpe", "normalization_rule_name": "identity"}, "remove_extra_whitespaces"),
    ],
)
def test_a_sentencepiece_model_of_another_kind_is_refused(options: dict[str, Any], part: str) -> None:
    model = io.BytesIO()
    sentencepiece().SentencePieceTrainer.train(
        sentence_iterator=iter(peers.code(20_000).split("\n")),
        model_writer=model,
        vocab_size=200,
        hard_vocab_limit=False,
        minloglevel=2,
        **options,
    )
    with pytest.raises(tokfast.TokenizerFileError, match=part):
        tokfast.Tokenizer.from_bytes(model.getvalue(), format="sentencepiece")


# ------------------------------------------------------------------------------------ tekken


def test_a_tekken_file() -> None:
    path = peers.real_file("tekken.json")
    file = json.loads(path.read_bytes())
    config = file["config"]
    special = config["default_num_special_tokens"]
    count = config["default_vocab_size"] - special
    ranks = {base64.b64decode(entry["token_bytes"]): entry["rank"] for entry in file["vocab"][:count]}
    theirs = tiktoken.Encoding("tekken", pat_str=config["pattern"], mergeable_ranks=ranks, special_tokens={})
    ours = tokfast.Tokenizer.from_file(path)
    assert ours.vocab_size == config["default_vocab_size"]
    assert_same(ours, lambda text: [special + rank for rank in theirs.encode_ordinary(text)])


# ------------------------------------------------------------------------------------ GGUF


def test_a_gguf_file_that_another_library_writes(tmp_path: Path) -> None:
    import gguf

    path = peers.real_file("llama3.2.tokenizer.json")
    file = json.loads(path.read_bytes())
    vocab: dict[str, int] = file["model"]["vocab"]
    added = {token["content"]: token["id"] for token in file["added_tokens"]}
    tokens = sorted({**vocab, **added}.items(), key=lambda item: item[1])
    writer = gguf.GGUFWriter(tmp_path / "t.gguf", "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe")
    writer.add_token_list([token for token, _ in tokens])
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_token_types([control if token in added else normal for token, _ in tokens])
    writer.add_token_merges(file["model"]["merges"])
    writer.add_bos_token_id(added["<|begin_of_text|>"])
    writer.add_add_bos_token(True)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    ours = tokfast.Tokenizer.from_file(tmp_path / "t.gguf")
    # llama.cpp takes a piece that is a token as it is, whatever the merges, as the file of Llama 3.1 says too.
    file["model"]["ignore_merges"] = True
    theirs = tokenizers.Tokenizer.from_str(json.dumps(file))
    assert_same(ours, lambda text: list(theirs.encode(text, add_special_tokens=False).ids), allowed_special="all")
    begun = ours.encode("x", add_special_tokens=True)
    assert begun == theirs.encode("x").ids


# ------------------------------------------------------------------------------------ CLIP


@pytest.fixture(scope="module")
def clip() -> tokenizers.Tokenizer:
    """CLIP's tokenizer of its published merges, put together as transformers 5.23 does."""
    lines = gzip.decompress(peers.real_file("clip.merges.txt.gz").read_bytes()).decode().split("\n")
    size = 49_408
    merges = [(left, right) for left, right in map(str.split, lines[1 : size - 2 * 256 - 2 + 1])]
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    letters = [*map(chr, printable), *(chr(0x100 + number) for number in range(256 - len(printable)))]
    special = ["<|startoftext|>", "<|endoftext|>"]
    tokens = [*letters, *(letter + "</w>" for letter in letters), *map("".join, merges), *special]
    vocab = {token: number for number, token in enumerate(tokens)}
    assert len(vocab) == size
    tokenizer = tokenizers.Tokenizer(
        models.BPE(
            vocab=vocab,
            merges=merges,
            unk_token=special[1],
            continuing_subword_prefix="",
            end_of_word_suffix="</w>",
            fuse_unk=False,
        )
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    pattern = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), "removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(special)
    start, end = ((token, vocab[token]) for token in special)
    tokenizer.post_processor = processors.RobertaProcessing(end, start, False, False)
    return tokenizer


def test_clip_of_a_tokenizer_json(clip: tokenizers.Tokenizer) -> None:
    ours = tokfast.Tokenizer.from_bytes(clip.to_str().encode(), format="tokenizer.json")
    assert_same(ours, lambda text: list(clip.encode(text, add_special_tokens=False).ids), allowed_special="all")
    text = "A  photo of\tcaf\u00c9s, it's 42!<|endoftext|>"
    theirs = clip.encode(text)
    assert ours.encode(text, add_special_tokens=True, allowed_special="all") == theirs.ids
    spans = ours.encode_with_offsets(text, allowed_special="all")[1]
    assert spans == theirs.offsets[1:-1]
    assert ours.decode(theirs.ids) == clip.decode(theirs.ids, skip_special_tokens=False)


def test_clip_of_its_pair_of_files(clip: tokenizers.Tokenizer, tmp_path: Path) -> None:
    clip.model.save(str(tmp_path))
    ours = tokfast.Tokenizer.from_file(tmp_path / "vocab.json")
    whole = tokfast.Tokenizer.from_bytes(clip.to_str().encode(), format="tokenizer.json")
    assert ours.fingerprint == whole.fingerprint
    assert ours.special_tokens == {"<|startoftext|>": 49406, "<|endoftext|>": 49407}
    assert ours.encode("a photo", add_special_tokens=True) == clip.encode("a photo").ids
    ours.save(tmp_path / "t.json")
    assert tokfast.Tokenizer.from_file(tmp_path / "t.json").fingerprint == whole.fingerprint
    with pytest.raises(tokfast.TokenizerFileError, match="normalizer"):
        ours.save(tmp_path / "t.gguf")
