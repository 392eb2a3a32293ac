"""Why a text is cut into the tokens that it is cut into: merge by merge, and boundary by boundary.

Naive: run the encoder and log each merge. Then the explanation is a second encoder, and may differ from the first.
Idea: take the tokens from the encoder itself, and explain them: inside a token the merges are those of the token's own
bytes, because nothing was merged across its ends; sorted by rank, the merges of all tokens of a piece are the order in
which they were made. A boundary stands because no merge joins the two tokens beside it, or because the pattern cut the
text there before any merge.
Cost: quadratic in the length of a token, linear in the text; the table of merges is made once for each call.

Source: Sennrich et al. 2016; `tokfast.reference` is the same rule in the other direction.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

from tokfast._tokfast import split

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokfast._tokfast import Tokenizer

__all__ = ["Boundary", "Explanation", "Merge", "MergeTable", "TokenTree", "explain"]


@dataclass(frozen=True)
class TokenTree:
    """A token and how it is built.

    Attributes
    ----------
    token, id
        The bytes, and the id; None for a part that has no id of its own.
    rank
        Which merge makes it, 0 for the first one learned; None for a byte, and for a token that no merge makes (a
        special token, or one that is looked up whole).
    left, right
        What the merge joined.
    """

    token: bytes
    id: int | None
    rank: int | None = None
    left: TokenTree | None = None
    right: TokenTree | None = None

    def nodes(self) -> Iterator[TokenTree]:
        """Yield this node and all below it, parts before wholes."""
        for part in (self.left, self.right):
            if part is not None:
                yield from part.nodes()
        yield self


@dataclass(frozen=True)
class Merge:
    """One merge that was applied: rank, what it joined, and what came out."""

    rank: int
    left: bytes
    right: bytes
    token: bytes
    id: int | None


@dataclass(frozen=True)
class Boundary:
    """Why two neighbouring tokens are two.

    Attributes
    ----------
    left, right
        The tokens.
    reason
        ``"pattern"``: the text is cut here before any merge. ``"no merge"``: no merge joins these two.
        ``"special"``: one of them is a special token.
    note
        What makes it surprising, if anything: the joined bytes are a token, but one that is built otherwise.
    """

    left: bytes
    right: bytes
    reason: str
    note: str


@dataclass(frozen=True)
class Explanation:
    """The answer of `explain`.

    Attributes
    ----------
    text
        What was explained.
    tokens
        The tokens of the text, each with the tree of its merges.
    boundaries
        One between each two neighbours.
    """

    text: bytes
    tokens: tuple[TokenTree, ...]
    boundaries: tuple[Boundary, ...]

    @property
    def ids(self) -> list[int]:
        """The ids, as `Tokenizer.encode` gives them."""
        return [tree.id for tree in self.tokens if tree.id is not None]

    @property
    def merges(self) -> tuple[Merge, ...]:
        """The merges that were applied, by rank: the order of their making within a piece."""
        made = [
            Merge(node.rank, node.left.token, node.right.token, node.token, node.id)
            for tree in self.tokens
            for node in tree.nodes()
            if node.rank is not None and node.left is not None and node.right is not None
        ]
        return tuple(sorted(made, key=lambda merge: merge.rank))


class MergeTable:
    """The merges of a tokenizer by what they join; build it once to make many trees."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer

    @cached_property
    def rank(self) -> dict[tuple[int, int], int]:
        """Rank of each pair of ids."""
        ranks: dict[tuple[int, int], int] = {}
        for rank, pair in enumerate(self.tokenizer.merges):
            ranks.setdefault(pair, rank)
        return ranks

    @cached_property
    def ids(self) -> dict[bytes, int]:
        """Id of each token's bytes: `Tokenizer.token_id`, which some formats answer by a search, all at once."""
        return {token: number for number, token in reversed(list(enumerate(self.tokenizer.vocab))) if token}

    @cached_property
    def _made(self) -> list[int | None]:
        """Id that each merge makes, by rank."""
        vocab = self.tokenizer.vocab
        return [self.ids.get(vocab[left] + vocab[right]) for left, right in self.tokenizer.merges]

    def last_merge(self, token_id: int) -> tuple[int, int, int] | None:
        """Return the root of `tree` alone: rank, left id and right id; None where no merges make the token.

        The parts are tokens whose own trees are the branches, because nothing is merged across the border of two parts
        before they are joined. This is for whole vocabularies: it makes no objects on the way.
        """
        token = self.tokenizer.token_bytes(token_id)
        start = self._symbols(token)
        if start is None or len(start) < 2 or any(symbol.id is None for symbol in start):
            return None
        ids: list[int] = [symbol.id for symbol in start if symbol.id is not None]
        get, never = self.rank.get, len(self.rank)
        ranks = [get(pair, never) for pair in pairwise(ids)]
        while True:
            rank = min(ranks)
            if rank == never:
                return None
            at = ranks.index(rank)
            if len(ids) == 2:
                return rank, ids[0], ids[1]
            joined = self._made[rank]
            if joined is None:
                return None
            ids[at : at + 2] = [joined]
            del ranks[at]
            if at > 0:
                ranks[at - 1] = get((ids[at - 1], joined), never)
            if at < len(ranks):
                ranks[at] = get((joined, ids[at + 1]), never)

    def tree(self, token: bytes, token_id: int) -> TokenTree:
        """Return how a token is built, or a leaf where no merges make it."""
        whole = TokenTree(token, token_id)
        symbols = self._symbols(token)
        if symbols is None:
            return whole
        while len(symbols) > 1:
            ranked = [
                (rank, index)
                for index, (left, right) in enumerate(pairwise(symbols))
                if left.id is not None
                and right.id is not None
                and (rank := self.rank.get((left.id, right.id))) is not None
            ]
            if not ranked:
                return whole
            rank, index = min(ranked)
            left, right = symbols[index : index + 2]
            joined = left.token + right.token
            made = token_id if joined == token else self.ids.get(joined)
            symbols[index : index + 2] = [TokenTree(joined, made, rank, left, right)]
        return symbols[0] if symbols else whole

    def _symbols(self, token: bytes) -> list[TokenTree] | None:
        """Return what merging starts from: the bytes, or the characters of a model that starts from those."""
        single = [bytes([byte]) for byte in token]
        ids = [self.ids.get(byte) for byte in single]
        if all(number is not None for number in ids):
            return [TokenTree(byte, number) for byte, number in zip(single, ids, strict=True)]
        try:
            characters = [char.encode() for char in token.decode()]
        except UnicodeDecodeError:
            return None
        return [TokenTree(char, self.ids.get(char)) for char in characters]


