"""Monitoring of a system's decisions: counted on Ray Data, judged, recorded, reported."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial, reduce
from pathlib import Path

import pyarrow as pa

from jobs.framework.decision_source import DecisionSource
from jobs.framework.monitoring_options import MonitorOptions
from jobs.publishing import store_report
from jobs.quarantine_ledger import summary
from lib.contract import ContractError
from lib.monitoring import REFERENCE_FILE, ModelReference, ReferenceBins, WindowSketch
from lib.monitoring.assessment import (
    Assessment,
    ExplainedIncident,
    Material,
    assess,
)
from lib.monitoring.decision_window import DecisionWindow
from lib.monitoring.exposition import (
    DECISIONS,
    INCIDENT_SINCE,
    INCIDENTS_OPEN,
    PERFORMANCE,
    RIPE_SHARE,
    WINDOW_END,
    Sample,
    write_metrics,
)
from lib.monitoring.report import monitoring_report
from lib.monitoring.repository import MonitoredWindow, MonitoringRepository, ObservedIncident
from lib.monitoring.request_quality import DailyCounts, count_log_lines, count_quarantine
from lib.registry import MANIFEST, ArtifactError, Registry
from lib.registry.artifact import verified_file
from lib.registry.manifest import parse_manifest
from lib.storage import open_storage

INCIDENT_OPEN = 3
"""Exit code where an incident is open at the end of the window."""
_DAY = 86_400_000_000
_EARLIER_DAYS = 180
_VERSIONS = 30


def monitor(options: MonitorOptions, now: int | None = None) -> None:
    """Monitor a window; ends the program with `INCIDENT_OPEN` where an incident is open.

    Nothing is written before everything is judged; what is recorded is recorded in one transaction.

    Args:
        options: of the job.
        now: microseconds since 1970 UTC, up to which labels count; None: the present.

    Raises:
        DecisionSourceError: no decision is in the window, or clocks disagree.
    """
    watched = options.watched()
    system = watched.outcomes.system
    source = DecisionSource(options, system, now)
    references, usual = _references(options, system)
    window = _counted(source, references, usual, options)
    requests = _requests(options.access_log, system)
    requests = reduce(DailyCounts.merge, map(set_aside, options.quarantine), requests)
    material = Material(
        window=window,
        references=references,
        earlier=_earlier(options, system, source.window.since, references),
        labels=options.known_labels(source),
        requests=requests,
        since=source.window.since,
        until=source.window.until,
        as_of=source.now,
    )
    assessment = assess(material, watched, options.budget())
    recorded = _record(options, assessment)
    report = monitoring_report(assessment, requests, pictures=options.pictures)
    pages = store_report(report, open_storage(options.output))
    if options.metrics is not None:
        write_metrics(options.metrics, _samples(assessment, source))
    print("\n".join(_closing_lines(source, assessment, recorded, pages, options)))
    if any(own.incident.is_open for own in assessment.incidents):
        raise SystemExit(INCIDENT_OPEN)


def _references(options: MonitorOptions, system: str) -> tuple[dict[str, ModelReference], str]:
    """References by model version, and the version with which decisions of no model are counted."""
    if options.model is not None:
        storage = open_storage(options.model)
        manifest = parse_manifest(storage.read(MANIFEST) or b"", storage.shown(MANIFEST))
        if manifest.system != system:
            raise ArtifactError(f"--model: expected one of {system}, got one of {manifest.system}")
        named = {}
        if REFERENCE_FILE in manifest.files:
            content = storage.read(REFERENCE_FILE)
            named[manifest.version] = verified_file(
                manifest, REFERENCE_FILE, content, storage.shown(REFERENCE_FILE)
            )
        usual = manifest.version
    elif options.registry is not None:
        registry = Registry(options.registry)
        versions = registry.versions(system)
        aliases = registry.aliases(system)
        usual = aliases.get("champion", versions[-1] if versions else "")
        recent = dict.fromkeys((*aliases.values(), *versions[-_VERSIONS:]))
        read = {name: registry.read_file(system, name, REFERENCE_FILE) for name in recent}
        named = {name: content for name, content in read.items() if content is not None}
    else:
        return {}, ""
    return {
        version: ModelReference.from_json(content, f"{REFERENCE_FILE} of {version}")
        for version, content in named.items()
    }, usual


def _counted(
    source: DecisionSource,
    references: Mapping[str, ModelReference],
    usual: str,
    options: MonitorOptions,
) -> DecisionWindow:
    """All decisions of the window, counted in tasks of Ray or here."""
    bins = {version: reference.bins for version, reference in references.items()}
    work = partial(count_decisions, bins=bins, usual=usual, most_rows=options.rows)
    if options.engine == "process":
        return work(source.tables())
    return reduce(_merged, source.on_ray(work), DecisionWindow(bins, usual, options.rows))


def count_decisions(
    tables: Iterator[pa.Table], bins: Mapping[str, ReferenceBins], usual: str, most_rows: int
) -> DecisionWindow:
    """Decisions of a piece of the window; see `DecisionWindow`."""
    window = DecisionWindow(bins, usual, most_rows)
    for table in tables:
        window.add(table)
    return window


def _merged(total: DecisionWindow, part: DecisionWindow) -> DecisionWindow:
    total.merge(part)
    return total


def _requests(logs: Sequence[Path], system: str) -> DailyCounts:
    counts = DailyCounts()
    for path in logs:
        with path.open("rb") as lines:
            counts = counts.merge(count_log_lines(lines, system))
    return counts


def set_aside(quarantine: str) -> DailyCounts:
    """Rows that a job set aside by table, on the day on which it read them.

    Args:
        quarantine: folder or URI, with a ledger for each table.

    Raises:
        ContractError: there is no ledger, or a reading was not finished.
    """
    storage = open_storage(quarantine)
    counts = DailyCounts()
    for table in storage.folders(""):
        ledger = storage.files(f"{table}/ledger")
        if ledger:
            read_at = storage.filesystem.get_file_info(storage.at(max(ledger))).mtime
            rows = summary(storage, table)
            counts = counts.merge(count_quarantine(table, rows.rows_in, rows.reasons, read_at))
    if not counts.counts:
        raise ContractError(
            f"--quarantine: {storage.shown()}: expected the folder quarantine of a job's output, "
            "with a ledger for each table, got none"
        )
    return counts


def _earlier(
    options: MonitorOptions, system: str, since: int, references: Mapping[str, ModelReference]
) -> dict[str, list[WindowSketch]]:
    """Windows that earlier runs recorded of the models' days before the window."""
    if options.records is None or not references:
        return {}
    with MonitoringRepository(options.records) as repository:
        repository.migrate()
        windows = repository.windows(system, max(0, since - _EARLIER_DAYS * _DAY), since)
    bins = {version: reference.bins for version, reference in references.items()}
    earlier: dict[str, list[WindowSketch]] = {}
    for window in windows:
        if window.model_version in bins:
            sketch = WindowSketch.from_json(bins[window.model_version], window.summary)
            earlier.setdefault(window.model_version, []).append(sketch)
    return earlier


