"""Counters, gauges and histograms of an application that runs without Ray."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from serve.framework import Metric


class PrometheusMetrics:
    """A registry of its own, read by `text`.

    Args:
        instruments: all that will be used.
    """

    def __init__(self, instruments: Iterable[Metric]) -> None:
        self._registry = CollectorRegistry()
        self._series: dict[str, Any] = {i.name: self._new(i) for i in instruments}
        self._tagged: dict[tuple[str, ...], Any] = {}

    def count(self, name: str, *tags: str, amount: float = 1.0) -> None:
        """See `Metrics.count`."""
        self._child(name, tags).inc(amount)

    def observe(self, name: str, value: float, *tags: str) -> None:
        """See `Metrics.observe`."""
        self._child(name, tags).observe(value)

    def set(self, name: str, value: float, *tags: str) -> None:
        """See `Metrics.set`."""
        self._child(name, tags).set(value)

    def flush(self) -> None:
        """See `Metrics.flush`; nothing waits here."""

    def text(self) -> str:
        """Everything in Prometheus' text format."""
        return generate_latest(self._registry).decode()

    def _child(self, name: str, tags: tuple[str, ...]) -> Any:
        key = (name, *tags)
        if key not in self._tagged:
            series = self._series[name]
            self._tagged[key] = series.labels(*tags) if tags else series
        return self._tagged[key]

    def _new(self, instrument: Metric) -> Any:
        if instrument.buckets:
            return Histogram(
                instrument.name,
                instrument.words,
                instrument.tags,
                buckets=instrument.buckets,
                registry=self._registry,
            )
        kind = Gauge if instrument.is_gauge else Counter
        return kind(instrument.name, instrument.words, instrument.tags, registry=self._registry)
