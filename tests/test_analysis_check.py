"""`tokfast.analysis.check`: planted mismatches are found, consistent pairs are left in peace."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

import peers
import tokfast
from tokfast.analysis import check
from tokfast.cli import cli

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# The published configurations of models, as far as they name ids.
CONFIGS: dict[str, dict[str, Any]] = {
    "gpt2": {"vocab_size": 50257, "bos_token_id": 50256, "eos_token_id": 50256},
    "llama-3": {"vocab_size": 128256, "bos_token_id": 128000, "eos_token_id": 128009},
    "qwen3": {"vocab_size": 151936, "bos_token_id": 151643, "eos_token_id": 151645},
    "gpt-oss": {"vocab_size": 201088, "eos_token_id": 200002, "pad_token_id": 199999},
    "dbrx": {"vocab_size": 100352, "eos_token_id": 100257},
}
GENERATION = {
    "llama-3": {"bos_token_id": 128000, "eos_token_id": [128001, 128009]},
    "qwen3": {"bos_token_id": 151643, "eos_token_id": [151645, 151643], "pad_token_id": 151643},
}


def real(name: str) -> tokfast.Tokenizer:
    if name == "qwen3":
        return tokfast.load(peers.real_file("qwen3.tokenizer.json"))
    files = {
        "gpt2": ("gpt2", "gpt2"),
        "llama-3": ("llama3", "llama3"),
        "gpt-oss": ("o200k", "o200k"),
        "dbrx": ("cl100k", "cl100k"),
    }
    file, pattern = files[name]
    special = dict(peers.SPECIAL_TOKENS[file])
    if name == "gpt-oss":
        from tokfast._encodings import ENCODINGS

        special = dict(ENCODINGS["o200k_harmony"].special_tokens)
    return tokfast.Tokenizer.from_file(peers.real_file(peers.RANKS[file]), pattern=pattern, special_tokens=special)


@pytest.mark.parametrize("name", CONFIGS)
def test_consistent_pairs(name: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIGS[name]), encoding="utf-8")
    if name in GENERATION:
        (tmp_path / "generation_config.json").write_text(json.dumps(GENERATION[name]), encoding="utf-8")
    if name == "qwen3":
        shutil.copy(peers.real_file("qwen3.tokenizer_config.json"), tmp_path / "tokenizer_config.json")
        shutil.copy(peers.real_file("qwen3.tokenizer.json"), tmp_path / "tokenizer.json")
        assert "<|im_start|>" in (tmp_path / "tokenizer_config.json").read_text(encoding="utf-8")
        assert check(tmp_path).is_consistent
    result = check(tmp_path, real(name))
    assert result.findings == ()
    assert result.embedding_rows == CONFIGS[name]["vocab_size"]


Files = dict[str, Any]


def consistent() -> Files:
    """A model with every file that is read; each plant spoils one thing."""
    return {
        "config.json": {"vocab_size": 304, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2},
        "generation_config.json": {"bos_token_id": 0, "eos_token_id": [1]},
        "tokenizer_config.json": {
            "bos_token": "<|begin|>",
            "eos_token": {"content": "<|end|>"},
            "pad_token": "<|pad|>",
            "add_bos_token": True,
            "added_tokens_decoder": {"0": {"content": "<|begin|>"}, "1": {"content": "<|end|>"}},
            "chat_template": "{{ '<|begin|>' + message['content'] + '<|end|>' }} and <|' ~ role ~ '|>",
        },
        "model.safetensors": {
            "model.embed_tokens.weight": {"dtype": "BF16", "shape": [304, 8], "data_offsets": [0, 0]}
        },
    }


def tokenizer() -> tokfast.Tokenizer:
    return tokfast.train([peers.code(20_000)], 300, special_tokens=["<|begin|>", "<|end|>", "<|pad|>"])


def other_tokenizer() -> tokfast.Tokenizer:
    return tokfast.train([peers.code(20_000)[::-1]], 300, special_tokens=["<|begin|>", "<|end|>", "<|pad|>"])


def write(files: Files, folder: Path, tok: tokfast.Tokenizer) -> None:
    for name, content in files.items():
        data = json.dumps(content).encode()
        (folder / name).write_bytes(len(data).to_bytes(8, "little") + data if name.endswith("tensors") else data)
    tok.save(folder / "tokenizer.json")


def change(file: str, key: str, value: object) -> Callable[[Files], None]:
    def plant(files: Files) -> None:
        files[file][key] = value

    return plant


def both_rows(rows: int) -> Callable[[Files], None]:
    def plant(files: Files) -> None:
        files["config.json"]["vocab_size"] = rows
        files["model.safetensors"]["model.embed_tokens.weight"]["shape"][0] = rows

    return plant


PLANTS = {
    "ids-beyond-embedding": both_rows(296),
    "rows-without-tokens": both_rows(512),
    "weights-differ-from-config": change("config.json", "vocab_size", 303),
    "eos-without-token": change("generation_config.json", "eos_token_id", [1, 303]),
    "bos-without-token": change("config.json", "bos_token_id", [0, 999]),
    "eos-differs-in-generation": change("generation_config.json", "eos_token_id", [0, 2]),
    "pad-differs": change("config.json", "pad_token_id", 1),
    "eos-not-in-tokenizer": change("tokenizer_config.json", "eos_token", "</s>"),
    "added-token-differs": change("tokenizer_config.json", "added_tokens_decoder", {"5": {"content": "<|end|>"}}),
    "special-not-in-tokenizer": change("tokenizer_config.json", "additional_special_tokens", ["<|end|>", "<|tool|>"]),
    "image-without-token": change("config.json", "image_token_id", 303),
    "add-bos-without-token": change("tokenizer_config.json", "bos_token", None),
    "chat-marker-not-in-tokenizer": change("tokenizer_config.json", "chat_template", "{{ '<|im_start|>' }}"),
}


def test_nothing_is_found_before_planting(tmp_path: Path) -> None:
    write(consistent(), tmp_path, tokenizer())
    assert check(tmp_path).findings == ()
    assert check(tmp_path / "config.json", tmp_path / "tokenizer.json").is_consistent


@pytest.mark.parametrize("code", PLANTS)
def test_planted_mismatch_is_found(code: str, tmp_path: Path) -> None:
    files = consistent()
    PLANTS[code](files)
    write(files, tmp_path, tokenizer())
    findings = check(tmp_path).findings
    assert [finding.code for finding in findings] == [code]
    assert findings[0].message
    assert findings[0].consequence


def test_two_tokenizers(tmp_path: Path) -> None:
    write(consistent(), tmp_path, tokenizer())
    assert [finding.code for finding in check(tmp_path, other_tokenizer()).findings] == ["ids-differ"]
    shorter = tokenizer().with_vocab_size(298)
    assert "sizes-differ" in [finding.code for finding in check(tmp_path, shorter).findings]
    config = {"vocab_size": 296}
    added = tokfast.Tokenizer.from_file(
        peers.real_file("gpt2.tiktoken"), pattern="gpt2", special_tokens={"<|x|>": 50256}
    )
    assert [finding.code for finding in check({"vocab_size": 50256}, added).findings] == [
        "added-tokens-beyond-embedding"
    ]
    assert check(config, tokenizer()).findings[0].code == "ids-beyond-embedding"


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(cli, list(map(str, arguments)), prog_name="tokfast", catch_exceptions=False)
    return result.exit_code, result.stdout + result.stderr


def test_command(tmp_path: Path) -> None:
    write(consistent(), tmp_path, tokenizer())
    assert run("check", tmp_path)[0] == 0
    assert "no mismatches" in run("check", tmp_path)[1]
    other_tokenizer().save(tmp_path / "other.json")
    status, output = run("check", tmp_path, tmp_path / "other.json")
    assert status == 1
    assert "error: ids-differ" in output
    status, output = run("check", tmp_path, tmp_path / "other.json", "--json")
    assert [finding["code"] for finding in json.loads(output)["findings"]] == ["ids-differ"]
    (tmp_path / "tokenizer.json").unlink()
    assert run("check", tmp_path)[0] == 2


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff\xfe", b"{" * 100_000])
def test_bad_configurations(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(tokfast.TokenizerFileError, match=r"config\.json"):
        check(tmp_path / "config.json", "tokfast-32k")


def test_weights_in_several_files(tmp_path: Path) -> None:
    files = consistent()
    weights = files.pop("model.safetensors")
    weights["model.embed_tokens.weight"]["shape"][0] = 320
    files["model-00002-of-00002.safetensors"] = weights
    names = {"model.norm.weight": "model-00001-of-00002.safetensors"}
    names |= dict.fromkeys(weights, "model-00002-of-00002.safetensors")
    files["model.safetensors.index.json"] = {"weight_map": names}
    write(files, tmp_path, tokenizer())
    assert [finding.code for finding in check(tmp_path).findings] == [
        "weights-differ-from-config",
        "rows-without-tokens",
    ]
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    assert check(tmp_path).is_consistent


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, (5).to_bytes(8, "little") + b"[1,2]"])
def test_bad_weights(content: bytes, tmp_path: Path) -> None:
    write(consistent(), tmp_path, tokenizer())
    (tmp_path / "model.safetensors").write_bytes(content)
    if content.endswith(b"]"):
        assert check(tmp_path).is_consistent
    else:
        with pytest.raises(tokfast.TokenizerFileError, match="safetensors"):
            check(tmp_path)
