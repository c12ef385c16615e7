"""What the service served is what the offline computation gives for the same payments."""

from __future__ import annotations

import dataclasses
import random
import time
from pathlib import Path

import pytest

from jobs.fraud.audit import AuditConfig, closing_lines, main
from lib.contract import ContractError
from lib.fraud.audit import audit
from lib.fraud.features import FRAUD
from lib.records import Records
from tests.records.conftest import count_decisions, empty_records
from tests.serve.conftest import Start, Workspace
from tests.serve.factories import LABELS, SCORE, eventually, label, moment, payment

pytestmark = pytest.mark.anyio

PAYMENTS = 60


async def served(workspace: Workspace, start: Start) -> Records:
    """Serves payments of few customers, merchants and devices, and labels some of them."""
    draw = random.Random(5)
    async with start() as fraud:
        for number in range(PAYMENTS):
            device = draw.choice(["device-1", "device-2", None])
            sent = payment(
                user_id=f"user-{draw.randrange(4)}",
                merchant_id=f"merchant-{draw.randrange(3)}",
                device_id=device,
                amount=f"{draw.uniform(1, 3000):.2f}",
                event_time=moment(-draw.uniform(0, 300)),
                **({} if draw.random() < 0.7 else {"latitude": None, "longitude": None}),
            )
            answer = await fraud.client.post(SCORE, json=sent)
            assert answer.status_code == 200
            if draw.random() < 0.3:
                about = label(sent["transaction_id"], is_fraud=number % 5 > 0)
                assert (await fraud.client.post(LABELS, json=about)).status_code == 200

        async def kept() -> bool:
            return count_decisions(Records(str(workspace.args().records)), "fraud") == PAYMENTS

        await eventually(kept)
    return Records(str(workspace.args().records))


async def test_every_served_value_is_the_offline_one(workspace: Workspace, start: Start) -> None:
    with await served(workspace, start) as records:
        audit_result = main(AuditConfig(records=str(workspace.args().records)))
        decisions = list(records.decisions("fraud", 0, time.time_ns() // 1000))
    assert audit_result.payments == PAYMENTS
    assert audit_result.values == PAYMENTS * len(FRAUD.names)
    assert audit_result.by_feature == {}
    assert audit_result.share == 0.0
    assert any(d.decision == "DECLINE" for d in decisions)
    assert any(d.features["connected_fraud_cases"] > 0 for d in decisions)


async def test_a_value_that_was_served_otherwise_is_found_and_named(
    workspace: Workspace, start: Start, tmp_path: Path
) -> None:
    with await served(workspace, start) as records:
        decisions = list(records.decisions("fraud", 0, time.time_ns() // 1000))
        facts = list(records.facts("fraud", time.time_ns() // 1000))
    changed = {**decisions[7].features, "txn_count_by_user_1h": 99.0}
    decisions[7] = dataclasses.replace(decisions[7], features=changed)
    audit_result = audit(decisions, facts)
    assert (audit_result.differing, audit_result.by_feature) == (1, {"txn_count_by_user_1h": 1})
    assert audit_result.examples[0].transaction_id == decisions[7].subject_id
    assert audit_result.examples[0].served == 99.0
    assert decisions[7].subject_id in closing_lines(audit_result)
    del decisions[7]
    assert audit(decisions, facts).differing > 0


def test_a_time_without_an_offset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="until: expected a time with an offset"):
        main(AuditConfig(records=f"sqlite:///{tmp_path}/none.sqlite", until="2026-01-01T00:00"))


def test_a_database_without_decisions_compares_nothing(tmp_path: Path) -> None:
    url = empty_records(tmp_path)
    audit_result = main(AuditConfig(records=url, output=tmp_path / "audit.json"))
    assert (audit_result.payments, audit_result.share) == (0, 0.0)
    assert '"payments": 0' in (tmp_path / "audit.json").read_text()