def _record(options: MonitorOptions, assessment: Assessment) -> str:
    """Windows and incidents to the records; what became of them, in words."""
    if options.records is None:
        return "none (no --records)"
    windows = [
        MonitoredWindow(
            system=assessment.system,
            model_version=model.version,
            since=sketch.since,
            until=sketch.until,
            created_at=time.time_ns() // 1000,
            summary=sketch.to_json(),
        )
        for model in assessment.models
        for sketch in model.windows
        if sketch.since >= assessment.since
    ]
    incidents = [observed(own) for own in assessment.incidents]
    with MonitoringRepository(options.records) as repository:
        repository.migrate()
        until = assessment.until // _DAY * _DAY
        changed = repository.record(assessment.system, windows, incidents, until)
    return (
        f"{changed.windows} windows new or changed, incidents: {len(changed.opened)} opened, "
        f"{len(changed.seen_again)} seen again, {len(changed.closed)} closed"
    )


def observed(own: ExplainedIncident) -> ObservedIncident:
    """An incident as the records keep it."""
    incident = own.incident
    return ObservedIncident(
        measure=incident.measure,
        kind=str(incident.kind),
        since=incident.since,
        opened_at=incident.opened_at,
        seen_at=incident.seen_at,
        closed_at=incident.closed_at,
        detail=own.to_json(),
    )


def _samples(assessment: Assessment, source: DecisionSource) -> list[Sample]:
    """What Prometheus shows of a run."""
    system = assessment.system
    is_open = [own.incident for own in assessment.incidents if own.incident.is_open]
    samples = [
        Sample(INCIDENTS_OPEN, float(len(is_open)), (system,)),
        Sample(WINDOW_END, assessment.until / 1e6, (system,)),
        Sample(DECISIONS, float(source.counts.used), (system, "used")),
        Sample(DECISIONS, float(source.counts.left_out.total()), (system, "left out")),
    ]
    since = {(str(incident.kind), incident.measure): incident.since for incident in is_open}
    samples += [
        Sample(INCIDENT_SINCE, begin / 1e6, (system, *names)) for names, begin in since.items()
    ]
    samples += [
        Sample(PERFORMANCE, figure.value, (system, figure.name, figure.basis))
        for figure in assessment.latest_figures
    ]
    if periods := assessment.performance.periods:
        samples.append(Sample(RIPE_SHARE, periods[-1].ripe, (system,)))
    return samples


def _closing_lines(
    source: DecisionSource,
    assessment: Assessment,
    recorded: str,
    pages: Sequence[str],
    options: MonitorOptions,
) -> Iterator[str]:
    yield from source.lines()
    for model in assessment.models:
        reference = "" if model.has_reference else "   (no reference)"
        yield f"  by {model.version or 'no model':30} {model.rows:>12,}{reference}"
    for figure in assessment.latest_figures:
        yield f"{figure.basis:9} {figure.sentence}"
    for note in (*assessment.notes, *assessment.performance.notes):
        yield f"note: {note}"
    for own in assessment.incidents:
        state = "INCIDENT" if own.incident.is_open else "over"
        yield f"{state}: {own.incident.sentence}"
        parts = [cause.sentence for cause in own.causes]
        if own.consequence is not None:
            parts.append(own.consequence.sentence)
        yield from (f"    {part}" for part in parts)
    if not assessment.incidents:
        yield "no incident"
    yield f"records:  {recorded}"
    if options.metrics is not None:
        yield f"metrics:  {options.metrics}"
    yield from (f"report:   {page}" for page in pages)
