"""What is counted reaches Ray's exporter, all of it and once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from uuid import uuid4

import httpx
import pytest
import ray
from prometheus_client.parser import text_string_to_metric_families
from ray.util import metrics as ray_metrics

from serve.framework import Metric, RayMetrics
from tests.local_ray import local_ray
from tests.serve.prometheus_metrics import PrometheusMetrics


@pytest.fixture(scope="module")
def exported() -> Iterator[Callable[[], dict[tuple[str, str], float]]]:
    """Reads what a Ray of our own shows to Prometheus."""
    often = {"metrics_report_interval_ms": 100, "enable_open_telemetry": True}
    with local_ray(_system_config=often):
        yield _reader()


def _reader() -> Callable[[], dict[tuple[str, str], float]]:
    url = f"http://127.0.0.1:{ray.nodes()[0]['MetricsExportPort']}/metrics"

    def read() -> dict[tuple[str, str], float]:
        try:
            text = httpx.get(url).text
        except httpx.TransportError:  # the exporter starts after everything else
            return {}
        return {
            (sample.name, sample.labels.get("kind", "")): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    return read


Exported = Callable[[], dict[tuple[str, str], float]]


class Metered:
    """A meter with names of its own, as Ray's exporter is one for all tests."""

    def __init__(self, exported: Exported) -> None:
        self.name = f"test_{uuid4().hex}"
        self.times = f"{self.name}_ms"
        self.meter = RayMetrics(
            (
                Metric(self.name, "things", ("kind",)),
                Metric(self.times, "times", ("kind",), buckets=(1.0, 10.0)),
            )
        )
        self._exported = exported

    def count(self, kind: str, amount: float = 1.0) -> None:
        self.meter.count(self.name, kind, amount=amount)

    def shown(self, kind: str) -> float | None:
        return self._exported().get((f"ray_{self.name}_total", kind))

    def reached(self, kind: str, expected: float) -> bool:
        """Whether the exporter shows so much, given a while, and no more a while after."""
        deadline = time.monotonic() + 20
        while self.shown(kind) != expected and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(0.5)
        return self.shown(kind) == expected


@pytest.fixture
def metered(exported: Exported) -> Metered:
    return Metered(exported)


def test_counts_are_added_up_and_handed_on_by_their_tags(metered: Metered) -> None:
    for _ in range(3):
        metered.count("cheap")
    metered.count("cheap", 0.5)
    metered.count("dear", 2)
    metered.meter.flush()
    assert metered.reached("cheap", 3.5)
    assert metered.reached("dear", 2)


def test_counts_are_handed_on_once_however_often_it_is_flushed(metered: Metered) -> None:
    metered.count("cheap", 4)
    metered.meter.flush()
    metered.meter.flush()
    assert metered.reached("cheap", 4)
    metered.count("cheap")
    metered.meter.flush()
    assert metered.reached("cheap", 5)


def test_nothing_reaches_ray_before_it_is_flushed(metered: Metered) -> None:
    metered.count("cheap")
    metered.meter.flush()
    metered.count("dear")
    assert metered.reached("cheap", 1)
    assert metered.shown("dear") is None


def test_no_count_is_lost_while_ray_takes_none(
    metered: Metered, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ConnectionError("the exporter is away")

    metered.count("cheap", 2)
    metered.count("dear", 7)
    with monkeypatch.context() as patched:
        patched.setattr(ray_metrics.Counter, "inc", refuse)
        with pytest.raises(ExceptionGroup) as refused:
            metered.meter.flush()
        assert len(refused.value.exceptions) == 2
        metered.count("cheap")
    metered.meter.flush()
    assert metered.reached("cheap", 3)
    assert metered.reached("dear", 7)


def test_a_count_that_ray_refuses_keeps_no_other_back_and_none_counts_twice(
    metered: Metered,
) -> None:
    metered.count("before", 2)
    metered.count(404)  # type: ignore[arg-type]  Ray takes texts alone
    metered.count("after", 3)
    for _ in range(2):
        with pytest.raises(ExceptionGroup, match="refused") as refused:
            metered.meter.flush()
        assert "Tag values must be str" in str(refused.value.exceptions[0])
    assert metered.reached("before", 2)
    assert metered.reached("after", 3)


def test_zero_counts_nothing_and_harms_no_other_count(metered: Metered) -> None:
    metered.count("cheap", 0)
    metered.count("dear")
    metered.meter.flush()
    assert metered.reached("dear", 1)
    assert metered.shown("cheap") is None


def test_observations_reach_ray_without_being_flushed(metered: Metered, exported: Exported) -> None:
    for value in (0.5, 5.0, 50.0):
        metered.meter.observe(metered.times, value, "cheap")
    key = (f"ray_{metered.times}_count", "cheap")
    deadline = time.monotonic() + 20
    while exported().get(key) != 3 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert exported()[key] == 3


@pytest.mark.parametrize("kind", [RayMetrics, PrometheusMetrics])
class TestEveryMeter:
    """Refuses where it is counted, not later where nobody knows who counted."""

    def meter(
        self, kind: type[RayMetrics] | type[PrometheusMetrics]
    ) -> RayMetrics | PrometheusMetrics:
        return kind((Metric("things", "things", ("kind",)),))

    def test_refuses_a_name_it_was_not_given(
        self, kind: type[RayMetrics] | type[PrometheusMetrics]
    ) -> None:
        with pytest.raises(KeyError, match="thinsg"):
            self.meter(kind).count("thinsg", "cheap")

    @pytest.mark.parametrize("tags", [(), ("cheap", "dear")])
    def test_refuses_tags_of_another_number(
        self, kind: type[RayMetrics] | type[PrometheusMetrics], tags: tuple[str, ...]
    ) -> None:
        with pytest.raises(ValueError, match=r"label|zip|argument"):
            self.meter(kind).count("things", *tags)

    def test_refuses_an_amount_below_zero(
        self, kind: type[RayMetrics] | type[PrometheusMetrics]
    ) -> None:
        with pytest.raises(ValueError, match=r"things|non-negative"):
            self.meter(kind).count("things", "cheap", amount=-1)
