"""Pages of rules and business over HTTP: scopes, refusals, and what they change in the store."""

from __future__ import annotations

import httpx
import pytest

from lib.rules.repository import RuleRepository
from tests.console.seeded import STORED_SCRIPT, Seeded
from tests.console.seeded_rules import BURST, TRAVEL
from tests.serve.console.console_app import READING, RunningConsole, console, post
from tests.serve.prometheus_metrics import PrometheusMetrics

pytestmark = pytest.mark.anyio
RULES = "/console/rules/fraud"
WHY = {"reason": "a wave of card testing", "present": "2"}


def stored(seeded: Seeded) -> tuple[int | None, list[str]]:
    """The active version, and the reasons of all steps."""
    with RuleRepository(seeded.records("fraud")) as repository:
        steps = repository.list_rule_changes("fraud", 99)
        return repository.active_rules("fraud"), [step.reason for step in steps]


def text_of(seeded: Seeded, number: int = 3) -> str:
    with RuleRepository(seeded.records("fraud")) as repository:
        return repository.find_rules("fraud", 2).text.replace("version: 2", f"version: {number}")


async def sent(browser: httpx.AsyncClient, action: str, **fields: str) -> httpx.Response:
    return await post(browser, RULES, f"{RULES}/{action}", **fields)


async def test_a_rule_gets_another_status_in_a_new_version(own: Seeded) -> None:
    async with console(own) as running:
        admin = await running.signed_in(*READING, "admin")
        answer = await sent(admin, f"rules/{TRAVEL}/status", status="off", **WHY)
        assert answer.headers["location"] == f"{RULES}?done=status-off"
        page = await admin.get(answer.headers["location"])
        assert "The rule is off now" in page.text
        assert "a wave of card testing" in page.text
        audit = await admin.get("/console/audit?kind=rules&person=ann")
        assert "2 to 3; a wave of card testing" in audit.text
        meter = running.service.meter
        assert isinstance(meter, PrometheusMetrics)
        assert 'actions_total{action="rule status",outcome="done"} 1.0' in meter.text()
    assert stored(own)[0] == 3
    with RuleRepository(own.records("fraud")) as repository:
        assert (
            "    status: off\n    when: impossible_velocity"
            in repository.find_rules("fraud", 3).text
        )


async def test_a_file_of_rules_is_shown_by_its_name_alone(running: RunningConsole) -> None:
    reader = await running.signed_in()
    for path in (RULES, f"{RULES}/versions"):
        assert "/srv/" not in (await reader.get(path)).text
    assert "rules.yaml, " in (await reader.get(f"{RULES}/versions")).text


async def test_a_text_is_published_and_the_file_restored(own: Seeded) -> None:
    async with console(own) as running:
        admin = await running.signed_in(*READING, "admin")
        text = text_of(own).replace("\n", "\r\n")  # as browsers send it
        published = await sent(admin, "publish", text=text, **WHY)
        assert published.status_code == 303
        fields = {"reason": "it declined too much", "present": "3", "version": "file"}
        restored = await sent(admin, "activate", **fields)
        assert restored.status_code == 303
        assert "rules.yaml" in (await admin.get(RULES)).text
        late = await sent(admin, "activate", **fields)
        assert late.status_code == 409
        assert "It has changed meanwhile" in late.text
    assert stored(own)[0] is None
    with RuleRepository(own.records("fraud")) as repository:
        assert repository.find_rules("fraud", 3).text == text_of(own)


async def test_a_page_that_is_out_of_date_changes_nothing(own: Seeded) -> None:
    async with console(own) as running:
        ann = await running.signed_in(*READING, "admin")
        bob = await running.signed_in(*READING, "admin", name="bob")
        status = f"rules/{TRAVEL}/status"
        assert (await sent(bob, status, status="off", **WHY)).status_code == 303
        for late in (
            await sent(ann, status, status="shadow", **WHY),
            await sent(ann, "activate", version="file", **WHY),
        ):
            assert late.status_code == 409
            assert "Nothing was changed" in late.text
    assert stored(own)[0] == 3


