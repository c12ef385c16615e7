"""What a service was asked and told becomes the page of its period, in every system."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs.churn.business import ChurnBusinessConfig
from jobs.churn.business import main as churn_page
from jobs.framework.business import BusinessOptions
from jobs.fraud.business import FraudBusinessConfig
from jobs.fraud.business import main as fraud_page
from jobs.maintenance.business import MaintenanceBusinessConfig
from jobs.maintenance.business import main as maintenance_page
from jobs.moderation.business import ModerationBusinessConfig
from jobs.moderation.business import main as moderation_page
from lib.churn.intervention_repository import StoredPlan
from lib.records import Fact, Records
from tests.moderation.media_factories import encoded, scene
from tests.records.conftest import count_decisions
from tests.records.customer_factories import intervention
from tests.serve import churn_app, moderation_app
from tests.serve.application import Application, iso
from tests.serve.conftest import Start, Workspace
from tests.serve.factories import LABELS, SCORE, eventually, label, payment
from tests.serve.maintenance_app import end_of, maintenance, news
from tests.serve.moderation_app import moderation

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]
HOUR, DAY = 3_600_000_000, 86_400_000_000


def around(time_us: int) -> dict[str, str]:
    """Two days around a moment, and a time when all is known."""
    day = datetime.fromtimestamp(time_us / 1e6, UTC).date()
    first, end, known = (day + timedelta(days=days) for days in (-1, 2, 400))
    return {"since": str(first), "until": str(end), "as_of": str(known)}


def statement(options: BusinessOptions, write: Any) -> dict[str, Any]:
    """What the job wrote, its measures by name."""
    options.check()
    write(options)
    written: dict[str, Any] = json.loads((Path(options.output) / "business.json").read_text())
    assert (Path(options.output) / "business.html").stat().st_size > 2_000
    return {**written, "measures": {row["name"]: row for row in written["measures"]}}


async def kept_facts(app: Application) -> tuple[str, list[Fact]]:
    """The URL of an application's records, and what they hold of its subjects."""
    await app.service.decision_store.drain()
    url = str(app.service.args.records)
    with Records(url) as records:
        return url, list(records.facts(app.system, 2**62))


async def test_payments_that_were_served(
    workspace: Workspace, start: Start, tmp_path: Path
) -> None:
    url = str(workspace.args().records)
    async with start() as fraud:
        for number in range(12):
            sent = payment(user_id=f"user-{number % 6}", amount="40.00")
            assert (await fraud.client.post(SCORE, json=sent)).status_code == 200
            if number < 2:
                about = label(sent["transaction_id"])
                assert (await fraud.client.post(LABELS, json=about)).status_code == 200

        async def kept() -> bool:
            return count_decisions(Records(url), "fraud") == 12

        await eventually(kept)
    now = round(datetime.now(UTC).timestamp() * 1e6)
    page = statement(
        FraudBusinessConfig(records=url, output=str(tmp_path / "out"), repeats=40, **around(now)),
        fraud_page,
    )
    assert (page["decisions"], page["entities"], page["ripe"]) == (12, 6, 12)
    assert page["measures"]["prevalence"]["value"] == pytest.approx(2 / 12)
    assert page["measures"]["p99_ms"]["value"] > 0.0


async def test_predictions_and_failures_that_were_reported(
    small_fleet: Path, tmp_path: Path
) -> None:
    at = end_of(small_fleet) + 60_000_000
    async with maintenance(small_fleet, tmp_path / "a", at + 4 * HOUR) as app:
        for name in ("M00000", "M00001"):
            await app.post("readings", news(small_fleet, name))
            await app.post("predict", {"machine_id": name, "at": iso(at)})
        repaired = {"event_time": iso(at + 2 * HOUR), "maintenance_type": "corrective"}
        report = {"machine_id": "M00000", "services": [repaired]}
        for _ in range(2):
            await app.post("readings", report)
        url, facts = await kept_facts(app)
    assert [(row.subject_id, row.kind, row.source) for row in facts] == [
        ("M00000", "failure", "service")
    ]
    options = MaintenanceBusinessConfig(
        records=url, output=str(tmp_path / "out"), repeats=40, **around(at)
    )
    page = statement(options, maintenance_page)
    assert (page["decisions"], page["entities"]) == (2, 2)
    assert page["measures"]["days_between_failures"]["value"] == pytest.approx(6.0)
    assert page["measures"]["unplanned_hours"]["value"] is None


