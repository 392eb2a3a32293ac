"""`tokfast.analysis.explain`: the explanation is the encoder's, merge by merge."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

import peers
import tokfast
from tokfast import reference
from tokfast.analysis import TokenTree, explain
from tokfast.analysis.explanation import MergeTable
from tokfast.cli import cli

TEXT = "The tokenizer splits unbelievably, doesn't it? 12345 你好 naïveté 🙂\n\n  x"


def check_tree(tok: tokfast.Tokenizer, merges: list[tuple[int, int]], tree: TokenTree) -> None:
    assert tree.id is None or tok.token_bytes(tree.id) == tree.token
    if tree.left and tree.right:
        assert tree.left.token + tree.right.token == tree.token
        assert tree.rank is not None
        assert merges[tree.rank] == (tree.left.id, tree.right.id)
        for part in (tree.left, tree.right):
            check_tree(tok, merges, part)


def test_real_vocabularies(vocabulary: str, real: tokfast.Tokenizer) -> None:
    table, merges = MergeTable(real), real.merges
    for text in (TEXT, peers.code(3000), peers.real_text("ru")[:2000], peers.real_text("th")[:2000]):
        result = explain(real, text, table=table)
        assert result.ids == real.encode(text)
        assert b"".join(tree.token for tree in result.tokens) == text.encode()
        assert len(result.boundaries) == len(result.tokens) - 1
        for tree in result.tokens:
            check_tree(real, merges, tree)
            # Llama 3 looks whole words up, and a few of them no merges make.
            assert vocabulary == "llama3" or (tree.rank is None) == (len(tree.token) == 1)


def test_replaying_the_merges_gives_the_tokens(trained: tokfast.Tokenizer) -> None:
    for word in ("tokenizer", " unbelievable", "def", " self"):
        symbols = [bytes([byte]) for byte in word.encode()]
        result = explain(trained, word)
        for node in (node for tree in result.tokens for node in tree.nodes()):
            for part in (node.left, node.right):
                assert part is None or part.rank is None or (node.rank is not None and part.rank < node.rank)
        for merge in result.merges:
            index = next(i for i in range(len(symbols)) if symbols[i : i + 2] == [merge.left, merge.right])
            symbols[index : index + 2] = [merge.token]
        assert symbols == [tree.token for tree in result.tokens]


def test_boundaries() -> None:
    tok = tokfast.train(["to tok toke token tokens"] * 3, 262, pattern="gpt2")
    [first, *_] = explain(tok, " tokenless").boundaries
    assert (first.left, first.right, first.reason) == (b" token", b"l", "no merge")
    reasons = [boundary.reason for boundary in explain(tok, "to to").boundaries]
    assert reasons == ["pattern"]
    assert reference.BYTE_ORDER  # the module that says the rule


def test_a_token_out_of_reach_is_named() -> None:
    counts = tokfast.WordCounts.from_counts({"bc": 10, "ab": 5, "abc": 0, "xabx": 9, "abcd": 1})
    tok = tokfast.train(counts, 260, pattern=None)
    result = explain(tok, "abc")
    assert [tree.token for tree in result.tokens] == [b"a", b"bc"] or result.boundaries[0].reason == "no merge"


def test_bytes_and_empty() -> None:
    tok = tokfast.load("tokfast-32k")
    assert explain(tok, "").tokens == ()
    raw = b"\xff\xfe caf\xc3"
    assert explain(tok, raw).ids == tok.encode(raw)


@pytest.mark.parametrize("word", ["tokenization", " naïveté", "\x00\x1b[31m"])
def test_command(word: str) -> None:
    arguments = ["explain", "-t", "tokfast-32k", "--", word]
    result = CliRunner().invoke(cli, arguments, prog_name="tokfast", catch_exceptions=False)
    assert result.exit_code == 0
    assert "\x1b" not in result.stdout
    tok = tokfast.load("tokfast-32k")
    for number in tok.encode(word):
        assert f"({number})" in result.stdout
    arguments.insert(1, "--json")
    report = json.loads(CliRunner().invoke(cli, arguments, prog_name="tokfast", catch_exceptions=False).stdout)
    assert report["ids"] == tok.encode(word)
    assert len(report["boundaries"]) == len(report["ids"]) - 1