@pytest.mark.parametrize(
    ("action", "fields", "status", "words"),
    [
        (f"rules/{TRAVEL}/status", {"status": "gone"}, 422, "Choose active, shadow, off"),
        (f"rules/{TRAVEL}/status", {"status": "active"}, 422, "active already"),
        ("rules/nothing/status", {"status": "off"}, 422, "no rule has this id"),
        (f"rules/{TRAVEL}/status", {"status": "off", "reason": ""}, 422, "Say why"),
        (
            f"rules/{TRAVEL}/status",
            {"status": "off", "reason": "x" * 2001},
            422,
            "A reason has 2,000 characters at most",
        ),
        (f"rules/{TRAVEL}/status", {"status": "off", "present": "x"}, 422, "Choose a version"),
        (f"rules/{TRAVEL}/status", {"status": "off", "present": "9" * 40}, 422, "Choose a version"),
        ("activate", {"version": "8"}, 404, "no stored version 8"),
        ("activate", {"version": ""}, 422, "Choose a version"),
        ("publish", {"text": ""}, 422, "Write the rules"),
        ("publish", {"text": "version: 3"}, 422, "rules"),
        ("publish", {"text": "<script>alert(1)</script>"}, 422, "&lt;script&gt;"),
    ],
)
async def test_what_cannot_be_meant_is_refused_in_words(
    own: Seeded, action: str, fields: dict[str, str], status: int, words: str
) -> None:
    async with console(own) as running:
        admin = await running.signed_in(*READING, "admin")
        answer = await sent(admin, action, **{**WHY, **fields})
    assert answer.status_code == status, answer.text
    assert words in answer.text
    assert "<script>alert" not in answer.text
    assert stored(own) == (2, [f"too many good customers {STORED_SCRIPT}"])


async def test_a_text_is_checked_and_tried_and_stored_nowhere(own: Seeded) -> None:
    async with console(own) as running:
        admin = await running.signed_in(*READING, "admin")
        good = await sent(admin, "validate", text=text_of(own))
        assert "It can be published: 5 rules, of which 4 active and 1 in shadow." in good.text
        wrong = text_of(own).replace("impossible_velocity", STORED_SCRIPT)
        for action in ("validate", "backtest"):
            bad = await sent(admin, action, text=wrong)
            assert bad.status_code == 200
            assert 'data-line="18"' in bad.text or 'data-line="19"' in bad.text
            assert "<script>" not in bad.text
        tried = await sent(admin, "backtest", text=text_of(own))
        assert "impossible_travel" in tried.text
        assert "206 decisions" in tried.text
    assert stored(own)[0] == 2


async def test_buttons_and_actions_need_the_scope_admin(own: Seeded) -> None:
    async with console(own) as running:
        reader = await running.signed_in()
        for path in (RULES, f"{RULES}/versions", f"{RULES}/rules/{TRAVEL}"):
            page = await reader.get(path)
            assert page.status_code == 200
            assert "<details" not in page.text
            assert f"{RULES}/draft" not in page.text
        assert (await reader.get(f"{RULES}/draft")).status_code == 403
        for action in ("validate", "backtest", "publish", "activate", f"rules/{TRAVEL}/status"):
            answer = await sent(reader, action, text=text_of(own), status="off", **WHY)
            assert answer.status_code == 403
            assert "lacks the scope admin" in answer.text
    assert stored(own)[0] == 2


async def test_pages_follow_the_scopes_of_the_key(running: RunningConsole) -> None:
    browser = await running.signed_in("churn:read")
    for path in ("/rules/fraud", "/rules/fraud/versions", "/business/fraud", "/business/fraud/x"):
        assert (await browser.get(f"/console{path}")).status_code == 403
    for path in ("/rules", "/business"):
        answer = await browser.get(f"/console{path}")
        assert answer.headers["location"] == f"/console{path}/churn"
    assert (
        "No application of churn has said yet" in (await browser.get("/console/rules/churn")).text
    )
    assert "python -m jobs.churn.business" in (await browser.get("/console/business/churn")).text
    no_reader = await running.signed_in("admin")
    for path in ("/rules", "/business"):
        assert (await no_reader.get(f"/console{path}")).status_code == 403


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{RULES}/rules/unknown", 404),
        (f"{RULES}/compare?before=77", 404),
        (f"{RULES}/compare?before=abc", 422),
        (f"{RULES}/compare?before=2&after=2", 200),
        ("/console/business/fraud/unknown", 404),
        ("/console/rules/unknown", 404),
    ],
)
async def test_addresses_that_were_mistyped(
    running: RunningConsole, path: str, status: int
) -> None:
    browser = await running.signed_in()
    assert (await browser.get(path)).status_code == status


async def test_pages_are_small(running: RunningConsole) -> None:
    browser = await running.signed_in(*READING, "admin")
    with running.seeded.source() as source:
        statement = source.records.list_statements("fraud", 1)[0].id
    for path in ("", "/versions", "/compare", "/draft", f"/rules/{BURST}"):
        assert len((await browser.get(RULES + path)).content) < 60_000
    report = await browser.get(f"/console/business/fraud/{statement}")
    assert len(report.content) < 60_000
    assert "-248 against before" in report.text
    assert "&lt;script&gt;" in report.text
