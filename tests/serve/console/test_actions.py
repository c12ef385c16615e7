"""What people do from pages: promote, roll back, stop; and when it is refused."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from lib.registry import Registry
from serve.console.pages import audit
from tests.console.seeded import EXPERIMENT, NOW, Seeded
from tests.serve.console.console_app import READING, console, post

pytestmark = pytest.mark.anyio


async def promoted(
    browser: httpx.AsyncClient, version: str, alias: str = "champion", **fields: str
) -> httpx.Response:
    """The answer to the form that promotes a version."""
    page = f"/console/models/fraud/{version}"
    return await post(browser, page, f"{page}/promote", alias=alias, **fields)


def history(seeded: Seeded) -> list[tuple[str, str, str]]:
    """Changes of aliases since the console runs."""
    changes = Registry(seeded.registry).history("fraud")
    return [(change.action, change.after, change.by) for change in changes if change.at >= NOW]


async def test_each_key_of_a_page_acts_once_also_where_both_aliases_can_go_back(
    own: Seeded,
) -> None:
    with own.source() as source:
        for at, version in enumerate((own.versions[0], own.versions[1]), 1):
            source.registry.set_alias(
                "fraud", "challenger", version, at=NOW + at, by="ann", reason="x"
            )
    async with console(own) as running:
        admin = await running.signed_in(*READING, "admin")
        page = await admin.get(f"/console/models/fraud/{own.versions[1]}")
    assert page.text.count("to the version before") == 2
    keys = re.findall(r'data-key="([^"]+)"', page.text)
    assert sorted(keys) == sorted(set(keys))


async def test_the_audit_is_put_together_beside_what_answers_requests(
    own: Seeded, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[str] = []

    def watched(call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any) -> Any:
            threads.append(threading.current_thread().name)
            return call(*args)

        return run

    for name in ("merge_audits", "audit_csv"):
        monkeypatch.setattr(audit, name, watched(getattr(audit, name)))
    async with console(own) as running:
        reader = await running.signed_in()
        answer = await reader.get("/console/audit.csv")
    assert answer.text.startswith("at,system,kind,person")
    assert [name.partition("_")[0] for name in threads] == ["writing", "writing"]


async def test_a_promotion_with_a_reason_is_kept_under_name_and_key(own: Seeded) -> None:
    async with console(own) as running:
        admin = await running.signed_in(*READING, "admin")
        answer = await promoted(
            admin, own.versions[2], present=own.versions[1], reason="it costs less"
        )
        assert answer.status_code == 303
        page = await admin.get(answer.headers["location"])
        assert "It is champion now." in page.text
        assert "it costs less" in page.text
    ((action, after, by),) = history(own)
    assert (action, after) == ("set", own.versions[2])
    assert by.startswith("ann (key ")


async def test_a_promotion_may_rest_on_a_judged_experiment(own: Seeded) -> None:
    async with console(own) as running:
        admin = await running.signed_in(*READING, "admin")
        fields = {"present": own.versions[1], "evidence": EXPERIMENT}
        refused = await promoted(admin, own.versions[2], **fields)
        assert refused.status_code == 422, "its verdict is to go on"
        answer = await promoted(admin, own.versions[2], reason="cheaper", **fields)
        assert answer.status_code == 303
    change = Registry(own.registry).history("fraud")[-1]
    assert change.evidence is not None
    assert change.evidence.statement.startswith("the challenger keeps 540 USD")
    with own.source() as source:
        assert source.records.changes(EXPERIMENT)[-1].action == "promoted"


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({}, 422, "rests on a judged experiment, or on a reason"),
        ({"reason": "x" * 2001}, 422, "2,000 characters"),
        ({"reason": "better", "alias": "admin"}, 422, "Choose champion or challenger"),
        ({"evidence": "fraud/unknown"}, 422, "fraud/unknown"),
    ],
)
async def test_a_promotion_without_ground_is_refused_in_words(
    own: Seeded, fields: dict[str, str], status: int, words: str
) -> None:
    async with console(own) as running:
        admin = await running.signed_in(*READING, "admin")
        answer = await promoted(admin, own.versions[2], **{"present": own.versions[1], **fields})
    assert (answer.status_code, history(own)) == (status, [])
    assert words in answer.text
    assert "Request id" in answer.text


async def test_a_page_that_is_out_of_date_changes_nothing(own: Seeded) -> None:
    async with console(own) as running:
        ann = await running.signed_in(*READING, "admin")
        bob = await running.signed_in(*READING, "admin", name="bob")
        reason = {"present": own.versions[1], "reason": "better"}
        assert (await promoted(bob, own.versions[0], **reason)).status_code == 303
        late = await promoted(ann, own.versions[2], **reason)
        assert late.status_code == 409
        assert "It has changed meanwhile" in late.text
    assert len(history(own)) == 1


async def test_a_rollback_that_is_sent_twice_goes_back_once(own: Seeded) -> None:
    async with console(own) as running:
        admin = await running.signed_in(*READING, "admin")
        page = f"/console/models/fraud/{own.versions[1]}"
        fields = {"alias": "champion", "reason": "it declines too much"}
        first = await post(admin, page, f"{page}/rollback", **fields)
        assert first.headers["location"].startswith(f"/console/models/fraud/{own.versions[0]}?")
        second = await post(admin, page, f"{page}/rollback", **fields)
        assert second.status_code == 409
        unchanged = await post(admin, page, f"{page}/rollback", alias="champion")
        assert unchanged.status_code == 422
    assert [change[:2] for change in history(own)] == [("rollback", own.versions[0])]


async def test_an_experiment_is_stopped_once_with_a_reason(own: Seeded) -> None:
    page = f"/console/experiments/{EXPERIMENT}"
    async with console(own) as running:
        admin = await running.signed_in(*READING, "admin")
        assert (await post(admin, page, f"{page}/stop")).status_code == 422
        stopped = await post(admin, page, f"{page}/stop", reason="enough is known")
        shown = await admin.get(stopped.headers["location"])
        assert "The experiment has ended." in shown.text
        assert "enough is known" in shown.text
        again = await post(admin, page, f"{page}/stop", reason="again")
        assert again.status_code == 409
        audit = await admin.get("/console/audit?person=ann&kind=experiment")
        assert "enough is known" in audit.text
    with own.source() as source:
        stored = source.records.find(EXPERIMENT)
    assert stored.reason == "enough is known"
    assert str(stored.ended_by).startswith("ann (key ")
