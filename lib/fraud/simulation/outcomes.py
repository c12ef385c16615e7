"""What becomes known later: chargebacks, mistakes and their withdrawal."""

import numpy as np
import pyarrow as pa

from lib.contract import TIME
from lib.fraud.simulation.config import DAY_US, HOUR_US, SimulationConfig
from lib.fraud.simulation.payments import GOOD, Ints, Payments


def make_labels(
    generator: np.random.Generator, config: SimulationConfig, payments: Payments, ids: pa.Array
) -> pa.Table:
    """Labels in the order they are observed: chargebacks, wrong ones, withdrawals.

    A delay is log-normal, an hour at least; many labels therefore lie after the history's end, as
    they do in reality. Refused attempts of a fraud are reported like the rest, as the issuer does
    when it closes the card.
    """
    fraud = payments.scenario != GOOD
    reported = np.flatnonzero(fraud & (generator.random(len(payments)) < config.reported_share))
    mistaken = np.flatnonzero(
        ~fraud & ~payments.declined & (generator.random(len(payments)) < config.wrong_label_share)
    )
    charged = np.concatenate([reported, mistaken])
    observed = payments.time[charged] + _delays(generator, config, charged.size)
    taken_back = (np.arange(charged.size) >= reported.size) & (
        generator.random(charged.size) < config.withdrawn_share
    )
    withdrawn = observed[taken_back] + _delays(generator, config, int(taken_back.sum()))
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


def _delays(generator: np.random.Generator, config: SimulationConfig, count: int) -> Ints:
    days = config.label_delay_days * np.exp(generator.normal(0.0, config.label_delay_spread, count))
    return (days * DAY_US).clip(HOUR_US, 120 * DAY_US).astype(np.int64)
