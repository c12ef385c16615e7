"""What became of decisions, and the money that each brought or cost.

Every consumer reads money from here: the business page, experiments, retraining and estimates
before labels. A system says what a label is, when it is ripe and what a decision costs in
`lib/<system>/outcomes.py`; the rest is the same for all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
_TIME = pa.timestamp("us", tz="UTC")
NEVER = np.iinfo(np.int64).max
"""A time that does not come: an event that was not seen, a row that silence does not ripen."""

OUTCOME_SCHEMA = pa.schema(
    [
        pa.field("subject_id", pa.string(), nullable=False),
        pa.field("entity_id", pa.string(), nullable=False),
        pa.field("event_time", _TIME, nullable=False),
        pa.field("decision", pa.string(), nullable=False),
        pa.field("score", pa.float64()),
        pa.field("model_version", pa.string()),
        pa.field("label", pa.float64()),
        *(pa.field(name, _TIME) for name in ("observed_at", "ripe_at")),
        pa.field("money", pa.float64()),
    ]
)
"""A row per decision, in the decisions' order.

`label` is 1 or 0, null while it is not known; `observed_at` is when it became known, null where
silence says so. `ripe_at` is when nothing more is waited for, null where only a label can say.
`money` is what the decision brought (above 0) less what it cost (below 0) in currency units, null
exactly where the row is not ripe: a label that came early is known but does not count yet, else a
young window would hold nothing but bad outcomes. Columns that follow are what money depends on.
"""


class OutcomeError(ValueError):
    """Decisions, labels or prices that no outcome can be made of; names column and reason."""


class SystemOutcomes(Protocol):
    """What outcomes are in one system.

    Attributes:
        system: its name.
        entity: name of the entity in decisions, e.g. `user_id`.
        positive: what label 1 is, in words.
        acting: decisions that act, from the mildest on, e.g. REVIEW and DECLINE.
    """

    system: str
    entity: str
    positive: str
    acting: tuple[str, ...]

    def outcomes(self, decisions: pa.Table, labels: pa.Table, as_of: int) -> pa.Table:
        """Outcomes as they were known at a time.

        Args:
            decisions: `lib.records.decision_table`.
            labels: `lib.records.decision_table.label_table`; later ones than `as_of` do not count.
            as_of: microseconds since 1970 UTC.

        Returns:
            (rows of `decisions`) `OUTCOME_SCHEMA` and columns that money depends on.

        Raises:
            OutcomeError: a column is missing or cannot be meant.
        """
        ...

    def money_of(self, outcomes: pa.Table, decisions: Sequence[str]) -> Floats:
        """(rows,) money had these been the decisions, NaN where not ripe."""
        ...

    def money_if(
        self, outcomes: pa.Table, scores: Any, thresholds: Mapping[str, float] | None = None
    ) -> Floats:
        """(rows,) money had a model with these scores decided, NaN where not ripe.

        Args:
            outcomes: of this system.
            scores: (rows,) calibrated; moderation's (rows, policies).
            thresholds: of the model's manifest; None decides at the least expected cost.
        """
        ...


@dataclass(frozen=True)
class KnownLabels:
    """What is known of rows (n,).

    Attributes:
        value: 1, 0, or NaN where nobody said anything.
        observed_us: when the standing value became known, `NEVER` where nobody said anything.
    """

    value: Floats
    observed_us: Ints


class WaitingOutcomes:
    """Outcomes that are waited for; the keyword `wait` of a subclass names the field of how long.

    Raises:
        OutcomeError: it is not above 0, or far too long.
    """

    _wait: ClassVar[str]

    def __init_subclass__(cls, wait: str, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._wait = wait

    def __post_init__(self) -> None:
        _require_length(self._wait, getattr(self, self._wait))


class ReplayedOutcomes:
    """Outcomes of decisions about an entity, where an event counts for one of them alone.

    What others would have brought is replayed: what they had done in time, and once.
    """

    def money_of(self, outcomes: pa.Table, decisions: Sequence[str]) -> Floats:
        """See `SystemOutcomes`."""
        return self._replayed(outcomes, self.acts(pa.chunked_array([pa.array(decisions)])))

    def acts(self, decisions: pa.ChunkedArray) -> Flags:
        """(rows,) which decisions do something about the entity."""
        raise NotImplementedError

    def _replayed(self, outcomes: pa.Table, acting: Flags) -> Floats:
        """(rows,) money had these rows acted."""
        raise NotImplementedError


def require_columns(table: pa.Table, names: Sequence[str], origin: str) -> None:
    """Refuse a table without some columns.

    Raises:
        OutcomeError: names those that are missing.
    """
    missing = [name for name in names if name not in table.column_names]
    if missing:
        raise OutcomeError(
            f"{origin}: expected the columns {', '.join(names)}; missing: {', '.join(missing)}"
        )


def _require_length(name: str, value: float, most: float = 100_000.0) -> None:
    """Refuse a length of time that is not above 0 or far too long.

    Raises:
        OutcomeError: names it.
    """
    if not 0 < value < most:
        raise OutcomeError(f"{name}: expected above 0 and below {most:,.0f}, got {value}")


def score_array(scores: Any, *shape: int) -> Floats:
    """Scores as an array of a shape.

    Raises:
        OutcomeError: they have another one.
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.shape != shape:
        raise OutcomeError(f"scores: expected the shape {shape}, got {values.shape}")
    return values


