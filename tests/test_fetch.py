"""Downloads and the Hub's cache: a server of this test's own, folders made here. Nothing leaves the machine."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

import tokfast
from tokfast import _download, _encodings, _hub, _load, _places
from tokfast.cli import cli

if TYPE_CHECKING:
    from collections.abc import Iterator

    import platformdirs

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Server(http.server.ThreadingHTTPServer):
    """Answers every request with `answer`, and notes the paths asked for."""

    answer: bytes = b""
    length: int | None = None
    asked: list[str]


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", str(self.server.length or len(self.server.answer)))
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, *_: object) -> None:  # pragma: no cover
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trained: tokfast.Tokenizer) -> Iterator[Server]:
    """A server that has the file of a small cl100k_base, on a machine without any."""
    for variable in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR", "TOKFAST_OFFLINE", "HF_HUB_OFFLINE", "http_proxy"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("TOKFAST_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(_places, "folders", lambda: iter([tmp_path / "cache"]))
    monkeypatch.setattr(_load, "folders", _places.folders)
    trained.save(tmp_path / "small.tiktoken")
    data = (tmp_path / "small.tiktoken").read_bytes()
    small = replace(
        _encodings.ENCODINGS["cl100k_base"],
        sha256=hashlib.sha256(data).hexdigest(),
        special_tokens={"<|endoftext|>": 5000},
    )
    monkeypatch.setitem(_encodings.ENCODINGS, "cl100k_base", small)
    with Server(("127.0.0.1", 0), Handler) as running:
        running.answer, running.asked = data, []
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setattr(_download, "PUBLISHED_AT", f"http://127.0.0.1:{running.server_port}/")
        yield running
        running.shutdown()
        thread.join()


def test_nothing_is_downloaded_unless_asked(server: Server) -> None:
    with pytest.raises(tokfast.UnknownEncodingError, match="'tokfast fetch cl100k_base', pass download=True"):
        tokfast.load("cl100k_base")
    with pytest.raises(tokfast.UnknownEncodingError):
        tokfast.encoding_for_model("gpt-4")
    assert server.asked == []


def test_a_file_is_downloaded_once(server: Server, tmp_path: Path) -> None:
    for _ in range(3):
        tok = tokfast.load("cl100k_base", download=True)
        assert tok.special_tokens == {"<|endoftext|>": 5000}
    assert tokfast.load("cl100k_base").fingerprint == tok.fingerprint
    assert server.asked == ["/cl100k_base.tiktoken"]
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["cl100k_base.tiktoken"]


@pytest.mark.parametrize("fault", ["other bytes", "cut off", "nothing"])
def test_what_is_not_the_file_is_not_kept(server: Server, tmp_path: Path, fault: str) -> None:
    if fault == "cut off":
        server.length = len(server.answer)
        server.answer = server.answer[: server.length // 2]
    elif fault == "nothing":
        server.answer = b""
    else:
        server.answer = b"<html>Sign in</html>"
    with pytest.raises((tokfast.UnknownEncodingError, OSError), match="nothing was kept"):
        tokfast.load("cl100k_base", download=True)
    assert not (tmp_path / "cache").exists()


def test_an_endless_answer_ends(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_download, "LARGEST", 1000)
    server.answer = bytes(1_000_000)
    with pytest.raises(tokfast.UnknownEncodingError, match="nothing was kept"):
        tokfast.load("cl100k_base", download=True)


def test_no_connection_is_an_oserror(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_download, "PUBLISHED_AT", "http://127.0.0.1:9/")
    with pytest.raises(OSError, match=r"could not be downloaded .*TOKFAST_CACHE_DIR"):
        tokfast.load("cl100k_base", download=True)
    assert server.asked == []


@pytest.mark.parametrize("variable", ["TOKFAST_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_wins(server: Server, monkeypatch: pytest.MonkeyPatch, variable: str, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    for value in ("0", "false", ""):
        monkeypatch.setenv(variable, value)
        assert not _places.is_offline()
    monkeypatch.setenv(variable, "1")
    with pytest.raises(tokfast.UnknownEncodingError, match="OFFLINE or HF_HUB_OFFLINE is set"):
        tokfast.load("cl100k_base", download=True)
    with pytest.raises(tokfast.UnknownEncodingError, match="OFFLINE or HF_HUB_OFFLINE is set"):
        tokfast.Tokenizer.from_pretrained("org/name", download=True)
    assert server.asked == []


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "file").write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        _download.write_atomically(tmp_path / "file", b"new")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_the_cache_is_where_platformdirs_says(platform: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from platformdirs.macos import MacOS
    from platformdirs.unix import Unix

    monkeypatch.delenv("TOKFAST_CACHE_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "Local"))
    monkeypatch.setattr(sys, "platform", platform)
    if platform == "win32":  # asks the system for the folder: only the rest of the path can be compared
        assert _places.own_cache() == tmp_path / "Local" / "tokfast" / "Cache"
        return
    kinds: dict[str, type[platformdirs.PlatformDirs]] = {"linux": Unix, "darwin": MacOS}  # type: ignore[dict-item]
    for folder in (None, str(tmp_path / "xdg")):
        if folder and platform == "linux":
            monkeypatch.setenv("XDG_CACHE_HOME", folder)
        else:
            monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        assert str(_places.own_cache()) == kinds[platform]("tokfast", appauthor=False).user_cache_dir


# ------------------------------------------------------------------------------------------- the Hub


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: tokfast.Tokenizer) -> Path:
    """The Hub's cache with one repository, as huggingface_hub lays it out."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "TOKFAST_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    repository = tmp_path / "hf" / "hub" / "models--org--name"
    for folder in ("refs", "blobs", f"snapshots/{COMMIT}"):
        (repository / folder).mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT, encoding="ascii")
    trained.save(repository / "blobs" / "content.json")
    (repository / "snapshots" / COMMIT / "tokenizer.json").symlink_to("../../blobs/content.json")
    return repository


