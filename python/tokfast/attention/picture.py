"""Attention maps: which token looked at which, one panel per head.

A map shows where weight went, not why: other heads, the values, and later layers decide what becomes of it,
and different weights can give the same output (Jain and Wallace 2019, arXiv:1902.10186; Wiegreffe and Pinter
2019, arXiv:1908.04626). The caption says so on every figure.

One colour scale from 0 to ``vmax`` for all heads, queries downwards, keys to the right, tokens with visible
blanks. Cells a causal mask hides stay blank, and rows that attend to nothing are hatched. matplotlib is
imported on use.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = npt.NDArray[Any]
Tokens = Sequence[str | bytes | int]

CAPTION = "Attention weights are suggestive, not explanations: they show where a head looked, not what it did with it."


def attention_entropy(weights: npt.ArrayLike) -> Array:
    """Entropy of each row of weights in bits: 0 for one key, ``log2(n)`` for ``n`` equal ones.

    Parameters
    ----------
    weights : array_like, shape (..., Nq, Nk)
        Rows that sum to 1, or to 0 where a query sees nothing.

    Returns
    -------
    ndarray, shape (..., Nq)
        NaN for rows without weight, which have no distribution.

    Raises
    ------
    ValueError
        If a weight is negative, or ``weights`` has no axis.

    Examples
    --------
    >>> attention_entropy([[1.0, 0.0], [0.5, 0.5]])
    array([0., 1.])
    """
    w = np.asarray(weights, dtype=np.float64)
    if w.ndim == 0 or np.any(w < 0):
        raise ValueError(f"weights of shape {w.shape} are not rows of weights, which are at least 0")
    logarithms = np.log2(w, out=np.zeros_like(w), where=w > 0)
    entropy = np.abs(np.sum(w * logarithms, axis=-1))
    return np.where(w.sum(axis=-1) > 0, entropy, np.nan)


def attention_map(
    weights: npt.ArrayLike,
    tokens: Tokens | tuple[Tokens, Tokens] | None = None,
    *,
    heads: int | Sequence[int] | None = None,
    is_causal: bool | None = None,
    q_offset: int | None = None,
    layer: int | None = None,
    max_tokens: int = 64,
    vmax: float = 1.0,
    annotate: bool = False,
    columns: int | None = None,
) -> Figure:
    """Draw attention weights, one panel per head.

    Parameters
    ----------
    weights : array_like, shape (H, Nq, Nk) or (Nq, Nk)
        From ``scaled_dot_product_attention(..., return_weights=True)``; without a batch axis. Rectangular
        maps (cross-attention, decoding) are fine. NaN cells are hatched.
    tokens : sequence of str, bytes or int, or a pair of sequences, optional
        Labels: of both axes, or ``(query tokens, key tokens)``. Blanks become visible, bytes that are not
        UTF-8 are escaped, ids are written as numbers.
    heads : int or sequence of int, optional
        Which heads, all by default.
    is_causal : bool, optional
        Leave keys after the query blank. By default this is done when all of them have weight 0.
    q_offset : int, optional
        Position of the first query among the keys, by default ``Nk - Nq``.
    layer : int, optional
        For the titles.
    max_tokens : int, default 64
        Longest side that is drawn. Longer maps are refused: compute the weights of a few query rows instead.
    vmax : float, default 1.0
        Weight at the dark end of the colour scale, the same for all heads.
    annotate : bool, default False
        Write each weight into its cell.
    columns : int, optional
        Panels per row.

    Returns
    -------
    matplotlib.figure.Figure
        Not attached to any window; save it with ``figure.savefig(path)``.

    Raises
    ------
    ImportError
        Without matplotlib; the message says how to install it.
    ValueError
        If labels, heads or sizes do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> figure = attention_map(np.tril(np.full((2, 3, 3), 1 / 3)), ["the", " cat", " sat"])
    >>> [axes.get_title() for axes in figure.axes[:2]]
    ['head 0 · entropy 1.06 bits', 'head 1 · entropy 1.06 bits']
    """
    w = np.asarray(weights, dtype=np.float64)
    w = w[None] if w.ndim == 2 else w
    if w.ndim != 3:
        raise ValueError(f"weights have shape {w.shape}; expected (H, Nq, Nk) or (Nq, Nk), so select one batch row")
    n_heads, n_queries, n_keys = w.shape
    if w.size == 0:
        raise ValueError(f"weights have shape {w.shape}; there is nothing to draw")
    if max(n_queries, n_keys) > max_tokens:
        raise ValueError(
            f"the map is {n_queries} x {n_keys}, more than max_tokens={max_tokens}; "
            "pass a slice of the rows and columns"
        )
    if not vmax > 0 or (columns is not None and columns < 1):
        raise ValueError(f"vmax is {vmax} and columns is {columns}; give a weight above 0 and at least 1 panel per row")
    chosen = list(range(n_heads)) if heads is None else [operator.index(head) for head in np.atleast_1d(heads)]
    if not chosen or not all(0 <= head < n_heads for head in chosen):
        raise ValueError(f"heads is {chosen}; the weights have heads 0..{n_heads - 1}")
    query_labels, key_labels = _labels(tokens, n_queries, n_keys)
    offset = n_keys - n_queries if q_offset is None else q_offset
    future = np.arange(n_keys) > (np.arange(n_queries) + offset)[:, None]
    if is_causal is None:
        is_causal = not np.any(w[:, future])

    figure, panels, bar = _grid(len(chosen), n_queries, n_keys, columns)
    image: Any = None
    for axes, head in zip(panels, chosen, strict=True):
        shown = np.ma.masked_invalid(np.where(future, np.nan, w[head]) if is_causal else w[head])
        image = axes.imshow(shown, vmin=0.0, vmax=vmax, cmap="Blues", aspect="equal", interpolation="nearest")
        empty = np.isnan(w[head]) | (w[head].sum(axis=-1, keepdims=True) == 0)
        _hatch(axes, empty & ~future if is_causal else empty)
        entropy = attention_entropy(w[head])
        mean = f"{np.nanmean(entropy):.2f} bits" if np.isfinite(entropy).any() else "undefined"
        where = f"head {head}" if layer is None else f"layer {layer} head {head}"
        axes.set_title(f"{where} · entropy {mean}", fontsize=9)
        axes.set_xticks(range(n_keys), key_labels, rotation=90, fontsize=7)
        axes.set_yticks(range(n_queries), query_labels, fontsize=7)
        axes.set_xlabel("key", fontsize=8)
        axes.set_ylabel("query", fontsize=8)
        if annotate:
            for i, j in np.argwhere(~np.ma.getmaskarray(shown)):
                colour = "white" if w[head, i, j] > 0.6 * vmax else "black"
                axes.text(j, i, f"{w[head, i, j]:.2f}", ha="center", va="center", fontsize=6, color=colour)
    figure.colorbar(image, cax=bar, label="weight")
    figure.text(0.5, 0.005, CAPTION, ha="center", va="bottom", fontsize=7, style="italic", wrap=True)
    return figure


def _grid(n_panels: int, n_queries: int, n_keys: int, columns: int | None) -> tuple[Figure, list[Any], Any]:
    try:
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError:
        raise ImportError(
            "attention_map draws with matplotlib, which is not installed; run: pip install matplotlib"
        ) from None
    columns = min(columns or math.ceil(math.sqrt(n_panels)), n_panels)
    rows = math.ceil(n_panels / columns)
    width, height = (max(2.2, 0.22 * n + 1.2) for n in (n_keys, n_queries))
    size = (columns * width + 0.8, rows * height + 0.5)
    caption = 0.3 / size[1]
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(rect=(0, caption, 1, 1 - caption)))
    grid = figure.add_gridspec(rows, columns + 1, width_ratios=[1.0] * columns + [0.06])
    panels = [figure.add_subplot(grid[i // columns, i % columns]) for i in range(n_panels)]
    return figure, panels, figure.add_subplot(grid[:, columns])


def _hatch(axes: Any, cells: Array) -> None:
    """Mark cells that hold no weight by right, as opposed to weight 0."""
    from matplotlib.patches import Rectangle

    for i, j in np.argwhere(cells):
        axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, hatch="////", linewidth=0, edgecolor="grey"))


def _labels(tokens: Tokens | tuple[Tokens, Tokens] | None, n_queries: int, n_keys: int) -> tuple[list[str], list[str]]:
    if tokens is None:
        return [str(i) for i in range(n_queries)], [str(j) for j in range(n_keys)]
    if isinstance(tokens, tuple) and len(tokens) == 2 and not isinstance(tokens[0], (str, bytes)):
        queries, keys = cast("tuple[Tokens, Tokens]", tokens)
    else:
        # One list: the queries of a decoding step are the last tokens of it.
        keys = cast("Tokens", tokens)
        queries = keys[-n_queries:] if n_queries else []
    if len(queries) != n_queries or len(keys) != n_keys:
        raise ValueError(
            f"{len(queries)} query and {len(keys)} key tokens for a map of {n_queries} x {n_keys}; "
            "give one label per row and column"
        )
    return [_visible(token) for token in queries], [_visible(token) for token in keys]


def _visible(token: str | bytes | int) -> str:
    """Show blanks and bytes: a space as an open box, a newline as an arrow, other bytes as escapes."""
    text = token.decode("utf-8", errors="backslashreplace") if isinstance(token, bytes) else str(token)
    text = text.replace(" ", "␣").replace("\n", "↵").replace("\t", "⇥")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text).replace(
        "$", r"\$"
    )
