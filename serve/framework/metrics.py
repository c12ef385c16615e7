"""Counters, gauges and histograms, which Ray exports."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from ray.util import metrics as ray_metrics

MILLISECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 7.5, 10, 15, 25, 50, 100, 250, 1000)


@dataclass(frozen=True, slots=True)
class Metric:
    """A counter, a histogram where `buckets` are given, or a gauge.

    Attributes:
        name: e.g. `forewarn_fraud_stage_ms`, its unit last.
        words: what it counts.
        tags: names of its labels; values come from small fixed sets.
        buckets: upper bounds, rising.
        is_gauge: whether it is a number that is set, not counted.
    """

    name: str
    words: str
    tags: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    is_gauge: bool = False


REQUESTS = Metric("forewarn_requests", "answers by route and status", ("route", "status"))
REQUEST_MS = Metric(
    "forewarn_request_ms", "time of one answer in eight, ms", ("route",), MILLISECONDS
)
RECORD_FAULTS = Metric("forewarn_record_faults", "decisions that the journal did not take at first")
RESCORE_FAULTS = Metric(
    "forewarn_rescore_faults",
    "fallbacks that could not be answered again: tried later, or parked for good",
    ("outcome",),
)


def incidents_open(system: str) -> Metric:
    """The gauge of a system's open incidents."""
    words = "incidents of monitoring that are open"
    return Metric(f"forewarn_{system}_incidents_open", words, is_gauge=True)


def common_metrics(system: str) -> tuple[Metric, ...]:
    """What is counted in every application, to which a system adds its own."""
    name = f"forewarn_{system}"
    return (
        *(REQUESTS, REQUEST_MS, RECORD_FAULTS, RESCORE_FAULTS),
        Metric(f"{name}_decisions", "decisions", ("decision", "method")),
        Metric(f"{name}_fallbacks", "decisions of a fallback, by what was out", ("out",)),
        Metric(f"{name}_rule_hits", "rules that fired", ("rule", "status")),
        Metric(f"{name}_rescored", "fallbacks, and answers that had to wait, scored again"),
        Metric(f"{name}_reloads", "loads of a model or of declarations", ("part", "outcome")),
        Metric(
            f"{name}_trials", "subjects under an experiment, by whose decision it was", ("arm",)
        ),
        Metric(f"{name}_challenger_faults", "subjects without a challenger's score", ("fault",)),
        Metric(f"{name}_challenger_ms", "time to a challenger's score, ms", ("arm",), MILLISECONDS),
        Metric(f"{name}_experiment_rows", "rows of experiments, stored or lost", ("outcome",)),
        Metric(
            f"{name}_guardrail_breaches", "experiments that ended by themselves", ("guardrail",)
        ),
        incidents_open(system),
        Metric(f"{name}_claimed", "review items leased"),
        Metric(f"{name}_verdicts", "decisions of reviewers", ("kind", "outcome")),
        Metric(f"{name}_review_steps", "what else reviewers did with items", ("step",)),
        Metric(
            f"{name}_review_outcomes",
            "outcomes of reviews that took effect, failed or wait for a store",
            ("outcome",),
        ),
    )


def review_admissions(system: str) -> Metric:
    """The counter of decisions that come into the queue of a system from its records."""
    words = "decisions that people look at: admitted, in the queue before, left out, or failed"
    return Metric(f"forewarn_{system}_review_admissions", words, ("outcome",))


def attribute_states(name: str, counted: str) -> Metric:
    """The counter `name` of attributes that are missing, or whose value is unknown."""
    words = f"{counted} without an attribute, or with an unknown value of it"
    return Metric(name, words, ("attribute", "state"))


class Metrics(Protocol):
    """Where numbers go; `tags` are values in the order of the instrument's."""

    def count(self, name: str, *tags: str, amount: float = 1.0) -> None:
        """Adds to a counter."""

    def observe(self, name: str, value: float, *tags: str) -> None:
        """Adds to a histogram."""

    def set(self, name: str, value: float, *tags: str) -> None:
        """Sets a gauge."""

    def flush(self) -> None:
        """Hands on what was only noted; called a few times a second."""


class RayMetrics:
    """Ray's own exporter; names are given the prefix `ray_` there.

    One count there costs what a hundred additions do, so counts are added up here until `flush`;
    what a killed replica had not handed on is lost. An unknown name is a KeyError, tags of another
    number and an amount below zero are a ValueError, all where they are counted.

    Args:
        instruments: all that will be used.
    """

    def __init__(self, instruments: Iterable[Metric]) -> None:
        self._tags = {i.name: i.tags for i in instruments}
        self._series: dict[str, Any] = {i.name: _ray_series(i) for i in instruments}
        self._tagged: dict[tuple[str, ...], dict[str, str]] = {}
        self._counts: dict[tuple[str, ...], float] = {}

    def count(self, name: str, *tags: str, amount: float = 1.0) -> None:
        """See `Metrics.count`."""
        if not amount > 0:
            _check_zero(name, amount)
            return
        key = (name, *tags)
        if key not in self._tagged:
            self._named(name, tags)
        self._counts[key] = self._counts.get(key, 0.0) + amount

    def observe(self, name: str, value: float, *tags: str) -> None:
        """See `Metrics.observe`."""
        self._series[name].observe(value, self._named(name, tags))

    def set(self, name: str, value: float, *tags: str) -> None:
        """See `Metrics.set`."""
        self._series[name].set(value, self._named(name, tags))

    def flush(self) -> None:
        """See `Metrics.flush`; what Ray refuses waits for the next.

        Raises:
            ExceptionGroup: what Ray said of each count that it refused; the others are handed on.
        """
        counts, self._counts = self._counts, {}
        errors = []
        for key, amount in counts.items():
            try:
                self._series[key[0]].inc(amount, self._tagged[key])
            except Exception as error:  # one that is refused must not take the others along
                self._counts[key] = self._counts.get(key, 0.0) + amount
                errors.append(error)
        if errors:
            raise ExceptionGroup("counts that Ray refused are kept for the next time", errors)

    def _named(self, name: str, tags: tuple[str, ...]) -> dict[str, str]:
        key = (name, *tags)
        if key not in self._tagged:
            self._tagged[key] = dict(zip(self._tags[name], tags, strict=True))
        return self._tagged[key]


def _ray_series(instrument: Metric) -> Any:
    if instrument.buckets:
        return ray_metrics.Histogram(
            instrument.name,
            instrument.words,
            boundaries=list(instrument.buckets),
            tag_keys=instrument.tags,
        )
    if instrument.is_gauge:
        return ray_metrics.Gauge(instrument.name, instrument.words, tag_keys=instrument.tags)
    return ray_metrics.Counter(instrument.name, instrument.words, tag_keys=instrument.tags)


def _check_zero(name: str, amount: float) -> None:
    if amount != 0:
        raise ValueError(f"{name}: an amount of zero or more is expected, got {amount!r}")
