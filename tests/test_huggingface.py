"""`tokfast.huggingface` against Hugging Face tokenizers: every field of every encoding, and decoding."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import json
import pickle
import random
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import pytest
import tokenizers
from hypothesis import given, settings

import peers
import tokfast
from hard_strings import HARD_STRINGS
from tokfast.huggingface import AddedToken, Encoding, Tokenizer
from tokfast.huggingface.decoders import DecodeStream

if TYPE_CHECKING:
    from pathlib import Path

FIELDS = ("ids", "tokens", "offsets", "type_ids", "attention_mask", "special_tokens_mask", "word_ids", "sequence_ids")
Pair = tuple[Tokenizer, tokenizers.Tokenizer]

TEMPLATE = {
    "type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
    "pair": [
        {"SpecialToken": {"id": "<s>", "type_id": 0}},
        {"Sequence": {"id": "A", "type_id": 0}},
        {"SpecialToken": {"id": "</s>", "type_id": 0}},
        {"Sequence": {"id": "B", "type_id": 3}},
        {"SpecialToken": {"id": "</s>", "type_id": 3}},
    ],
    "special_tokens": {
        "<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]},
        "</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]},
    },
}
TRIM = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
PROCESSORS: dict[str, Any] = {
    "none": None,
    "trim": TRIM,
    "template": TEMPLATE,
    "both": {"type": "Sequence", "processors": [TRIM | {"add_prefix_space": True}, TEMPLATE]},
}


@pytest.fixture(scope="module")
def source() -> dict[str, Any]:
    """A small tokenizer.json with two special tokens."""
    corpus = iter([peers.code(100_000), "naïve café 中文 🦜 " * 9])
    tok = tokfast.train(corpus, 900, pattern="gpt2", special_tokens=["<s>", "</s>"])
    description: dict[str, Any] = json.loads(tok.__reduce__()[1][0])
    return description


def both(description: dict[str, Any]) -> Pair:
    text = json.dumps(description)
    return Tokenizer.from_str(text), tokenizers.Tokenizer.from_str(text)


@pytest.fixture(params=PROCESSORS)
def pair(request: pytest.FixtureRequest, source: dict[str, Any]) -> Pair:
    """The small tokenizer in both libraries, with each post-processor."""
    return both(source | {"post_processor": PROCESSORS[request.param]})


@pytest.fixture(scope="module")
def plain(source: dict[str, Any]) -> Pair:
    """The small tokenizer in both libraries."""
    return both(source | {"post_processor": PROCESSORS["both"]})


def same(mine: Any, theirs: Any) -> None:
    """Every field, and those of what overflows."""
    for field in FIELDS[:-1]:
        assert getattr(mine, field) == getattr(theirs, field), field
    # The other library gives padding to the text where there is no template.
    shown = theirs.attention_mask
    assert [number for number, mask in zip(mine.sequence_ids, shown, strict=True) if mask] == [
        number for number, mask in zip(theirs.sequence_ids, shown, strict=True) if mask
    ]
    assert mine.n_sequences == theirs.n_sequences
    assert len(mine) == len(theirs)
    assert len(mine.overflowing) == len(theirs.overflowing)
    for part, other in zip(mine.overflowing, theirs.overflowing, strict=True):
        for field in FIELDS[:-1]:  # the other library forgets the texts of overflowing parts
            assert getattr(part, field) == getattr(other, field), field


TEXTS = st.text("ab d\n\t'sé中🦜<s>/12", max_size=30)


@settings(max_examples=60)
@given(text=TEXTS, second=st.none() | TEXTS, add=st.booleans())
@pytest.mark.parametrize("name", PROCESSORS)
def test_encode(source: dict[str, Any], name: str, text: str, second: str | None, add: bool) -> None:
    if name not in CACHE:
        CACHE[name] = both(source | {"post_processor": PROCESSORS[name]})
    mine, theirs = (tok.encode(text, second, add_special_tokens=add) for tok in CACHE[name])
    same(mine, theirs)


CACHE: dict[str, Pair] = {}


def test_the_surface_is_that_of_tokenizers(plain: Pair) -> None:
    # What trains, and the parts that the file describes, are not here.
    parts = {"model", "normalizer", "pre_tokenizer", "post_processor", "decoder", "train", "train_from_iterator"}
    theirs = {name for name in dir(tokenizers.Tokenizer) if not name.startswith("_")} - parts
    assert theirs <= set(dir(plain[0]))
    assert {name for name in dir(tokenizers.Encoding) if not name.startswith("_")} <= set(dir(Encoding))
    for name in theirs:
        method = getattr(tokenizers.Tokenizer, name)
        if callable(method):
            expected = list(inspect.signature(method).parameters)
            assert list(inspect.signature(getattr(Tokenizer, name)).parameters) == expected, name


@pytest.mark.parametrize("options", [{}, {"max_length": 9, "stride": 1}, {"max_length": 9, "direction": "left"}])
def test_post_processing_alone(pair: Pair, options: dict[str, Any]) -> None:
    text, second = "the bad cat's tail", "ab d 12"
    for add in (True, False):
        for two in (None, second):
            parts = [[tok.encode(each, add_special_tokens=False) for each in (text, second)] for tok in pair]
            for tok in pair:
                tok.no_truncation()
                if options:
                    tok.enable_truncation(**options)
                tok.enable_padding(length=12)
            before = [(list(part.ids), list(part.offsets)) for part in parts[0]]
            mine, theirs = (
                tok.post_process(first, other if two else None, add_special_tokens=add)
                for tok, (first, other) in zip(list[Any](pair), parts, strict=True)
            )
            for one, other in [(mine, theirs), *zip(mine.overflowing, theirs.overflowing, strict=True)]:
                for field in FIELDS[:-1]:
                    assert getattr(one, field) == getattr(other, field), field
            # The other library forgets which tokens are of the first text.
            assert mine.sequence_ids == pair[0].encode(text, two, add_special_tokens=add).sequence_ids
            assert [(part.ids, part.offsets) for part in parts[0]] == before
            for tok in pair:
                tok.no_truncation()
                tok.no_padding()


def test_on_another_thread(plain: Pair) -> None:
    async def all_of_them(tok: Any) -> tuple[Any, ...]:
        batch = await tok.async_encode_batch(["a cat", ("ab", "d")], add_special_tokens=False)
        fast = await tok.async_encode_batch_fast(["a cat"])
        texts = await tok.async_decode_batch([batch[0].ids, fast[0].ids], skip_special_tokens=False)
        return (await tok.async_encode("a cat", "sat")).ids, [one.ids for one in batch], fast[0].ids, texts

    mine, theirs = (asyncio.run(all_of_them(tok)) for tok in plain)
    assert mine == theirs


def test_which_text_tokens_are_of(plain: Pair) -> None:
    encodings = [tok.encode("a cat", add_special_tokens=False) for tok in plain]
    for encoding in encodings:
        encoding.set_sequence_id(1)
    mine, theirs = encodings
    assert mine.sequence_ids == theirs.sequence_ids == [1] * len(mine.ids)
    # tokenizers keeps the range of sequence 0 beside that of sequence 1 in a hash map, and answers
    # `token_to_sequence` with whichever comes first there: it is no oracle for this.
    assert [mine.token_to_sequence(index) for index in range(len(mine.ids))] == mine.sequence_ids


def test_which_text_tokens_of_a_pair_are_of(plain: Pair) -> None:
    mine, theirs = (tok.encode("a cat", "sat", add_special_tokens=False) for tok in plain)
    tokens = range(len(mine.ids))
    assert mine.sequence_ids == theirs.sequence_ids
    assert [mine.token_to_sequence(i) for i in tokens] == [theirs.token_to_sequence(i) for i in tokens]
    assert {mine.token_to_sequence(i) for i in tokens} == {0, 1}


def test_hard_strings(pair: Pair) -> None:
    for text in HARD_STRINGS:
        if len(text) < 5000:
            same(*(tok.encode(text) for tok in pair))


@pytest.mark.parametrize("language", peers.LANGUAGES)
def test_a_real_tokenizer(language: str) -> None:
    if "llama3" not in CACHE:
        text = peers.real_file("llama3.2.tokenizer.json").read_text(encoding="utf-8")
        CACHE["llama3"] = (Tokenizer.from_str(text), tokenizers.Tokenizer.from_str(text))
    mine, theirs = CACHE["llama3"]
    text = peers.real_text(language)[:20_000]
    expected = theirs.encode(text)
    same(mine.encode(text), expected)
    for ids in (expected.ids, expected.ids[7:-7]):
        for skip in (True, False):
            assert mine.decode(ids, skip_special_tokens=skip) == theirs.decode(ids, skip_special_tokens=skip)


def attempt(tok: tokenizers.Tokenizer, first: str, second: str | None, add: bool) -> Any:
    """The other library's encoding, or None where it raises, or panics."""
    try:
        return tok.encode(first, second, add_special_tokens=add)
    except BaseException:  # noqa: BLE001 (a panic is no Exception)
        return None


