"""Whether what was served is what training would have seen.

Every decision keeps the features that it saw. Here the payments are replayed offline, with what was
known when each was received, and both sets of features are compared to the last bit: a difference
is a training-serving skew (Sculley et al., "Hidden Technical Debt in Machine Learning Systems",
2015), to be found before a model learns from it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lib.contract import TIME
from lib.feature import compute
from lib.fraud.contracts import LABELS, TRANSACTIONS, join_labels
from lib.fraud.payment_event import PaymentEventCodec
from lib.fraud.payment_features import PaymentFeatures
from lib.records import Decision, Fact

_EXAMPLES = 20
_SCHEMA = pa.schema(
    [(c.name, pa.int64() if c.type == TIME else c.type) for c in TRANSACTIONS.columns]
)
"""The contract's columns, times as whole microseconds."""


@dataclass(frozen=True)
class Difference:
    """One feature of one payment, as it was served and as it is replayed."""

    transaction_id: str
    feature: str
    served: float
    replayed: float


@dataclass(frozen=True)
class Audit:
    """What the comparison found.

    Attributes:
        payments: decisions that were compared.
        differing: those of them with at least one feature that differs.
        values: how many values were compared.
        by_feature: how many values differ, by feature; only features that differ at all.
        examples: the first differences, by time.
        partial: decisions made while the profile store was out; what they saw is compared.
        other_features: decisions on another feature set, left out.
    """

    payments: int
    differing: int
    values: int
    by_feature: dict[str, int]
    examples: tuple[Difference, ...]
    partial: int
    other_features: int

    @property
    def share(self) -> float:
        """The share of payments that differ; 0 where nothing was compared."""
        return self.differing / self.payments if self.payments else 0.0


def audit(
    decisions: Iterable[Decision],
    facts: Iterable[Fact],
    history: pa.Table | None = None,
    features: PaymentFeatures | None = None,
) -> Audit:
    """Replays decisions offline and compares every feature that they saw.

    Args:
        decisions: of the fraud system, from the first one that its profiles know of.
        facts: what became known about them, in any order.
        history: payments that the profiles were filled with before, as `join_labels` gives them.
        features: that the service computes, the packaged ones without any; decisions on others are
            left out.
    """
    features = features or PaymentFeatures()
    names = features.names
    decision_list = list(decisions)
    compared = [d for d in decision_list if d.feature_set_digest == features.feature_set.digest]
    replayed = _replayed(decision_list, facts, history, features)
    index = pc.index_in(
        pa.array([decision.subject_id for decision in compared], pa.string()),
        value_set=replayed.column("transaction_id").combine_chunks(),
    ).to_numpy()
    rows = [[d.features.get(name, np.nan) for name in names] for d in compared]
    served = np.array(rows, dtype=np.float64).reshape(len(rows), len(names))
    again = np.column_stack([replayed.column(n).to_numpy()[index] for n in names])
    has_feature = np.array([[n in d.features for n in names] for d in compared], dtype=bool)
    has_feature = has_feature.reshape(served.shape)
    unlike = has_feature & (served != again) & ~(np.isnan(served) & np.isnan(again))
    counts = unlike.sum(axis=0)
    return Audit(
        payments=len(compared),
        differing=int(unlike.any(axis=1).sum()),
        values=int(has_feature.sum()),
        by_feature={n: int(c) for n, c in zip(names, counts, strict=True) if c},
        examples=tuple(_examples(compared, names, served, again, unlike)),
        partial=int((~has_feature.all(axis=1)).sum()),
        other_features=len(decision_list) - len(compared),
    )


def _replayed(
    decisions: list[Decision],
    facts: Iterable[Fact],
    history: pa.Table | None,
    features: PaymentFeatures,
) -> pa.Table:
    """The features of history and decisions, computed offline."""
    codec = PaymentEventCodec(features.attributes)
    columns = [pa.field(each.name, each.column_type) for each in features.attributes]
    stored = [_payment(decision, codec) for decision in decisions]
    rows = pa.Table.from_pylist(stored, schema=pa.schema([*_SCHEMA, *columns]))
    labels = _labels([fact for fact in facts if fact.kind == "fraud"])
    paid = rows.cast(pa.schema([*TRANSACTIONS.schema, *columns]))
    table = join_labels(paid, labels).table
    if history is not None:
        ids = table.column("transaction_id").combine_chunks()
        history = features.events(history)
        before = history.filter(pc.invert(pc.is_in(history.column("transaction_id"), ids)))
        table = pa.concat_tables([before.select(table.column_names).cast(table.schema), table])
    return compute(features.feature_set, table)


def _payment(decision: Decision, codec: PaymentEventCodec) -> dict[str, object]:
    """A decision's payment; a declined one counts as declined from then on."""
    refused = decision.received_at if decision.decision == "DECLINE" else None
    event = codec.to_json(codec.from_json(decision.request))
    return {**event, "received_at": decision.received_at, "declined_from": refused}


def _labels(facts: list[Fact]) -> pa.Table:
    """Facts as labels, each known from when it was received: nobody acts on it before."""
    return pa.table(
        {
            "transaction_id": pa.array([fact.subject_id for fact in facts], pa.string()),
            "is_fraud": pa.array([fact.value for fact in facts], pa.bool_()),
            "observed_at": pa.array([fact.received_at for fact in facts], pa.int64()).cast(TIME),
        },
        schema=LABELS.schema,
    )


def _examples(
    decisions: list[Decision],
    names: Sequence[str],
    served: NDArray[np.float64],
    again: NDArray[np.float64],
    unlike: NDArray[np.bool_],
) -> Iterator[Difference]:
    for row, column in np.argwhere(unlike)[:_EXAMPLES]:
        yield Difference(
            decisions[row].subject_id,
            names[column],
            float(served[row, column]),
            float(again[row, column]),
        )
