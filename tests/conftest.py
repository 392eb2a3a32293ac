"""Fixtures shared by the tests: real vocabularies in tokfast and in a peer, and a small trained one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

import peers
import tokfast

if TYPE_CHECKING:
    import tiktoken

settings.register_profile(
    "tokfast", deadline=None, print_blob=True, max_examples=int(os.environ.get("MAX_EXAMPLES", "200"))
)
settings.load_profile("tokfast")


@pytest.fixture(scope="session", params=list(peers.RANKS))
def vocabulary(request: pytest.FixtureRequest) -> str:
    """Name of a real vocabulary."""
    return str(request.param)


@pytest.fixture(scope="session")
def real(vocabulary: str) -> tokfast.Tokenizer:
    """The real vocabulary in tokfast."""
    return tokfast.Tokenizer.from_file(
        peers.real_file(peers.RANKS[vocabulary]),
        pattern=vocabulary,
        special_tokens=peers.SPECIAL_TOKENS[vocabulary],
    )


@pytest.fixture(scope="session")
def peer(vocabulary: str) -> tiktoken.Encoding:
    """The real vocabulary in tiktoken."""
    return peers.tiktoken_encoding(vocabulary)


@pytest.fixture(scope="session")
def trained() -> tokfast.Tokenizer:
    """A tokenizer trained on the standard library's source, with two special tokens."""
    texts = iter(peers.code(400_000).split("\n\n\n"))
    return tokfast.train(texts, 2000, special_tokens=["<|end|>", "<|pad|>"])
