"""Training rows: a machine at a time, what was known of it then, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lib.contract import TIME
from lib.contract.coercion import as_array
from lib.maintenance.feature_set import HOUR_US, ROW_COLUMNS, AssetFeatureSet, FeatureError
from lib.maintenance.features import evaluate
from lib.maintenance.history import Floats, History, Ints
from lib.survival.outcomes import CENSORED, FAILURE, Outcomes

KEYS, OUTCOMES = ROW_COLUMNS[:2], ROW_COLUMNS[2:]
PREVENTIVE_SERVICE = 2
_NEVER = np.iinfo(np.int64).max


class ColumnRows:
    """Rows as the columns of a dataclass; what is no column is of all rows."""

    def take(self, rows: npt.ArrayLike) -> Self:
        """Some of the rows, by number or mask."""
        chosen = np.asarray(rows)
        names = [column.name for column in fields(self)]  # type: ignore[arg-type]
        return replace(self, **{name: _rows_of(getattr(self, name), chosen) for name in names})  # type: ignore[type-var]


def _rows_of(value: Any, chosen: npt.NDArray[Any]) -> Any:
    if isinstance(value, Outcomes):
        return value.take(chosen)
    return value[chosen] if isinstance(value, np.ndarray) else value


@dataclass(frozen=True)
class TrainingRows(ColumnRows):
    """Rows of one or many machines.

    Attributes:
        machines: (n,) whose row each is.
        at_us: (n,) when, microseconds UTC.
        rows: (n, features).
        watched: (n,) hours from then to the next failure (1), or to the preventive service that
            came first (2), or to the end of what is known (0).
        modes: (n,) mode of the failure that follows, "" where none was seen.
    """

    machines: npt.NDArray[np.str_]
    at_us: Ints
    rows: Floats
    watched: Outcomes
    modes: npt.NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.at_us)

    @classmethod
    def none(cls, features: int) -> TrainingRows:
        """No rows, of so many features."""
        nobody, ever = np.empty(0, dtype=np.str_), np.empty(0, dtype=np.int64)
        return cls(nobody, ever, np.empty((0, features)), Outcomes(np.empty(0), ever), nobody)

    @property
    def outcomes(self) -> Outcomes:
        """(n,) hours to failure (1), or to what came first; planned services count as censoring."""
        return Outcomes(self.watched.time, np.where(self.watched.failed, FAILURE, CENSORED))

    def by_mode(self, names: Sequence[str]) -> Outcomes:
        """The same with the failure's place in `names`, from 1."""
        mode_codes = {name: number for number, name in enumerate(names, 1)}
        codes = [mode_codes.get(str(mode), 1) for mode in self.modes]
        return Outcomes(self.watched.time, np.where(self.watched.failed, codes, 0))

    def until(self, time_us: int) -> TrainingRows:
        """Rows before a time, as they were known then: what came later is not seen."""
        early = self.take(self.at_us < time_us)
        left = (time_us - early.at_us) / HOUR_US
        cut = early.watched.time > left
        event = np.where(cut, CENSORED, early.watched.event)
        watched = Outcomes(np.minimum(early.watched.time, left), event)
        return replace(early, watched=watched, modes=np.where(cut, "", early.modes))

    @property
    def seen_until(self) -> int:
        """When the last outcome of these rows (one or more) was known, microseconds UTC."""
        ends = self.at_us + np.round(self.watched.time * HOUR_US).astype(np.int64)
        return int(ends.max())

    def thinned(self, most: int, seed: int) -> TrainingRows:
        """At most so many rows, drawn at random, in their order."""
        if len(self) <= most:
            return self
        drawn = np.random.default_rng(seed).choice(len(self), most, replace=False)
        return self.take(np.sort(drawn))

    def redrawn(self, seed: int) -> TrainingRows:
        """As many machines drawn with replacement, each with all its rows, under new names."""
        names, owners = np.unique(self.machines, return_inverse=True)
        drawn = np.random.default_rng(seed).integers(0, len(names), len(names))
        of_each = np.split(np.argsort(owners, kind="stable"), np.cumsum(np.bincount(owners))[:-1])
        sample = self.take(np.concatenate([of_each[machine] for machine in drawn]))
        lengths = [len(of_each[machine]) for machine in drawn]
        renamed = np.repeat(np.arange(len(drawn)), lengths).astype(str)
        return replace(sample, machines=renamed)


