"""Training rows as a table, and what is asked of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lib.contract import TIME
from lib.contract.coercion import as_array
from lib.maintenance.feature_set import HOUR_US, FeatureError
from lib.maintenance.history import Floats, Ints
from lib.maintenance.landmarks import PREVENTIVE_SERVICE, Landmarks
from lib.survival.outcomes import CENSORED, Outcomes

KEYS = ("machine_id", "event_time")
OUTCOMES = ("hours_watched", "event", "failure_mode")


@dataclass(frozen=True)
class TrainingRows:
    """Landmarks with the mode of the failure that each was followed by.

    Attributes:
        landmarks: (n,) rows; see `Landmarks`.
        modes: (n,) failure mode, "" where no failure was seen.
    """

    landmarks: Landmarks
    modes: npt.NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.landmarks)

    @classmethod
    def none(cls, features: int) -> TrainingRows:
        """No rows, of so many features."""
        nobody, ever = np.empty(0, dtype=np.str_), np.empty(0, dtype=np.int64)
        outcomes = Outcomes(np.empty(0), ever)
        return cls(Landmarks(nobody, ever, np.empty((0, features)), outcomes), nobody)

    @property
    def rows(self) -> Floats:
        """(n, features)."""
        return self.landmarks.rows

    @property
    def machines(self) -> npt.NDArray[np.str_]:
        """(n,) whose row each is."""
        return self.landmarks.machines

    @property
    def at_us(self) -> Ints:
        """(n,) when, microseconds UTC."""
        return self.landmarks.at_us

    @property
    def outcomes(self) -> Outcomes:
        """(n,) hours to failure (1), or to what came first; planned services count as censoring."""
        outcomes = self.landmarks.outcomes
        return Outcomes(outcomes.time, np.where(outcomes.failed, outcomes.event, CENSORED))

    def by_mode(self, names: Sequence[str]) -> Outcomes:
        """The same with the failure's place in `names`, from 1."""
        mode_codes = {name: number for number, name in enumerate(names, 1)}
        codes = [mode_codes.get(str(mode), 1) for mode in self.modes]
        return Outcomes(self.landmarks.outcomes.time, np.where(self.outcomes.failed, codes, 0))

    def take(self, rows: npt.ArrayLike) -> TrainingRows:
        """Some of the rows, by number or mask."""
        chosen = np.asarray(rows)
        return TrainingRows(self.landmarks.take(chosen), self.modes[chosen])

    def until(self, time_us: int) -> TrainingRows:
        """Rows before a time, as they were known then: what came later is not seen."""
        early = self.take(self.at_us < time_us)
        early_outcomes = early.landmarks.outcomes
        left = (time_us - early.at_us) / HOUR_US
        cut = early_outcomes.time > left
        outcomes = Outcomes(
            np.minimum(early_outcomes.time, left), np.where(cut, CENSORED, early_outcomes.event)
        )
        landmarks = Landmarks(early.machines, early.at_us, early.rows, outcomes)
        return TrainingRows(landmarks, np.where(cut, "", early.modes))

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
        landmarks = Landmarks(renamed, sample.at_us, sample.rows, sample.landmarks.outcomes)
        return TrainingRows(landmarks, sample.modes)


def to_table(rows: TrainingRows, names: Sequence[str]) -> pa.Table:
    """One column for each feature beside keys and outcomes."""
    outcomes = rows.landmarks.outcomes
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
    landmarks = Landmarks(
        as_array(table["machine_id"]).to_numpy(zero_copy_only=False).astype(str),
        as_array(table["event_time"]).cast(pa.int64()).to_numpy(),
        np.column_stack(matrix).astype(np.float64),
        Outcomes(as_array(table["hours_watched"]).to_numpy(), event),
    )
    return TrainingRows(landmarks, modes.astype(str))
