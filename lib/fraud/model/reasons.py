"""Why a payment was stopped, in words an analyst and a customer's bank can use."""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

_MOST = 3
_WORDS: Mapping[str, list[str]] = yaml.safe_load(
    Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8")
)
"""Code and words by the beginning of a feature's name."""

Reason = Mapping[str, Any]
"""One feature's part in a score: its stable `code`, that in plain English (`words`), its name
(`feature`) and `value` (None where missing), and its `contribution` to the log-odds of fraud,
against the average payment."""


@cache
def _groups(names: tuple[str, ...]) -> Mapping[str, list[int]]:
    """Places of the features of each code."""
    groups: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        groups.setdefault(reason_code(name)[0], []).append(index)
    return groups


@cache
def reason_code(feature: str) -> tuple[str, str]:
    """Code and words of a feature, by the longest known beginning of its name.

    >>> reason_code("fraud_rate_by_merchant_7d_behind_7d")[0]
    'MERCHANT_FRAUD'
    >>> reason_code("chip_age_days")
    ('CHIP_AGE_DAYS', 'Chip age days')
    """
    prefixes = [start for start in _WORDS if feature.startswith(start)]
    if not prefixes:
        return feature.upper(), feature.replace("_", " ").capitalize()
    code, words = _WORDS[max(prefixes, key=len)]
    return code, words


def top_reasons(
    names: Sequence[str],
    values: npt.NDArray[np.float32],
    contributions: npt.NDArray[np.float64],
    words: Mapping[str, str] = MappingProxyType({}),
) -> tuple[Reason, ...]:
    """The features that raised the score most, one for each code, the largest first.

    Features of one code (an amount and its logarithm, one rate over three windows) speak once,
    with the sum of their contributions and the name of the largest. Only what raised the score is
    named, so there may be fewer than three.

    Args:
        names: of the features, in order.
        values: (features,), NaN is missing.
        contributions: (features,) in log-odds.
        words: of features that a data set added, by their names.
    """
    groups = _groups(tuple(names))
    parts = contributions.tolist()
    totals = {
        code: math.fsum(parts[index] for index in indices) for code, indices in groups.items()
    }
    chosen = sorted((code for code in totals if totals[code] > 0), key=lambda code: -totals[code])
    reasons = []
    for code in chosen[:_MOST]:
        index = max(groups[code], key=parts.__getitem__)
        value = None if np.isnan(values[index]) else float(values[index])
        name = names[index]
        reason = {"code": code, "words": words.get(name) or reason_code(name)[1], "feature": name}
        reasons.append({**reason, "value": value, "contribution": round(totals[code], 4)})
    return tuple(reasons)
