"""Payments in review, from the decision over what people do to the labels that training reads."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from jobs.fraud.retrain import RetrainConfig
from jobs.fraud.retraining import FraudRetraining
from lib.feature import StoreError
from lib.records.review import Outcome
from serve.framework import review_flow
from serve.framework.review_flow import ReviewOutcomes
from tests.console.seeded import Seeded
from tests.serve.application import SetClock
from tests.serve.conftest import Running, Start, Workspace
from tests.serve.console.console_app import console
from tests.serve.console.queue_page import QueuePage
from tests.serve.factories import ALWAYS_REVIEW, SCORE, payment

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]
SECOND = 1_000_000
MINUTE = 60 * SECOND
NOW = 1_795_428_900_000_000  # 2026-11-23T10:15:00Z in microseconds
AT = "2026-11-23T10:15:00Z"
YES = {"fraud": True}
SALT = "FOREWARN_TEST_REVIEW_SALT"


@pytest.fixture(autouse=True)
def salt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draws no second opinion on the payments of these tests, which a salt of its own might."""
    monkeypatch.setenv(SALT, "payments in review")


@dataclass(frozen=True)
class Reviewing:
    """The application, with its clock; every payment is decided REVIEW."""

    app: Running
    clock: SetClock = field(default_factory=lambda: SetClock(NOW))

    async def post(self, path: str, body: Any, status: int = 200) -> dict[str, Any]:
        answer = await self.app.client.post(f"/fraud/{path}", content=json.dumps(body))
        assert answer.status_code == status, answer.text
        result: dict[str, Any] = answer.json()
        return result

    async def get(self, path: str) -> dict[str, Any]:
        answer = await self.app.client.get(f"/fraud/{path}")
        assert answer.status_code == 200, answer.text
        result: dict[str, Any] = answer.json()
        return result

    async def decided(self, *names: str) -> None:
        """Payments that were decided and are in the queue."""
        for name in names:
            answer = await self.app.client.post(SCORE, json=sent(name))
            assert answer.json()["decision"] == "REVIEW", answer.text
        await self.app.service.decision_store.drain()
        await self.app.service.admission.run_once()

    async def claim(self, reviewer: str = "ann", **more: Any) -> list[dict[str, Any]]:
        answer = await self.post("review/claim", {"reviewer": reviewer, **more})
        claims: list[dict[str, Any]] = answer["claims"]
        return claims


def sent(name: str, **changes: Any) -> dict[str, Any]:
    return payment(transaction_id=name, event_time=AT, amount="200.00", **changes)


def lease(claim: dict[str, Any], reviewer: str = "ann", **more: Any) -> dict[str, Any]:
    return {"reviewer": reviewer, "token": claim["token"], **more}


@asynccontextmanager
async def reviewing(start: Start) -> AsyncIterator[Reviewing]:
    clock = SetClock(NOW)
    # what runs in the background is run by the tests, in their time
    options = {"review_seconds": 3600.0, "review_salt": f"env:{SALT}"}
    async with start(now=clock, rules=ALWAYS_REVIEW, **options) as app:
        yield Reviewing(app, clock)


