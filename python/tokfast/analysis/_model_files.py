"""The files of a model, as far as they say something about its tokenizer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokfast._errors import TokenizerFileError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "word_embeddings.weight", "lm_head.weight")
MAX_HEADER_BYTES = 100 << 20


@dataclass(frozen=True)
class ModelFiles:
    """What was read beside each other; an absent file is an empty dict."""

    config: dict[str, Any]
    generation: dict[str, Any]
    tokenizer_config: dict[str, Any]
    template: str
    tokenizer: Path | None
    tensor_rows: dict[str, int]

    @classmethod
    def read(cls, model: Mapping[str, Any] | str | os.PathLike[str]) -> ModelFiles:
        if hasattr(model, "items"):
            return cls(_flat(dict(model.items())), {}, {}, "", None, {})
        path = Path(model)
        folder = path if path.is_dir() else path.parent
        config = _flat(_object(folder / "config.json" if path.is_dir() else path))
        tokenizer_config = beside(folder / "config.json", "tokenizer_config.json")
        jinja = folder / "chat_template.jinja"
        template = jinja.read_text(encoding="utf-8") if jinja.is_file() else tokenizer_config.get("chat_template") or ""
        if isinstance(template, list):  # several named templates
            template = "\n".join(str(entry.get("template", "")) for entry in template if isinstance(entry, dict))
        own = folder / "tokenizer.json"
        return cls(
            config,
            beside(folder / "config.json", "generation_config.json"),
            tokenizer_config,
            str(template),
            own if own.is_file() else None,
            _tensor_rows(folder),
        )

    @property
    def rows(self) -> int | None:
        """Rows of the embedding: of the weights where they are there, else as the configuration says."""
        if self.tensor_rows:
            return next(iter(self.tensor_rows.values()))
        rows = self.config.get("vocab_size")
        return rows if isinstance(rows, int) else None

    def more_special(self) -> Iterator[str]:
        """Yield the special tokens that have no role of their own; files list them or name them."""
        for key in ("additional_special_tokens", "extra_special_tokens"):
            named = self.tokenizer_config.get(key)
            for value in named.values() if isinstance(named, dict) else named if isinstance(named, list) else ():
                text = spelling(value)
                if text is not None:
                    yield text


def spelling(value: object) -> str | None:
    """Spelling of a special token: a string, or an object with it."""
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) and value else None


def _flat(config: dict[str, Any]) -> dict[str, Any]:
    text = config.get("text_config")
    return {**config, **text} if isinstance(text, dict) else config


def _object(path: Path) -> dict[str, Any]:
    try:
        loaded = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise TokenizerFileError(f"{path} is no JSON: {error}") from error
    if not isinstance(loaded, dict):
        raise TokenizerFileError(f"{path} holds a {type(loaded).__name__}; a configuration is a JSON object")
    return loaded


def beside(path: Path, name: str) -> dict[str, Any]:
    """Read a JSON object from a folder, or from beside a file; an empty one where there is none."""
    other = (path if path.is_dir() else path.parent) / name
    return _object(other) if other.is_file() else {}


def _tensor_rows(folder: Path) -> dict[str, int]:
    """Rows of the embedding and of the output layer, from the headers of the weights that are there."""
    placed = beside(folder / "config.json", "model.safetensors.index.json").get("weight_map")
    names = placed.items() if isinstance(placed, dict) else ()
    files = {str(file) for name, file in names if str(name).endswith(EMBEDDINGS)} or {"model.safetensors"}
    # A name of the index is one of this folder, whatever is written there.
    paths = [folder / Path(file).name for file in sorted(files)]
    return {
        name: shape[0]
        for path in paths
        if path.is_file()
        for name, shape in _shapes(path).items()
        if name.endswith(EMBEDDINGS) and shape and isinstance(shape[0], int)
    }


def _shapes(path: Path) -> dict[str, list[Any]]:
    """Shapes of the tensors of a safetensors file, by name, from its header."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > MAX_HEADER_BYTES:
            raise TokenizerFileError(f"{path} names a header of {length:,} bytes; it is no safetensors file")
        try:
            header = json.loads(file.read(length))
        except (ValueError, RecursionError) as error:
            raise TokenizerFileError(f"{path} has no safetensors header: {error}") from error
    tensors = header.items() if isinstance(header, dict) else ()
    shapes = {name: tensor.get("shape") for name, tensor in tensors if isinstance(tensor, dict)}
    return {name: shape for name, shape in shapes.items() if isinstance(shape, list)}
