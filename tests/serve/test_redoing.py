"""Fallbacks are answered again, one that cannot be does not hold up those behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from lib.records import Decision
from serve.framework.rescoring import Rescorer
from serve.fraud.metrics import INSTRUMENTS
from tests.records.conftest import NOVEMBER, decision, row_of
from tests.serve.conftest import Start
from tests.serve.prometheus_metrics import PrometheusMetrics

pytestmark = pytest.mark.anyio


async def ready() -> bool:
    return True


@pytest.mark.parametrize("fault", [OverflowError("4242"), ValueError("4242"), TimeoutError()])
async def test_one_that_fails_does_not_starve_the_others(start: Start, fault: Exception) -> None:
    async with start(rescore_seconds=600.0, follow_seconds=600.0) as fraud:
        archive, log = fraud.service.decision_store, fraud.service.log
        for number in range(21):
            row = decision(f"t{number:02}", method="fallback", decided_at=NOVEMBER + number)
            archive.append(row_of(row))
        await archive.drain()

        async def redo(record: Decision) -> Mapping[str, Any] | None:
            if record.subject_id in ("t00", "t07"):
                raise fault
            return {"decision": "APPROVE"}

        meter = PrometheusMetrics(INSTRUMENTS)
        redoing = Rescorer(archive, redo, ready, meter, "forewarn_fraud_rescored", log, lambda: 1)
        assert await redoing.run_once() == 19
        assert archive.records.rescore_backlog("fraud") == 2
        assert 'forewarn_rescore_faults_total{outcome="later"} 2.0' in meter.text()
        log.flush()
        assert "4242" not in fraud.service.args.log.read_text()


async def test_a_part_that_goes_out_ends_the_round_and_keeps_no_claim(start: Start) -> None:
    async with start(rescore_seconds=600.0, follow_seconds=600.0) as fraud:
        archive, log = fraud.service.decision_store, fraud.service.log
        for number in range(7):
            archive.append(row_of(decision(f"t{number}", method="fallback")))
        await archive.drain()
        answers: list[Mapping[str, Any] | None] = [{"decision": "APPROVE"}, None]

        async def redo(_: Decision) -> Mapping[str, Any] | None:
            return answers.pop(0) if answers else {"decision": "APPROVE"}

        meter = PrometheusMetrics(INSTRUMENTS)
        redoing = Rescorer(archive, redo, ready, meter, "forewarn_fraud_rescored", log, lambda: 1)
        assert await redoing.run_once() == 1
        assert await redoing.run_once() == 6