async def test_what_a_reviewer_calls_fraud_is_a_label_that_retraining_reads(
    start: Start, workspace: Workspace, tmp_path: Path
) -> None:
    async with reviewing(start) as fraud:
        await fraud.decided("t1", "t2")
        first, second = await fraud.claim(most=2)
        for claim, value in ((first, True), (second, False)):
            path = f"review/items/{claim['item_id']}/decide"
            answer = await fraud.post(path, lease(claim, verdicts={"fraud": value}))
            assert answer["outcome"]["verdicts"] == {"fraud": value}
        assert await fraud.app.service.outcomes.run_once() == 0
        fraud.clock.us += 11 * SECOND
        assert await fraud.app.service.outcomes.run_once() == 2
        assert await fraud.app.service.outcomes.run_once() == 0
        named = {first["subject_id"]: True, second["subject_id"]: False}
        labels = [(await fraud.get(f"transactions/{name}"))["labels"] for name in named]
        follower = await fraud.app.client.post(SCORE, json=sent("t3", merchant_id="merchant-1"))
        features = (await fraud.get("transactions/t3"))["features"]
    assert [(only["value"], only["source"]) for (only,) in labels] == [
        (True, "review"),
        (False, "review"),
    ]
    assert follower.status_code == 200
    assert any("fraud" in name and value == 1.0 for name, value in features.items())
    config = RetrainConfig(
        output=str(tmp_path / "out"),
        records=f"sqlite:///{workspace.folder}/records.sqlite",
        registry=str(workspace.registry),
        transactions="payments.parquet",
    )
    known = FraudRetraining().read_labels(config, {}, NOW + MINUTE)
    assert (known.new, known.total) == (2, 2)
    rows = pq.read_table(known.tables["labels"]).to_pylist()
    assert {row["transaction_id"]: row["is_fraud"] for row in rows} == named


async def test_ten_payments_that_people_decide_in_the_console_are_rows_of_the_next_training(
    start: Start, workspace: Workspace, tmp_path: Path
) -> None:
    names = [f"t{number}" for number in range(10)]
    records = f"sqlite:///{workspace.folder}/records.sqlite"
    systems = {"fraud": {"records": records, "registry": str(workspace.registry)}}
    folder_of_keys = Seeded(tmp_path / "console", (), "", "")
    async with reviewing(start) as fraud:
        await fraud.decided(*names)
        async with console(folder_of_keys, systems=systems) as pages:
            pages.clock.now = fraud.clock.us
            # a second person, for those of which another opinion is drawn
            for reviewer in ("ann", "bob"):
                await decide_all(await QueuePage.of(pages, reviewer))
        fraud.clock.us += MINUTE
        assert await fraud.app.service.outcomes.run_once() == len(names)
    config = RetrainConfig(
        output=str(tmp_path / "out"), records=records,
        registry=str(workspace.registry), transactions="payments.parquet",
    )  # fmt: skip
    known = FraudRetraining().read_labels(config, {}, NOW + 2 * MINUTE)
    rows = pq.read_table(known.tables["labels"]).to_pylist()
    assert {row["transaction_id"]: row["is_fraud"] for row in rows} == {
        name: is_fraud(name) for name in names
    }


async def decide_all(page: QueuePage) -> None:
    """Decide what waits for a reviewer, until nothing does."""
    await page.ask("/next")
    while 'id="item-title"' in page.answer.text:
        verdict = "yes" if is_fraud(page.subject) else "no"
        await page.act("decide", **{"verdict.fraud": verdict})


def is_fraud(name: str) -> bool:
    return name in ("t2", "t5", "t7")


async def test_every_decision_in_review_is_admitted_once_and_counted(start: Start) -> None:
    async with reviewing(start) as fraud:
        await fraud.decided("t1", "t2")
        await fraud.decided("t3")
        assert await fraud.app.service.admission.run_once() == 0
        claims = await fraud.claim(most=9)
        figures = await fraud.get("review/figures")
    assert {claim["subject_id"] for claim in claims} == {"t1", "t2", "t3"}
    assert claims[0]["shown"]["amount"] == "200.00"
    assert claims[0]["shown"]["rule_id"] == "everything_twice"
    assert figures["queue"]["depth"] == {"fraud": 3}


