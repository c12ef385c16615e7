"""Rows `informed` and `informed_history`: a model that has the form of the Handbook's simulator.

Terminals and cards are compromised for a fixed number of days, amounts of compromised cards are
multiplied, and every amount over a limit is fraud: that form follows the Handbook's published
simulator. Its numbers are fitted on the training rows alone. What it gains over `ours` comes from
knowing the form, which real payments need not have; so the product does not ship it.

Recipe chosen on weeks that train from 2018-05-30 to 2018-07-18, whose tests end before 2018-08-08.
"""

import numpy as np
from scipy.optimize import minimize

from tests.fraud.handbook.outbreaks import Evidence, Outbreaks, evidence, fraud_chance
from tests.fraud.handbook.protocol import Payments, Split

GENERIC_WEIGHT = 0.05  # of the generic log-odds: they order what the few numbers cannot tell apart
WARM_UP_DAYS = 45  # before that, too few settled payments tell a terminal's last good one
WEEK_GOOD_SHARE = 0.2  # of genuine payments fitted on, weighted back: the fit stays in seconds
HISTORY_GOOD_SHARE = 0.05
PULL = 0.002  # towards START, per squared natural log, beside the mean loss per fraud
EVALUATIONS = 900  # of the likelihood at most: a fit takes seconds
START = Outbreaks(
    terminal_rate=1e-3,
    terminal_days=20.0,
    card_rate=1e-3,
    share_odds=1.0,
    factor=4.0,
    spread=0.6,
    stray=0.01,
    floor=1e-4,
    evidence_per_payment=0.3,
    evidence_per_square=0.3,
    usual_square=1.25,
    slack=2.0,
    saturation=100.0,
)


def fit(evidence: Evidence, fraud: np.ndarray, weight: np.ndarray, limit: float) -> Outbreaks:
    """Return the numbers under which the labels `fraud` are likeliest, by Powell's method."""
    start = np.log(START)

    def loss(logs: np.ndarray) -> float:
        probability = fraud_chance(Outbreaks(*np.exp(logs)), evidence, limit)
        surprise = -np.where(fraud, np.log(probability), np.log1p(-probability))
        return float(weight @ surprise / (weight @ fraud) + PULL * ((logs - start) ** 2).sum())

    options = {"maxfev": EVALUATIONS, "xtol": 0.02, "ftol": 1e-4}
    return Outbreaks(*np.exp(minimize(loss, start, method="Powell", options=options).x))


def fit_rows(
    payments: Payments, inputs: np.ndarray, rows: np.ndarray, good_share: float
) -> tuple[Outbreaks, float]:
    """Fit on the numbered `rows`; return the numbers and the largest genuine amount."""
    limit = float(payments.amount[rows][~payments.fraud[rows]].max())
    drawn = np.random.default_rng(0).random(len(rows)) < good_share
    kept = rows[payments.fraud[rows] | drawn]
    fraud = payments.fraud[kept]
    weight = np.where(fraud, 1.0, 1.0 / good_share)
    return fit(evidence(payments, inputs, kept), fraud, weight, limit), limit


def _score(
    payments: Payments,
    inputs: np.ndarray,
    fitted: tuple[Outbreaks, float],
    test: np.ndarray,
    generic: np.ndarray,
) -> np.ndarray:
    numbers, limit = fitted
    probability = fraud_chance(numbers, evidence(payments, inputs, test), limit)
    return np.log(probability / (1 - probability)) + GENERIC_WEIGHT * generic


def score_informed(
    payments: Payments, inputs: np.ndarray, fold: Split, generic: np.ndarray
) -> np.ndarray:
    """Fit on the fold's seven days; return the test rows' log-odds, `generic` those of `ours`."""
    fitted = fit_rows(payments, inputs, fold.train, WEEK_GOOD_SHARE)
    return _score(payments, inputs, fitted, fold.test, generic)


def score_informed_history(
    payments: Payments, inputs: np.ndarray, fold: Split, generic: np.ndarray
) -> np.ndarray:
    """Fit on all days up to the train end; `generic` are log-odds of `ours_history`."""
    warm = fold.history[payments.day[fold.history] >= payments.day[0] + WARM_UP_DAYS]
    fitted = fit_rows(payments, inputs, warm, HISTORY_GOOD_SHARE)
    return _score(payments, inputs, fitted, fold.test, generic)