def ripe_money(outcomes: pa.Table, money: Floats) -> Floats:
    """(rows,) money, NaN where the outcome is not ripe."""
    return np.where(outcomes["money"].is_valid().to_numpy(), money, np.nan)


def microseconds(column: pa.ChunkedArray | pa.Array) -> Ints:
    """(rows,) times as microseconds since 1970 UTC; null is `NEVER`."""
    whole_numbers = pc.fill_null(column.cast(_TIME).cast(pa.int64()), NEVER)
    return np.asarray(whole_numbers.to_numpy(), dtype=np.int64)


def standing_labels(labels: pa.Table, kinds: Sequence[str], as_of: int) -> pa.Table:
    """Of each subject and kind the label that stands at `as_of`, with its value and time.

    The later `observed_at` stands; of two at one moment the one that says true does, as in
    training.
    """
    require_columns(labels, ("subject_id", "kind", "value", "observed_at"), "labels")
    known = pc.and_(
        pc.is_in(labels["kind"], value_set=pa.array(list(kinds), pa.string())),
        pa.array(microseconds(labels["observed_at"]) <= as_of),
    )
    columns = ["subject_id", "kind", "observed_at", "value"]
    rows = labels.select(columns).filter(known)
    rows = rows.sort_by([(name, "ascending") for name in columns]).combine_chunks()
    return rows.filter(pa.array(last_of_groups(rows, columns[:2])))


def last_of_groups(rows: pa.Table, columns: Sequence[str]) -> Flags:
    """(rows,) whether a row is the last of those with equal values; rows are in their order."""
    last = np.ones(rows.num_rows, dtype=np.bool_)
    if rows.num_rows > 1:
        same = np.ones(rows.num_rows - 1, dtype=np.bool_)
        for name in columns:
            values = rows[name].combine_chunks()
            same &= np.asarray(pc.equal(values[:-1], values[1:]))
        last[:-1] = ~same
    return last


def labels_of(subjects: pa.ChunkedArray, labels: pa.Table, kind: str, as_of: int) -> KnownLabels:
    """What is known of subjects (n,) at `as_of`, by labels of one kind."""
    standing = standing_labels(labels, [kind], as_of)
    value = np.full(len(subjects), np.nan)
    observed = np.full(len(subjects), NEVER, dtype=np.int64)
    if standing.num_rows:
        found_at = pc.index_in(subjects, value_set=standing["subject_id"].combine_chunks())
        rows = pc.fill_null(found_at, -1).to_numpy()
        is_known = rows >= 0
        flags = standing["value"].to_numpy(zero_copy_only=False).astype(np.float64)
        value[is_known] = flags[rows[is_known]]
        observed[is_known] = microseconds(standing["observed_at"])[rows[is_known]]
    return KnownLabels(value, observed)