@pytest.mark.parametrize("revision", ["main", COMMIT])
def test_the_hubs_cache_is_read(hub: Path, trained: tokfast.Tokenizer, revision: str) -> None:
    assert hub.is_dir()
    tok = tokfast.Tokenizer.from_pretrained("org/name", revision=revision)
    assert tok.fingerprint == trained.fingerprint
    assert tok.name == "org/name"
    assert tokfast.Tokenizer.from_pretrained("org/name", download=True).name == "org/name", "what is there is taken"


def test_huggingface_hub_agrees_on_the_place(hub: Path) -> None:
    program = "import huggingface_hub as h; print(h.try_to_load_from_cache('org/name', 'tokenizer.json'))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert Path(found.strip()) == hub / "snapshots" / COMMIT / "tokenizer.json"
    default = subprocess.run(
        [sys.executable, "-c", "import huggingface_hub.constants as c; print(c.HF_HUB_CACHE)"],
        env={name: value for name, value in os.environ.items() if name != "HF_HOME"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("HF_HOME")
        assert str(_places.hub_cache()) == default.strip()


def test_a_folder(tmp_path: Path, trained: tokfast.Tokenizer) -> None:
    trained.save(tmp_path / "tokenizer.json")
    for folder in (tmp_path, str(tmp_path)):
        assert tokfast.Tokenizer.from_pretrained(folder).fingerprint == trained.fingerprint
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"holds none of tokenizer\.json"):
        tokfast.Tokenizer.from_pretrained(tmp_path)


@pytest.mark.parametrize("name", ["org/other", "gpt2"])
def test_not_in_the_cache(hub: Path, name: str) -> None:
    with pytest.raises(tokfast.UnknownEncodingError) as caught:
        tokfast.Tokenizer.from_pretrained(name)
    assert str(hub.parent / f"models--{name.replace('/', '--')}") in str(caught.value)
    assert "download=True" in str(caught.value)


@pytest.mark.parametrize("name", ["../secrets", "a/b/c", "org/../name", "/nowhere", "org/", ""])
def test_what_is_no_repository(hub: Path, name: str) -> None:
    assert hub.is_dir()
    with pytest.raises(FileNotFoundError, match="no name of a repository"):
        tokfast.Tokenizer.from_pretrained(name)


@pytest.mark.parametrize("revision", ["../../..", "/etc", "", "a/../b"])
def test_what_is_no_revision(hub: Path, revision: str) -> None:
    assert hub.is_dir()
    with pytest.raises(tokfast.UnknownEncodingError, match="revision"):
        tokfast.Tokenizer.from_pretrained("org/name", revision=revision)


def test_a_ref_that_is_no_commit(hub: Path) -> None:
    (hub / "refs" / "main").write_text("../../../..", encoding="ascii")
    with pytest.raises(tokfast.UnknownEncodingError, match="is not in"):
        tokfast.Tokenizer.from_pretrained("org/name")


def test_download_goes_through_huggingface_hub(
    hub: Path, monkeypatch: pytest.MonkeyPatch, trained: tokfast.Tokenizer
) -> None:
    import huggingface_hub
    from huggingface_hub.errors import EntryNotFoundError, HFValidationError

    asked: list[tuple[str, str, str]] = []

    def download(name: str, file_name: str, *, revision: str) -> str:
        asked.append((name, file_name, revision))
        if name == "org/bad":
            raise HFValidationError("no such name")
        if file_name != "tekken.json" or name == "org/none":
            raise EntryNotFoundError("none")
        return str(hub / "blobs" / "content.json")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    tok = tokfast.Tokenizer.from_pretrained("org/new", download=True, revision="v1")
    assert tok.fingerprint == trained.fingerprint
    assert asked == [("org/new", "tokenizer.json", "v1"), ("org/new", "tekken.json", "v1")]
    with pytest.raises(tokfast.UnknownEncodingError, match=r"looked for tokenizer\.json"):
        tokfast.Tokenizer.from_pretrained("org/none", download=True)
    with pytest.raises(tokfast.UnknownEncodingError, match="could not be downloaded: no such name"):
        tokfast.Tokenizer.from_pretrained("org/bad", download=True)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(tokfast.UnknownEncodingError, match=r"pip install 'tokfast\[hub\]'"):
        tokfast.Tokenizer.from_pretrained("org/new", download=True)
    assert set(_hub.FILE_NAMES) >= {file_name for _, file_name, _ in asked}


# ------------------------------------------------------------------------------------------- the command line


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(cli, list(map(str, arguments)), prog_name="tokfast", catch_exceptions=False)


@pytest.mark.parametrize("name", ["cl100k_base", "gpt-4"])
def test_fetch_command(server: Server, tmp_path: Path, name: str) -> None:
    path = tmp_path / "cache" / "cl100k_base.tiktoken"
    for _ in range(2):
        assert invoke("fetch", name).stdout == f"{path}\n"
    assert path.read_bytes() == server.answer
    assert len(server.asked) == 1


def test_fetch_command_says_what_is_no_name(server: Server, hub: Path, tmp_path: Path) -> None:
    with pytest.raises(tokfast.UnknownEncodingError, match="did you mean 'cl100k_base'"):
        invoke("fetch", "cl100k")
    assert "nothing to fetch" in invoke("fetch", "tokfast-32k").stderr
    assert "in the cache of the Hugging Face Hub" in invoke("fetch", "org/name").stderr
    assert hub.is_dir()
    assert invoke("fetch").exit_code == 2
    assert server.asked == []
    assert not (tmp_path / "cache").exists()


def test_info_command(tmp_path: Path, trained: tokfast.Tokenizer) -> None:
    path = tmp_path / "tokenizer.json"
    trained.save(path)
    facts = json.loads(invoke("info", path, "--json").stdout)
    assert facts["schema_version"] == 1
    assert facts["fingerprint"] == trained.fingerprint
    assert facts["special_tokens"] == trained.special_tokens
    assert (facts["format"], facts["size"], facts["vocab_size"]) == ("tokenizer.json", path.stat().st_size, 2000)
    assert json.loads(invoke("info", tmp_path, "--json").stdout)["file"] == str(path)
    text = invoke("info", "tokfast-32k").stdout
    assert "vocab size      32000\n" in text
    assert tokfast.load("tokfast-32k").fingerprint in text
    assert "format          tiktoken\n" in text


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"GGUF\3", "gguf"),
        (b'{"version": "1.0", "model": {}}', "tokenizer.json"),
        (b'{\n "config": {\n "pattern": "x"', "tekken.json"),
        (b"\n\x0e\n\x05<unk>", "sentencepiece"),
        (b"IQ== 0\n", "tiktoken"),
    ],
)
def test_the_format_that_info_names(tmp_path: Path, head: bytes, kind: str) -> None:
    from tokfast.cli.info import file_format

    (tmp_path / "file").write_bytes(head)
    assert file_format(tmp_path / "file") == kind


