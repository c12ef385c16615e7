"""Pages while records or models are away: plain words and a request id."""

from __future__ import annotations

import pytest

from tests.console.seeded import DECISIONS, Seeded
from tests.serve.console.console_app import (
    ALL_SCOPES,
    READING,
    RunningConsole,
    console,
    post,
    settings,
    sign_in,
)

pytestmark = pytest.mark.anyio
AWAY = "postgresql+psycopg://nobody:secret@127.0.0.1:1/records"


def systems(seeded: Seeded, **changes: object) -> dict[str, dict[str, object]]:
    """Settings of all systems, with some of fraud's changed."""
    named = settings(seeded).model_dump()["systems"]
    return {**named, "fraud": {**named["fraud"], **changes}}


async def test_home_shows_the_systems_that_answer(lived: Seeded) -> None:
    async with console(lived, systems=systems(lived, records=AWAY)) as running:
        browser = await running.signed_in()
        page = await browser.get("/console/")
        card = await browser.get("/console/home/fraud")
    assert page.status_code == 200
    assert page.text.count("do not answer now") == 1
    assert page.text.count('<p class="figure">') == len(DECISIONS) - 1
    assert "do not answer now" in card.text
    assert "secret" not in page.text + card.text


@pytest.mark.parametrize(
    "path",
    ["/models/fraud", "/experiments/fraud/smaller-model", "/audit?system=fraud", "/audit.csv"],
)
async def test_a_page_of_records_that_are_away_says_so(lived: Seeded, path: str) -> None:
    async with console(lived, systems=systems(lived, records=AWAY)) as running:
        browser = await running.signed_in()
        answer = await browser.get("/console" + path, headers={"X-Request-ID": "ask-1"})
    assert answer.status_code == 503
    assert "This cannot be read now" in answer.text
    assert "<code>ask-1</code>" in answer.text
    assert answer.headers["retry-after"] == "5"
    assert "secret" not in answer.text
    assert "127.0.0.1" not in answer.text


async def test_the_audit_shows_the_systems_that_answer(lived: Seeded) -> None:
    async with console(lived, systems=systems(lived, records=AWAY)) as running:
        browser = await running.signed_in()
        page = await browser.get("/console/audit?kind=review")
    assert page.status_code == 200
    assert "Without fraud: the records do not answer now" in page.text
    assert "<td>maintenance</td>" in page.text
    assert "<td>fraud</td>" not in page.text


async def test_a_part_of_a_page_gets_a_line_for_the_messages(lived: Seeded) -> None:
    async with console(lived, systems=systems(lived, records=AWAY)) as running:
        browser = await running.signed_in()
        answer = await browser.get("/console/models/fraud", headers={"HX-Request": "true"})
    assert answer.status_code == 503
    assert answer.text.startswith('<p class="message bad">')
    assert answer.headers["hx-retarget"] == "#messages"


async def test_an_empty_system_says_what_to_do(lived: Seeded) -> None:
    empty = f"sqlite:///{lived.folder}/empty.sqlite"
    with lived.source("churn") as source:
        source.records.migrate()
    async with console(
        lived, systems=systems(lived, registry=str(lived.folder / "none"))
    ) as running:
        browser = await running.signed_in()
        models = await browser.get("/console/models/fraud")
        assert "No model is published yet" in models.text
    async with console(lived, systems=systems(lived, records=empty)) as running:
        browser = await running.signed_in()
        assert (await browser.get("/console/")).status_code == 200, "without tables"


async def test_nobody_signs_in_without_the_database_of_sessions(lived: Seeded) -> None:
    async with console(lived, records=AWAY) as running, running.browser() as browser:
        answer = await sign_in(browser, running.new_key(*READING, reviewers=("ann",)))
        assert answer.status_code == 503
        assert "Request id" in answer.text
        ready = await browser.get("/console/readyz")
        assert (ready.status_code, ready.json()["out"]) == (200, ["sessions"])


async def test_an_error_of_our_own_is_a_page_with_a_request_id(
    running: RunningConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("secret detail")

    browser = await running.signed_in()
    monkeypatch.setattr("serve.console.pages.audit.merge_audits", fail)
    answer = await browser.get("/console/audit", headers={"X-Request-ID": "ask-2"})
    assert answer.status_code == 500
    assert "<code>ask-2</code>" in answer.text
    assert "secret detail" not in answer.text
    assert '"error":"ZeroDivisionError"' in (running.seeded.folder / "console.jsonl").read_text()


async def test_what_is_refused_is_no_fault_of_the_log(running: RunningConsole) -> None:
    admin = await running.signed_in(*ALL_SCOPES)
    log = running.seeded.folder / "console.jsonl"
    await running.service._flusher.flush()
    before = len(log.read_text())
    version = running.seeded.versions[2]
    refused = {
        "/console/rules/fraud/activate": ({"version": "2", "present": "1", "reason": "x"}, 409),
        f"/console/models/fraud/{version}/promote": (
            {"alias": "champion", "present": "", "reason": "x"}, 409
        ),
        "/console/queue/fraud/items/none/take": ({}, 404),
    }  # fmt: skip
    for path, (fields, status) in refused.items():
        answer = await post(admin, "/console/", path, **fields)
        assert answer.status_code == status, path
        assert "Nothing was changed" in answer.text
    await running.service._flusher.flush()
    lines = log.read_text()[before:]
    assert "/console" in lines or "/queue" in lines
    assert '"error"' not in lines


async def test_too_many_pages_at_a_time_are_refused_in_words(lived: Seeded) -> None:
    async with console(lived, in_flight=1) as running:
        browser = await running.signed_in()
        gateway = running.gateway
        with gateway._admission.keyed():
            answer = await browser.get("/console/")
    assert answer.status_code == 503
    assert "Request id" in answer.text


async def test_a_page_that_takes_too_long_is_given_up_in_words(
    lived: Seeded, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with console(lived) as running:
        browser = await running.signed_in()
        monkeypatch.setattr(
            running.gateway, "_limits", running.service.limits.__class__(deadline_ms=0.001)
        )
        answer = await browser.get("/console/")
    assert answer.status_code == 504
    assert "Request id" in answer.text
