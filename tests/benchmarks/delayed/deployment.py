"""A fraud model of the product as it runs while its labels are held back."""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from lib.calibration import fit_calibrator
from lib.contract import TIME
from lib.feature import compute
from lib.fraud.features import FRAUD
from lib.fraud.model.fitting import Compute, fit_fold, fit_halves, fold_data, settled, stack
from lib.fraud.model.inputs import DAY
from lib.fraud.model.model import Ensemble
from lib.fraud.model.payments import Payments, read_payments
from lib.fraud.model.policy import DECISIONS, Costs, fit_policy
from lib.fraud.model.settings import ModelSettings, NetworkSettings, TreeSettings
from lib.fraud.model.time_split import Fold, Slice
from lib.fraud.outcomes import FraudOutcomes
from lib.monitoring.scored_rows import ScoredRows, money_by_label

SETTINGS = ModelSettings(
    trees=TreeSettings(trees=80, depth=3, learning_rate=0.15, early_stopping=20),
    network=NetworkSettings(hidden=(16, 8), epochs=3, patience=2),
)
"""Small, as what is measured is not the model."""
HANDBOOK_DELAY = 7
TRAIN_DAYS, CALIBRATE_DAYS = 30, 10
INPUTS = 16


@dataclass(frozen=True)
class Deployment:
    """A model and the payments that it scored after its training days.

    Attributes:
        delay_days: after which labels come.
        first_day: of the payments, days since 1970.
        rows: payments from the end of the training days on, labelled with the truth, in the order
            of time; their score is the model's.
        names: of the inputs.
    """

    delay_days: int
    first_day: int
    rows: ScoredRows
    names: tuple[str, ...]

    @property
    def deployed_on(self) -> int:
        """The day on which the labels of its calibration days had come: from then on it decides."""
        return self.first_day + TRAIN_DAYS + CALIBRATE_DAYS + self.delay_days

    def between(self, first: int, last: int) -> np.ndarray:
        """Row numbers of payments from day `first` up to, not including, day `last`."""
        return np.arange(*np.searchsorted(self.rows.event_time, [first * DAY, last * DAY]))

    def reference(self, today: int) -> np.ndarray:
        """Row numbers of payments whose labels have come by the beginning of a day."""
        return self.between(0, today - self.delay_days)


def deploy(table: pa.Table, delay_days: int) -> Deployment:
    """Compute the features with labels that late, train and score.

    Args:
        table: payments with `fraud_from` seven days after each fraud.
        delay_days: that labels are held back.
    """
    delayed = _held_back(table, delay_days)
    features = compute(FRAUD, delayed)
    payments = read_payments(features.to_batches(), FRAUD.names, features.num_rows)
    first = int(payments.event_time[0] // DAY)
    model = _train(payments, first, delay_days)
    later = payments.within(Slice((first + TRAIN_DAYS) * DAY, int(payments.event_time[-1]) + 1, 0))
    score = np.clip(model.score(later.matrix), 1e-9, 1.0 - 1e-9)
    columns = _most_informative(model)
    return Deployment(delay_days, first, _rows(later, score, model, columns), _named(columns))


def _held_back(table: pa.Table, delay_days: int) -> pa.Table:
    """The same payments, their labels observed `delay_days` after the payment."""
    more = (delay_days - HANDBOOK_DELAY) * DAY
    known = table["fraud_from"].cast(pa.int64()).combine_chunks()
    times = pa.array(known.fill_null(0).to_numpy() + more, mask=known.is_null().to_numpy(False))
    index = table.schema.get_field_index("fraud_from")
    return table.set_column(index, "fraud_from", times.cast(TIME))


def _train(payments: Payments, first: int, delay_days: int) -> Ensemble:
    """Both halves, their meta-learner, calibration and policy on the days before the windows."""
    end, edge = first + TRAIN_DAYS, first + TRAIN_DAYS * 2 // 3
    known = end + CALIBRATE_DAYS + delay_days
    calibrate = Slice(end * DAY, (end + CALIBRATE_DAYS) * DAY, known * DAY)
    fold = Fold(
        Slice(first * DAY, (edge - 4) * DAY, known * DAY),
        Slice((edge - 4) * DAY, edge * DAY, known * DAY),
        Slice(edge * DAY, end * DAY, known * DAY),
    )
    data, compute_on = fold_data(payments, fold, 0.0), Compute(threads=1)
    scores = fit_fold(data, SETTINGS, SETTINGS.seed, compute_on)
    final = settled(SETTINGS, [scores])
    train = payments.sample(Slice(first * DAY, end * DAY, known * DAY))
    trees, networks = fit_halves(train, final, compute_on)
    later, meta = payments.within(calibrate), stack([data], [scores])
    raw = meta.log_odds(trees.log_odds(later.matrix), networks.log_odds(later.matrix))
    flags = later.labels(calibrate.as_of)
    calibrator = fit_calibrator(raw, flags)
    policy = fit_policy(
        calibrator.probabilities(raw), flags, later.amount_minor, calibrate.days, Costs()
    )
    return Ensemble(FRAUD.names, FRAUD.digest, trees, networks, meta, calibrator, policy)


def _most_informative(model: Ensemble) -> list[int]:
    """Columns that the trees gain most by, as inputs of the estimates."""
    gains = np.zeros(len(model.names))
    for booster in model.trees.boosters:
        for name, gain in booster.get_score(importance_type="total_gain").items():
            gains[int(name.removeprefix("f"))] += gain
    return sorted(np.argsort(-gains, kind="stable")[:INPUTS].tolist())


def _named(columns: list[int]) -> tuple[str, ...]:
    return tuple(FRAUD.names[column] for column in columns)


def _rows(later: Payments, score: np.ndarray, model: Ensemble, columns: list[int]) -> ScoredRows:
    """Payments with the truth as their labels, and the money of the decisions about them."""
    label = np.isfinite(later.fraud_from).astype(np.float64)
    decisions = [DECISIONS[position] for position in model.policy.decisions(score).tolist()]
    outcomes = pa.table(
        {
            "decision": decisions,
            "label": label,
            "money": np.zeros(len(label)),
            "amount_minor": later.amount_minor,
        }
    )
    positive, negative = money_by_label(FraudOutcomes(), outcomes)
    return ScoredRows(
        entity=later.user,
        event_time=later.event_time,
        score=score,
        label=label,
        money_if_positive=positive,
        money_if_negative=negative,
        inputs=later.matrix[:, columns],
    )


def replaced(rows: ScoredRows, label: np.ndarray) -> ScoredRows:
    """The same payments with other labels."""
    return replace(rows, label=label)
