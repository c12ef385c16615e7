"""Measures of ranking and of operation, with intervals over entities; higher scores, more risk."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]


def roc_auc(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Chance that a random positive scores above a random negative; ties count half.

    Args:
        labels: (n,) 0/1. One class only is refused with ValueError.
        scores: (n,) finite, higher means more risk.
    """
    from sklearn.metrics import roc_auc_score  # noqa: PLC0415  (takes a second)

    return float(roc_auc_score(*_both_classes(labels, scores)))


def average_precision(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Precision averaged over the recall steps, without interpolation.

    Its value for a random score is the prevalence, so read it beside the prevalence.

    Args:
        labels: (n,) 0/1. One class only is refused with ValueError.
        scores: (n,) finite, higher means more risk.
    """
    from sklearn.metrics import average_precision_score  # noqa: PLC0415  (takes a second)

    return float(average_precision_score(*_both_classes(labels, scores)))


def precision_at_k(labels: npt.ArrayLike, scores: npt.ArrayLike, k: int) -> float:
    """Share of positives among the k highest scores.

    Where the k-th place is tied, the tied rows count with their mean, so the answer does not depend
    on the order of rows. With fewer than k rows all rows are taken.

    >>> precision_at_k([1, 0, 0, 1], [0.9, 0.8, 0.1, 0.8], k=2)
    0.75
    """
    flags, values = _checked(labels, scores)
    _require_rows(k)
    k = min(k, len(values))
    edge = np.partition(values, len(values) - k)[len(values) - k]
    above, tied = values > edge, values == edge
    slots = k - int(above.sum())
    return float((flags[above].sum() + slots * flags[tied].mean()) / k)


def threshold_at_fpr(labels: npt.ArrayLike, scores: npt.ArrayLike, cap: float) -> float:
    """Lowest threshold t such that at most `cap` of the negatives have score >= t.

    The cap holds exactly on these rows, ties included: tied negatives are all left out when they
    do not all fit.

    Args:
        labels: (n,) 0/1, both classes present.
        scores: (n,) finite, higher means more risk.
        cap: largest false positive rate, between 0 and 1.
    """
    flags, values = _both_classes(labels, scores)
    if not 0.0 <= cap <= 1.0:
        raise ValueError(f"cap: expected a rate between 0 and 1, got {cap}")
    negatives = np.sort(values[~flags])[::-1]
    allowed = int(np.floor(cap * len(negatives) + 1e-9))
    if allowed >= len(negatives):
        return float(values.min())
    return float(np.nextafter(negatives[allowed], np.inf))


def recall_at_fpr(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    cap: float,
    values: npt.ArrayLike | None = None,
) -> float:
    """Share of positives caught while at most `cap` of the negatives are flagged.

    Args:
        labels: (n,) 0/1, both classes present.
        scores: (n,) finite, higher means more risk.
        cap: largest false positive rate, counted in rows.
        values: (n,) what each row is worth (for payments, minor units of money). Given, the share
            is of value instead of rows. Negative or not finite values are refused.
    """
    flags, ordered = _checked(labels, scores)
    caught = flags & (ordered >= threshold_at_fpr(flags, ordered, cap))
    if values is None:
        return float(caught.sum() / flags.sum())
    worth = np.asarray(values, dtype=np.float64)
    if worth.shape != flags.shape or not (worth >= 0).all() or not np.isfinite(worth).all():
        raise ValueError("values: expected one finite amount of 0 or more for each row")
    total = worth[flags].sum()
    return float(worth[caught].sum() / total) if total else 0.0


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
    first day must be left out by the caller, who knows what was known when. Follows Le Borgne,
    Siblini, Lebichot, Bontempi: Reproducible Machine Learning for Credit Card Fraud Detection
    (2022), section 4.4, `card_precision_top_k`.

    Args:
        labels: (n,) 0/1.
        scores: (n,) finite, higher means more risk. Ties go to the card of lower id.
        cards: (n,) card or user of each row, of any sortable type.
        days: (n,) day of each row, whole numbers.
        k: cards shown each day, 1 or more; always the divisor, however few cards there are.
    """
    flags, values = _checked(labels, scores)
    _require_rows(k)
    codes = np.unique(np.asarray(cards), return_inverse=True)[1]
    numbers = np.asarray(days)
    precisions = _daily_precisions(flags, values, codes, numbers, k)
    best = _daily_precisions(flags, flags.astype(np.float64), codes, numbers, k)
    return CardPrecision(float(np.mean(precisions)), tuple(precisions), float(np.mean(best)))


def _daily_precisions(flags: Flags, values: Floats, codes: Rows, days: Rows, k: int) -> list[float]:
    """Each day's precision, taking the cards found so far out of the following days."""
    is_known = np.zeros(codes.max() + 1, dtype=np.bool_)
    precisions = []
    for day in np.unique(days):
        rows = np.flatnonzero((days == day) & ~is_known[codes])
        hits = _top_cards(flags[rows], values[rows], codes[rows], k)
        is_known[hits] = True
        precisions.append(len(hits) / k)
    return precisions


def _top_cards(flags: Flags, values: Floats, codes: Rows, k: int) -> Rows:
    """Compromised cards among the k cards of highest score."""
    cards, card_index = np.unique(codes, return_inverse=True)
    score = np.full(len(cards), -np.inf)
    np.maximum.at(score, card_index, values)
    compromised = np.bincount(card_index, weights=flags, minlength=len(cards)) > 0
    top = np.argsort(-score, kind="stable")[:k]
    return cards[top[compromised[top]]]


@dataclass(frozen=True)
class Interval:
    """A measure on all rows with the ends of its interval."""

    value: float
    low: float
    high: float

    @property
    def is_shown(self) -> bool:
        """Whether the interval excludes 0; of a difference, that there is none."""
        return self.low > 0.0 or self.high < 0.0

    def to_json(self) -> list[float]:
        """Value, low and high end."""
        return [self.value, self.low, self.high]


def entity_draws(entities: npt.ArrayLike, seed: int, repeats: int) -> Iterator[Rows]:
    """How often each row comes (n,), entities drawn with replacement, `repeats` times.

    Args:
        entities: (n,) whose row each is, for instance the user.
        seed: of the draws; the same seed gives the same draws.
        repeats: how many.
    """
    codes = np.unique(np.asarray(entities), return_inverse=True)[1]
    count = int(codes.max()) + 1
    generator = np.random.default_rng(seed)
    for _ in range(repeats):
        yield np.bincount(generator.integers(0, count, count), minlength=count)[codes]


def bootstrap_interval(
    measure: Callable[[Rows], float],
    entities: npt.ArrayLike,
    seed: int,
    repeats: int = 200,
    level: float = 0.95,
) -> Interval:
    """Percentile interval of `measure` over entities drawn with replacement.

    One customer's payments are not independent, so all rows of a drawn entity come along, as often
    as it was drawn. Cluster bootstrap: Field and Welsh, Bootstrapping clustered data, JRSS B 69
    (2007).

    Args:
        measure: takes row numbers (with repeats) and answers a number; draws on which it raises
            ValueError (one class only) are left out.
        entities: (n,) whose row each is, for instance the user.
        seed: of the draws; the same seed gives the same interval.
        repeats: draws, 1 or more.
        level: share of the draws inside the interval, between 0 and 1.
    """
    if repeats < 1 or not 0.0 < level < 1.0:
        raise ValueError(f"expected repeats >= 1 and 0 < level < 1, got {repeats} and {level}")
    rows, draws = np.arange(np.asarray(entities).size), []
    for times in entity_draws(entities, seed, repeats):
        with suppress(ValueError):
            draws.append(measure(np.repeat(rows, times)))
    value = measure(rows)
    if not draws:
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def _checked(labels: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[Flags, Floats]:
    """Labels and scores; ValueError names the one that is empty, of another length or not valid."""
    flags, values = np.asarray(labels), np.asarray(scores, dtype=np.float64)
    if flags.ndim != 1 or flags.shape != values.shape:
        raise ValueError(
            f"labels and scores must be two vectors of one length; got {flags.shape} "
            f"and {values.shape}"
        )
    if not len(flags):
        raise ValueError("labels: expected at least one row, got none")
    if flags.dtype != np.bool_ and not np.isin(flags, (0, 1)).all():
        raise ValueError(f"labels: expected only 0 and 1, got {np.unique(flags)[:5].tolist()}")
    if not np.isfinite(values).all():
        raise ValueError(f"scores: {int((~np.isfinite(values)).sum())} of {len(values)} not finite")
    return flags.astype(np.bool_), values


def _both_classes(labels: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[Flags, Floats]:
    """The same, for measures that compare the two classes; labels of one class are refused."""
    flags, values = _checked(labels, scores)
    positives = int(flags.sum())
    if positives in {0, len(flags)}:
        raise ValueError(
            f"labels: {positives} positives among {len(flags)} rows; needs both classes"
        )
    return flags, values


def _require_rows(k: int) -> None:
    if k < 1:
        raise ValueError(f"k: expected 1 or more, got {k}")