def landmarks(
    features: AssetFeatureSet,
    history: History,
    at_us: npt.ArrayLike,
    failures_us: npt.ArrayLike,
    watched_until_us: int,
    services_us: npt.ArrayLike = (),
) -> TrainingRows:
    """One machine's rows at `at_us`, no modes; times at or after `watched_until_us` are left out.

    Preventive services (`services_us`) end a row as a competing cause: a model of failures treats
    them as censoring, which is right as far as services were planned by what the features know;
    where they follow a calendar, that is so. A failure at the same time comes first.
    """
    at = np.asarray(at_us, dtype=np.int64)
    at = at[at < watched_until_us]
    failure, service = (_next(times, at) for times in (failures_us, services_us))
    end = np.minimum(np.minimum(failure, service), watched_until_us)
    event = np.where(
        failure <= end, FAILURE, np.where(service <= end, PREVENTIVE_SERVICE, CENSORED)
    )
    rows = evaluate(features, history, at)
    watched = Outcomes((end - at) / HOUR_US, event)
    names = np.full(len(at), history.machine_id)
    return TrainingRows(names, at, rows, watched, np.full(len(at), ""))


def concat(parts: Sequence[TrainingRows]) -> TrainingRows:
    """Rows of several machines, in their order.

    Raises:
        FeatureError: there are none.
    """
    if not parts:
        raise FeatureError("no machine has a row: check the telemetry and its times")
    watched = [part.watched for part in parts]
    return TrainingRows(
        np.concatenate([part.machines for part in parts]),
        np.concatenate([part.at_us for part in parts]),
        np.concatenate([part.rows for part in parts]),
        Outcomes(*(np.concatenate([getattr(w, n) for w in watched]) for n in ("time", "event"))),
        np.concatenate([part.modes for part in parts]),
    )


def to_table(rows: TrainingRows, names: Sequence[str]) -> pa.Table:
    """One column for each feature beside keys and outcomes."""
    outcomes = rows.watched
    columns = {
        "machine_id": pa.array(rows.machines.tolist(), pa.string()),
        "event_time": pa.array(rows.at_us, pa.int64()).cast(TIME),
        "hours_watched": pa.array(outcomes.time, pa.float64()),
        "event": pa.array(outcomes.event, pa.int64()),
        "failure_mode": pa.array([mode or None for mode in rows.modes.tolist()], pa.string()),
    }
    return pa.table(columns | {name: rows.rows[:, at] for at, name in enumerate(names)})


def from_table(table: pa.Table, names: Sequence[str], preventive: str = "censor") -> TrainingRows:
    """Rows of a table as `to_table` writes it, by machine and time.

    Args:
        table: of the job that computes features.
        names: feature columns, in the model's order.
        preventive: `censor`: as they are; `ignore` refuses rows that a service has ended.

    Raises:
        FeatureError: a column or all rows are missing.
    """
    missing = [name for name in (*KEYS, *OUTCOMES, *names) if name not in table.column_names]
    if missing:
        raise FeatureError(f"features: no column {', '.join(missing[:5])}; compute them again")
    if not table.num_rows:
        raise FeatureError("features: expected rows, got none")
    table = table.sort_by([("machine_id", "ascending"), ("event_time", "ascending")])
    event = as_array(table["event"]).to_numpy()
    if preventive == "ignore" and (event == PREVENTIVE_SERVICE).any():
        raise FeatureError(
            "features: planned services end rows here; compute them with --preventive ignore"
        )
    modes = pc.fill_null(as_array(table["failure_mode"]), "").to_numpy(zero_copy_only=False)
    matrix = [as_array(table[name]).to_numpy(zero_copy_only=False) for name in names]
    return TrainingRows(
        as_array(table["machine_id"]).to_numpy(zero_copy_only=False).astype(str),
        as_array(table["event_time"]).cast(pa.int64()).to_numpy(),
        np.column_stack(matrix).astype(np.float64),
        Outcomes(as_array(table["hours_watched"]).to_numpy(), event),
        modes.astype(str),
    )


def _next(times_us: npt.ArrayLike, at: Ints) -> Ints:
    """The first of the times after each of `at`."""
    times = np.append(np.sort(np.asarray(times_us, dtype=np.int64)), _NEVER)
    return times[np.searchsorted(times, at, side="right")]
