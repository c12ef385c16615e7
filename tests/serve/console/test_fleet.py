"""The pages of the fleet: filters, export, inspections and notes, scopes."""

from __future__ import annotations

import csv
import io

import pytest

from lib.records import Records
from tests.console.seeded import STORED_SCRIPT, Seeded
from tests.console.seeded_fleet import MACHINES, machine_decision
from tests.records.conftest import NOVEMBER, keep_decisions
from tests.records.review_factories import HOUR
from tests.serve.console.console_app import READING, REVIEWING, RunningConsole, console, post

pytestmark = pytest.mark.anyio
MACHINE = "/console/fleet/pump%20t12"


async def test_the_export_has_the_machines_of_the_filter(running: RunningConsole) -> None:
    browser = await running.signed_in()
    answer = await browser.get("/console/fleet.csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == MACHINES
    assert rows[0]["machine_id"] == "pump t12"
    assert float(rows[0]["risk_7d"]) == pytest.approx(0.73)
    filtered = await browser.get("/console/fleet.csv?plant=plant+0&decision=SERVICE")
    assert len(filtered.text.splitlines()) == 3
    assert answer.headers["content-disposition"].startswith("attachment")


async def test_a_fleet_of_more_than_a_hundred_pages_is_shown_to_its_last(own: Seeded) -> None:
    machines = [
        machine_decision(f"press {number:04}", NOVEMBER - HOUR, 0.2) for number in range(5_000)
    ]
    with Records(own.records("maintenance")) as records:
        keep_decisions(records, machines)
    async with console(own) as running:
        browser = await running.signed_in()
        page = await browser.get("/console/fleet?number=101")
        assert "page 101 of 101" in page.text
        assert page.text.count('href="/console/fleet/') == MACHINES
        assert (await browser.get("/console/fleet?number=401")).status_code == 422


async def test_a_machine_is_inspected_once_and_noted_under_name_and_key(own: Seeded) -> None:
    async with console(own) as running:
        planner = await running.signed_in(*REVIEWING)
        answer = await post(planner, MACHINE, f"{MACHINE}/inspect", note=STORED_SCRIPT)
        assert answer.status_code == 303, answer.text
        again = await post(planner, MACHINE, f"{MACHINE}/inspect")
        assert again.headers["location"].endswith("done=known")
        noted = await post(planner, MACHINE, f"{MACHINE}/note", note="it hums")
        page = await planner.get(noted.headers["location"])
        assert "The note is kept." in page.text
        assert "it hums" in page.text
        empty = await post(planner, MACHINE, f"{MACHINE}/note")
        assert empty.status_code == 422
    with own.source("maintenance") as source:
        decision = source.records.list_machine_decisions("pump t12", 1)[0]
        (item,) = source.records.list_items(decision.subject_id)
        history = source.records.list_history(decision.subject_id)
    assert (item.rule, item.shown["asked_for"]) == ("asked for", STORED_SCRIPT)
    steps = [(entry.what, entry.who, len(entry.key_id or "")) for entry in history]
    assert steps == [("opened", "ann", 12), ("noted", "ann", 12)]


async def test_pages_and_buttons_follow_the_scopes(own: Seeded) -> None:
    async with console(own) as running:
        reader = await running.signed_in(*READING)
        page = await reader.get(MACHINE)
        assert f'action="{MACHINE}/inspect"' not in page.text
        for action in ("inspect", "note"):
            answer = await post(reader, MACHINE, f"{MACHINE}/{action}", note="x")
            assert answer.status_code == 403
        foreign = await running.signed_in("fraud:read", "fraud:review")
        for path in ("/console/fleet", "/console/fleet.csv", MACHINE):
            assert (await foreign.get(path)).status_code == 403


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/console/fleet/nobody", 404),
        ("/console/fleet?number=x", 422),
        ("/console/fleet?number=9", 200),
        (f"/console/fleet?text={STORED_SCRIPT}&decision=%22%3E&plant=%01", 200),
    ],
)
async def test_addresses_that_cannot_be_meant_are_answered_in_words(
    running: RunningConsole, path: str, status: int
) -> None:
    browser = await running.signed_in()
    answer = await browser.get(path)
    assert answer.status_code == status
    assert "<script>alert" not in answer.text
