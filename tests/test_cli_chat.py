"""`tokfast count --chat`: conversations wrapped by the model's own template."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import tokenizers
from click.testing import CliRunner

import peers
import tokfast
from tokfast._chat import ChatTemplate
from tokfast.cli import cli

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

TALK = [
    {"role": "system", "content": "You are terse."},
    {"role": "user", "content": "Why is the sky blue? 为什么"},
]


def invoke(*arguments: object, stdin: bytes | None = None) -> Result:
    arguments = ("count", *arguments)
    return CliRunner().invoke(cli, list(map(str, arguments)), input=stdin, prog_name="tokfast", catch_exceptions=False)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Qwen 3's folder beside a conversation; the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "model" / name).symlink_to(peers.real_file(f"qwen3.{name}"))
    (tmp_path / "talk.json").write_text(json.dumps(TALK), encoding="utf-8")
    return tmp_path / "model"


def test_the_models_own_template(model: Path) -> None:
    # As Qwen documents its format (ChatML), encoded by Hugging Face tokenizers.
    expected = "".join(f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in TALK)
    peer = tokenizers.Tokenizer.from_file(str(model / "tokenizer.json"))
    for options, text in (([], expected + "<|im_start|>assistant\n"), (["--no-generation-prompt"], expected)):
        result = invoke("--chat", "talk.json", "-t", model, *options)
        assert result.stdout == f"{len(peer.encode(text, add_special_tokens=False).ids)} talk.json\n"
        assert result.stderr == ""


def test_json_says_what_was_counted(model: Path) -> None:
    report = json.loads(invoke("--chat", "talk.json", "-t", model, "--json").stdout)
    assert report["exact"] is True
    assert report["chat"] == {"messages": 2, "template": "tokenizer_config.json", "generation_prompt": True}
    assert report["tokenizer"]["fingerprint"] == tokfast.load(model).fingerprint
    both = json.loads(invoke("--chat", "talk.json", "-t", model, "-t", "tokfast-32k", "--json").stdout)
    assert [one["exact"] for one in both["tokenizers"]] == [True, False]


@pytest.mark.usefixtures("model")
def test_without_a_template_the_wrapping_is_not_counted_and_it_says_so() -> None:
    result = invoke("--chat", "talk.json", "-t", "tokfast-32k")
    tok = tokfast.load("tokfast-32k")
    assert result.stdout == f"{sum(tok.count(turn['content']) for turn in TALK)} talk.json\n"
    assert "the wrapping of messages is not counted" in result.stderr


def test_a_request_with_tools_and_parts(model: Path) -> None:
    request: dict[str, Any] = {"messages": TALK, "tools": [{"type": "function", "function": {"name": "look"}}]}
    plain = int(invoke("--chat", "talk.json", "-t", model).stdout.split()[0])
    with_tools = invoke("--chat", "-", "-t", model, stdin=json.dumps(request).encode())
    assert int(with_tools.stdout.split()[0]) > plain
    parts = [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image"}]}]
    assert invoke("--chat", "-", "-q", "-t", "tokfast-32k", stdin=json.dumps(parts).encode()).stdout == "1 -\n"


def test_a_spelled_special_token_is_said(model: Path) -> None:
    talk = json.dumps([{"role": "user", "content": "<|im_end|>"}]).encode()
    assert "'<|im_end|>'" in invoke("--chat", "-", "-t", model, stdin=talk).stderr


def test_limit(model: Path) -> None:
    assert invoke("--chat", "talk.json", "-t", model, "--limit", 5).exit_code == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is no JSON"),
        (b"3", "holds no messages"),
        (b'["hi"]', "holds no messages"),
        (b'[{"content": "x"}]', "message 0 has no role"),
        (b"\xff\xfe", "is no JSON"),
    ],
)
def test_bad_messages(model: Path, content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        invoke("--chat", "-", "-t", model, stdin=content)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ raise_exception('roles must alternate') }}", "roles must alternate"),
        ("{{ messages.__class__.__mro__ }}", "unsafe"),
        ("{% for x in range(10**9) %}{% endfor %}", "Range too big"),
        ("{% if %}", "Expected an expression"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ missing.field }}", "undefined"),
    ],
)
def test_a_template_that_fails_or_reaches_out(model: Path, template: str, message: str) -> None:
    (model / "chat_template.jinja").write_text(template, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        invoke("--chat", "talk.json", "-t", model)


def test_what_templates_may_use(tmp_path: Path) -> None:
    (tmp_path / "chat_template.jinja").write_text(
        "{{ bos_token }}{% for m in messages %}{% if loop.index > 1 %}{% break %}{% endif %}{{ m.content }}{% endfor %}"
        "{% generation %}{{ {'é': 1} | tojson }}{% endgeneration %}{{ strftime_now('%Y') | length }}",
        encoding="utf-8",
    )
    config = {"bos_token": {"content": "<s>", "special": True}, "pad_token": None}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    template = ChatTemplate.find(tmp_path)
    assert template is not None
    assert template.render(TALK) == '<s>You are terse.{"é": 1}4'


def test_named_templates(tmp_path: Path) -> None:
    named = [{"name": "default", "template": "plain"}, {"name": "tool_use", "template": "tools"}]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": named}), encoding="utf-8")
    template = ChatTemplate.find(tmp_path)
    assert template is not None
    assert template.render(TALK) == "plain"
    assert template.render(TALK, tools=[{}]) == "tools"
    assert ChatTemplate.find(tmp_path / "none") is None


@pytest.mark.usefixtures("model")
def test_usage() -> None:
    assert invoke("--chat", "talk.json", "talk.json").exit_code == 2
    assert invoke("--chat", "talk.json", "--csv").exit_code == 2
