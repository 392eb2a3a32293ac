"""Every part of a tokenizer.json, in small files made here: ids and text as `tokenizers` gives them."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest
import tokenizers
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers, processors, trainers

import tokfast
from hard_strings import HARD_STRINGS

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = [
    "low lower lowest new newer newest wide wider widest",
    "Don't stop-- the 1234 cafe\u0301s, caf\u00e9s; \u4e2d\u6587 \u0939\u093f\u0928\u094d\u0926\u0940!\n\n  x",
    "\ufb01n \u2168 \u00bd A\u030a\u212b",
]
METASPACE = "\u2581"


def random_texts() -> list[str]:
    """Strings of fragments that the parts tell apart."""
    generator = random.Random(1)
    fragments = [*" aelow.-!1", "23", "  ", "\n", "\t", "\u3000", "e\u0301", "\u00e9", "\ufb01", "\u4e2d", "\u00bd"]
    fragments += ["Low", "'s", "<x>", "[y]", "zz", "\u2581", "\U0001f600", "\u00b2", "<0x41>", "\u0130"]
    return ["".join(generator.choices(fragments, k=generator.randrange(1, 12))) for _ in range(1500)]


def byte_level(*parts: Any, use_regex: bool = False, add_prefix_space: bool = False) -> Any:
    """Make a pre-tokenizer that ends in ByteLevel."""
    last = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space, use_regex=use_regex)
    return pre_tokenizers.Sequence([*parts, last])


def split(pattern: str, behavior: str, *, invert: bool = False) -> Any:
    """Make a Split by a regular expression."""
    return pre_tokenizers.Split(Regex(pattern), behavior, invert)


DEEPSEEK = [
    split(r"\p{N}{1,3}", "isolated"),
    split("[\u4e00-\u9fa5]+", "isolated"),
    split(r"\s?\p{L}+|\s+(?!\S)|\s+", "isolated"),
]
PRE_TOKENIZERS: dict[str, Any] = {
    "ByteLevel with its regex": byte_level(use_regex=True),
    "ByteLevel with a space in front": byte_level(use_regex=True, add_prefix_space=True),
    **{
        f"Split {behavior}{' inverted' if invert else ''}": byte_level(split(r"\s|[ol-]+", behavior, invert=invert))
        for behavior in ("isolated", "removed", "merged_with_previous", "merged_with_next", "contiguous")
        for invert in (False, True)
    },
    "Split by a text": byte_level(pre_tokenizers.Split(" ", "merged_with_previous")),
    "chained splits": byte_level(*DEEPSEEK),
    "digits apart": byte_level(pre_tokenizers.Digits(individual_digits=True)),
    "digits together": byte_level(pre_tokenizers.Digits(individual_digits=False), use_regex=True),
    "digits after ByteLevel": pre_tokenizers.Sequence(
        [pre_tokenizers.ByteLevel(add_prefix_space=False), pre_tokenizers.Digits(individual_digits=True)]
    ),
    "punctuation": byte_level(pre_tokenizers.Punctuation("contiguous"), use_regex=True),
    "white space": byte_level(pre_tokenizers.Whitespace()),
    "between white space": byte_level(pre_tokenizers.WhitespaceSplit()),
    "by a character": byte_level(pre_tokenizers.CharDelimiterSplit("l")),
}
NORMALIZERS: dict[str, Any] = {
    "NFC": normalizers.NFC(),
    "NFD": normalizers.NFD(),
    "NFKC": normalizers.NFKC(),
    "NFKD": normalizers.NFKD(),
    "Lowercase": normalizers.Lowercase(),
    "Strip": normalizers.Strip(),
    "Replace": normalizers.Replace("o", "0"),
    "Replace by regex": normalizers.Replace(Regex(r"\s+"), " "),
    "Prepend": normalizers.Prepend("_"),
    "Sequence": normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace("é", "e")]),
}


def trained(pre_tokenizer: Any, normalizer: Any = None) -> tokenizers.Tokenizer:
    """Train a small byte-level tokenizer with these parts."""
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=340, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def trained_on_characters(**options: Any) -> tokenizers.Tokenizer:
    """Train a small tokenizer of characters, as SentencePiece models are written."""
    letters = sorted({character for text in TEXTS[:1] for character in text.replace(" ", METASPACE)})
    vocab = {"<unk>": 0, "<s>": 1, **{f"<0x{byte:02X}>": 2 + byte for byte in range(256)}}
    for letter in letters:
        vocab[letter] = len(vocab)
    merges = [("l", "o"), ("lo", "w"), (METASPACE, "low"), ("e", "r"), (METASPACE, "w"), ("e", "s"), ("es", "t")]
    merges += [(METASPACE, METASPACE), (METASPACE * 2, METASPACE), ("i", "d"), (METASPACE + "w", "id")]
    for left, right in merges:
        vocab[left + right] = len(vocab)
    return tokenizers.Tokenizer(models.BPE(vocab=vocab, merges=merges, **options))


def assert_same(theirs: tokenizers.Tokenizer, ours: tokfast.Tokenizer, *, decodes: bool = True) -> None:
    """Compare ids, ids with what the template adds, counts, and decoded text."""
    texts = [*TEXTS, *random_texts(), *HARD_STRINGS[::7], ""]
    for text, expected in zip(texts, theirs.encode_batch(texts, add_special_tokens=False), strict=True):
        ids = ours.encode(text, allowed_special="all")
        assert ids == expected.ids, ascii(text)
        assert ours.count(text, allowed_special="all") == len(ids)
        if decodes:
            assert ours.decode(ids) == theirs.decode(ids, skip_special_tokens=False), ascii(text)
    assert ours.encode(TEXTS[0], add_special_tokens=True, allowed_special="all") == theirs.encode(TEXTS[0]).ids


def assert_read_and_saved(theirs: tokenizers.Tokenizer, folder: Path, *, decodes: bool = True) -> None:
    """Read what they write, and write what they read."""
    theirs.save(str(folder / "theirs.json"))
    ours = tokfast.Tokenizer.from_file(folder / "theirs.json")
    assert_same(theirs, ours, decodes=decodes)
    ours.save(folder / "ours.json")
    assert_same(tokenizers.Tokenizer.from_file(str(folder / "ours.json")), ours, decodes=decodes)
    assert tokfast.Tokenizer.from_file(folder / "ours.json").fingerprint == ours.fingerprint


@pytest.mark.parametrize("name", PRE_TOKENIZERS)
def test_pre_tokenizers(tmp_path: Path, name: str) -> None:
    assert_read_and_saved(trained(PRE_TOKENIZERS[name]), tmp_path)


@pytest.mark.parametrize("name", NORMALIZERS)
def test_normalizers(tmp_path: Path, name: str) -> None:
    assert_read_and_saved(trained(byte_level(use_regex=True), NORMALIZERS[name]), tmp_path)


@pytest.mark.parametrize(
    "flags", [{}, {"lstrip": True}, {"rstrip": True}, {"single_word": True}, {"lstrip": True, "rstrip": True}]
)
@pytest.mark.parametrize("normalized", [False, True])
def test_added_tokens(tmp_path: Path, flags: dict[str, bool], *, normalized: bool) -> None:
    theirs = trained(byte_level(use_regex=True), normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()]))
    theirs.add_tokens([AddedToken(text, normalized=normalized, **flags) for text in ("<x>", "Low", "\ufb01")])
    theirs.add_special_tokens([AddedToken("[y]", normalized=False, **flags)])
    # A token found in normalized text is decoded as it is spelled; tokenizers gives the normalized spelling.
    assert_read_and_saved(theirs, tmp_path, decodes=not normalized)


@pytest.mark.parametrize("ignore_merges", [False, True])
def test_tokens_that_no_merge_makes(tmp_path: Path, *, ignore_merges: bool) -> None:
    theirs = trained(byte_level(use_regex=True))
    parsed = json.loads(theirs.to_str())
    parsed["model"]["vocab"]["zz"] = len(parsed["model"]["vocab"])
    parsed["model"]["ignore_merges"] = ignore_merges
    assert_read_and_saved(tokenizers.Tokenizer.from_str(json.dumps(parsed)), tmp_path)


@pytest.mark.parametrize("merges", ["strings", "pairs"])
@pytest.mark.parametrize("nothing", [None, ""])
def test_spellings_of_a_model(merges: str, nothing: str | None) -> None:
    theirs = trained(byte_level(use_regex=True))
    parsed = json.loads(theirs.to_str())
    two = [merge if isinstance(merge, list) else merge.split(" ") for merge in parsed["model"]["merges"]]
    parsed["model"]["merges"] = two if merges == "pairs" else [" ".join(pair) for pair in two]
    parsed["model"] |= {"continuing_subword_prefix": nothing, "end_of_word_suffix": nothing}
    for missing in ("ignore_merges", "byte_fallback", "fuse_unk", "dropout"):
        parsed["model"].pop(missing, None)
    assert_same(theirs, tokfast.Tokenizer.from_bytes(json.dumps(parsed).encode(), format="tokenizer.json"))


CHARACTERS: dict[str, tuple[dict[str, Any], Any, Any]] = {
    "Llama 2": (
        {"byte_fallback": True, "fuse_unk": True, "unk_token": "<unk>"},
        normalizers.Sequence([normalizers.Prepend(METASPACE), normalizers.Replace(" ", METASPACE)]),
        None,
    ),
    "Gemma": (
        {"byte_fallback": True, "fuse_unk": True, "unk_token": "<unk>"},
        normalizers.Replace(" ", METASPACE),
        pre_tokenizers.Split(" ", "merged_with_previous"),
    ),
    "unknown tokens fused": ({"fuse_unk": True, "unk_token": "<unk>"}, normalizers.Replace(" ", METASPACE), None),
    "unknown tokens apart": ({"fuse_unk": False, "unk_token": "<unk>"}, normalizers.Replace(" ", METASPACE), None),
    "no unknown token": ({}, normalizers.Replace(" ", METASPACE), None),
    **{
        f"Metaspace {scheme}": (
            {"byte_fallback": True, "unk_token": "<unk>"},
            None,
            pre_tokenizers.Metaspace(METASPACE, scheme, split=cut),
        )
        for scheme, cut in (("always", True), ("first", False), ("never", True))
    },
}


@pytest.mark.parametrize("name", CHARACTERS)
def test_models_of_characters(tmp_path: Path, name: str) -> None:
    options, normalizer, pre_tokenizer = CHARACTERS[name]
    theirs = trained_on_characters(**options)
    if normalizer is not None:
        theirs.normalizer = normalizer
    if pre_tokenizer is not None:
        theirs.pre_tokenizer = pre_tokenizer
    steps = [decoders.Replace(METASPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    if name == "Llama 2":
        steps.append(decoders.Strip(" ", 1, 0))
    theirs.decoder = decoders.Sequence(steps)
    theirs.add_special_tokens(["<s>"])
    theirs.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", 1)]
    )
    assert_read_and_saved(theirs, tmp_path)


@pytest.mark.parametrize(
    ("part", "value", "named"),
    [
        ("normalizer", {"type": "BertNormalizer"}, "BertNormalizer"),
        ("pre_tokenizer", {"type": "UnicodeScripts"}, "UnicodeScripts"),
        ("decoder", {"type": "WordPiece", "prefix": "##", "cleanup": True}, "WordPiece"),
        ("post_processor", {"type": "Nonsense"}, "Nonsense"),
    ],
)
def test_what_is_not_supported_is_named(part: str, value: dict[str, Any], named: str) -> None:
    parsed = json.loads(trained(byte_level(use_regex=True)).to_str()) | {part: value}
    with pytest.raises(tokfast.TokenizerFileError, match=named):
        tokfast.Tokenizer.from_bytes(json.dumps(parsed).encode(), format="tokenizer.json")