def outcome_table(
    decisions: pa.Table,
    known: KnownLabels,
    ripe_us: Ints,
    as_of: int,
    silence: Floats | None = None,
    **more: pa.Array,
) -> pa.Table:
    """Outcomes without money yet (null): labels, and what silence says of ripe rows.

    Args:
        decisions: (n,) rows.
        known: labels.
        ripe_us: (n,) when nothing more is waited for; `NEVER` where only a label ripens.
        as_of: microseconds since 1970 UTC.
        silence: (n,) the label of a ripe row of which nobody said anything; None: 0.
        more: columns that money depends on.
    """
    names = ("subject_id", "entity_id", "event_time", "decision", "score", "model_version")
    require_columns(decisions, names, "decisions")
    silent = np.isnan(known.value) & (ripe_us <= as_of)
    label = np.where(silent, 0.0 if silence is None else silence, known.value)
    columns: dict[str, Any] = {name: decisions[name] for name in names}
    columns["entity_id"] = pc.coalesce(decisions["entity_id"], decisions["subject_id"])
    columns["label"] = pa.array(label, mask=np.isnan(label))
    columns["observed_at"] = time_array(known.observed_us)
    columns["ripe_at"] = time_array(ripe_us)
    columns["money"] = pa.nulls(decisions.num_rows, pa.float64())
    table = pa.table(columns).cast(OUTCOME_SCHEMA)
    for name, values in more.items():
        table = table.append_column(name, values)
    return table


def time_array(times: Ints) -> pa.Array:
    """(n,) microseconds as times; `NEVER` is null."""
    return pa.array(times, mask=times == NEVER).cast(_TIME)


def is_ripe(outcomes: pa.Table, as_of: int) -> Flags:
    """(n,) whether nothing more is waited for."""
    known = np.asarray(outcomes["label"].is_valid().to_numpy(), dtype=np.bool_)
    return known & (microseconds(outcomes["ripe_at"]) <= as_of)


def with_ripe_money(outcomes: pa.Table, money: Floats, as_of: int) -> pa.Table:
    """Outcomes with the money (n,) of those that are ripe; NaN becomes null."""
    return with_money(outcomes, np.where(is_ripe(outcomes, as_of), money, np.nan))


def with_money(outcomes: pa.Table, money: Floats) -> pa.Table:
    """Outcomes with their money (n,); NaN becomes null."""
    index = outcomes.schema.get_field_index("money")
    values = pa.array(money, pa.float64(), mask=np.isnan(money))
    return outcomes.set_column(index, outcomes.schema.field(index), values)


def column_values(outcomes: pa.Table, name: str) -> Floats:
    """(n,) a column of numbers; null is NaN."""
    require_columns(outcomes, (name,), "outcomes")
    return np.asarray(outcomes[name].cast(pa.float64()).to_numpy(), dtype=np.float64)


def decision_masks(decisions: Sequence[str] | pa.ChunkedArray, names: Sequence[str]) -> list[Flags]:
    """(n,) for each name, which rows have that decision.

    Raises:
        OutcomeError: a decision has none of these names.
    """
    values = pa.array(decisions) if not isinstance(decisions, pa.ChunkedArray) else decisions
    masks = [np.asarray(pc.equal(values, name)).astype(np.bool_) for name in names]
    other = ~np.logical_or.reduce(masks) if len(values) else np.zeros(0, dtype=np.bool_)
    if other.any():
        example = values[int(np.flatnonzero(other)[0])].as_py()
        raise OutcomeError(f"decision: expected one of {', '.join(names)}, got {example!r}")
    return masks
