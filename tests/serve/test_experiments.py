"""Experiments on payments: who decides, what is kept, what a bad challenger cannot do."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from lib.experiment.assignment import Assignment
from lib.registry import Registry
from tests.records.conftest import postgresql, url  # noqa: F401 - fixtures
from tests.serve.bad_challengers import BAD, loader
from tests.serve.conftest import Models, Workspace, new_workspace
from tests.serve.experiments import Trials, child, now_us, separate, trials
from tests.serve.factories import eventually, moment, payment
from tests.serve.redis_process import RedisProcess

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]
MOST = 2_000
WATCHED = {"least_calls": 5, "window_s": 5.0}


def payments(count: int) -> list[dict[str, Any]]:
    """The same ones whenever they are made within minutes: ids, users and amounts."""
    at = moment(-60)
    return [
        payment(transaction_id=f"t{k}", event_time=at, user_id=f"u{k % 7}", amount=f"{k + 1}.50")
        for k in range(count)
    ]


def comparable(body: bytes) -> bytes:
    """An answer without what differs between any two."""
    text = re.sub(rb'"latency_ms":[0-9.e-]+', b"", body)
    return re.sub(rb'"request_id":"[^"]*"', b"", text)


def faults(app: Trials) -> dict[str, float]:
    """Counted faults of the challenger, by kind."""
    pattern = r'forewarn_fraud_challenger_faults_total\{fault="([^"]+)"\} ([0-9.]+)'
    return {kind: float(count) for kind, count in re.findall(pattern, app.meter.text())}


@dataclass
class Quiet:
    """Payments, and their answers where no experiment runs."""

    bodies: list[dict[str, Any]]
    answers: list[bytes]


@pytest.fixture(scope="module")
def payments_alone() -> Quiet:
    return Quiet(payments(25), [])


@pytest.fixture
async def quiet(payments_alone: Quiet, models: Models, workspace: Workspace) -> Quiet:
    if not payments_alone.answers:
        alone = new_workspace(workspace.folder / "alone", models)
        async with trials(alone) as app:
            for body in payments_alone.bodies:
                payments_alone.answers.append(comparable((await app.pay(body)).content))
    return payments_alone


async def test_a_challenger_in_shadow_changes_no_answer_and_both_scores_are_kept(
    workspace: Workspace, quiet: Quiet
) -> None:
    bodies, expected = quiet.bodies, quiet.answers
    async with trials(workspace) as app:
        app.start()
        await app.applied()
        answers = [comparable((await app.pay(body)).content) for body in bodies]
        rows = await app.rows(len(bodies))
        status = await app.status()
    assert answers == expected
    assert {row.arm for row in rows} == {"champion"}
    assert {row.fault for row in rows} == {None}
    # the same weights under another version say the same
    assert [row.challenger_score for row in rows] == [row.champion_score for row in rows]
    assert [row.challenger_decision for row in rows] == [row.champion_decision for row in rows]
    versions = {(row.champion_version, row.challenger_version) for row in rows}
    assert versions == {workspace.versions}
    assert (status["mode"], status["faults"]) == ("shadow", {})
    assert status["arms"] == {"champion": len(bodies), "challenger": 0}


@pytest.mark.parametrize("kind", BAD)
async def test_a_bad_challenger_in_shadow_is_counted_and_changes_no_answer(
    workspace: Workspace, quiet: Quiet, kind: str
) -> None:
    bodies, expected = quiet.bodies, quiet.answers
    async with trials(workspace, loader(kind), challenger_memory_mb=512) as app:
        app.start()
        if kind == "unloadable":
            await _fails_to_load(app)
        else:
            await app.applied()
        answers = [comparable((await app.pay(body)).content) for body in bodies]
        rows = await app.rows(len(bodies))
        counted, ready = faults(app), (await app.client.get("/fraud/readyz")).json()
    assert answers == expected
    assert ready["status"] == "ready"
    assert {row.challenger_score for row in rows} == {None}
    assert sum(counted.values()) == len(bodies)
    kinds = {row.fault for row in rows}
    assert kinds == set(counted)
    # it gets only processor time that nothing else wants, so it may be late before it is at fault
    late = {"starting", "resting", "timeout"}
    assert BAD[kind] in kinds or kinds <= late
    assert kinds <= {BAD[kind], *late}


async def _fails_to_load(app: Trials) -> None:
    async def happens() -> bool:
        active = app.service.experiments.active
        return active is not None and active.queue.error is not None

    await eventually(happens, within=60.0)
    assert "cannot be loaded" in (await app.status())["challenger_error"]


async def test_each_user_stays_in_an_arm_and_a_raised_share_moves_nobody_back(
    workspace: Workspace,
) -> None:
    users = [f"user-{k}" for k in range(40)]
    async with trials(workspace) as app:
        stored = app.start(mode="ab", share=0.2)
        await app.applied()
        before = [await decided_by(app, user) for user in users]
        again = [await decided_by(app, user) for user in users]
        with app.repository() as repository:
            repository.raise_share(stored.id, 0.6, by="test", at=now_us())
        await app.applied(share=0.6)
        after = [await decided_by(app, user) for user in users]
        rows = await app.rows(3 * len(users))
    champion, challenger = workspace.versions
    assert again == before
    drawn = Assignment(stored.key, "second", 0.2)
    versions = {"champion": champion, "challenger": challenger}
    assert before == [versions[drawn.arm(user)] for user in users]
    assert set(before) == {champion, challenger}
    moved = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    assert set(moved) == {(champion, challenger)}
    assert {row.fault for row in rows} == {None}
    # both models said something of everybody, whoever decided
    assert all(row.champion_score is not None for row in rows)
    assert all(row.challenger_score is not None for row in rows)


async def decided_by(app: Trials, user: str) -> str:
    answer = (await app.pay(payment(user_id=user))).json()
    return str(answer["model_version"])


@pytest.mark.parametrize("kind", ["Sleeping", "NotANumber", "Dying", "Garbled"])
async def test_where_the_challenger_fails_the_champion_decides(
    workspace: Workspace, kind: str
) -> None:
    async with trials(workspace, loader(kind)) as app:
        app.start(mode="ab", share=0.99, timeout_ms=50.0)
        await app.applied()
        versions = {await decided_by(app, f"user-{k}") for k in range(10)}
        rows = await app.rows(10)
    assert versions == {workspace.versions[0]}
    assert None not in {row.fault for row in rows}


async def test_a_retry_gets_the_first_answer_also_after_the_experiment(
    workspace: Workspace,
) -> None:
    body = payment(user_id="user-3")
    async with trials(workspace) as app:
        stored = app.start(mode="ab", share=0.99)
        await app.applied()
        first = await app.pay(body)
        assert (await app.pay(body)).content == first.content
        with app.repository() as repository:
            repository.end(stored.id, by="test", reason="over", at=now_us())
        await app.left()
        assert (await app.pay(body)).content == first.content
        rows = await app.rows(1)
    assert first.json()["model_version"] == workspace.versions[1]
    assert len(rows) == 1


@pytest.mark.parametrize(("mode", "policy"), [("shadow", os.SCHED_IDLE), ("ab", os.SCHED_OTHER)])
async def test_only_in_shadow_does_the_challenger_take_idle_processor_time_alone(
    workspace: Workspace, mode: str, policy: int
) -> None:
    async with trials(workspace) as app:
        app.start(mode=mode, share=1.0 if mode == "shadow" else 0.5)
        await app.applied()
        threads = Path(f"/proc/{child()}/task").iterdir()
        assert {os.sched_getscheduler(int(thread.name)) for thread in threads} == {policy}


async def test_the_challengers_process_is_started_anew_and_ends_with_the_experiment(
    workspace: Workspace,
) -> None:
    async with trials(workspace) as app:
        stored = app.start()
        await app.applied()
        first = child()
        os.kill(first, signal.SIGKILL)

        async def restarted() -> bool:
            await app.pay(payment())
            active = app.service.experiments.active
            return active is not None and active.queue.ready and child() != first

        await eventually(restarted, within=60.0)
        second = child()
        with app.repository() as repository:
            repository.end(stored.id, by="test", reason="over", at=now_us())
        await app.left()
        assert not psutil.pid_exists(second)


@pytest.mark.parametrize(
    ("kind", "mode", "words"),
    [
        ("Declining", "shadow", "blocks, removes or stops"),
        ("Declining", "ab", "blocks, removes or stops"),
        ("NotANumber", "shadow", "no usable score"),
        ("Dying", "ab", "no usable score"),
    ],
)
async def test_a_broken_guardrail_ends_the_experiment_in_the_records_with_a_reason(
    workspace: Workspace, kind: str, mode: str, words: str
) -> None:
    share = 1.0 if mode == "shadow" else 0.5
    async with trials(workspace, loader(kind)) as app:
        stored = app.start(mode=mode, share=share, guardrails=WATCHED)
        await app.applied()
        began = asyncio.get_running_loop().time()
        for number in range(MOST):
            await app.pay(separate(number))
            if app.service.experiments.active is None:
                break
            await asyncio.sleep(0.02)
        await app.left()
        assert asyncio.get_running_loop().time() - began < 60
        over = await app.ended(stored)
        status, metrics = await app.status(), app.meter.text()
        assert await decided_by(app, "user-1") == workspace.versions[0]
    assert over.ended_by == "guardrail"
    assert words in str(over.reason)
    assert status["ended"] == {"experiment": stored.id, "reason": over.reason}
    assert "forewarn_fraud_guardrail_breaches_total" in metrics


@pytest.mark.parametrize("mode", ["shadow", "ab"])
async def test_a_promotion_ends_the_experiment_in_the_records_with_a_reason(
    workspace: Workspace, mode: str
) -> None:
    first, second = workspace.versions
    async with trials(workspace) as app:
        stored = app.start(mode=mode, share=1.0 if mode == "shadow" else 0.5)
        await app.applied()
        assert await decided_by(app, "user-1") in (first, second)
        registry = Registry(str(workspace.registry))
        registry.set_alias("fraud", "champion", second, at=now_us(), by="test")
        await app.pays_until_it_ends(stored)
        over = await app.ended(stored)
        assert {await decided_by(app, f"user-{k}") for k in range(10)} == {second}
    assert over.ended_by == "champion"
    assert over.reason == f"its challenger {second} became the champion"


async def test_a_champion_that_does_not_decide_here_ends_the_experiment(
    workspace: Workspace,
) -> None:
    first, second = workspace.versions
    async with trials(workspace) as app:
        stored = app.start(champion=second, challenger=first)
        await app.applied()
        await app.pays_until_it_ends(stored)
        over = await app.ended(stored)
    assert over.ended_by == "champion"
    assert over.reason == f"its challenger {first} became the champion"


async def test_a_good_challenger_breaks_no_guardrail(workspace: Workspace) -> None:
    async with trials(workspace) as app:
        app.start(mode="ab", share=0.5, guardrails=WATCHED)
        await app.applied()
        for number in range(200):
            await app.pay(separate(number))
        await app.service.experiments.flush()
        assert app.service.experiments.active is not None
        status = await app.status()
    assert status["guardrails"]["errors"]["log_evidence"] < 0
    assert status["faults"] == {}


async def test_user_config_starts_changes_and_ends_an_experiment(workspace: Workspace) -> None:
    first, second = workspace.versions
    declared = {"name": "second", "challenger": second, "mode": "ab", "share": 0.3}
    async with trials(workspace) as app:
        await app.service.reconfigure({"experiment": declared})
        await app.applied(share=0.3)
        await app.service.reconfigure({"experiment": {**declared, "share": 0.5}})
        await app.applied(share=0.5)
        await app.service.reconfigure({"experiment": {**declared, "share": 1.5}})
        ready = (await app.client.get("/fraud/readyz")).json()
        text = await config_error(app)
        assert app.service.experiments.active is not None
        assert app.service.experiments.active.stored.share == 0.5
        await app.service.reconfigure({})
        await app.left()
        ready_again = (await app.client.get("/fraud/readyz")).json()
        with app.repository() as repository:
            over = repository.find("fraud/second")
    assert not ready["parts"]["config"]["ok"]
    assert "user_config.experiment" in text
    assert "share" in text
    assert ready_again["status"] == "ready"
    assert (over.ended_by, over.declaration.champion) == ("user_config", first)


async def test_an_experiment_that_cannot_be_started_is_in_readiness(workspace: Workspace) -> None:
    declared = {"name": "second", "challenger": "challenger"}
    async with trials(workspace) as app:
        await app.service.reconfigure({"experiment": declared})

        async def refused() -> bool:
            app.service.readiness.expire()
            return not (await app.client.get("/fraud/readyz")).json()["parts"]["config"]["ok"]

        await eventually(refused)
        text = await config_error(app)
    assert "alias challenger names no version" in text


async def config_error(app: Trials) -> str:
    app.service.readiness.expire()
    return str((await app.client.get("/fraud/status")).json()["parts"]["config"]["error"])


async def test_records_of_either_kind_say_what_runs_and_keep_what_both_models_said(
    workspace: Workspace,
    url: str,  # noqa: F811
) -> None:
    async with trials(workspace, records=url) as app:
        stored = app.start()
        await app.applied()
        for number in range(20):
            await app.pay(payment(user_id=f"user-{number}"))
        rows = await app.rows(20)
        with app.repository() as repository:
            repository.end(stored.id, by="test", reason="over", at=now_us())
        await app.left()
    assert len({row.subject_id for row in rows}) == 20
    assert all(row.challenger_ms is not None and row.challenger_ms > 0 for row in rows)


async def test_no_experiment_of_a_payment_that_a_fallback_decides(
    workspace: Workspace,
    redis_process: RedisProcess,
) -> None:
    async with trials(workspace, profile_store=redis_process.url, store_timeout_ms=250.0) as app:
        app.start()
        await app.applied()
        redis_process.stop()
        answer = (await app.pay(payment())).json()
        await app.service.experiments.flush()
        rows = app.stored()
    assert answer["method"] == "fallback"
    assert rows == []


def test_answers_are_compared_without_time_and_request_only() -> None:
    body = json.dumps(
        {"latency_ms": 1.5, "request_id": "q", "decision": "A"}, separators=(",", ":")
    )
    assert comparable(body.encode()) == b'{,,"decision":"A"}'