def test_convert_command(tmp_path: Path, trained: tokfast.Tokenizer) -> None:
    source, ranks, back = tmp_path / "a.json", tmp_path / "b.tiktoken", tmp_path / "c.json"
    trained.save(source)
    assert "read back and compared" in invoke("convert", source, ranks).stderr
    again = tokfast.Tokenizer.from_file(ranks, pattern=trained.pattern, special_tokens=trained.special_tokens)
    assert again.fingerprint == trained.fingerprint
    assert invoke("convert", "tokfast-32k", back, "-q").stderr == ""
    assert tokfast.load(back).fingerprint == tokfast.load("tokfast-32k").fingerprint
    with pytest.raises(tokfast.TokenizerFileError, match="ending"):
        invoke("convert", source, tmp_path / "d.unknown")
    invoke("convert", source, tmp_path / "d.unknown", "--format", "tiktoken", "--no-verify")
    assert (tmp_path / "d.unknown").read_bytes() == ranks.read_bytes()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str) -> None:
    program = "from tokfast.cli import main; main()"
    environment = os.environ | {"_TOKFAST_COMPLETE": f"{shell}_source"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert "_TOKFAST_COMPLETE" in done.stdout
    words = {"COMP_WORDS": "tokfast f", "COMP_CWORD": "f" if shell == "fish" else "1"}
    environment |= {"_TOKFAST_COMPLETE": f"{shell}_complete", **words}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert "fetch" in done.stdout
