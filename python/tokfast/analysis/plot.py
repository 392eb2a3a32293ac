"""Pictures of the tables, drawn with matplotlib (extra ``plot``).

Each function takes a result and a path and writes one figure; the ending of the path says the format (``.png``,
``.svg``, ``.pdf``). No window is opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os

    from tokfast.analysis.comparison import Comparison
    from tokfast.analysis.sizes import VocabSizes

__all__ = ["plot_comparison", "plot_vocab_sizes"]

# Okabe and Ito's colours, which the colour-blind tell apart.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#999999", "#000000")


def _figure(width: float, height: float) -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("a plot needs matplotlib: pip install matplotlib") from error
    return Figure(figsize=(width, height), layout="constrained")


def plot_comparison(result: Comparison, path: str | os.PathLike[str]) -> None:
    """Draw a comparison: for each language a point a tokenizer, worst language on top.

    Parameters
    ----------
    result
        From `tokfast.analysis.compare`. With a reference language the points are inflation, without one tokens per
        character.
    path
        Where the figure is written.

    Raises
    ------
    ImportError
        matplotlib is not installed.
    OSError
        The file cannot be written.
    """
    metric = "inflation" if result.reference else "tokens_per_character"
    languages = list(dict.fromkeys(row.language for row in result.languages))
    tokenizers = list(dict.fromkeys(row.tokenizer for row in result.languages))
    value = {(row.tokenizer, row.language): getattr(row, metric) for row in result.languages}
    languages.sort(key=lambda language: max(value[tokenizer, language] for tokenizer in tokenizers))
    figure = _figure(8, 1.6 + 0.28 * len(languages))
    axes = figure.add_subplot()
    for number, tokenizer in enumerate(tokenizers):
        axes.plot(
            [value[tokenizer, language] for language in languages],
            range(len(languages)),
            "osD^vP*X"[number % 8],
            color=COLOURS[number % len(COLOURS)],
            alpha=0.85,
            label=tokenizer,
        )
    axes.set_yticks(range(len(languages)), languages)
    axes.grid(axis="x", alpha=0.3)
    axes.grid(axis="y", alpha=0.15)
    if result.reference:
        axes.axvline(1, color="black", linewidth=0.8)
        axes.set_xlabel(f"tokens for the same text, {result.reference} = 1")
    else:
        axes.set_xlabel("tokens per character")
    axes.legend(loc="lower right", fontsize="small")
    figure.savefig(path, dpi=150)


def plot_vocab_sizes(result: VocabSizes, path: str | os.PathLike[str]) -> None:
    """Draw what a vocabulary buys and costs: tokens per word falling, parameters rising, three sizes marked.

    Parameters
    ----------
    result
        From `tokfast.analysis.vocab_sizes`.
    path
        Where the figure is written.

    Raises
    ------
    ImportError
        matplotlib is not installed.
    OSError
        The file cannot be written.
    """
    rows = [row for row in result.sizes if row.language == "all"]
    sizes = [row.vocab_size for row in rows]
    figure = _figure(8, 4.5)
    left = figure.add_subplot()
    right = left.twinx()
    left.plot(sizes, [row.bytes_per_token for row in rows], "o-", color=COLOURS[0])
    right.plot(sizes, [row.vocabulary_parameters / 1e6 for row in rows], "s--", color=COLOURS[5])
    left.set_xscale("log", base=2)
    left.set_xticks(sizes, [_thousands(size) for size in sizes])
    left.minorticks_off()
    left.set_xlabel("vocabulary size")
    left.set_ylabel("bytes per token, held-out text", color=COLOURS[0])
    right.set_ylabel("embedding and output parameters, millions", color=COLOURS[5])
    for row in rows:
        if row.mark:
            left.axvline(row.vocab_size, color="black", linewidth=0.8, linestyle=":")
            above = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "xytext": (0, 3)}
            left.annotate(row.mark, (row.vocab_size, 1), ha="center", va="bottom", fontsize="small", **above)
    left.grid(alpha=0.3)
    figure.savefig(path, dpi=150)


def _thousands(size: int) -> str:
    if size % 1024 == 0 and size % 1000:
        return f"{size // 1024}Ki"
    return f"{size / 1000:g}k" if size >= 1000 else str(size)
