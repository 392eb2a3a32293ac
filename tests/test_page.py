"""The page of `tokfast show --html`: its structure, its data, and that no text breaks out of it.

`scripts/check_page.py` uses the page in a real browser.
"""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import peers
import tokfast
from tokfast.analysis import explain, render_page
from tokfast.analysis.explanation import MergeTable
from tokfast.analysis.page import spell

VOID = {"meta", "input", "br", "img", "link"}
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)> <!-- <b>&amp;\u2028 {{ 7 * 7 }} ]]> \u202e x"


class Page(HTMLParser):
    """A page taken apart as a browser would: elements, token spans, and the content of scripts."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.panels: list[list[tuple[dict[str, str | None], str]]] = []
        self.scripts: list[str] = []
        self.title = ""
        self.open: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "div" and attributes.get("class") == "text":
            self.panels.append([])
        if tag == "span" and attributes.get("class") == "token":
            self.panels[-1].append((attributes, ""))
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open:
            assert not data.strip()
        elif self.open[-1] == "script":
            self.scripts[-1] += data
        elif self.open[-1] == "title":
            self.title += data
        elif self.open[-1] == "span":
            attributes, before = self.panels[-1][-1]
            self.panels[-1][-1] = attributes, before + data

    @property
    def data(self) -> list[dict[str, Any]]:
        """What the page's script reads."""
        found: list[dict[str, Any]] = json.loads(self.scripts[0])
        return found


def as_bytes(token: str | list[int]) -> bytes:
    return token.encode() if isinstance(token, str) else bytes(token)


@pytest.mark.parametrize("text", ["Hello, naïve café!\n\t你好 🙂", HOSTILE, "", b"\xff\xfe\x00 bytes \xe4\xbd"])
def test_the_tokens_are_the_encoders(trained: tokfast.Tokenizer, text: str | bytes) -> None:
    page = Page(render_page({"mine": trained}, text))
    raw = text.encode() if isinstance(text, str) else text
    [tokens] = page.panels
    assert [int(str(token["data-id"])) for token, _ in tokens] == trained.encode(raw)
    ends = [0, *(int(str(token["data-end"])) for token, _ in tokens)]
    assert [int(str(token["data-start"])) for token, _ in tokens] == ends[:-1]
    assert [shown for _, shown in tokens] == [spell(raw[start:end]) for start, end in pairwise(ends)]
    # One stop of the tab key for each text; the arrow keys do the rest.
    assert sum(token["tabindex"] == "0" for token, _ in tokens) == bool(tokens)


@settings(max_examples=25)
@given(st.text(st.sampled_from("<>&'\"/!-scriptSCRIPT{}%\n\u2028\x00a"), max_size=60))
def test_no_text_breaks_out(text: str) -> None:
    plain = Page(render_page(["tokfast-32k"], "x", title="x", vocabulary=False))
    page = Page(render_page(["tokfast-32k"], text, title=text, vocabulary=False))
    assert [tag for tag, _ in page.elements if tag != "span"] == [tag for tag, _ in plain.elements if tag != "span"]
    ends = [0, *(int(str(token["data-end"])) for token, _ in page.panels[0])]
    assert [shown for _, shown in page.panels[0]] == [spell(text.encode()[a:b]) for a, b in pairwise(ends)]
    assert page.scripts[1] == plain.scripts[1]
    assert page.data[0]["name"] == "tokfast-32k"


def test_a_tokenizer_that_is_hostile_itself() -> None:
    tok = tokfast.train(["</script><!-- " * 9], 270, pattern=None, special_tokens=["</script>", "<!--<script>"])
    page = Page(render_page({"</script><b>": tok}, HOSTILE))
    assert page.data[0]["name"] == "</script><b>"
    assert len(page.scripts) == 2
    assert b"</script>" in {as_bytes(row[1]) for row in page.data[0]["rows"]}


def test_the_page_needs_nothing_else(trained: tokfast.Tokenizer) -> None:
    source = render_page({"mine": trained}, HOSTILE)
    page = Page(source)
    policies = [
        found["content"] for tag, found in page.elements if found.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policies[0]
    assert policies[0].startswith("default-src 'none'")
    for tag, attributes in page.elements:
        assert tag not in {"link", "img", "iframe", "object", "a"}
        assert not {"src", "href", "style"} & set(attributes)
        assert not [name for name in attributes if name.startswith("on")]
    style = source[source.index("<style>") : source.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert "prefers-color-scheme: dark" in style
    assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|eval\(|fetch\(|https?:", page.scripts[1])


def test_labels_for_those_who_do_not_see(trained: tokfast.Tokenizer) -> None:
    page = Page(render_page({"mine": trained}, "a b"))
    assert ("html", {"lang": "en"}) in page.elements
    found = {attributes.get("id"): attributes for _, attributes in page.elements}
    assert found["details"]["aria-live"] == "polite"
    for _, attributes in page.elements:
        if "aria-labelledby" in attributes:
            assert attributes["aria-labelledby"] in found


@pytest.mark.parametrize("vocabulary", ["gpt2", "llama3"], indirect=True)
def test_the_vocabulary_is_whole_and_its_merges_are_those_of_explain(vocabulary: str, real: tokfast.Tokenizer) -> None:
    table = MergeTable(real)
    rows = {row[0]: row for row in Page(render_page({vocabulary: real}, "x")).data[0]["rows"]}
    vocab = real.vocab
    assert {number: as_bytes(row[1]) for number, row in rows.items()} == {
        number: token for number, token in enumerate(vocab) if token
    }
    for number in [*range(300), *range(300, len(vocab), 97)]:
        tree = table.tree(vocab[number], number)
        parts = [tree.rank, tree.left.id, tree.right.id] if tree.left and tree.right else []
        assert rows.get(number, [])[2:] == parts


def test_without_the_vocabulary_all_parts_are_there(trained: tokfast.Tokenizer) -> None:
    text = peers.code(2000)
    rows = {row[0]: row for row in Page(render_page({"mine": trained}, text, vocabulary=False)).data[0]["rows"]}
    needed = {node.id for tree in explain(trained, text).tokens for node in tree.nodes()}
    assert set(rows) == needed
    assert len(rows) < trained.vocab_size


def test_several_and_a_long_text(trained: tokfast.Tokenizer) -> None:
    source = render_page({"a": trained, "b": tokfast.load("tokfast-32k")}, "word " * 500, max_tokens=100)
    page = Page(source)
    assert [len(panel) for panel in page.panels] == [100, 100]
    assert source.count("The first 100 tokens are shown.") == 2
    assert [one["name"] for one in page.data] == ["a", "b"]


def test_without_jinja2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "jinja2", None)
    with pytest.raises(ImportError, match=r"tokfast\[cli\]"):
        render_page(["tokfast-32k"], "x")