OPTIONS: list[dict[str, Any]] = [
    {"max_length": 8},
    {"max_length": 8, "stride": 3},
    {"max_length": 8, "stride": 3, "direction": "left"},
    {"max_length": 9, "stride": 1, "strategy": "only_first"},
    {"max_length": 30, "strategy": "only_second", "direction": "left"},
    {"max_length": 0},
    {"max_length": 500},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_truncation(pair: Pair, options: dict[str, Any]) -> None:
    for tok in pair:
        tok.enable_truncation(**options)
    assert pair[0].truncation == pair[1].truncation
    words = peers.code(2000).split("\n")
    generator = random.Random(7)
    for _ in range(60):
        first, second = ("\n".join(generator.choices(words, k=generator.randrange(4))) for _ in range(2))
        for other, add in itertools.product((None, second), (True, False)):
            if add and not options["max_length"] and pair[0].num_special_tokens_to_add(is_pair=False):
                assert len(pair[0].encode(first, other)) == pair[0].num_special_tokens_to_add(other is not None)
                continue
            expected = attempt(pair[1], first, other, add)
            if expected is None:
                with pytest.raises(ValueError, match=r"truncation is set to cut|stride is"):
                    pair[0].encode(first, other, add_special_tokens=add)
            else:
                same(pair[0].encode(first, other, add_special_tokens=add), expected)
    for tok in pair:
        tok.no_truncation()
    assert pair[0].truncation is None
    same(*(tok.encode("def f():" * 30) for tok in pair))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"direction": "left", "pad_id": 5, "pad_type_id": 2, "pad_token": "<pad>"},
        {"length": 12},
        {"pad_to_multiple_of": 8},
        {"length": 5, "pad_to_multiple_of": 3},
    ],
    ids=str,
)
@pytest.mark.parametrize("truncated", [False, True])
def test_padding(pair: Pair, options: dict[str, Any], truncated: bool) -> None:
    for tok in pair:
        tok.enable_padding(**options)
        if truncated:
            tok.enable_truncation(7, stride=2)
    assert pair[0].padding == pair[1].padding
    batch: list[Any] = ["def f(x):", "", "naïve 🦜 café " * 4, ("one", "two three"), ("", "x")]
    for mine, theirs in zip(*(tok.encode_batch(batch) for tok in pair), strict=True):
        same(mine, theirs)
    same(*(tok.encode("a b c", "d") for tok in pair))
    for tok in pair:
        tok.no_padding()
    assert pair[0].padding is None
    same(*(tok.encode("a b c", "d") for tok in pair))


