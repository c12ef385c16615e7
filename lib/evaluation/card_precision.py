"""Card precision: how many of the cards an analyst is shown each day are compromised.

Follows Le Borgne, Siblini, Lebichot, Bontempi: Reproducible Machine Learning for Credit Card Fraud
Detection (2022), section 4.4, `card_precision_top_k`.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lib.evaluation.checks import Flags, Floats, checked


@dataclass(frozen=True)
class CardPrecision:
    """Card precision at k: its mean over days, each day's value, and the best any score can do."""

    mean: float
    per_day: tuple[float, ...]
    ceiling: float


def card_precision_at_k(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    cards: npt.ArrayLike,
    days: npt.ArrayLike,
    k: int = 100,
) -> CardPrecision:
    """Mean over days of (compromised cards among the k highest cards) / k.

    A card's score on a day is its highest, and it is compromised if one of its payments that day is
    fraud. A card found once is known and leaves all later days. Rows of cards known before the
    first day must be left out by the caller, who knows what was known when.

    Args:
        labels: (n,) 0/1.
        scores: (n,) finite, higher means more risk. Ties go to the card of lower id.
        cards: (n,) card or user of each row, of any sortable type.
        days: (n,) day of each row, whole numbers.
        k: cards shown each day, 1 or more; always the divisor, however few cards there are.
    """
    flags, values = checked(labels, scores)
    if k < 1:
        raise ValueError(f"k: expected 1 or more, got {k}")
    codes = np.unique(np.asarray(cards), return_inverse=True)[1]
    numbers = np.asarray(days)
    precisions = _walk(flags, values, codes, numbers, k)
    best = _walk(flags, flags.astype(np.float64), codes, numbers, k)
    return CardPrecision(float(np.mean(precisions)), tuple(precisions), float(np.mean(best)))


def _walk(
    flags: Flags, values: Floats, codes: npt.NDArray[np.int64], days: npt.NDArray[np.int64], k: int
) -> list[float]:
    """Each day's precision, taking the cards found so far out of the following days."""
    is_known = np.zeros(codes.max() + 1, dtype=np.bool_)
    answers = []
    for day in np.unique(days):
        rows = np.flatnonzero((days == day) & ~is_known[codes])
        hits = _top_cards(flags[rows], values[rows], codes[rows], k)
        is_known[hits] = True
        answers.append(len(hits) / k)
    return answers


def _top_cards(
    flags: Flags, values: Floats, codes: npt.NDArray[np.int64], k: int
) -> npt.NDArray[np.int64]:
    """Compromised cards among the k cards of highest score."""
    cards, card_index = np.unique(codes, return_inverse=True)
    score = np.full(len(cards), -np.inf)
    np.maximum.at(score, card_index, values)
    compromised = np.zeros(len(cards), dtype=np.bool_)
    np.logical_or.at(compromised, card_index, flags)
    top = np.argsort(-score, kind="stable")[:k]
    return cards[top[compromised[top]]]
