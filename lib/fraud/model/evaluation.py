"""Every measure of the report, for any score on the same test payments."""

from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lib import evaluation
from lib.evaluation import Interval, entity_draws
from lib.fraud.model.inputs import DAY, Flags, Floats
from lib.fraud.model.payments import Payments
from lib.weighted_ranking import SortedRows, WeighedRows

FPR_CAPS = (0.001, 0.005, 0.01, 0.018)
TOP = 1_000
CARDS = 100


@dataclass(frozen=True)
class TestRows:
    """Labelled payments to measure on; all arrays (n,).

    Args:
        labels: True for a fraud that was reported by the end.
        amount_minor: of the payment, minor units.
        user: code of the user.
        day: number of the day since 1970 UTC.
        fresh: the user was not known as compromised when the day began.
    """

    __test__ = False

    labels: Flags
    amount_minor: Floats
    user: npt.NDArray[np.int64]
    day: npt.NDArray[np.int64]
    fresh: Flags


def make_test_rows(history: Payments, test: Payments, as_of: int) -> TestRows:
    """Test payments with labels known at `as_of`, and whose user was already known compromised.

    A user is known from the first fraud of theirs reported before the day of the payment began.

    Args:
        history: all payments, those of the test included, with the same user codes.
        test: the payments to measure on.
        as_of: microseconds UTC.
    """
    day = test.event_time // DAY
    first = np.full(int(history.user.max()) + 1, np.inf)
    has_fraud = np.isfinite(history.fraud_from)
    np.minimum.at(first, history.user[has_fraud], history.fraud_from[has_fraud])
    fresh = ~(first[test.user] <= day * DAY)
    return TestRows(test.labels(as_of), test.amount_minor, test.user, day, fresh)


def measure(rows: TestRows, scores: Floats) -> dict[str, float]:
    """Measures by name of scores (n,), higher is riskier; both classes must be present."""
    measures = {
        "auc": evaluation.roc_auc(rows.labels, scores),
        "ap": evaluation.average_precision(rows.labels, scores),
        "precision_at_1000": evaluation.precision_at_k(rows.labels, scores, TOP),
    }
    fresh = rows.fresh
    if fresh.any():
        cards = evaluation.card_precision_at_k(
            rows.labels[fresh], scores[fresh], rows.user[fresh], rows.day[fresh], CARDS
        )
        measures |= {"cp_100": cards.mean, "cp_100_ceiling": cards.ceiling}
    for cap in FPR_CAPS:
        name = f"{100 * cap:g}".replace(".", "_")
        measures[f"recall_at_fpr_{name}"] = evaluation.recall_at_fpr(rows.labels, scores, cap)
        measures[f"value_recall_at_fpr_{name}"] = evaluation.recall_at_fpr(
            rows.labels, scores, cap, rows.amount_minor
        )
    return measures


def intervals(rows: TestRows, scores: Floats, seed: int, repeats: int) -> dict[str, Interval]:
    """95% intervals of the main measures, users drawn with replacement."""
    values, drawn = _main_measures(rows, scores), []
    ranked = SortedRows(rows.labels, scores, rows.amount_minor)
    for times in entity_draws(rows.user, seed, repeats):
        with suppress(ValueError):  # a draw without frauds
            drawn.append(_of_draw(ranked.weighed(times)))
    if not drawn:
        return {name: Interval(value, float("nan"), float("nan")) for name, value in values.items()}
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    return {
        name: Interval(value, float(low[at]), float(high[at]))
        for at, (name, value) in enumerate(values.items())
    }


def _main_measures(rows: TestRows, scores: Floats) -> dict[str, float]:
    """The measures that have intervals, in the order of `_of_draw`."""
    labels, amount = rows.labels, rows.amount_minor
    return {
        "auc": evaluation.roc_auc(labels, scores),
        "ap": evaluation.average_precision(labels, scores),
        "precision_at_1000": evaluation.precision_at_k(labels, scores, TOP),
        "recall_at_fpr_1": evaluation.recall_at_fpr(labels, scores, 0.01),
        "value_recall_at_fpr_1": evaluation.recall_at_fpr(labels, scores, 0.01, amount),
    }


def _of_draw(drawn: WeighedRows) -> tuple[float, ...]:
    return (
        drawn.roc_auc(),
        drawn.average_precision(),
        drawn.precision_at_k(TOP),
        drawn.recall_at_fpr(0.01),
        drawn.value_recall_at_fpr(0.01),
    )