def test_words(pair: Pair) -> None:
    lines: list[list[str]] = [["Hello", " world", "naïve<s>", "", "中文"], [], ["x"]]
    for words in lines:
        same(*(tok.encode(words, is_pretokenized=True) for tok in pair))
        same(*(tok.encode(words, ["b", "c"], is_pretokenized=True, add_special_tokens=False) for tok in pair))
    batch: list[Any] = [*lines, (["a", "b"], ["c"])]
    for mine, theirs in zip(*(tok.encode_batch(batch, is_pretokenized=True) for tok in pair), strict=True):
        same(mine, theirs)


def test_places(plain: Pair) -> None:
    text, second = "naïve café, (x)", "中文 def"
    mine, theirs = (tok.encode(text, second) for tok in plain)
    for sequence, length in ((0, len(text)), (1, len(second))):
        for character in range(length + 1):
            assert mine.char_to_token(character, sequence) == theirs.char_to_token(character, sequence)
            assert mine.char_to_word(character, sequence) == theirs.char_to_word(character, sequence)
        for word in range(8):
            assert mine.word_to_tokens(word, sequence) == theirs.word_to_tokens(word, sequence)
            assert mine.word_to_chars(word, sequence) == theirs.word_to_chars(word, sequence)
    for index in range(len(mine)):
        assert mine.token_to_sequence(index) == theirs.token_to_sequence(index)
        assert mine.token_to_chars(index) == theirs.token_to_chars(index)


