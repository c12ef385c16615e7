"""What a model remembers of the rows that it was trained on: counts by bin and by day."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lib.monitoring.bins import Ints, MeasureBins, ReferenceBins
from lib.monitoring.design_effect import DesignEffects
from lib.monitoring.window import DailySketches
from lib.registry import Artifact

SCORE = "score"
REFERENCE_FILE = "reference.json"
"""Name of the file in an artifact."""


class MonitoringError(ValueError):
    """A reference is malformed, or cannot be made of these rows."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MeasureReference(_Strict):
    """One measure on each day of the reference.

    Attributes:
        bins: how it is counted.
        counts: (days, cells) rows; a day on which the measure was not computed has none.
        unseen: (days,) rows with a value that is not listed, or a number that one group of entities
            alone has: it says how often numbers come that are new.
        constant_days: days on which all rows had one value.
        magnitudes: rows by `lib.monitoring.counts.magnitude_cells`, over all days.
        low, high: smallest and largest value; None where there is none.
        design: how much more rows vary by entity than independent rows would.
    """

    bins: MeasureBins
    counts: tuple[tuple[int, ...], ...]
    unseen: tuple[int, ...]
    constant_days: int
    magnitudes: dict[int, int]
    low: float | None
    high: float | None
    design: DesignEffects

    @model_validator(mode="after")
    def _refuse_other_shapes(self) -> MeasureReference:
        widths = {len(row) for row in self.counts}
        if not widths <= {self.bins.cells} or len(self.unseen) != len(self.counts):
            raise ValueError(f"{self.bins.name}: expected counts of {self.bins.cells} cells a day")
        if min((min(row) for row in self.counts), default=0) < 0:
            raise ValueError(f"{self.bins.name}: counts: expected 0 or more")
        return self

    @property
    def by_day(self) -> Ints:
        """(days, cells) rows."""
        return np.array(self.counts, dtype=np.int64).reshape(-1, self.bins.cells)


class TallyReference(_Strict):
    """A named count on each day: rows by name, and their total."""

    counts: dict[str, tuple[int, ...]]
    totals: tuple[int, ...]


class CalibrationBin(_Strict):
    """Labelled rows of like score: what was stated on average, and how many were positive."""

    rows: int
    stated: float
    positives: int


class ModelReference(_Strict):
    """What a model remembers, as `reference.json` of its artifact.

    Attributes:
        system: e.g. `fraud`.
        entity: name of the entity, e.g. `user_id`.
        days: ascending days since 1970 UTC.
        rows, entities, repeated, sampled: of each day; see `WindowSketch`.
        volume_is_served: whether training has as many rows a day as the service decides.
        hours_are_chosen: whether rows are of moments that the training chose, such as midnights,
            rather than of events; see `lib.monitoring.decision_hours`.
        measures: features, the score (of rows that did not teach the model, or of the model that
            is served on its own rows, where it learned from all), the event's hour.
        tallies: named counts, e.g. decisions by action.
        positives, labelled: labels of each day, for prevalence.
        calibration: by score of rows that did not teach the model that scored them, low to high.
    """

    schema_version: Literal[1] = 1
    system: str
    entity: str
    days: tuple[int, ...]
    rows: tuple[int, ...]
    entities: tuple[int, ...]
    repeated: tuple[int, ...]
    sampled: tuple[int, ...]
    volume_is_served: bool
    hours_are_chosen: bool = False
    measures: tuple[MeasureReference, ...]
    tallies: dict[str, TallyReference] = Field(default_factory=dict)
    positives: tuple[int, ...]
    labelled: tuple[int, ...]
    calibration: tuple[CalibrationBin, ...] = ()

    @model_validator(mode="after")
    def _refuse_other_lengths(self) -> ModelReference:
        names = ("rows", "entities", "repeated", "sampled", "positives", "labelled")
        for name in names:
            if len(getattr(self, name)) != len(self.days):
                raise ValueError(f"{name}: expected one number a day")
        for measure in self.measures:
            if len(measure.counts) != len(self.days):
                raise ValueError(f"{measure.bins.name}: expected counts of each day")
        if any(later <= day for day, later in pairwise(self.days)):
            raise ValueError("days: expected ascending days")
        return self

    @property
    def bins(self) -> ReferenceBins:
        """By which windows are counted."""
        return ReferenceBins(
            measures=tuple(part.bins for part in self.measures if part.bins.kind != "hour")
        )

    @property
    def prevalence(self) -> float:
        """Share of positives among labelled rows; NaN without labels."""
        labelled = sum(self.labelled)
        return sum(self.positives) / labelled if labelled else float("nan")

    def measure(self, name: str) -> MeasureReference:
        """The measure of this name.

        Raises:
            KeyError: there is none.
        """
        return next(part for part in self.measures if part.bins.name == name)

    def daily(self) -> DailySketches:
        """Empty sketches by the bins, to count windows with."""
        return DailySketches(self.bins)

    def to_json(self) -> bytes:
        """The contents of `reference.json`."""
        return self.model_dump_json().encode()

    @classmethod
    def from_json(cls, content: bytes, origin: str) -> ModelReference:
        """Read what `to_json` gave.

        Args:
            content: of the file.
            origin: of it, for the error.

        Raises:
            MonitoringError: it is malformed; the message names the field.
        """
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
                for fault in error.errors(include_url=False, include_input=False)[:3]
            )
            raise MonitoringError(f"{origin}: {faults}; train the model again") from error


def read_reference(artifact: Artifact) -> ModelReference | None:
    """What a model remembers; None where it was trained before models remembered anything.

    Raises:
        MonitoringError: the file is malformed.
    """
    if REFERENCE_FILE not in artifact.manifest.files:
        return None
    path = artifact.path(REFERENCE_FILE)
    return ModelReference.from_json(path.read_bytes(), str(path))
