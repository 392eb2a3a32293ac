"""How much room a prompt leaves in a context window, with advertised and usable length kept apart.

*Advertised* is the length a model's card states and its software accepts. *Usable* is the length up to which
it was found to answer well on the task at hand: retrieval and reasoning often fade long before the advertised
end (Hsieh et al. 2024, RULER, arXiv:2404.06654). The second number has to be measured; it cannot be computed
from the first, so without it nothing is said about it.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass


@dataclass(frozen=True)
class ContextBudget:
    """Room left by ``tokens`` in a context.

    Attributes
    ----------
    tokens, advertised : int
        As given.
    usable : int or None
        As given; None means that nobody measured it.
    remaining_advertised : int
        Tokens left before the advertised end; negative when past it.
    remaining_usable : int or None
        The same for the usable length, None if unknown.
    """

    tokens: int
    advertised: int
    usable: int | None = None

    @property
    def remaining_advertised(self) -> int:
        """Tokens left before the advertised end."""
        return self.advertised - self.tokens

    @property
    def remaining_usable(self) -> int | None:
        """Tokens left before the usable end, None if that is unknown."""
        return None if self.usable is None else self.usable - self.tokens

    @property
    def fits_advertised(self) -> bool:
        """Whether the software accepts the prompt."""
        return self.remaining_advertised >= 0

    @property
    def fits_usable(self) -> bool | None:
        """Whether the prompt stays where the model was found to work; None if unknown."""
        return None if self.usable is None else self.tokens <= self.usable

    def __str__(self) -> str:
        line = f"{self.tokens} of {self.advertised} advertised tokens ({self.tokens / self.advertised:.0%})"
        if self.usable is None:
            return f"{line}; usable length unknown"
        return f"{line}; {self.tokens} of {self.usable} usable tokens ({self.tokens / self.usable:.0%})"


def context_budget(tokens: int, advertised: int, usable: int | None = None) -> ContextBudget:
    """Compare a token count with a model's context, as advertised and as found usable.

    Parameters
    ----------
    tokens : int
        Prompt and expected answer together, in tokens of *that model's* tokenizer.
    advertised : int
        Context length the model states.
    usable : int, optional
        Length up to which it was measured to work on your task. Not guessed when missing.

    Returns
    -------
    ContextBudget
        Remaining tokens and two separate verdicts.

    Raises
    ------
    ValueError
        If a number is negative, or the usable length exceeds the advertised one.

    Examples
    --------
    >>> print(context_budget(60_000, 128_000, usable=32_000))
    60000 of 128000 advertised tokens (47%); 60000 of 32000 usable tokens (188%)
    >>> context_budget(60_000, 128_000).fits_usable is None
    True
    """
    if (
        operator.index(tokens) < 0
        or operator.index(advertised) < 1
        or (usable is not None and operator.index(usable) < 1)
    ):
        raise ValueError(f"tokens={tokens}, advertised={advertised}, usable={usable}: counts must be positive")
    if usable is not None and usable > advertised:
        raise ValueError(f"usable is {usable}, more than the {advertised} advertised; the software stops there")
    return ContextBudget(tokens, advertised, usable)
