"""A running service shows how many incidents of monitoring are open, as the records hold them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lib.monitoring.repository import MonitoringRepository, ObservedIncident
from serve.framework.incident_watch import IncidentWatch
from serve.fraud.metrics import INSTRUMENTS
from tests.records.conftest import NOVEMBER
from tests.serve.conftest import Start
from tests.serve.prometheus_metrics import PrometheusMetrics

pytestmark = pytest.mark.anyio
GAUGE = "forewarn_fraud_incidents_open"
INCIDENT = ObservedIncident(
    measure="amount", kind="unit changed", since=NOVEMBER, opened_at=NOVEMBER, seen_at=NOVEMBER
)


async def test_the_gauge_follows_the_records_within_a_poll(start: Start) -> None:
    async with start() as fraud:
        with MonitoringRepository(fraud.service.args.records) as repository:
            repository.record("fraud", [], [INCIDENT], NOVEMBER)
            await shows(fraud.service.meter, 1.0)
            repository.record("fraud", [], [], NOVEMBER + 1)
            await shows(fraud.service.meter, 0.0)


async def test_a_database_that_is_away_leaves_the_gauge_as_it_is(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/records.db"
    with MonitoringRepository(url) as repository:
        repository.migrate()
        repository.record("fraud", [], [INCIDENT], NOVEMBER)
    meter = PrometheusMetrics(INSTRUMENTS)
    watch = IncidentWatch("fraud", url, meter)
    await watch.refresh()
    assert f"{GAUGE} 1.0" in meter.text()
    watch.close()
    (tmp_path / "records.db").rename(tmp_path / "away.db")
    away = IncidentWatch("fraud", url, meter)
    await away.refresh()
    away.close()
    assert f"{GAUGE} 1.0" in meter.text()


async def shows(meter: PrometheusMetrics, value: float) -> None:
    async with asyncio.timeout(20):
        while f"{GAUGE} {value}" not in meter.text():
            await asyncio.sleep(0.02)