@given(ids=st.lists(st.integers(0, 930), max_size=30), skip=st.booleans())
def test_decode(plain: Pair, ids: list[int], skip: bool) -> None:
    mine, theirs = plain
    assert mine.decode(ids, skip) == theirs.decode(ids, skip)
    assert mine.decode_batch([ids, []], skip) == theirs.decode_batch([ids, []], skip)


def byte_fallback() -> Pair:
    """Characters as tokens, bytes for the others, and a space in front, as in Llama 2."""
    letters = [
        "<unk>",
        *(f"<0x{byte:02X}>" for byte in range(256)),
        "\u2581",
        "a",
        "b",
        "ab",
        "\u2581ab",
        "\ufffd",
        "é",
    ]
    vocab = {token: number for number, token in enumerate(letters)}
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}
    back = {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}
    strip = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
    return both(
        {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [
                {"id": 0, "content": "<unk>", "single_word": False, "lstrip": False, "rstrip": False,
                 "normalized": False, "special": True}
            ],
            "normalizer": {
                "type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "\u2581"}, replace]
            },
            "pre_tokenizer": None,
            "post_processor": None,
            "decoder": {
                "type": "Sequence",
                "decoders": [back, {"type": "ByteFallback"}, {"type": "Fuse"}, strip],
            },
            "model": {
                "type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
                "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
                "vocab": vocab, "merges": ["a b", "\u2581 ab"],
            },
        }
    )  # fmt: skip


@given(text=st.text("ab é中<unk>", max_size=12), ids=st.lists(st.integers(0, 265), max_size=20), skip=st.booleans())
def test_characters_with_bytes_for_the_others(text: str, ids: list[int], skip: bool) -> None:
    if "bytes" not in CACHE:
        CACHE["bytes"] = byte_fallback()
    mine, theirs = CACHE["bytes"]
    same(mine.encode(text), theirs.encode(text))
    assert mine.decode(ids, skip) == theirs.decode(ids, skip)
    stream = mine._tokenizer.stream_decoder()  # noqa: SLF001 (the same tokenizer, under the other interface)
    known = [number for number in ids if number < mine.get_vocab_size()]
    assert "".join(map(stream.feed, known)) + stream.finish() == mine._tokenizer.decode(known)  # noqa: SLF001


def test_the_vocabulary(plain: Pair) -> None:
    mine, theirs = plain
    for with_added in (True, False):
        assert mine.get_vocab(with_added) == theirs.get_vocab(with_added)
        assert mine.get_vocab_size(with_added) == theirs.get_vocab_size(with_added)
    for token in ("<s>", "Ġdef", "nothing like it"):
        assert mine.token_to_id(token) == theirs.token_to_id(token)
    for number in (0, 5, 899, 900, 10**6):
        assert mine.id_to_token(number) == theirs.id_to_token(number)
    for is_pair in (True, False):
        assert mine.num_special_tokens_to_add(is_pair) == theirs.num_special_tokens_to_add(is_pair)


