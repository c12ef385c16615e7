"""What becomes known later: chargebacks, mistakes and their withdrawal."""

import numpy as np
import pyarrow as pa

from lib.contract import TIME
from lib.fraud.simulation.config import DAY_US, HOUR_US
from lib.fraud.simulation.payments import GOOD, Ints, Payments

_REPORTED_SHARE = 0.92
"""Share of frauds that ever become known."""
_DELAY_DAYS, _DELAY_SPREAD = 4.0, 0.8
"""Median delay from payment to chargeback, and the deviation of its logarithm."""
_WRONG_SHARE, _WITHDRAWN_SHARE = 0.0003, 0.6
"""Share of good payments that are charged back by mistake; of those, that are taken back later."""


def make_labels(generator: np.random.Generator, payments: Payments, ids: pa.Array) -> pa.Table:
    """Labels in the order they are observed: chargebacks, wrong ones, withdrawals.

    A delay is log-normal, an hour at least; many labels therefore lie after the history's end, as
    they do in reality. Refused attempts of a fraud are reported like the rest, as the issuer does
    when it closes the card.
    """
    fraud = payments.scenario != GOOD
    reported = np.flatnonzero(fraud & (generator.random(len(payments)) < _REPORTED_SHARE))
    mistaken = np.flatnonzero(
        ~fraud & ~payments.declined & (generator.random(len(payments)) < _WRONG_SHARE)
    )
    charged = np.concatenate([reported, mistaken])
    observed = payments.time[charged] + _delays(generator, charged.size)
    taken_back = (np.arange(charged.size) >= reported.size) & (
        generator.random(charged.size) < _WITHDRAWN_SHARE
    )
    withdrawn = observed[taken_back] + _delays(generator, int(taken_back.sum()))
    row = np.concatenate([charged, charged[taken_back]])
    times = np.concatenate([observed, withdrawn])
    says_fraud = np.arange(row.size) < charged.size
    order = np.lexsort((row, times))
    return pa.table(
        {
            "transaction_id": ids.take(pa.array(row[order])),
            "is_fraud": pa.array(says_fraud[order]),
            "observed_at": pa.array(times[order]).cast(TIME),
        }
    )


def _delays(generator: np.random.Generator, count: int) -> Ints:
    days = _DELAY_DAYS * np.exp(generator.normal(0.0, _DELAY_SPREAD, count))
    return (days * DAY_US).clip(HOUR_US, 120 * DAY_US).astype(np.int64)
