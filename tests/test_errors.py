"""What is wrong is refused by a typed error that says what was wrong, the value, and what to do."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import peers
import tokfast

if TYPE_CHECKING:
    from pathlib import Path


def test_every_error_is_a_tokfast_error_and_the_builtin_that_fits() -> None:
    kinds = {
        tokfast.TokenizerFileError: ValueError,
        tokfast.TokenIdError: ValueError,
        tokfast.PatternError: ValueError,
        tokfast.SpecialTokenError: ValueError,
        tokfast.TrainingError: ValueError,
        tokfast.MemoryLimitError: MemoryError,
        tokfast.UnknownEncodingError: LookupError,
        tokfast.InternalError: Exception,
    }
    for kind, builtin in kinds.items():
        assert issubclass(kind, tokfast.TokfastError)
        assert issubclass(kind, builtin)
        assert kind.__module__ == "tokfast"
        assert kind.__doc__
        assert str(pickle.loads(pickle.dumps(kind("why")))) == "why"


# -------------------------------------------------------------------------------------------- ids


@pytest.mark.parametrize("unknown", [2000, 2**31, 2**32 - 1, 2**32, 2**64, -1, -(2**40)])
@pytest.mark.parametrize("method", ["decode", "decode_bytes"])
def test_id_out_of_range(trained: tokfast.Tokenizer, method: str, unknown: int) -> None:
    message = rf"token id {unknown} at position 1 is not in the vocabulary \(ids 0 to 1999\)"
    with pytest.raises(tokfast.TokenIdError, match=message):
        getattr(trained, method)([5, unknown])
    with pytest.raises(tokfast.TokenIdError, match=message):
        getattr(trained, method)(iter([5, unknown]))


@pytest.mark.parametrize("dtype", [np.int16, np.int64, np.uint32, np.uint64])
def test_id_out_of_range_in_an_array(trained: tokfast.Tokenizer, dtype: Any) -> None:
    with pytest.raises(tokfast.TokenIdError, match="token id 9999 at position 0"):
        trained.decode(np.array([9999], dtype=dtype))


def test_the_greatest_64_bit_id_in_an_array(trained: tokfast.Tokenizer) -> None:
    with pytest.raises(tokfast.TokenIdError, match="token id 18446744073709551615 at position 0"):
        trained.decode(np.array([2**64 - 1], dtype=np.uint64))


def test_id_in_a_hole(vocabulary: str) -> None:
    tokenizer = tokfast.Tokenizer.from_file(
        peers.real_file(peers.RANKS[vocabulary]), pattern=vocabulary, special_tokens={"<s>": 201_000}
    )
    with pytest.raises(tokfast.TokenIdError, match=r"token id 200500 at position 0 .*, with holes\)"):
        tokenizer.decode([200_500])


def test_id_out_of_range_asked_about(trained: tokfast.Tokenizer) -> None:
    with pytest.raises(tokfast.TokenIdError, match="token id 2000 "):
        trained.token_bytes(2000)
    with pytest.raises(tokfast.TokenIdError, match="token id -1 "):
        trained.token_bytes(-1)


def test_id_in_a_batch(trained: tokfast.Tokenizer) -> None:
    with pytest.raises(tokfast.TokenIdError, match="token id 2000 at position 1"):
        trained.decode_batch([[1], [1, 2000]])


@pytest.mark.parametrize("ids", ["abc", [1.5], [None], ["1"], None, 7, np.array([1.0]), np.array([[1]])], ids=repr)
def test_what_is_no_id(trained: tokfast.Tokenizer, ids: Any) -> None:
    with pytest.raises(TypeError):
        trained.decode(ids)


# ------------------------------------------------------------------------------------------- training


@pytest.mark.parametrize(
    ("vocab_size", "special_tokens", "least"), [(0, [], 256), (255, [], 256), (257, ["<a>", "<b>"], 258)]
)
def test_too_small_a_vocabulary(vocab_size: int, special_tokens: list[str], least: int) -> None:
    with pytest.raises(tokfast.TrainingError, match=rf"vocab_size is {vocab_size}, .*vocab_size >= {least}"):
        tokfast.train(iter(["ab"]), vocab_size, special_tokens=special_tokens)


def test_the_smallest_vocabulary_is_the_bytes() -> None:
    assert tokfast.train(iter(["ab"]), 256).vocab_size == 256


@pytest.mark.parametrize("texts", [[], [""], ["", b""]], ids=repr)
def test_empty_corpus(texts: list[Any]) -> None:
    with pytest.raises(tokfast.TrainingError, match=r"empty|no text|no words"):
        tokfast.train(iter(texts), 300)


def test_corpus_of_missing_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"absent\.txt"):
        tokfast.train(tmp_path / "absent.txt", 300)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("vocab_size", 2**33, "ids have 32 bits"),
        ("min_frequency", -1, "min_frequency"),
        ("max_token_length", 0, "max_token_length is 0"),
        ("max_token_length", -3, "max_token_length"),
        ("limit_alphabet", 0, "limit_alphabet is 0"),
        ("threads", 0, "threads is 0"),
        ("tie_break", "nonsense", "'?\"?nonsense.*huggingface.*bytes"),
        ("unit", "page", "page.*document.*line"),
        ("initial_alphabet", "nonsense", "nonsense"),
    ],
)
def test_option_that_makes_no_sense(option: str, value: Any, message: str) -> None:
    options = {"vocab_size": 300, option: value}
    with pytest.raises((ValueError, OverflowError), match=message) as caught:
        tokfast.train(iter(["ab ab"]), **options)
    assert not isinstance(caught.value, OverflowError)


def test_item_that_is_no_text() -> None:
    with pytest.raises(TypeError, match="text must be str or bytes, not int"):
        tokfast.train(iter(["ab", 7]), 300)  # type: ignore[arg-type]


@pytest.mark.parametrize("source", [7, None, 1.5])
def test_what_is_no_source(source: Any) -> None:
    with pytest.raises(TypeError):
        tokfast.train(source, 300)


# ------------------------------------------------------------------------------- patterns, special tokens


@pytest.mark.parametrize("pattern", ["(", "cl100", r"\p{Nonsense}+", "[z-a]"])
def test_invalid_pattern(pattern: str) -> None:
    with pytest.raises(tokfast.PatternError) as caught:
        tokfast.train(iter(["ab"]), 300, pattern=pattern)
    assert pattern in str(caught.value)
    assert "cl100k" in str(caught.value)


@pytest.mark.parametrize("name", ["qwen3", "gpt-4", "llama", "cl100k_base"])
def test_a_name_that_is_none_is_no_expression(name: str) -> None:
    with pytest.raises(tokfast.PatternError, match=rf"{name}.*is no pretokenizer's name \(gpt2, .*deepseek-v3\)"):
        tokfast.train(iter(["text"]), 260, pattern=name)
    assert tokfast.train(iter(["text"]), 256, pattern=f"(?:{name})").pattern == f"(?:{name})"


def test_an_expression_of_a_megabyte() -> None:
    with pytest.raises(tokfast.PatternError, match="has 1000000 bytes; at most 65536") as caught:
        tokfast.train(iter(["text"]), 260, pattern="a|" * 500_000)
    assert len(str(caught.value)) < 500


def test_an_expression_that_gives_up() -> None:
    # Nested repeats with a back-reference: exponential for every engine that knows back-references.
    with pytest.raises(tokfast.PatternError, match=r"gave up on a text of \d+ bytes"):
        tokfast.train(iter(["a" * 200]), 300, pattern=r"(a*)*(a*)*\1\2(?=b)")


@pytest.mark.parametrize(("special_token", "message"), [("", "has 0 bytes"), ("a", "has 1 byte")])
def test_bad_special_token_in_training(special_token: str, message: str) -> None:
    with pytest.raises(tokfast.SpecialTokenError, match=message):
        tokfast.train(iter(["ab"]), 300, special_tokens=["<s>", special_token])


@pytest.mark.parametrize(
    "special_tokens",
    [{"": 300}, {"<s>": 5}, {"<s>": 300, "<e>": 300}, {"<s>": -1}, {"<s>": 2**32}, {"<s>": 2**32 - 1}],
    ids=repr,
)
def test_bad_special_tokens_for_a_file(tmp_path: Path, special_tokens: Any) -> None:
    tokfast.train(iter(["ab"]), 257).save(tmp_path / "t.tiktoken")
    with pytest.raises((tokfast.SpecialTokenError, tokfast.TokenizerFileError)):
        tokfast.Tokenizer.from_file(tmp_path / "t.tiktoken", pattern="gpt2", special_tokens=special_tokens)


def test_special_token_in_the_text(trained: tokfast.Tokenizer) -> None:
    with pytest.raises(tokfast.SpecialTokenError, match=r'"<\|end\|>" at byte 3, .*allowed_special') as caught:
        trained.encode("\u00e9a<|end|>", disallowed_special="all")
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("option", ["allowed_special", "disallowed_special"])
def test_unknown_special_token(trained: tokfast.Tokenizer, option: str) -> None:
    with pytest.raises(tokfast.SpecialTokenError, match=r'"<nonsense>": is not a special token .*<\|end\|>'):
        trained.encode("a", **{option: {"<nonsense>"}})  # type: ignore[arg-type]


@pytest.mark.parametrize("option", ["allowed_special", "disallowed_special"])
def test_special_tokens_as_text(trained: tokfast.Tokenizer, option: str) -> None:
    with pytest.raises(ValueError, match=rf"{option} is the str .*pass a set"):
        trained.encode("a", **{option: "<|end|>"})  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------ others


def test_unknown_encoding() -> None:
    with pytest.raises(tokfast.UnknownEncodingError, match=r"cl100k_bass.*did you mean 'cl100k_base'"):
        tokfast.load("cl100k_bass")
    with pytest.raises(tokfast.UnknownEncodingError, match="gpt-17-nano"):
        tokfast.encoding_for_model("gpt-17-nano")


@pytest.mark.parametrize("size", [-1, 0, 255, 257])
def test_cut_below_the_bytes_and_special_tokens(trained: tokfast.Tokenizer, size: int) -> None:
    with pytest.raises(ValueError, match=str(size)) as caught:
        trained.with_vocab_size(size)
    assert isinstance(caught.value, tokfast.TokfastError)


@pytest.mark.parametrize("threads", [0, -1])
def test_number_of_threads(trained: tokfast.Tokenizer, threads: int) -> None:
    with pytest.raises(ValueError, match="threads"):
        trained.encode_batch(["a"], threads=threads)
    with pytest.raises(ValueError, match="threads"):
        trained.count_batch(["a"], threads=threads)


@pytest.mark.parametrize("texts", ["abc", b"abc"])
def test_one_text_is_no_batch(trained: tokfast.Tokenizer, texts: Any) -> None:
    with pytest.raises(TypeError, match=r"texts is one (str|bytes); pass a list"):
        trained.encode_batch(texts)
    with pytest.raises(TypeError, match=r"texts is one (str|bytes); pass a list"):
        trained.count_batch(texts)


def test_a_tokenizer_is_frozen(trained: tokfast.Tokenizer) -> None:
    with pytest.raises(AttributeError):
        trained.pattern = "gpt2"  # type: ignore[misc]
    with pytest.raises(TypeError):
        tokfast.Tokenizer()
