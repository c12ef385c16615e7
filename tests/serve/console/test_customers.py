"""Customers and the plan of the day over HTTP: scopes, refusals, and what is kept."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from lib.churn.health_repository import HealthRepository
from lib.churn.intervention_repository import InterventionRepository
from lib.churn.standing_repository import StandingRepository
from serve.console.navigation import SYSTEM_PAGES, linked_pages
from serve.console.routes import READING
from tests.console.seeded import NOW, STORED_SCRIPT, Seeded, script_id, seed
from tests.console.seeded_customers import CONTACTS, CUSTOMERS, DAY, HELD_OUT, PLAN
from tests.records.customer_factories import health_entry
from tests.serve.console.console_app import RunningConsole, console, post

pytestmark = pytest.mark.anyio
READ, REVIEW, LABEL = "churn:read", "churn:review", "churn:label"
PAGE, CONTACTS_PAGE = "/console/customers/ct1", "/console/contacts"
OVERRIDE = {"score": "35", "until": "2026-12-24", "reason": "their sponsor left"}


async def test_customers_need_the_scope_to_read(running: RunningConsole) -> None:
    other = await running.signed_in("fraud:read")
    assert "/console/customers" not in (await other.get("/console/")).text
    for path in ("customers", "customers.csv", "customers/ct1", "contacts", "contacts.csv"):
        answer = await other.get(f"/console/{path}")
        assert answer.status_code == 403
        assert "lacks the scope churn:read" in answer.text


async def test_buttons_and_actions_follow_the_scopes(own: Seeded) -> None:
    async with console(own) as running:
        reader = await running.signed_in(READ)
        page, plan = (await reader.get(PAGE)).text, (await reader.get(CONTACTS_PAGE)).text
        assert "Set the health" not in page
        assert "Stop all interventions" not in plan
        assert 'name="report"' not in plan
        actions = {
            f"{PAGE}/override": REVIEW,
            f"{PAGE}/override/withdraw": REVIEW,
            "/console/contacts/stop": REVIEW,
            "/console/contacts/resume": REVIEW,
            f"/console/contacts/{PLAN}-0/report": LABEL,
            f"/console/contacts/{PLAN}-0/withdraw": LABEL,
        }
        for path, scope in actions.items():
            refused = await post(reader, "/console/", path, report="done", **OVERRIDE)
            assert refused.status_code == 403, path
            assert f"lacks the scope {scope}" in refused.text
    with own.source("churn") as source:
        book = source.records.sharing(InterventionRepository)
        assert book.find_stop() is None
        assert book.outcomes_of([f"{PLAN}-0"]) == []
        assert len(source.records.sharing(HealthRepository).list_in_force(NOW)) == 1


async def test_home_leads_to_the_pages_that_there_are(running: RunningConsole) -> None:
    home = (await (await running.signed_in()).get("/console/")).text
    for system, path in SYSTEM_PAGES.items():
        heading = f'<h2 id="title-{system}"><a href="/console{path}">'
        assert (heading in home) == (path in READING)
    assert "/customers" in READING
    assert linked_pages(["/customers"]) == {"churn": "/customers"}


async def test_the_list_follows_its_address(running: RunningConsole) -> None:
    browser = await running.signed_in(READ)
    page = (await browser.get("/console/customers?segment=-&order=health&text=ct")).text
    assert page.count("/console/customers/ct") == CUSTOMERS // 4
    assert 'value="-" selected' in page
    first = await browser.get("/console/customers?order=id")
    assert "after=ct" in first.text
    second = await browser.get("/console/customers?order=id&after=ct8")
    assert "ct9" in second.text
    assert "/console/customers/ct8" not in second.text
    assert "Nobody fits this filter" in (await browser.get("/console/customers?text=zzz")).text
    for query in ("order=worst", "band=blue"):
        assert (await browser.get(f"/console/customers?{query}")).status_code == 422
    for hostile in ("after=%00", "text=%25", "segment='--", "after=" + "x" * 5000, "order="):
        answer = await browser.get(f"/console/customers?{hostile}")
        assert answer.status_code in (200, 422), hostile
    exported = await browser.get("/console/customers.csv?segment=enterprise")
    assert exported.text.count("\r\n") == 1 + CUSTOMERS // 4


async def test_a_console_without_churn_has_no_customers(own: Seeded) -> None:
    systems = {"fraud": {"records": own.records("fraud"), "registry": str(own.registry)}}
    async with console(own, systems=systems) as running:
        browser = await running.signed_in(READ, "fraud:read")
        assert (await browser.get("/console/customers")).status_code == 404
        assert "/console/customers" not in (await browser.get("/console/")).text


async def test_before_the_first_score_pages_say_what_to_do(tmp_path: Path) -> None:
    empty = Seeded(tmp_path / "empty", (), "", "")
    empty.folder.mkdir()
    with StandingRepository(empty.records("churn")) as standings:
        standings.migrate()
    systems = {"churn": {"records": empty.records("churn"), "registry": str(empty.registry)}}
    async with console(empty, systems=systems) as running:
        browser = await running.signed_in(READ)
        assert "No customer has been scored yet" in (await browser.get("/console/customers")).text
        plan = (await browser.get(CONTACTS_PAGE)).text
        assert "POST /churn/interventions/plan" in plan
        assert (await browser.get("/console/customers/nobody")).status_code == 404


async def test_an_override_is_kept_under_name_and_key(own: Seeded) -> None:
    async with console(own) as running:
        browser = await running.signed_in(READ, REVIEW)
        answer = await post(browser, PAGE, f"{PAGE}/override", **OVERRIDE)
        assert answer.headers["location"] == f"{PAGE}?done=overridden"
        shown = (await browser.get(answer.headers["location"])).text
        assert "The next plan uses it" in shown
        assert "their sponsor left" in shown
        stale = await post(browser, PAGE, f"{PAGE}/override", **OVERRIDE)
        assert stale.status_code == 409
        assert "It has changed meanwhile" in stale.text
        audit = (await browser.get("/console/audit?kind=customer&person=ann")).text
        assert "overridden" in audit
        assert "their sponsor left" in audit
    with own.source("churn") as source:
        health = source.records.sharing(HealthRepository)
        newest = health.list_overrides("ct1")[0]
        assert (newest.score, newest.author) == (35.0, "ann")
        assert newest.expires_at % DAY == 0
        in_force = {override.customer_id for override in health.list_in_force(NOW)}
    assert in_force == {"ct1", "ct5"}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"score": "101"}, "from 0 to 100"),
        ({"score": "nan"}, "from 0 to 100"),
        ({"score": ""}, "from 0 to 100"),
        ({"reason": ""}, "Say why"),
        ({"reason": "x" * 2001}, "2,000 characters"),
        ({"until": "tomorrow"}, "2026-11-28"),
        ({"until": "2026-11-22"}, "future"),
        ({"until": "2028-01-01"}, "366 days"),
        ({"until": "9999-12-31"}, "1990"),
    ],
)
async def test_an_override_that_cannot_be_meant_is_refused_in_words(
    own: Seeded, fields: dict[str, str], words: str
) -> None:
    async with console(own) as running:
        browser = await running.signed_in(READ, REVIEW)
        answer = await post(browser, PAGE, f"{PAGE}/override", **{**OVERRIDE, **fields})
    assert answer.status_code == 422
    assert words in answer.text
    with own.source("churn") as source:
        assert source.records.sharing(HealthRepository).list_overrides("ct1") == []


async def test_an_override_is_withdrawn_by_whoever_saw_it(own: Seeded) -> None:
    page = "/console/customers/ct5"
    with own.source("churn") as source:
        present = source.records.sharing(HealthRepository).list_overrides("ct5")[0].id
    async with console(own) as running:
        browser = await running.signed_in(READ, REVIEW)
        fields = {"reason": "it was another customer", "present": present}
        answer = await post(browser, page, f"{page}/override/withdraw", **fields)
        assert answer.headers["location"] == f"{page}?done=withdrawn"
        again = await post(browser, page, f"{page}/override/withdraw", **fields)
        assert again.status_code == 409
    with own.source("churn") as source:
        assert source.records.sharing(HealthRepository).list_in_force(NOW) == []


async def reported(browser: httpx.AsyncClient, number: int, **fields: str) -> httpx.Response:
    """The answer to the form of a contact of today."""
    path = f"/console/contacts/{PLAN}-{number}/report"
    return await post(browser, CONTACTS_PAGE, path, day="2026-11-23", **fields)


async def test_contacts_are_reported_in_order_and_taken_back(own: Seeded) -> None:
    async with console(own) as running:
        browser = await running.signed_in(READ, LABEL)
        plan = (await browser.get(CONTACTS_PAGE)).text
        assert f"/console/contacts/{PLAN}-0/report" in plan
        assert f"0 of {CONTACTS - 1} reported on" in plan
        answer = await reported(browser, 0, report="done", note="spoke to them")
        assert answer.status_code == 303
        after = (await browser.get(answer.headers["location"])).text
        assert f"/console/contacts/{PLAN}-1/report" in after
        assert f"/console/contacts/{PLAN}-0/withdraw" in after
        conflict = await reported(browser, 0, report="not-done")
        assert conflict.status_code == 409
        undone = await post(browser, CONTACTS_PAGE, f"/console/contacts/{PLAN}-0/withdraw")
        assert "Taken back" in (await browser.get(undone.headers["location"])).text
        assert (await reported(browser, 0, report="not-done")).status_code == 303
        missing = await post(browser, CONTACTS_PAGE, f"/console/contacts/{PLAN}-9/withdraw")
        assert missing.status_code == 404
    with own.source("churn") as source:
        (outcome,) = source.records.sharing(InterventionRepository).outcomes_of([f"{PLAN}-0"])
    assert (outcome.kind, outcome.value, outcome.author) == ("delivered", False, "ann")
    assert len(str(outcome.key_id)) == 12


@pytest.mark.parametrize(
    ("number", "fields", "status"),
    [
        (0, {"report": "maybe"}, 422),
        (0, {}, 422),
        (0, {"report": "done", "note": "x" * 4001}, 422),
        (HELD_OUT, {"report": "done"}, 404),
        (99, {"report": "done"}, 404),
    ],
)
async def test_reports_that_cannot_be_meant_are_refused(
    own: Seeded, number: int, fields: dict[str, str], status: int
) -> None:
    async with console(own) as running:
        browser = await running.signed_in(READ, LABEL)
        answer = await reported(browser, number, **fields)
    assert answer.status_code == status
    assert "Request id" in answer.text


async def test_all_interventions_are_stopped_with_a_reason_and_go_on(own: Seeded) -> None:
    async with console(own) as running:
        browser = await running.signed_in(READ, REVIEW)
        before = (await browser.get(CONTACTS_PAGE)).text
        assert f"<strong>{CONTACTS}</strong> open contacts" in before
        stop = "/console/contacts/stop"
        assert (await post(browser, CONTACTS_PAGE, stop)).status_code == 422
        answer = await post(browser, CONTACTS_PAGE, stop, reason="prices are wrong")
        for path in (answer.headers["location"], "/console/customers"):
            page = (await browser.get(path)).text
            assert "All interventions are stopped." in page
            assert "prices are wrong" in page
        late = await post(browser, CONTACTS_PAGE, stop, reason="again")
        assert late.status_code == 409
        with own.source("churn") as source:
            assert source.records.sharing(InterventionRepository).find_stop() is not None
        resume = "/console/contacts/resume"
        answer = await post(browser, CONTACTS_PAGE, resume, reason="corrected")
        assert "Interventions go on." in (await browser.get(answer.headers["location"])).text
    with own.source("churn") as source:
        assert source.records.sharing(InterventionRepository).find_stop() is None


async def test_days_without_a_plan_lead_to_the_latest(running: RunningConsole) -> None:
    browser = await running.signed_in(READ)
    page = (await browser.get(f"{CONTACTS_PAGE}?day=2026-11-22")).text
    assert "No plan was made on this day." in page
    assert "day=2026-11-21" in page
    assert (await browser.get(f"{CONTACTS_PAGE}?day=yesterday")).status_code == 422
    assert (await browser.get(f"{CONTACTS_PAGE}?item={PLAN}-{HELD_OUT}")).status_code == 404
    exported = await browser.get(f"{CONTACTS_PAGE}.csv?day=2026-11-23")
    assert exported.text.count("\r\n") == CONTACTS
    assert f"ct{HELD_OUT}," not in exported.text


@pytest.mark.parametrize("name", ["a/b", "override", "x/override", "ü ?#%2F", STORED_SCRIPT, "+a"])
async def test_customers_of_any_id_have_a_page(own: Seeded, name: str) -> None:
    with own.source("churn") as source:
        source.records.sharing(HealthRepository).insert_entries(
            [health_entry(0, customer_id=name, mrr=9e6)]
        )
    async with console(own) as running:
        browser = await running.signed_in(READ, REVIEW)
        listed = (await browser.get("/console/customers")).text
        path = listed.partition('class="subject"><a href="')[2].partition('"')[0]
        page = await browser.get(path)
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        answer = await post(browser, path, f"{path}/override", **OVERRIDE)
        assert answer.status_code == 303
        assert (await browser.get(answer.headers["location"])).status_code == 200
    with own.source("churn") as source:
        (kept,) = source.records.sharing(HealthRepository).list_overrides(name)
    assert kept.score == 35.0


async def test_stored_scripts_are_text_on_pages_of_customers(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    seeded = seed(tmp_path_factory.mktemp("customers") / "x", ids=script_id)
    async with console(seeded) as running:
        browser = await running.signed_in(READ, REVIEW, LABEL)
        name = f"c{script_id(1)}"
        path = str(httpx.URL("/console/customers/").copy_with(path=f"/console/customers/{name}"))
        for page in ("/console/customers", path, CONTACTS_PAGE, "/console/audit?kind=customer"):
            answer = await browser.get(page)
            assert answer.status_code == 200, page
            assert "<script>alert" not in answer.text
            assert "<img src=x" not in answer.text
            assert "&lt;script&gt;alert" in answer.text
