"""OpenAI's encodings and the models that use them, as tables.

A file of ranks (``.tiktoken``) is a list of tokens and says nothing else, so each stands here with its name,
pattern, special tokens, and the sha256 it is known by. Data only: `tokfast.load` is the code that uses it.

Source: tiktoken 0.14, ``tiktoken_ext/openai_public.py`` and ``tiktoken/model.py`` (MIT); a test compares the
tables.
"""

from collections.abc import Mapping
from dataclasses import dataclass

PUBLISHED_AT = "https://openaipublic.blob.core.windows.net/encodings/"


@dataclass(frozen=True)
class Encoding:
    """What a file of ranks does not say about itself, and how to know the file."""

    name: str
    pattern: str
    file_name: str
    sha256: str
    special_tokens: Mapping[str, int]


def _r50k(name: str) -> Encoding:
    # GPT-2's ranks and those of r50k_base are one file, byte for byte.
    return Encoding(
        name,
        "gpt2",
        "r50k_base.tiktoken",
        "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930",
        {"<|endoftext|>": 50256},
    )


def _p50k(name: str, special_tokens: Mapping[str, int]) -> Encoding:
    return Encoding(
        name,
        "gpt2",
        "p50k_base.tiktoken",
        "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069",
        {"<|endoftext|>": 50256, **special_tokens},
    )


def _o200k(name: str, special_tokens: Mapping[str, int]) -> Encoding:
    return Encoding(
        name,
        "o200k",
        "o200k_base.tiktoken",
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
        {"<|endoftext|>": 199999, "<|endofprompt|>": 200018, **special_tokens},
    )


_CL100K = Encoding(
    "cl100k_base",
    "cl100k",
    "cl100k_base.tiktoken",
    "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    {
        "<|endoftext|>": 100257,
        "<|fim_prefix|>": 100258,
        "<|fim_middle|>": 100259,
        "<|fim_suffix|>": 100260,
        "<|endofprompt|>": 100276,
    },
)

# gpt-oss reserves every id up to 201,087 that it does not use.
_HARMONY = {
    "<|startoftext|>": 199998,
    "<|return|>": 200002,
    "<|constrain|>": 200003,
    "<|channel|>": 200005,
    "<|start|>": 200006,
    "<|end|>": 200007,
    "<|message|>": 200008,
    "<|call|>": 200012,
}
# tiktoken also has a second spelling of <|endofprompt|>; gpt-oss's own file has not.
HARMONY_ALIASES = {"<|reserved_200018|>": 200018}
_HARMONY |= {
    f"<|reserved_{token_id}|>": token_id
    for token_id in range(200000, 201088)
    if token_id not in {*_HARMONY.values(), 200018}
}

ENCODINGS: dict[str, Encoding] = {
    encoding.name: encoding
    for encoding in (
        _r50k("gpt2"),
        _r50k("r50k_base"),
        _p50k("p50k_base", {}),
        _p50k("p50k_edit", {"<|fim_prefix|>": 50281, "<|fim_middle|>": 50282, "<|fim_suffix|>": 50283}),
        _CL100K,
        _o200k("o200k_base", {}),
        _o200k("o200k_harmony", _HARMONY),
    )
}

_MODELS_OF: dict[str, str] = {
    "o200k_base": "o1 o3 o4-mini gpt-5 gpt-4.1 gpt-4o",
    "cl100k_base": "gpt-4 gpt-3.5-turbo gpt-3.5 gpt-35-turbo davinci-002 babbage-002 text-embedding-ada-002"
    " text-embedding-3-small text-embedding-3-large",
    "p50k_base": "text-davinci-003 text-davinci-002 code-davinci-002 code-davinci-001 code-cushman-002"
    " code-cushman-001 davinci-codex cushman-codex",
    "p50k_edit": "text-davinci-edit-001 code-davinci-edit-001",
    "r50k_base": "text-davinci-001 text-curie-001 text-babbage-001 text-ada-001 davinci curie babbage ada"
    " text-similarity-davinci-001 text-similarity-curie-001 text-similarity-babbage-001"
    " text-similarity-ada-001 text-search-davinci-doc-001 text-search-curie-doc-001"
    " text-search-babbage-doc-001 text-search-ada-doc-001 code-search-babbage-code-001"
    " code-search-ada-code-001",
    "gpt2": "gpt2 gpt-2",
}
MODELS: dict[str, str] = {model: encoding for encoding, models in _MODELS_OF.items() for model in models.split()}

# The first that fits wins, so the longer of two prefixes stands first.
MODEL_PREFIXES: dict[str, str] = {
    "o1-": "o200k_base",
    "o3-": "o200k_base",
    "o4-mini-": "o200k_base",
    "gpt-5": "o200k_base",
    "gpt-4.5-": "o200k_base",
    "gpt-4.1-": "o200k_base",
    "chatgpt-4o-": "o200k_base",
    "gpt-4o-": "o200k_base",
    "gpt-4-": "cl100k_base",
    "gpt-3.5-turbo-": "cl100k_base",
    "gpt-35-turbo-": "cl100k_base",
    "gpt-oss-": "o200k_harmony",
    "ft:gpt-4o": "o200k_base",
    "ft:gpt-4": "cl100k_base",
    "ft:gpt-3.5-turbo": "cl100k_base",
    "ft:davinci-002": "cl100k_base",
    "ft:babbage-002": "cl100k_base",
}


def encoding_name_for_model(model: str) -> str | None:
    """Name of the encoding of an OpenAI model, or None if the model is not known."""
    if model in MODELS:
        return MODELS[model]
    return next((name for prefix, name in MODEL_PREFIXES.items() if model.startswith(prefix)), None)