def test_special_tokens_as_text(plain: Pair) -> None:
    for tok in plain:
        tok.encode_special_tokens = True
    same(*(tok.encode("a<s>b") for tok in plain))
    for tok in plain:
        tok.encode_special_tokens = False
    same(*(tok.encode("a<s>b") for tok in plain))


def test_settings_are_written_and_read(source: dict[str, Any], tmp_path: Path) -> None:
    mine, theirs = both(source)
    for tok in (mine, theirs):
        tok.enable_truncation(20, stride=3, strategy="only_first", direction="left")
        tok.enable_padding(length=24, pad_id=1, pad_token="</s>", direction="left", pad_to_multiple_of=2)  # noqa: S106
    ours, other = json.loads(mine.to_str()), json.loads(theirs.to_str())
    assert (ours["truncation"], ours["padding"]) == (other["truncation"], other["padding"])
    mine.save(tmp_path / "tokenizer.json")
    again: list[Any] = [
        Tokenizer.from_file(tmp_path / "tokenizer.json"),
        Tokenizer.from_buffer((tmp_path / "tokenizer.json").read_bytes()),
        Tokenizer.from_pretrained(str(tmp_path)),
        tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json")),
        pickle.loads(pickle.dumps(mine)),
    ]
    for tok in again:
        assert (tok.truncation, tok.padding) == (theirs.truncation, theirs.padding)
        assert tok.encode("def f(x): return 1" * 5).ids == theirs.encode("def f(x): return 1" * 5).ids


def test_threads_share_one_tokenizer(plain: Pair) -> None:
    mine, theirs = plain
    texts = [f"def f{number}(x): return {number}" for number in range(200)]
    expected = [encoding.ids for encoding in theirs.encode_batch(texts)]

    def work(_: int) -> bool:
        return [encoding.ids for encoding in mine.encode_batch(texts)] == expected

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(24)))


def test_from_pretrained_reads_the_cache_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(tokfast.UnknownEncodingError, match="tokfast fetch org/name"):
        Tokenizer.from_pretrained("org/name")


def test_what_cannot_be_done(plain: Pair) -> None:
    wrong: Any = 5
    with pytest.raises(TypeError, match="a text must be str, not int"):
        plain[0].encode(wrong)
    with pytest.raises(TypeError, match="list of words, not str"):
        plain[0].encode("a b", is_pretokenized=True)
    with pytest.raises(ValueError, match="strategy is 'other'"):
        plain[0].enable_truncation(5, strategy="other")
    with pytest.raises(ValueError, match="stride is 5"):
        plain[0].enable_truncation(5, stride=5)
    with pytest.raises(ValueError, match="direction is 'up'"):
        plain[0].enable_padding(direction="up")
    with pytest.raises(ValueError, match="max_length is -1"):
        plain[0].enable_truncation(-1)


@pytest.mark.parametrize(
    "part",
    [
        {"post_processor": {"type": "Nothing"}},
        {"post_processor": TEMPLATE | {"pair": [{"SpecialToken": {"id": "<other>", "type_id": 0}}]}},
        {"post_processor": TEMPLATE | {"pair": [{"Sequence": {"id": "C", "type_id": 0}}]}},
        {"truncation": {"max_length": 5}},
        {"truncation": {"max_length": 5, "stride": "1", "strategy": "LongestFirst"}},
        {"padding": 3},
    ],
    ids=str,
)
def test_a_damaged_file(source: dict[str, Any], part: dict[str, Any]) -> None:
    with pytest.raises(tokfast.TokenizerFileError, match=r"post.processor|truncation"):
        Tokenizer.from_str(json.dumps(source | part))


# ------------------------------------------------------------------------------------------ added tokens


ADDED: list[list[tuple[str, list[Any]]]] = [
    [("add_tokens", ["<tool>", "return", "", "<tool>"])],
    [("add_special_tokens", ["<s>", "<pad>", "</s>"]), ("add_tokens", ["<pad>", "<pad>x"])],
    [
        ("add_tokens", [{"content": "<l>", "lstrip": True}, {"content": "<r>", "rstrip": True}]),
        (
            "add_special_tokens",
            [{"content": "word", "single_word": True}, {"content": "caf\u00e9", "normalized": True}],
        ),
    ],
    [("add_tokens", ["<a>"]), ("add_special_tokens", ["<a>"]), ("add_tokens", ["self", "\u4e2d"])],
]


