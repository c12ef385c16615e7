"""What a monitoring run shows Prometheus, as a file of node_exporter's textfile collector.

A file belongs to one system; files of all systems may lie in one folder. The format is Prometheus'
text exposition format 0.0.4; the file appears whole, or the former one stays.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from lib.durable import PUBLIC_FILE, make_folder, replace_file


@dataclass(frozen=True, slots=True)
class MonitorMetric:
    """A gauge of a monitoring run.

    Attributes:
        name: with its unit last.
        words: what it is.
        labels: names, `system` first.
    """

    name: str
    words: str
    labels: tuple[str, ...] = ("system",)


INCIDENTS_OPEN = MonitorMetric("forewarn_monitor_incidents_open", "incidents that are open")
INCIDENT_SINCE = MonitorMetric(
    "forewarn_monitor_incident_since_seconds",
    "event time from which on an open incident shows, seconds since 1970 UTC",
    ("system", "kind", "measure"),
)
WINDOW_END = MonitorMetric(
    "forewarn_monitor_window_end_seconds",
    "end of the last monitored window of event times, seconds since 1970 UTC",
)
DECISIONS = MonitorMetric(
    "forewarn_monitor_decisions", "decisions of the last run's window", ("system", "rows")
)
PERFORMANCE = MonitorMetric(
    "forewarn_monitor_performance",
    "figure of the model by its measure and what it rests on: estimated, or realised on ripe rows",
    ("system", "measure", "basis"),
)
RIPE_SHARE = MonitorMetric(
    "forewarn_monitor_ripe_share", "share of the labels of the last run's window that are in"
)
METRICS = (INCIDENTS_OPEN, INCIDENT_SINCE, WINDOW_END, DECISIONS, PERFORMANCE, RIPE_SHARE)


@dataclass(frozen=True, slots=True)
class Sample:
    """A value of a metric under its labels, in their order."""

    metric: MonitorMetric
    value: float
    labels: tuple[str, ...]


def write_metrics(path: Path, samples: Iterable[Sample]) -> None:
    """Write the file; values that are not finite are left out.

    Args:
        path: ends in `.prom`, which the collector asks for.
        samples: each metric and labels once.

    Raises:
        ValueError: a sample has labels of another number.
    """
    registry = CollectorRegistry()
    gauges = {
        metric: Gauge(metric.name, metric.words, metric.labels, registry=registry)
        for metric in METRICS
    }
    for sample in samples:
        if math.isfinite(sample.value):
            gauges[sample.metric].labels(*sample.labels).set(sample.value)
    make_folder(path.parent)
    # the collector runs as another user
    replace_file(path, generate_latest(registry), PUBLIC_FILE)
