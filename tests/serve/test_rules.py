"""Rules are published, put into shadow and restored while replicas decide, within seconds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from lib.fraud.rules import RULES_FILE
from lib.rules.repository import RuleRepository, RuleStep
from tests.serve.application import add_token
from tests.serve.conftest import SCOPES, Running, Start, Workspace
from tests.serve.factories import ALWAYS_REVIEW, SCORE, eventually, payment

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]
PACKAGED = RULES_FILE.read_text()
NEXT = ALWAYS_REVIEW.replace("version: 7", "version: 2")
STEP = {"by": "ann", "reason": "a wave of card testing"}
SOON = {"rules_seconds": 0.05}


@pytest.fixture
def admin(workspace: Workspace) -> dict[str, str]:
    """A header with a key that may change rules, in the name of ann alone."""
    token = add_token(workspace.folder, SCOPES, reviewers=("ann",))
    return {"Authorization": f"Bearer {token}"}


@asynccontextmanager
async def replicas(start: Start, workspace: Workspace) -> AsyncIterator[tuple[Running, Running]]:
    """Two replicas over one database, each with a journal of its own."""
    other = {"journal": workspace.folder / "journal-2", "log": workspace.folder / "log-2.jsonl"}
    async with start(**SOON) as first, start(**SOON, **other) as second:
        await declared(first)
        yield first, second


@asynccontextmanager
async def published(start: Start, admin: dict[str, str]) -> AsyncIterator[Running]:
    """A replica in whose database `NEXT` is the active version."""
    async with start(**SOON) as fraud:
        await declared(fraud)
        await sent(fraud, "/versions", admin, text=NEXT, **STEP)
        yield fraud


async def declared(fraud: Running) -> None:
    """Returns once the replica has said what its rules may read."""

    async def is_told() -> bool:
        return (await fraud.client.get("/fraud/rules")).status_code == 200

    await eventually(is_told)


async def sent(
    fraud: Running, path: str, headers: dict[str, str], expected: int = 200, **body: Any
) -> dict[str, Any]:
    answer = await fraud.client.post(f"/fraud/rules{path}", headers=headers, json=body)
    assert answer.status_code == expected, answer.text
    return dict(answer.json())


async def rule_of(fraud: Running) -> str | None:
    """The rule that decides a new payment."""
    answer = await fraud.client.post(SCORE, json=payment())
    assert answer.status_code == 200
    return answer.json()["rule_id"]


async def follows(fraud: Running, rule: str | None) -> None:
    async def does() -> bool:
        return await rule_of(fraud) == rule

    await eventually(does)


async def test_published_rules_decide_in_every_replica_and_are_taken_back(
    start: Start, workspace: Workspace, admin: dict[str, str]
) -> None:
    async with replicas(start, workspace) as (first, second):
        assert await rule_of(second) is None
        changed = await sent(first, "/versions", admin, text=NEXT, **STEP)
        assert changed["active"] == 2
        assert await rule_of(first) == "everything_twice", "the replica that took it, at once"
        await follows(second, "everything_twice")
        shown = (await second.client.get("/fraud/rules")).json()
        assert (shown["active"], shown["origin"], shown["text"]) == (2, "version 2", NEXT)
        shadow = {**STEP, "status": "shadow", "present": 2}
        assert (await sent(second, "/everything_twice/status", admin, **shadow))["active"] == 3
        await follows(first, None)
        await sent(first, "/activate", admin, version=2, present=3, **STEP)
        await follows(second, "everything_twice")
        await sent(first, "/activate", admin, version=None, present=2, **STEP)
        await follows(second, None)
        shown = (await second.client.get("/fraud/rules")).json()
        assert (shown["active"], shown["text"]) == (None, PACKAGED)
        steps = [(step["action"], step["before"], step["after"]) for step in shown["changes"]]
    assert steps == [
        ("activated", 2, None), ("activated", 3, 2), ("published", 2, 3), ("published", None, 2)
    ]  # fmt: skip
    assert all(step["by"].startswith("ann (key ") for step in shown["changes"])


async def test_rules_in_shadow_are_recorded_and_decide_nothing(
    start: Start, admin: dict[str, str]
) -> None:
    shadow = NEXT.replace("    owner: tests", "    owner: tests\n    status: shadow")
    async with start(**SOON) as fraud:
        await declared(fraud)
        await sent(fraud, "/versions", admin, text=shadow, **STEP)
        sent_payment = payment()
        answer = (await fraud.client.post(SCORE, json=sent_payment)).json()
        assert answer["rule_id"] is None
        await fraud.service.decision_store.drain()
        path = f"/fraud/transactions/{sent_payment['transaction_id']}"
        kept = (await fraud.client.get(path)).json()
    assert kept["shadow_hits"] == ["everything_twice"]


async def test_a_replica_that_starts_takes_the_active_version_before_its_first_decision(
    start: Start, admin: dict[str, str]
) -> None:
    async with published(start, admin):
        pass
    async with start(rules_seconds=3_600.0) as fraud:
        assert await rule_of(fraud) == "everything_twice"
        await fraud.service.reconfigure({"rules": PACKAGED.replace("version: 1", "version: 9")})
        assert await rule_of(fraud) == "everything_twice", "a stored version comes before the file"
        await fraud.service.rules.poll()
        assert (await fraud.client.get("/fraud/rules")).json()["next_version"] == 10
        await sent(fraud, "/activate", admin, version=None, present=2, **STEP)
        assert fraud.service.active_rules.current.version.startswith("9-")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (NEXT.replace("amount >= 0", "amonut >= 0"), "amonut"),
        (NEXT.replace("REVIEW", "REVEIW"), "REVEIW"),
        (NEXT.replace("version: 2", "version: 1"), "expected 2, the next version"),
        ("rules: [", "expected"),
        ("{" * 300, "nested"),
        (NEXT + "\n  - &a {id: x}", "anchors are refused"),
        (NEXT.replace("    owner: tests", "    owner: tests\npass_share: 0.01"), "secret key"),
    ],
)
async def test_a_bad_text_is_refused_with_its_lines_and_stored_nowhere(
    start: Start, workspace: Workspace, admin: dict[str, str], text: str, words: str
) -> None:
    async with start(**SOON) as fraud:
        await declared(fraud)
        checked = await sent(fraud, "/validate", admin, text=text)
        assert not checked["valid"]
        assert words in str(checked["problems"])
        refused = await sent(fraud, "/versions", admin, 422, text=text, **STEP)
        assert words in str(refused["errors"])
        await asyncio.sleep(0.2)
        assert await rule_of(fraud) is None
        with RuleRepository(str(fraud.service.args.records)) as repository:
            assert repository.list_rules("fraud", 9) == repository.list_rule_changes("fraud", 9)
            assert repository.active_rules("fraud") is None


async def test_of_two_that_publish_at_once_one_is_told_that_it_is_late(
    start: Start, workspace: Workspace, admin: dict[str, str]
) -> None:
    async with replicas(start, workspace) as (first, second):
        answers = await asyncio.gather(*(
            fraud.client.post("/fraud/rules/versions", headers=admin, json={"text": NEXT, **STEP})
            for fraud in (first, second, first, second)
        ))  # fmt: skip
        assert sorted(answer.status_code for answer in answers)[:1] == [200]
        assert all(answer.status_code in (409, 422) for answer in answers if answer.is_error)
        stored = (await first.client.get("/fraud/rules")).json()["versions"]
    assert [version["number"] for version in stored] == [2]


async def test_a_page_that_is_out_of_date_changes_nothing(
    start: Start, admin: dict[str, str]
) -> None:
    async with published(start, admin) as fraud:
        late = await sent(
            fraud, "/everything_twice/status", admin, 409, status="off", present=1, **STEP
        )
        assert "version 2 is by now" in late["detail"]
        await sent(fraud, "/activate", admin, 409, version=2, present=2, **STEP)
        await sent(fraud, "/activate", admin, 404, version=8, present=2, **STEP)
        await sent(fraud, "/unknown/status", admin, 422, status="off", present=2, **STEP)
        assert await rule_of(fraud) == "everything_twice"


async def test_changes_need_two_scopes_and_the_name_of_the_key(
    start: Start, workspace: Workspace, admin: dict[str, str]
) -> None:
    tokens = [add_token(workspace.folder, scopes) for scopes in (("admin",), ("fraud:read",))]
    async with start(**SOON) as fraud:
        await declared(fraud)
        for headers in ({"Authorization": f"Bearer {token}"} for token in tokens):
            for path in ("/versions", "/validate", "/activate", "/x/status"):
                await sent(fraud, path, headers, 403)
        eve = {**STEP, "by": "eve"}
        await sent(fraud, "/versions", admin, 403, text=NEXT, **eve)
        assert (await fraud.client.get("/fraud/rules")).json()["versions"] == []


async def test_what_was_known_stays_while_the_records_are_away(
    start: Start, workspace: Workspace, admin: dict[str, str]
) -> None:
    async with published(start, admin) as fraud:
        records = workspace.folder / "records.sqlite"
        records.rename(workspace.folder / "away")
        records.mkdir()
        fraud.service.rules.repository.close()  # its open file is the old one
        await fraud.service.rules.poll()
        assert fraud.service.rules.error is not None
        assert await rule_of(fraud) == "everything_twice"
        records.rmdir()
        (workspace.folder / "away").rename(records)


async def test_rules_that_this_code_cannot_load_leave_the_others_active(
    start: Start, workspace: Workspace
) -> None:
    async with start(**SOON) as fraud:
        await declared(fraud)
        with RuleRepository(str(fraud.service.args.records)) as repository:
            step = RuleStep(by="newer code", reason="a new field", at=1, present=None)
            text = NEXT.replace("amount", "moon_phase")
            repository.publish_rules("fraud", text, "2-0123456789ab", step)

        async def says_why() -> bool:
            part = (await fraud.client.get("/fraud/status")).json()["parts"]["rules"]
            return "moon_phase" in str(part["error"])

        await eventually(says_why)
        await fraud.service.reconfigure({})
        assert "moon_phase" in str((await fraud.service.rules.check()).detail["refused"])
        assert await rule_of(fraud) is None


async def test_a_body_that_is_too_large_is_refused(start: Start, admin: dict[str, str]) -> None:
    async with start(**SOON) as fraud:
        content = b'{"text": "' + b"x" * 200_000 + b'"}'
        answer = await fraud.client.post("/fraud/rules/validate", headers=admin, content=content)
        assert isinstance(answer, httpx.Response)
    assert answer.status_code == 413