@pytest.mark.parametrize("calls", ADDED, ids=range(len(ADDED)))
@pytest.mark.parametrize("normalizer", [None, {"type": "Lowercase"}], ids=["as it is", "lower case"])
def test_added_tokens_are_found_alike(
    source: dict[str, Any], calls: list[tuple[str, list[Any]]], normalizer: dict[str, Any] | None
) -> None:
    text = json.dumps(source | {"normalizer": normalizer})
    ours, theirs = Tokenizer.from_str(text), tokenizers.Tokenizer.from_str(text)
    ours.enable_truncation(50)
    theirs.enable_truncation(50)
    for name, tokens in calls:
        mine = [AddedToken(**token) if isinstance(token, dict) else token for token in tokens]
        others = [tokenizers.AddedToken(**token) if isinstance(token, dict) else token for token in tokens]
        assert getattr(ours, name)(mine) == getattr(theirs, name)(others)
    assert ours.get_vocab() == theirs.get_vocab()
    assert ours.get_vocab_size() == theirs.get_vocab_size()
    mine_by_id, theirs_by_id = ours.get_added_tokens_decoder(), theirs.get_added_tokens_decoder()
    assert list(mine_by_id) == list(theirs_by_id)
    for number, token in mine_by_id.items():
        for field in ("content", "single_word", "lstrip", "rstrip", "normalized", "special"):
            assert getattr(token, field) == getattr(theirs_by_id[number], field), (token, field)
    for sample in ["a <tool>return <l>  <r>  word words <pad>x caf\u00e9 CAF\u00c9 <a>self.\u4e2d", *HARD_STRINGS[:60]]:
        same(ours.encode(sample), theirs.encode(sample))
        ids = theirs.encode(sample).ids
        assert ours.decode(ids) == theirs.decode(ids)
    again = Tokenizer.from_str(ours.to_str())
    assert again.get_added_tokens_decoder() == mine_by_id


def test_tokens_of_the_other_library_are_taken(source: dict[str, Any]) -> None:
    ours = Tokenizer.from_str(json.dumps(source))
    token: Any = tokenizers.AddedToken("<x>", rstrip=True)
    assert ours.add_special_tokens([token, "<x>"]) == 2, "the second takes nothing along"
    assert ours.add_special_tokens(["<x>"]) == 0
    assert ours.get_added_tokens_decoder()[900] == AddedToken("<x>", normalized=False, special=True)


def test_what_is_no_token_is_refused_and_changes_nothing(source: dict[str, Any]) -> None:
    ours = Tokenizer.from_str(json.dumps(source))
    for wrong in ("abc", [1], [None]):
        with pytest.raises(TypeError, match="token"):
            ours.add_tokens(wrong)  # type: ignore[arg-type]
    with pytest.raises(tokfast.TokfastError):
        ours.add_tokens(["<new>", "\u0120return"])  # the file's spelling of a token that is no text
    assert ours.token_to_id("<new>") is None


# ------------------------------------------------------------------------------------------ streams


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("before", [0, 3])
def test_streams_give_the_same_parts(source: dict[str, Any], skip: bool, before: int) -> None:
    text = json.dumps(source)
    ours, theirs = Tokenizer.from_str(text), tokenizers.Tokenizer.from_str(text)
    for sample in ["<s>na\u00efve \u4e2d\u6587 \U0001f99c</s> end", *HARD_STRINGS[:120]]:
        ids = theirs.encode(sample).ids
        mine = DecodeStream(ids[:before], skip_special_tokens=skip)
        other = tokenizers.decoders.DecodeStream(ids=ids[:before], skip_special_tokens=skip)
        for number in ids[before:]:
            assert mine.step(ours, number) == other.step(theirs, number), ascii(sample)
        assert mine.step(ours, ids[:2]) == other.step(theirs, ids[:2])
