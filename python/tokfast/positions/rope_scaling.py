"""Frequencies of rotary embeddings, and the ways to stretch them to contexts longer than the trained one.

RoPE turns pair ``i`` of a query or key by the angle ``position * w_i`` with ``w_i = theta ** (-2 i / dim)``:
fast hands count tokens, slow hands count paragraphs. A model trained on ``L`` tokens has never seen the slow
hands beyond their angle at ``L``. Every scaling is a rule for slowing them down without disturbing the fast
ones too much:

- linear: all by the factor ``f`` (Chen et al. 2023, arXiv:2306.15595);
- dynamic: raise ``theta`` so that the slowest hand is just slow enough for the present length (NTK-aware,
  bloc97 and emozilla 2023);
- yarn: slow hands by ``f``, fast hands not at all, a ramp between; and scale the scores a little (Peng et al.
  2023, arXiv:2309.00071);
- llama3: the same idea with borders given as wavelengths (Llama 3.1);
- longrope: a searched factor per hand, one list for short and one for long inputs (Ding et al. 2024,
  arXiv:2402.13753);
- proportional: rotate only the first share of the pairs, with the wavelengths of the full head.

Keys and names are those of ``rope_parameters`` / ``rope_scaling`` in a model's ``config.json``; the formulas
follow transformers 5 (``modeling_rope_utils.py``), here in float64.

``dynamic`` and ``longrope`` change frequencies with the length and so do not fit keys that were cached at a
shorter one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable

Frequencies = npt.NDArray[np.float64]
Scaled = tuple[Frequencies, float]


def rope_frequencies(
    dim: int,
    theta: float | None = None,
    *,
    scaling: Mapping[str, Any] | None = None,
    seq_len: int | None = None,
    max_position_embeddings: int | None = None,
) -> Scaled:
    """Angle per position for each rotated pair, and the factor on cosine and sine.

    Parameters
    ----------
    dim : int
        Head size, even. With ``partial_rotary_factor`` in ``scaling`` only ``int(dim * factor)`` of it turns.
    theta : float, optional
        Base of the frequencies; ``rope_theta`` of ``scaling`` if that has one, otherwise 10000.
    scaling : mapping, optional
        ``rope_parameters`` of a model: ``rope_type`` (or the older ``type``) "default", "linear", "dynamic",
        "yarn", "longrope", "llama3" or "proportional", and its keys.
    seq_len : int, optional
        Present length, for "dynamic" and "longrope".
    max_position_embeddings : int, optional
        Of the model's configuration, for "dynamic", and for "yarn" and "longrope" without ``factor``.

    Returns
    -------
    (ndarray of float64, float)
        ``inv_freq`` with one entry per pair, and ``attention_factor``: multiply both cos and sin with it, so
        that scores get its square. It is 1 except for yarn and longrope.

    Raises
    ------
    TypeError
        If ``scaling`` is not a mapping.
    ValueError
        For an unknown type, an odd size, or a key that is missing or not a positive number, which the message names.

    Examples
    --------
    >>> rope_frequencies(8)
    (array([1.   , 0.1  , 0.01 , 0.001]), 1.0)
    >>> rope_frequencies(8, scaling={"rope_type": "linear", "factor": 4.0})[0]
    array([0.25   , 0.025  , 0.0025 , 0.00025])
    """
    parameters = rope_parameters(scaling)
    name = parameters.get("rope_type", parameters.get("type", "default"))
    if name not in _SCALINGS:
        raise ValueError(f"rope_type is {name!r}; known are {', '.join(_SCALINGS)}")
    if theta is not None and "rope_theta" in parameters and parameters["rope_theta"] != theta:
        raise ValueError(f"theta is {theta}, but scaling says rope_theta {parameters['rope_theta']}; give one of them")
    parameters["rope_theta"] = float(parameters.get("rope_theta", 10000.0) if theta is None else theta)
    if not parameters["rope_theta"] > 1:
        raise ValueError(f"theta is {parameters['rope_theta']}; it must exceed 1, so that later pairs turn more slowly")
    parameters["max_position_embeddings"] = max_position_embeddings or parameters.get("max_position_embeddings")
    share = parameters.get("partial_rotary_factor", 1.0)
    if not 0 < share <= 1:
        raise ValueError(
            f"partial_rotary_factor is {share}; it is the share of a head that turns, above 0 and at most 1"
        )
    if name != "proportional":
        dim = int(dim * share)
    if dim < 2 or dim % 2:
        raise ValueError(f"the rotated size is {dim}; rotation works on pairs, so it must be even and at least 2")
    return _SCALINGS[name](dim, parameters, seq_len)


def rope_parameters(scaling: Mapping[str, Any] | None) -> dict[str, Any]:
    """Copy one set of ``rope_parameters``; some models have a set for each type of layer."""
    if scaling is None:
        return {}
    if not isinstance(scaling, Mapping):
        raise TypeError(f'scaling is {scaling!r}; give rope_parameters, {{"rope_type": "yarn", ...}}')
    if sets := [key for key, value in scaling.items() if isinstance(value, Mapping)]:
        raise ValueError(f"scaling holds a set of parameters for each of {', '.join(sets)}; pass scaling[{sets[0]!r}]")
    return dict(scaling)


def _powers(dim: int, theta: float) -> Frequencies:
    return theta ** (-np.arange(0, dim, 2, dtype=np.float64) / dim)


def _require(parameters: Mapping[str, Any], key: str) -> Any:
    value = parameters.get(key)
    if value is None:
        raise ValueError(f"rope_type {parameters.get('rope_type', parameters.get('type'))!r} needs {key!r}")
    numbers = np.asarray(value)
    if numbers.dtype.kind not in "iuf" or not np.all(numbers > 0):
        raise ValueError(f"{key} is {value!r}; it must be positive")
    return value


def _factor(parameters: Mapping[str, Any]) -> float:
    """Return the factor, or what the two lengths of the configuration imply."""
    if parameters.get("factor") is not None:
        return float(_require(parameters, "factor"))
    if parameters.get("max_position_embeddings") is None:
        _require(parameters, "factor")
    return float(parameters["max_position_embeddings"] / _require(parameters, "original_max_position_embeddings"))


def _default(dim: int, parameters: Mapping[str, Any], _seq_len: int | None) -> Scaled:
    return _powers(dim, parameters["rope_theta"]), 1.0


def _linear(dim: int, parameters: Mapping[str, Any], _seq_len: int | None) -> Scaled:
    return _powers(dim, parameters["rope_theta"]) / _require(parameters, "factor"), 1.0


def _dynamic(dim: int, parameters: Mapping[str, Any], seq_len: int | None) -> Scaled:
    if dim == 2:
        raise ValueError("rope_type 'dynamic' needs a rotated size above 2; its exponent is dim / (dim - 2)")
    factor, trained = _require(parameters, "factor"), _require(parameters, "max_position_embeddings")
    length = max(seq_len or trained, trained)
    stretch = factor * length / trained - (factor - 1)
    return _powers(dim, parameters["rope_theta"] * stretch ** (dim / (dim - 2))), 1.0


def _llama3(dim: int, parameters: Mapping[str, Any], _seq_len: int | None) -> Scaled:
    frequencies = _powers(dim, parameters["rope_theta"])
    factor = _require(parameters, "factor")
    low, high = _require(parameters, "low_freq_factor"), _require(parameters, "high_freq_factor")
    if low >= high:
        raise ValueError(f"low_freq_factor is {low} and high_freq_factor {high}; the second must exceed the first")
    turns = _require(parameters, "original_max_position_embeddings") * frequencies / (2 * math.pi)
    # Turns within the trained length: below `low` slow down by the factor, above `high` keep, between blend.
    keep = np.clip((turns - low) / (high - low), 0.0, 1.0)
    return (1 - keep) * frequencies / factor + keep * frequencies, 1.0


def _yarn(dim: int, parameters: Mapping[str, Any], _seq_len: int | None) -> Scaled:
    theta, factor = parameters["rope_theta"], _factor(parameters)
    trained = _require(parameters, "original_max_position_embeddings")

    def pair_with_turns(n_turns: float) -> float:
        """Index of the pair that turns ``n_turns`` times within the trained length."""
        return float(dim * math.log(trained / (n_turns * 2 * math.pi)) / (2 * math.log(theta)))

    first = pair_with_turns(parameters.get("beta_fast") or 32)
    last = pair_with_turns(parameters.get("beta_slow") or 1)
    if parameters.get("truncate", True):
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, dim - 1)
    if first == last:
        last += 0.001
    slow_down = np.clip((np.arange(dim // 2) - first) / (last - first), 0.0, 1.0)
    frequencies = _powers(dim, theta)

    attention_factor = parameters.get("attention_factor")
    if attention_factor is None:
        mscale, mscale_all = parameters.get("mscale"), parameters.get("mscale_all_dim")
        if mscale and mscale_all:
            attention_factor = _yarn_temperature(factor, mscale) / _yarn_temperature(factor, mscale_all)
        else:
            attention_factor = _yarn_temperature(factor, 1.0)
    return frequencies / factor * slow_down + frequencies * (1 - slow_down), float(attention_factor)


def _yarn_temperature(factor: float, mscale: float) -> float:
    return 1.0 if factor <= 1 else 0.1 * mscale * math.log(factor) + 1.0


def _longrope(dim: int, parameters: Mapping[str, Any], seq_len: int | None) -> Scaled:
    trained = _require(parameters, "original_max_position_embeddings")
    key = "long_factor" if seq_len is not None and seq_len > trained else "short_factor"
    per_pair = np.asarray(_require(parameters, key), dtype=np.float64)
    if per_pair.shape != (dim // 2,):
        raise ValueError(f"{key} has {per_pair.size} entries; expected {dim // 2}, one per rotated pair")
    attention_factor = parameters.get("attention_factor")
    if attention_factor is None:
        factor = _factor(parameters)
        attention_factor = 1.0 if factor <= 1 else math.sqrt(1 + math.log(factor) / math.log(trained))
    return _powers(dim, parameters["rope_theta"]) / per_pair, float(attention_factor)


def _proportional(dim: int, parameters: Mapping[str, Any], _seq_len: int | None) -> Scaled:
    n_turning = int(parameters.get("partial_rotary_factor", 1.0) * dim // 2)
    frequencies = _powers(dim, parameters["rope_theta"])
    frequencies[n_turning:] = 0.0
    return frequencies / parameters.get("factor", 1.0), 1.0


_SCALINGS: dict[str, Callable[[int, Mapping[str, Any], int | None], Scaled]] = {
    "default": _default,
    "linear": _linear,
    "dynamic": _dynamic,
    "llama3": _llama3,
    "yarn": _yarn,
    "longrope": _longrope,
    "proportional": _proportional,
}