async def test_admission_takes_no_thread_of_decisions_and_counts_in_the_event_loop(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(review_flow, "_AT_ONCE", 2)
    threads, hung = set(), threading.Event()
    async with reviewing(start) as fraud:
        store, count = fraud.app.service.decision_store, fraud.app.meter.count
        for number in range(5):
            await fraud.app.client.post(SCORE, json=sent(f"t{number}"))
        await store.drain()

        def counted(name: str, *tags: str, amount: float = 1.0) -> None:
            threads.add(threading.get_ident())
            count(name, *tags, amount=amount)

        monkeypatch.setattr(fraud.app.meter, "count", counted)
        waiting = [asyncio.create_task(store.run_blocking(hung.wait)) for _ in range(4)]
        try:
            async with asyncio.timeout(8):
                assert await fraud.app.service.admission.run_once() == 5
        finally:
            hung.set()
            await asyncio.gather(*waiting)
        assert len(await fraud.claim(most=9)) == 5
        metrics = fraud.app.meter.text()
    assert threads == {threading.get_ident()}
    assert 'forewarn_fraud_review_admissions_total{outcome="admitted"} 5.0' in metrics


async def test_a_decision_that_cannot_become_an_item_holds_nobody_up(
    start: Start, workspace: Workspace
) -> None:
    async with reviewing(start) as fraud:
        for name in ("t1", "t2", "t3"):
            answer = await fraud.app.client.post(SCORE, json=sent(name))
            assert answer.status_code == 200
        await fraud.app.service.decision_store.drain()
        with sqlite3.connect(workspace.folder / "records.sqlite") as records:
            changed = records.execute(
                "UPDATE decisions SET request = json_set(request, '$.amount_minor', 'a secret') "
                "WHERE subject_id = 't2'"
            )
            assert changed.rowcount == 1
        assert await fraud.app.service.admission.run_once() == 2
        assert await fraud.app.service.admission.run_once() == 0
        assert fraud.app.service.review.queue.reviews.list_waiting(9) == []
        claims = await fraud.claim(most=9)
        metrics = fraud.app.meter.text()
    log = (workspace.folder / "log.jsonl").read_text()
    assert {claim["subject_id"] for claim in claims} == {"t1", "t3"}
    for outcome, count in (("admitted", 2.0), ("failed", 1.0), ("left_out", 0.0)):
        name = f'forewarn_fraud_review_admissions_total{{outcome="{outcome}"}}'
        assert f"{name} {count}" in metrics
    assert log.count('"admission-failed"') == 1
    assert "a secret" not in log


async def closed(fraud: Reviewing, names: list[str]) -> None:
    """Payments that somebody called fraud a minute ago; none of them was queued."""
    for name in names:
        await fraud.app.client.post(SCORE, json=sent(name))
    await fraud.app.service.decision_store.drain()
    fraud.app.service.review.queue.reviews.remove_waiting(names)
    statement = {"statement_id": "s1", "reviewer": "ann", "verdicts": YES, "subject_ids": names}
    answer = await fraud.post("review/statements", statement)
    assert sorted(answer["stated"]) == names
    fraud.clock.us += MINUTE


async def test_outcomes_that_fail_hold_up_no_other(
    start: Start, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(review_flow, "_AT_ONCE", 2)
    names = [f"payment-{number}" for number in range(5)]
    async with reviewing(start) as fraud:
        await closed(fraud, names)
        with sqlite3.connect(workspace.folder / "records.sqlite") as records:
            for number, name in enumerate(names):
                verdicts = json.dumps({} if number < 3 else YES)
                records.execute(
                    "UPDATE review_outcomes SET at = ?, verdicts = ? WHERE subject_id = ?",
                    (NOW + number, verdicts, name),
                )
        # a page of faults; then the third and what follows it, and the faults again
        runs = [await fraud.app.service.outcomes.run_once() for _ in range(2)]
        labels = [(await fraud.get(f"transactions/{name}"))["labels"] for name in names]
        metrics = fraud.app.meter.text()
    assert runs == [0, 2]
    assert [[label["value"] for label in each] for each in labels] == [[], [], [], [True], [True]]
    for outcome, count in (("applied", 2.0), ("failed", 5.0)):
        name = f'forewarn_fraud_review_outcomes_total{{outcome="{outcome}"}}'
        assert f"{name} {count}" in metrics
    log = (workspace.folder / "log.jsonl").read_text().splitlines()
    faults = [line for line in log if '"outcome-failed"' in line]
    assert len(faults) == 5
    assert not any("payment-" in line for line in faults)


async def test_an_outcome_whose_store_is_away_is_passed_over(start: Start) -> None:
    away: set[str] = set()
    followed: list[str] = []

    async def follow(outcome: Outcome) -> None:
        if outcome.subject_id in away:
            raise StoreError("away")
        followed.append(outcome.subject_id)

    names = [f"payment-{number}" for number in range(4)]
    async with reviewing(start) as fraud:
        await closed(fraud, names)
        service = fraud.app.service
        oldest = service.review.queue.reviews.settle_outcomes(fraud.clock.us, 2)
        away |= {outcome.subject_id for outcome in oldest}
        outcomes = ReviewOutcomes(service.parts, service.review.queue, follow, service.log)
        applied = sum([await outcomes.run_once() for _ in range(3)])
        assert (applied, {*followed}) == (2, {*names} - away)
        away.clear()
        assert await outcomes.run_once() == 2
    assert sorted(followed) == names


async def test_an_undone_verdict_becomes_no_label(start: Start) -> None:
    async with reviewing(start) as fraud:
        await fraud.decided("t1")
        (claim,) = await fraud.claim()
        path = f"review/items/{claim['item_id']}"
        await fraud.post(f"{path}/decide", lease(claim, verdicts={"fraud": True}))
        await fraud.post(f"{path}/undo", lease(claim, "bob"), 409)
        fraud.clock.us += 9 * SECOND
        undone = await fraud.post(f"{path}/undo", lease(claim))
        assert await fraud.post(f"{path}/undo", lease(claim)) | {"request_id": ""} == undone | {
            "request_id": ""
        }
        fraud.clock.us += MINUTE
        assert await fraud.app.service.outcomes.run_once() == 0
        await fraud.post(f"{path}/decide", lease(undone, verdicts={"fraud": False}))
        fraud.clock.us += 11 * SECOND
        assert await fraud.app.service.outcomes.run_once() == 1
        late = await fraud.post(f"{path}/undo", lease(undone), 409)
        (label,) = (await fraud.get("transactions/t1"))["labels"]
        entries = (await fraud.get("review/subjects/t1/history"))["entries"]
    assert late["type"] == "urn:forewarn:not-undone"
    assert label["value"] is False
    assert [entry["what"] for entry in entries] == [
        *("opened", "claimed", "decided", "closed", "undone", "decided", "closed"),
    ]


async def test_items_are_snoozed_assigned_and_escalated(start: Start) -> None:
    async with reviewing(start) as fraud:
        await fraud.decided("t1")
        (claim,) = await fraud.claim()
        path = f"review/items/{claim['item_id']}"
        await fraud.post(f"{path}/snooze", lease(claim, until="2026-11-23T10:14:00Z"), 422)
        await fraud.post(f"{path}/snooze", lease(claim, until="2026-11-23T10:20:00Z"))
        assert await fraud.claim() == []
        fraud.clock.us += 6 * MINUTE
        await fraud.post(f"{path}/assign", {"reviewer": "lead", "assignee": "bob"})
        assert await fraud.claim() == []
        (assigned,) = await fraud.claim("bob")
        await fraud.post(f"{path}/escalate", lease(assigned, "bob", note="part of a ring"))
        assert await fraud.claim("ann") == []
        (escalated,) = await fraud.claim("eve", skills=["senior"])
    assert escalated["severity"] == min(claim["severity"] + 1, 5)


async def test_a_payment_with_a_known_answer_measures_reviewers(start: Start) -> None:
    async with reviewing(start) as fraud:
        await fraud.decided("t1")
        answers = [{"subject_id": "t1", "verdicts": {"fraud": True}}]
        golden = {"reviewer": "lead", "answers": answers}
        first, again = [await fraud.post("review/golden", golden) for _ in range(2)]
        unknown = [{"subject_id": "none", "verdicts": {"fraud": True}}]
        await fraud.post("review/golden", {**golden, "answers": unknown}, 404)
        wrong = [{"subject_id": "t1", "verdicts": {"fault": True}}]
        await fraud.post("review/golden", {**golden, "answers": wrong}, 422)
    assert (first["stored"], first["repeated"]) == (1, 0)
    assert (again["stored"], again["repeated"]) == (0, 1)


async def test_a_verdict_is_stated_on_payments_that_nobody_waits_for(start: Start) -> None:
    async with reviewing(start) as fraud:
        await fraud.decided("t1", "t2", "t3")
        busy = (await fraud.claim("bob"))[0]["subject_id"]
        body = {
            "statement_id": "s1",
            "reviewer": "ann",
            "verdicts": {"fraud": True},
            "subject_ids": ["t1", "t2", "t3", "t9"],
            "note": "one device",
        }
        answer = await fraud.post("review/statements", body)
        assert (answer["new"], answer["left_out"], answer["unknown"]) == (True, [busy], ["t9"])
        assert sorted([*answer["stated"], busy]) == ["t1", "t2", "t3"]
        again = await fraud.post("review/statements", body)
        assert (again["new"], sorted(again["stated"])) == (False, sorted(answer["stated"]))
        opposite = {**body, "verdicts": {"fraud": False}}
        await fraud.post("review/statements", opposite, status=409)
        await fraud.post("review/statements", {**body, "subject_ids": []}, status=422)
        fraud.clock.us += 11 * SECOND
        assert await fraud.app.service.outcomes.run_once() == 2
        labels = [(await fraud.get(f"transactions/{name}"))["labels"] for name in answer["stated"]]
        fraud.clock.us += SECOND
        back = {**opposite, "statement_id": "s1-back", "subject_ids": answer["stated"]}
        assert (await fraud.post("review/statements", back))["new"]
        fraud.clock.us += 11 * SECOND
        assert await fraud.app.service.outcomes.run_once() == 2
        after = (await fraud.get(f"transactions/{answer['stated'][0]}"))["labels"]
    assert [[label["value"] for label in label_list] for label_list in labels] == [[True], [True]]
    assert [label["value"] for label in after] == [True, False]


async def test_an_item_is_claimed_by_its_id(start: Start) -> None:
    async with reviewing(start) as fraud:
        await fraud.decided("t1", "t2")
        second = (await fraud.claim(most=2))[1]
        path = f"review/items/{second['item_id']}"
        await fraud.post(f"{path}/claim", {"reviewer": "bob"}, status=409)
        again = await fraud.post(f"{path}/claim", {"reviewer": "ann"})
        assert (again["token"], again["subject_id"]) == (second["token"], second["subject_id"])
        await fraud.post(f"{path}/decide", lease(again, verdicts={"fraud": False}))
        await fraud.post(f"{path}/claim", {"reviewer": "ann"}, status=409)
        await fraud.post("review/items/nothing/claim", {"reviewer": "ann"}, status=404)


async def test_notes_and_referrals_are_kept_and_audited(start: Start) -> None:
    async with reviewing(start) as fraud:
        await fraud.decided("t1")
        (claim,) = await fraud.claim()
        await fraud.post(f"review/items/{claim['item_id']}/decide", lease(claim, verdicts=YES))
        note = {"reviewer": "ann", "note": "the bank called"}
        assert (await fraud.post("review/subjects/t1/notes", note))["new"]
        refer = {"reviewer": "ann", "case_id": "c1", "note": "too large for me"}
        assert [(await fraud.post("review/subjects/t1/refer", refer))["new"] for _ in "12"] == [
            True,
            False,
        ]
        for path, body in (("notes", note), ("refer", refer)):
            await fraud.post(f"review/subjects/nothing/{path}", body, status=404)
        assert await fraud.claim("bob") == []
        (senior,) = await fraud.claim("bob", skills=["senior"])
        entries = (await fraud.get("review/subjects/t1/history"))["entries"]
    assert senior["subject_id"] == "t1"
    notes = [entry["after"]["note"] for entry in entries if entry["what"] == "noted"]
    assert notes == ["the bank called", "too large for me"]
