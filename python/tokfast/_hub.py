"""Tokenizers of models on the Hugging Face Hub: from its local cache, or through huggingface_hub where asked.

Naive: ask huggingface_hub, which asks the network. Idea: its cache is plain folders, so what was downloaded once is
read from there without it: ``models--ORG--NAME/refs/REVISION`` names a commit, ``snapshots/COMMIT`` holds the files.

Source: huggingface_hub 2.4, "Understand caching" in its documentation (Apache-2.0).
"""

import os
import re
from pathlib import Path

from tokfast._errors import UnknownEncodingError
from tokfast._places import hub_cache, is_offline
from tokfast._tokfast import Tokenizer

# The first that is there is read.
FILE_NAMES = ("tokenizer.json", "tekken.json", "tokenizer.model", "vocab.json")

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_REVISION = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w-][\w.-]*)*")


def file_in(folder: Path) -> Path | None:
    """Tokenizer file of a folder, if it has one."""
    # GPT-2's own pair of files has other names than its repository.
    names = (*FILE_NAMES, "encoder.json")
    return next((folder / name for name in names if (folder / name).is_file()), None)


def file_that_must_be_in(folder: Path) -> Path:
    """Tokenizer file of a folder, which is an error without one."""
    found = file_in(folder)
    if found is None:
        raise FileNotFoundError(2, f"the folder holds none of {', '.join(FILE_NAMES)}", str(folder))
    return found


def from_pretrained(repo_or_dir: str | os.PathLike[str], *, download: bool, revision: str) -> Tokenizer:
    """Do what `Tokenizer.from_pretrained` says."""
    name = os.fsdecode(repo_or_dir)
    folder = Path(name)
    if name and folder.is_dir():  # the path of an empty name is the current folder
        return Tokenizer.from_file(file_that_must_be_in(folder), name=folder.resolve().name)
    if not isinstance(repo_or_dir, str):
        raise FileNotFoundError(2, "is no folder", name)
    return Tokenizer.from_file(_file(name, revision, download=download), name=name)


def tokenizer_json(name: str, revision: str) -> Path:
    """Path of a repository's tokenizer.json in the cache, or of that in a folder."""
    path = Path(name, "tokenizer.json") if name and Path(name).is_dir() else _file(name, revision, download=False)
    return path.with_name("tokenizer.json")


def _file(name: str, revision: str, *, download: bool) -> Path:
    if not _REPOSITORY.fullmatch(name) or ".." in name:
        raise FileNotFoundError(2, "is no folder, and no name of a repository such as org/name", name)
    if not _REVISION.fullmatch(revision):
        raise UnknownEncodingError(f"revision {revision!r} is no branch, tag or commit; pass one, such as 'main'")
    cached = _cached(name, revision)
    if cached is None and download:
        cached = _downloaded(name, revision)
    if cached is None:
        raise UnknownEncodingError(
            f"the tokenizer of {name!r} (revision {revision!r}) is not in {_repository(name)}: looked for "
            f"{', '.join(FILE_NAMES)}; nothing was downloaded: pass download=True, run "
            f"'tokfast fetch {name}', or name the folder that has it"
        )
    return cached


def _repository(name: str) -> Path:
    return hub_cache() / f"models--{name.replace('/', '--')}"


def _cached(name: str, revision: str) -> Path | None:
    repository = _repository(name)
    try:
        commit = (repository / "refs" / revision).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        commit = revision  # a commit's own name
    if not re.fullmatch(r"[0-9a-fA-F]{40}", commit):
        return None
    return file_in(repository / "snapshots" / commit)


def _downloaded(name: str, revision: str) -> Path | None:
    """Let huggingface_hub download the first file that the repository has; it knows tokens and mirrors."""
    if is_offline():
        raise UnknownEncodingError(
            f"the tokenizer of {name!r} would have to be downloaded, but TOKFAST_OFFLINE or HF_HUB_OFFLINE is set; "
            "unset it, or name a folder that has it"
        )
    try:
        import huggingface_hub
        from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError
    except ImportError as error:
        raise UnknownEncodingError(
            f"the tokenizer of {name!r} would have to be downloaded, and that needs huggingface_hub; install it with "
            "pip install 'tokfast[hub]', or name a folder that has the files"
        ) from error
    for file_name in FILE_NAMES:
        try:
            path = Path(huggingface_hub.hf_hub_download(name, file_name, revision=revision))
            if file_name == "vocab.json":
                huggingface_hub.hf_hub_download(name, "merges.txt", revision=revision)
        except EntryNotFoundError:
            continue
        except (HfHubHTTPError, HFValidationError) as error:
            raise UnknownEncodingError(f"the tokenizer of {name!r} could not be downloaded: {error}") from error
        return path
    return None
