"""A window of decisions judged: incidents with causes and consequences, and performance by week."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from lib.business.outcomes import OutcomeError, SystemOutcomes
from lib.monitoring.budget import ErrorBudget
from lib.monitoring.causes import LikelyCause, likely_causes
from lib.monitoring.consequence import Consequence, consequence
from lib.monitoring.coverage import coverage_notes
from lib.monitoring.decision_hours import at_alike_hours
from lib.monitoring.decision_window import DecisionWindow
from lib.monitoring.drift import detect
from lib.monitoring.evidence import EvidenceMap, evidence_map
from lib.monitoring.figures import watch
from lib.monitoring.incident import Incident
from lib.monitoring.label_tally import tally_labels
from lib.monitoring.performance import Figure
from lib.monitoring.performance_history import (
    PerformanceHistory,
    label_delays,
    performance_history,
    week_bounds,
)
from lib.monitoring.reference import ModelReference
from lib.monitoring.request_columns import value_at
from lib.monitoring.request_quality import DailyCounts
from lib.monitoring.scored_rows import DAY, MonitoringError, money_by_label, scored_rows
from lib.monitoring.system_figures import DecidedWindow, FigureTable
from lib.monitoring.watched_system import WatchedSystem
from lib.monitoring.window import WindowSketch
from lib.records.decision_table import FEATURE_PREFIX
from lib.records.json_codec import read_json

_FEATURE_LIMIT = 200
REFUSED, REFUSED_FIELDS = "refused requests", "refused fields"
SET_ASIDE = "rows set aside"


@dataclass(frozen=True)
class ExplainedIncident:
    """An incident with its model, where it comes from, and what came of it so far."""

    incident: Incident
    model_version: str
    causes: tuple[LikelyCause, ...] = ()
    consequence: Consequence | None = None

    def to_json(self) -> dict[str, Any]:
        """For `incidents.detail`."""
        return {
            **self.incident.to_json(),
            "model_version": self.model_version,
            "causes": [cause.to_json() for cause in self.causes],
            "consequence": None if self.consequence is None else self.consequence.to_json(),
        }


@dataclass(frozen=True)
class AssessedModel:
    """A model that decided in the window.

    Attributes:
        version: "" where decisions name none.
        rows: decisions.
        has_reference: whether features and scores could be compared.
        windows: of whole days, with those of earlier runs before them.
        evidence: by measure and day; None without a reference.
        incidents: of this model.
    """

    version: str
    rows: int
    has_reference: bool
    windows: tuple[WindowSketch, ...]
    evidence: EvidenceMap | None
    incidents: tuple[ExplainedIncident, ...]


@dataclass(frozen=True)
class Assessment:
    """What a run says of a system. Times are microseconds since 1970 UTC.

    Attributes:
        system: its name.
        since, until: the window.
        as_of: up to which labels count.
        models: those with most decisions first.
        outcomes: of the sample, with `share` of the entities.
        performance: by week.
        tables: figures that the system alone has.
        notes: what could not be judged, each a sentence.
    """

    system: str
    since: int
    until: int
    as_of: int
    models: tuple[AssessedModel, ...]
    outcomes: pa.Table
    share: float
    performance: PerformanceHistory
    tables: tuple[FigureTable, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def latest_figures(self) -> list[Figure]:
        """The newest that could be computed of each measure and basis, then those of tables."""
        periods = self.performance.periods
        by_week = [own for period in periods for own in (*period.realised, *period.estimated)]
        every = [*by_week, *(figure for table in self.tables for figure in table.figures)]
        return [*{(own.name, own.basis): own for own in every if np.isfinite(own.value)}.values()]

    @property
    def incidents(self) -> list[ExplainedIncident]:
        """Of all models, open ones first, then by size."""
        every = [incident for model in self.models for incident in model.incidents]
        return sorted(
            every,
            key=lambda own: (
                not own.incident.is_open,
                -own.incident.evidence,
                own.incident.measure,
            ),
        )


@dataclass(frozen=True)
class Material:
    """What is known of a window before it is judged.

    Attributes:
        window: counts and sample.
        references: by model version.
        earlier: windows of earlier runs by model version.
        labels: rows of `lib.records.decision_table.LABEL_SCHEMA`.
        requests: of access logs, empty without any.
        since, until, as_of: see `Assessment`.
    """

    window: DecisionWindow
    references: Mapping[str, ModelReference]
    earlier: Mapping[str, Sequence[WindowSketch]]
    labels: pa.Table
    requests: DailyCounts
    since: int
    until: int
    as_of: int


def assess(material: Material, watched: WatchedSystem, budget: ErrorBudget) -> Assessment:
    """Judge a window.

    A model without a reference, a measure that cannot be computed and labels that are not there
    stop nothing else: each is a note.
    """
    notes: list[str] = []
    decisions = _sorted(material.window.sample.table())
    outcomes = _outcomes(watched.outcomes, decisions, material, notes)
    segments = _segments(decisions, watched)
    models = []
    for version, rows in material.window.rows.most_common():
        reference = material.references.get(version)
        if reference is None:
            notes.append(
                f"{rows:,} decisions of {_named(version)}: there is no reference of it, so its "
                "features and scores are not compared; train it again to keep one"
            )
        windows = _windows(material, version, outcomes)
        incidents, evidence = _judged(material, version, windows, budget, notes)
        explained = [
            _explained(incident, version, material, watched, decisions, outcomes, segments)
            for incident in incidents
        ]
        has = reference is not None
        models.append(AssessedModel(version, rows, has, tuple(windows), evidence, tuple(explained)))
    tables = _tables(watched, decisions, material, notes)
    return Assessment(
        system=watched.outcomes.system,
        since=material.since,
        until=material.until,
        as_of=material.as_of,
        models=tuple(models),
        outcomes=outcomes,
        share=material.window.sample.share,
        performance=_performance(watched, decisions, outcomes, material),
        tables=tables,
        notes=tuple(notes),
    )


def _sorted(sample: pa.Table | None) -> pa.Table:
    """In one order, however the parts came, so that every figure repeats bit for bit."""
    if sample is None:
        raise MonitoringError("decisions: expected some in the window, got none")
    return sample.sort_by([("event_time", "ascending"), ("subject_id", "ascending")])


def _named(version: str) -> str:
    return f"model {version}" if version else "no model"


def _outcomes(
    outcomes: SystemOutcomes, decisions: pa.Table, material: Material, notes: list[str]
) -> pa.Table:
    if not material.labels.num_rows:
        notes.append(f"there are no labels of {outcomes.system}: silence alone says what was right")
    try:
        return outcomes.outcomes(decisions, material.labels, material.as_of)
    except OutcomeError as error:
        notes.append(f"outcomes and money are not known: {error}")
    names = ("subject_id", "entity_id", "event_time", "decision", "score", "model_version")
    table = decisions.select(list(names))
    for name, kind in (
        ("label", pa.float64()),
        ("observed_at", pa.timestamp("us", "UTC")),
        ("ripe_at", pa.timestamp("us", "UTC")),
        ("money", pa.float64()),
    ):
        table = table.append_column(name, pa.nulls(len(table), kind))
    return table


def _segments(decisions: pa.Table, watched: WatchedSystem) -> dict[str, list[str | None]]:
    segments: dict[str, list[str | None]] = {name: [] for name in watched.segments}
    for text in decisions["request"].to_pylist() if watched.segments else ():
        request = read_json(text or "{}")
        for name, values in segments.items():
            value = value_at(request, name)
            values.append(None if value is None else str(value))
    if watched.entity_is_segment:
        segments[watched.outcomes.entity] = decisions["entity_id"].to_pylist()
    segments["model_version"] = decisions["model_version"].to_pylist()
    return segments


def _windows(material: Material, version: str, outcomes: pa.Table) -> list[WindowSketch]:
    """Windows of whole days in order of time, earlier ones first, empty ones in between."""
    sketches = material.window.by_model[version]
    by_day = {sketch.since // DAY: sketch for sketch in material.earlier.get(version, ())}
    for sketch in sketches.windows():
        if material.since <= sketch.since and sketch.until <= material.until:
            by_day[sketch.since // DAY] = sketch
    tally_labels(by_day.values(), outcomes, version)
    _tally_requests(by_day.values(), material.requests)
    if not by_day:
        return []
    return [
        by_day.get(day) or WindowSketch(sketches.bins, day * DAY, (day + 1) * DAY)
        for day in range(min(by_day), max(by_day) + 1)
    ]


def _tally_requests(windows: Any, requests: DailyCounts) -> None:
    """Add requests that were refused, by route and by field, and rows that were set aside."""
    counts, routes = requests.counts, requests.names("requests")
    for window in windows:
        day = window.since // DAY
        parts = {
            f"{REFUSED}: {route}": ({"422": counts["refused", route, day]}, route, "requests")
            for route in routes
        }
        parts |= {
            f"{SET_ASIDE}: {table}": ({"rows": counts["quarantined", table, day]}, table, "rows")
            for table in requests.names("rows")
        }
        for name, (named, of, kind) in parts.items():
            if (total := counts[kind, of, day]) and name not in window.tallies:
                window.tally(name, named, total)
        total = sum(counts["requests", route, day] for route in routes)
        fields = {own: counts["refused_field", own, day] for own in requests.names("refused_field")}
        if total and fields and REFUSED_FIELDS not in window.tallies:
            window.tally(REFUSED_FIELDS, fields, total)


def _judged(
    material: Material,
    version: str,
    windows: Sequence[WindowSketch],
    budget: ErrorBudget,
    notes: list[str],
) -> tuple[list[Incident], EvidenceMap | None]:
    """Incidents of a model, and what each day says; nothing without reference or windows."""
    reference = material.references.get(version)
    if reference is None or not windows:
        return [], None
    if material.window.shares_days(version):
        # its part of the days says nothing about how much the service decides
        reference = reference.model_copy(update={"volume_is_served": False})
    compared = at_alike_hours(reference, windows)
    if compared.note:
        notes.append(f"model {version}: {compared.note}")
    reference, windows = compared.reference, compared.windows
    try:
        figures = watch(reference, windows, budget)
        incidents = detect(reference, windows, budget, figures)
        lacking = coverage_notes(reference, windows, figures, budget)
    except ValueError as error:
        notes.append(f"model {version}: its windows cannot be compared: {error}")
        return [], None
    notes += [f"model {version}: {note}" for note in lacking]
    return incidents, evidence_map(figures, windows, budget)


def _explained(
    incident: Incident,
    version: str,
    material: Material,
    watched: WatchedSystem,
    decisions: pa.Table,
    outcomes: pa.Table,
    segments: Mapping[str, Sequence[str | None]],
) -> ExplainedIncident:
    reference = material.references.get(version)
    causes = likely_causes(incident, reference, decisions, segments)
    until = incident.closed_at or material.until
    acting = watched.outcomes.acting
    share = material.window.sample.share
    effect = consequence(outcomes, incident.since, until, acting, share)
    return ExplainedIncident(incident, version, tuple(causes), effect)


def _tables(
    watched: WatchedSystem, decisions: pa.Table, material: Material, notes: list[str]
) -> tuple[FigureTable, ...]:
    """Figures of the system alone; what they lack is noted."""
    if watched.figures is None:
        return ()
    window = DecidedWindow(
        decisions, material.labels, material.since, material.until, material.as_of
    )
    try:
        tables = tuple(watched.figures(window))
    except (MonitoringError, OutcomeError) as error:
        notes.append(f"figures of {watched.outcomes.system} alone are not computed: {error}")
        return ()
    notes += [note for table in tables for note in table.notes]
    return tables


def _performance(
    watched: WatchedSystem, decisions: pa.Table, outcomes: pa.Table, material: Material
) -> PerformanceHistory:
    money = (np.asarray(outcomes["money"].fill_null(np.nan), dtype=np.float64),) * 2
    if watched.money_by_label and np.isfinite(money[0]).any():
        money = money_by_label(watched.outcomes, outcomes)
    names = [name for name in decisions.column_names if name.startswith(FEATURE_PREFIX)]
    inputs = None
    if 0 < len(names) <= _FEATURE_LIMIT:
        columns = [decisions[name].to_numpy().astype(np.float32) for name in names]
        inputs = np.column_stack(columns)
    try:
        rows = scored_rows(
            outcomes,
            material.as_of,
            money_if_positive=money[0],
            money_if_negative=money[1],
            inputs=inputs,
        )
        delays = label_delays(outcomes, material.as_of)
        bounds = week_bounds(material.since, material.until)
        return performance_history(rows, delays, watched.measures, bounds)
    except MonitoringError as error:
        return PerformanceHistory((), notes=(f"performance is not measured: {error}",))