async def test_scores_notices_and_outcomes_of_interventions(tmp_path: Path) -> None:
    now, folder = churn_app.NOW, tmp_path / "a"
    names = churn_app.stayers(4)
    async with churn_app.churn(folder, now) as app:
        await app.tell(names, now - 3 * DAY)
        for name in names:
            await app.post("score", {"customer_id": name, "at": iso(now - 2 * DAY)})
        notice = {"customer_id": names[0], "event_time": iso(now - DAY)}
        for _ in range(2):
            await app.post("events", {"churn": [notice]})
        chosen = intervention(1, customer_id=names[1], planned_at=now - 2 * DAY)
        plan = StoredPlan(id="p", planned_at=now, created_at=now, request={}, summary={})
        app.service.interventions.repository.insert_plan(plan, [chosen])
        outcome = {"intervention_id": chosen.id, "left": True, "observed_at": iso(now - DAY)}
        for _ in range(2):
            await app.post("outcomes", outcome)
        url, facts = await kept_facts(app)
    assert {(row.subject_id, row.kind) for row in facts} == {
        (names[0], "notice"),
        (names[1], "left"),
    }
    assert len(facts) == 2
    options = ChurnBusinessConfig(
        records=url, output=str(tmp_path / "out"), repeats=40, **around(now - 2 * DAY)
    )
    page = statement(options, churn_page)
    assert page["entities"] == 4
    assert page["measures"]["churn_rate"]["value"] == pytest.approx(0.5)
    assert page["measures"]["lifetime_value"]["value"] > 0.0


async def test_posts_and_what_reviewers_said(tmp_path: Path) -> None:
    registry = moderation_app.published(tmp_path / "published")
    folder = tmp_path / "a"
    policies = tmp_path / "policies.yaml"
    policies.write_text(moderation_app.POLICIES)
    salt = moderation_app.salt(tmp_path)
    async with moderation(folder, registry, review_salt=salt) as app:
        answers = [
            await app.post("posts", {"post_id": name, "author_id": f"of-{name}", **content})
            for name, content in (
                ("p", {"text": "a doubtfulword"}),
                ("q", {"images": [moderation_app.sent(encoded(scene(5)))]}),
                ("r", {"images": [moderation_app.sent(encoded(scene(6)))]}),
            )
        ]
        app.clock.us += 60_000_000
        claim, *_ = (await app.post("review/claim", {"reviewer": "rob"}))["claims"]
        verdicts = dict.fromkeys(claim["policies"], True)
        verdict = {"reviewer": "rob", "token": claim["token"], "verdicts": verdicts}
        await app.post(f"review/items/{claim['item_id']}/decide", verdict)
        await app.settled()
        url = str(app.service.args.records)
    options = ModerationBusinessConfig(
        records=url, output=str(tmp_path / "out"), repeats=40, policies=policies,
        **around(moderation_app.NOW),
    )  # fmt: skip
    page = statement(options, moderation_page)
    shown = page["measures"]
    by_machine = sum(answer["decision"] in ("ALLOW", "REMOVE") for answer in answers)
    assert (page["decisions"], page["ripe"]) == (3, 1 + by_machine)
    assert shown["coverage"]["value"] == pytest.approx(by_machine / 3)
    assert shown["verdicts_per_day"]["value"] == pytest.approx(1 / 3)
    assert shown["workload"]["value"] == pytest.approx((3 - by_machine) / 3 * 1000)
    # nobody checked what was decided without a person
    assert shown["automatic_accuracy"]["value"] is None