def explain(tokenizer: Tokenizer, text: str | bytes, *, table: MergeTable | None = None) -> Explanation:
    """Say how a text becomes its tokens, and why it is cut where it is.

    Parameters
    ----------
    tokenizer
        Whose merges.
    text
        A word, or a text; it is data, so a special token's spelling in it is ordinary text.
    table
        The merges of the tokenizer, to be used again for many texts; None: made for this call.

    Returns
    -------
    Explanation
        ``.tokens`` with their trees, ``.merges`` in order, ``.boundaries`` with their reasons.

    Examples
    --------
    >>> import tokfast
    >>> from tokfast.analysis import explain
    >>> tok = tokfast.train(["to tok toke token tokens"] * 3, 262, pattern="gpt2")
    >>> result = explain(tok, " tokenless")
    >>> [tree.token for tree in result.tokens]
    [b' token', b'l', b'e', b's', b's']
    >>> [(merge.rank, merge.left, merge.right) for merge in result.merges]
    [(0, b't', b'o'), (1, b' ', b'to'), (2, b' to', b'k'), (3, b' tok', b'e'), (4, b' toke', b'n')]
    >>> result.boundaries[0].reason
    'no merge'
    """
    raw = text.encode() if isinstance(text, str) else bytes(text)
    table = table or MergeTable(tokenizer)
    trees = tuple(table.tree(tokenizer.token_bytes(number), number) for number in tokenizer.encode(raw))
    cuts: set[int] = set()
    position = 0
    for piece in split(raw, tokenizer.pattern) if tokenizer.pattern is not None else ():
        position += len(piece)
        cuts.add(position)
    boundaries = []
    position = 0
    for left, right in pairwise(trees):
        position += len(left.token)
        boundaries.append(_boundary(table, left, right, is_cut=position in cuts))
    return Explanation(raw, trees, tuple(boundaries))


def _boundary(table: MergeTable, left: TokenTree, right: TokenTree, *, is_cut: bool) -> Boundary:
    joined = left.token + right.token
    whole = table.tokenizer.token_id(joined)
    has_merge = left.id is not None and right.id is not None and (left.id, right.id) in table.rank
    if is_cut or has_merge:
        note = "together they would be a token" if whole is not None else ""
        return Boundary(left.token, right.token, "pattern", note)
    note = ""
    if whole is not None:
        tree = table.tree(joined, whole)
        if tree.left is not None and tree.right is not None:
            parts = f"{_spell(tree.left.token)} + {_spell(tree.right.token)}"
            note = (
                f"{_spell(joined)} is a token, but it is built from {parts}, and an earlier merge took a part of that"
            )
    return Boundary(left.token, right.token, "no merge", note)


def _spell(token: bytes) -> str:
    return repr(token.decode(errors="backslashreplace"))
