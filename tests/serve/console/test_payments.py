"""What analysts do with payments over the console: decide, refer, note, label together, undo."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote

import httpx
import pytest

from lib.console.connections import read_graph
from lib.records import Records
from lib.records.review import ReviewItem
from tests.console.seeded import NOW, STORED_SCRIPT, Seeded
from tests.console.seeded_payments import AT, CUSTOMER, MAIN, label, payment
from tests.records.conftest import SECOND, keep_decisions
from tests.records.review_factories import HOUR, AlwaysGolden, golden_item, item
from tests.serve.console.console_app import (
    READING,
    REVIEWING,
    RunningConsole,
    console,
    fields_of,
    token_of,
)

pytestmark = pytest.mark.anyio
ID = f"t{MAIN}"
PAGE = f"/console/payments/{ID}"
BUYER, OTHER = f"t{CUSTOMER}", "t9031"
"""Who paid, and another payment of theirs."""


@asynccontextmanager
async def reviewing(seeded: Seeded) -> AsyncIterator[httpx.AsyncClient]:
    """The browser of somebody who may decide."""
    async with console(seeded) as running:
        yield await running.signed_in(*REVIEWING)


async def act(
    browser: httpx.AsyncClient, action: str, page: str = PAGE, **fields: str
) -> httpx.Response:
    """The answer to the form of a payment."""
    shown = await browser.get(page)
    form = fields_of(shown, f"{page}/decide")
    return await browser.post(f"{page}/{action}", data={**form, **fields})


def lines_about(page: httpx.Response, subject_id: str = ID) -> list[str]:
    """Lines of an audit about a payment."""
    return [line for line in page.text.splitlines() if subject_id in line]


def row_of(page: httpx.Response, payment_id: str) -> str:
    """The row of a payment in a list."""
    return page.text.partition(f">{payment_id}</a>")[2].partition("</tr>")[0]


def queued(seeded: Seeded, subject_id: str = ID, **changes: object) -> ReviewItem:
    """An item of the queue about a payment."""
    fields = {
        "id": "i-pay",
        "case_id": "i-pay",
        "system": "fraud",
        "subject_id": subject_id,
        "policies": {"fraud": 0.62},
        "created_at": NOW - HOUR,
        "due_at": NOW + HOUR,
        "rank_us": NOW,
    }
    waiting = item(**(fields | changes))
    with seeded.source() as source:
        source.records.admit([waiting], "routing")
    return waiting


async def test_a_payment_that_waits_is_decided_in_the_queue_and_undone(own: Seeded) -> None:
    queued(own)
    async with console(own) as running:
        ann = await running.signed_in(*REVIEWING)
        answer = await act(ann, "decide", verdict="fraud", note="the bank called")
        assert answer.headers["location"] == f"{PAGE}?done=decided-fraud"
        shown = await ann.get(answer.headers["location"])
        assert "Kept: fraud." in shown.text
        assert "the bank called" in shown.text
        undo = fields_of(shown, f"{PAGE}/undo")
        running.clock.now += 5 * SECOND
        undone = await ann.post(f"{PAGE}/undo", data=undo)
        assert undone.headers["location"].endswith("?done=undone")
        with own.source() as source:
            assert source.records.list_outcomes(ID) == []
            assert ID in source.records.list_waiting_items([ID])
        assert (await act(ann, "decide", verdict="fine")).status_code == 303
        running.clock.now += 11 * SECOND
        late = await ann.post(f"{PAGE}/undo", data={**undo, "token": "3"})
        assert late.status_code == 409
    with own.source() as source:
        (verdict,) = source.records.list_verdicts(ID)
    assert (verdict.item_id, verdict.verdicts) == ("i-pay", {"fraud": False})


async def test_a_payment_that_nobody_waits_for_is_labelled_once(own: Seeded) -> None:
    async with reviewing(own) as ann:
        form = fields_of(await ann.get(PAGE), f"{PAGE}/decide") | {"verdict": "fraud"}
        for _ in range(2):  # sent twice
            assert (await ann.post(f"{PAGE}/decide", data=form)).status_code == 303
        stale = await ann.post(f"{PAGE}/decide", data={**form, "effect": "a" * 32})
        assert stale.status_code == 409
        assert "It has changed meanwhile" in stale.text
        other = await ann.post(f"{PAGE}/decide", data={**form, "verdict": "fine"})
        assert other.status_code == 409
        audit = await ann.get("/console/audit?kind=review&person=ann")
        assert audit.text.count("decided") >= 1
    with own.source() as source:
        (outcome,) = source.records.list_outcomes(ID)
        entries = source.records.list_history(ID)
    assert outcome.verdicts == {"fraud": True}
    assert [(entry.what, entry.who) for entry in entries][:2] == [
        ("opened", "ann"),
        ("decided", "ann"),
    ]
    assert all(entry.key_id for entry in entries if entry.who == "ann")


async def test_what_another_has_or_decided_is_refused(own: Seeded) -> None:
    queued(own)
    async with console(own) as running:
        ann = await running.signed_in(*REVIEWING)
        form = fields_of(await ann.get(PAGE), f"{PAGE}/decide") | {"verdict": "fraud"}
        with own.source() as source:
            source.queue.take("i-pay", "bob", running.clock.now)
        refused = await ann.post(f"{PAGE}/decide", data=form)
        assert refused.status_code == 409
        assert "Nothing was changed" in refused.text
        busy = await ann.get(PAGE)
        assert "another reviewer has it" in busy.text
        assert 'value="fraud"' not in busy.text
        bob = await running.signed_in(*REVIEWING, name="bob")
        assert (await act(bob, "decide", verdict="fine")).status_code == 303
        assert (await ann.post(f"{PAGE}/decide", data=form)).status_code == 409
    with own.source() as source:
        (verdict,) = source.records.list_verdicts(ID)
    assert (verdict.reviewer, verdict.verdicts) == ("bob", {"fraud": False})


async def test_earlier_verdicts_are_not_shown_while_another_opinion_is_due(own: Seeded) -> None:
    async with console(own) as running:
        ann = await running.signed_in(*REVIEWING)
        assert (await act(ann, "decide", verdict="fraud", note="clearly")).status_code == 303
        assert "clearly" in (await ann.get(PAGE)).text
        queued(own, kind="appeal", id="i-again", case_id="i-again")
        bob = await running.signed_in(*REVIEWING, name="bob")
        assert "clearly" not in (await bob.get(PAGE)).text


@pytest.mark.parametrize("path", ["audit", "audit.csv"])
async def test_the_audit_shows_no_opinion_while_another_is_due(own: Seeded, path: str) -> None:
    async with console(own) as running:
        ann = await running.signed_in(*REVIEWING, name="anna-lena")
        assert (await act(ann, "decide", verdict="fraud", note="clearly")).status_code == 303
        bob = await running.signed_in(*REVIEWING, name="bob")
        pages = [f"/console/{path}?kind=review{more}" for more in ("", "&action=decided")]
        for page in pages:
            assert any("fraud yes" in line for line in lines_about(await bob.get(page)))
        queued(own, kind="appeal", id="i-again", case_id="i-again")
        hidden = lines_about(await bob.get(pages[0]))
        assert hidden
        assert all("shown once no opinion is due" in line for line in hidden)
        telling = ("anna", "yes", "decided", "closed")
        assert not any(word in line for line in hidden for word in telling)
        assert lines_about(await bob.get(pages[1])) == []


async def test_a_payment_that_measures_a_reviewer_looks_like_any_that_waits(own: Seeded) -> None:
    async with console(own) as running:
        ann = await running.signed_in(*REVIEWING)
        assert (await act(ann, "decide", verdict="fraud", note="clearly")).status_code == 303
        known = {"fraud": True}
        golden = golden_item(
            1, system="fraud", subject_id=ID, policies={"fraud": 0.62}, known=known
        )
        queued(own, OTHER)
        with own.source() as source:
            source.records.insert_golden([golden])
            claims = source.records.claim("bob", 2, now=NOW, lease=HOUR, mixer=AlwaysGolden())
            decision = source.records.find_decision(ID)
            assert decision is not None
            graphs = [read_graph(source, decision, name) for name in ("bob", "ann")]
        assert ID in {claim.subject_id for claim in claims}
        frauds = [sum(node.frauds for node in graph.nodes) for graph in graphs]
        assert frauds[0] < frauds[1]
        bob = await running.signed_in(*REVIEWING, name="bob")
        both = f"/console/payments?customer={BUYER}"
        rows = {name: row_of(await bob.get(both), name) for name in (ID, OTHER)}
        assert all("waits" in row and "by review" not in row for row in rows.values())
        assert "by review" in row_of(await ann.get(both), ID)
        answer = await act(bob, "decide", verdict="fine")
        assert answer.headers["location"] == f"{PAGE}?done=decided-fine"
    with own.source() as source:
        (answered,) = source.records.list_golden_answers()
    assert (answered.reviewer, dict(answered.known)) == ("bob", known)


@pytest.mark.parametrize("waits", [True, False])
async def test_a_payment_is_left_to_seniors_once(own: Seeded, waits: bool) -> None:
    if waits:
        queued(own)
    async with reviewing(own) as ann:
        form = fields_of(await ann.get(PAGE), f"{PAGE}/decide") | {"note": "too large for me"}
        for _ in range(2):
            assert (await ann.post(f"{PAGE}/refer", data=form)).status_code == 303
        shown = await ann.get(PAGE)
        assert "waits for seniors" in shown.text
        assert "too large for me" in shown.text
        with own.source() as source:
            waiting = source.records.list_waiting_items([ID])[ID]
        assert waiting.skill == "senior"
        assert waiting.leased_by is None
    with own.source() as source:
        assert [i.skill for i in source.records.list_items(ID)] == ["senior"]


async def test_a_note_is_kept_once_and_in_the_audit(own: Seeded) -> None:
    async with reviewing(own) as ann:
        for _ in range(2):
            assert (await act(ann, "note", note=STORED_SCRIPT)).status_code == 303
        page = await ann.get(PAGE)
        assert page.text.count("&lt;script&gt;alert(1)") == 1
        assert (await act(ann, "note", note="")).status_code == 422
        assert (await act(ann, "note", note="x" * 4_001)).status_code == 422
    with own.source() as source:
        (entry,) = source.records.list_history(ID)
        assert source.records.list_waiting_items([ID]) == {}
    assert (entry.what, entry.after) == ("noted", {"note": STORED_SCRIPT})


async def test_all_that_is_connected_is_labelled_and_taken_back(own: Seeded) -> None:
    queued(own, "t9012")
    preview = f"/console/payment-connected/{ID}?device_id=yes&days=7"
    async with console(own) as running:
        ann = await running.signed_in(*REVIEWING)
        page = await ann.get(preview)
        assert "8 payments, " in page.text
        assert "2 more are labelled fraud already" in page.text
        form = fields_of(page, "/console/payment-statements")
        chosen = {name: value for name, value in form.items() if name.startswith("payment.")}
        assert len(chosen) == 8
        left = next(name for name, value in chosen.items() if value == "t9014")
        del form[left]
        for _ in range(2):
            answer = await ann.post("/console/payment-statements", data=form)
            assert answer.status_code == 303
        statement = answer.headers["location"].partition("?")[0]
        shown = await ann.get(answer.headers["location"])
        assert "7 payments labelled fraud" in shown.text
        assert "left out" not in shown.text
        with own.source() as source:
            stated = source.records.list_stated(form["effect"])
            labels = [label for label in source.records.iterate_labels() if label.violates]
        assert {verdict.subject_id for verdict in stated} == {*chosen.values()} - {"t9014"}
        assert len(labels) == 7 + 1, "one item was decided when the week was made"
        running.clock.now += 600 * SECOND
        back = {"csrf": token_of(shown)}
        for _ in range(2):
            assert (await ann.post(f"{statement}/take-back", data=back)).status_code == 303
        assert "Taken back by" in (await ann.get(statement)).text
    with own.source() as source:
        latest = {label.subject_id: label.violates for label in source.records.iterate_labels()}
        assert {name: latest[name] for name in {*chosen.values()} - {"t9014"}} == dict.fromkeys(
            {*chosen.values()} - {"t9014"}, False
        )
        assert len(source.records.list_outcomes(ID)) == 2


async def test_a_statement_shows_no_payment_on_which_the_reader_owes_an_opinion(
    own: Seeded,
) -> None:
    async with console(own) as running:
        ann = await running.signed_in(*REVIEWING)
        page = await ann.get(f"/console/payment-connected/{ID}?device_id=yes&days=7")
        form = fields_of(page, "/console/payment-statements")
        answer = await ann.post("/console/payment-statements", data={**form, "note": "a ring"})
        statement = answer.headers["location"].partition("?")[0]
        with own.source() as source:
            fields = {"policies": {"fraud": 0.6}, "known": {"fraud": True}}
            source.records.insert_golden([golden_item(1, system="fraud", subject_id=ID, **fields)])
            source.records.claim("bob", 2, now=NOW, lease=HOUR, mixer=AlwaysGolden())
        bob = await running.signed_in(*REVIEWING, name="bob")
        shown = await bob.get(statement)
        assert "7 payments labelled fraud" in shown.text
        assert "1 more waits for an opinion" in shown.text
        assert f">{ID}</a>" not in shown.text
        assert "8 payments labelled fraud" in (await ann.get(statement)).text


async def test_what_cannot_be_labelled_together_is_named_with_the_reason(own: Seeded) -> None:
    queued(own, "t9012")
    async with console(own) as running:
        ann = await running.signed_in(*REVIEWING)
        path = "/console/payment-statements"
        form = fields_of(await ann.get(f"/console/payment-connected/{ID}?device_id=yes"), path)
        fraud = "t9010"
        form |= {"payment.98": fraud, "payment.99": "nothing"}
        with own.source() as source:
            source.records.take("i-pay", "bob", now=running.clock.now, lease=HOUR)
        shown = await ann.get((await ann.post(path, data=form)).headers["location"])
        assert "3 left out" in shown.text
        assert "t9012</a>: it is with another reviewer" in shown.text
        assert f"{fraud}</a>: it was labelled fraud already" in shown.text
        assert "nothing</a>: it is not recorded with an amount" in shown.text
        alone = {name: form[name] for name in ("csrf", "effect")} | {"payment.0": "t9012"}
        alone["effect"] = "ab" * 16
        refused = await ann.post(path, data=alone)
        assert refused.status_code == 409
        assert "wait for somebody else" in refused.text


async def test_taking_back_leaves_what_became_known_since(own: Seeded) -> None:
    async with console(own) as running:
        ann = await running.signed_in(*REVIEWING)
        page = await ann.get(f"/console/payment-connected/{ID}?device_id=yes&days=1")
        form = fields_of(page, "/console/payment-statements")
        answer = await ann.post("/console/payment-statements", data=form)
        running.clock.now += 60 * SECOND
        with Records(own.records("fraud")) as records:
            records.record_labels([label(ID, True, running.clock.now)])
        statement = answer.headers["location"].partition("?")[0]
        shown = await ann.get(statement)
        assert "something else became known since: they stay" in shown.text
        await ann.post(f"{statement}/take-back", data={"csrf": token_of(shown)})
    with own.source() as source:
        backed = {
            verdict.subject_id for verdict in source.records.list_stated(form["effect"] + "-back")
        }
    assert ID not in backed
    assert backed


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("decision=DELETE", 422, "Choose one of APPROVE"),
        ("since=yesterday", 422, "A day is written"),
        ("amount_from=ten", 422, "A number is expected"),
        ("score_to=1e3", 422, "A number is expected"),
        ("before=x", 422, "incomplete"),
        ("amount_from=412.50&amount_to=412.50", 200, ID),
        ("score_from=0.62&decision=REVIEW", 200, ID),
        ("customer=t9100&until=2026-11-21", 200, ID),
        ("payment=nothing", 200, "Nothing fits"),
        (f"merchant={quote(STORED_SCRIPT)}", 200, "&lt;script&gt;"),
    ],
)
async def test_searches_are_answered_or_refused_in_words(
    running: RunningConsole, query: str, status: int, words: str
) -> None:
    browser = await running.signed_in()
    answer = await browser.get(f"/console/payments?{query}")
    assert answer.status_code == status
    assert words in answer.text
    export = await browser.get(f"/console/payments.csv?{query}")
    assert export.status_code == status


async def test_pages_and_actions_need_their_scopes(own: Seeded) -> None:
    async with console(own) as running:
        reader, other = await running.signed_in(*READING), await running.signed_in("churn:read")
        page = await reader.get(PAGE)
        assert "no scope fraud:review" in page.text
        assert f"{PAGE}/decide" not in page.text
        assert 'href="/console/payments"' in page.text
        assert 'href="/console/payments"' not in (await other.get("/console/")).text
        for path in ("payments", "payments.csv", f"payments/{ID}", f"payment-graph/{ID}"):
            assert (await other.get(f"/console/{path}")).status_code == 403
        assert (await reader.get(f"/console/payment-connected/{ID}")).status_code == 403
        token = token_of(page)
        paths = [f"{PAGE}/{name}" for name in ("decide", "refer", "note", "undo")]
        paths += [
            "/console/payment-statements",
            f"/console/payment-statements/{'0' * 32}/take-back",
        ]
        for path in paths:
            data = {"csrf": token, "effect": "0" * 32, "verdict": "fraud", "payment.0": ID}
            refused = await reader.post(path, data=data)
            assert refused.status_code == 403, path
            assert "lacks the scope fraud:review" in refused.text
    with own.source() as source:
        assert source.records.list_history(ID) == []


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("/decide", {"verdict": "maybe"}, 422),
        ("/decide", {"verdict": "fraud", "effect": "x"}, 422),
        ("/decide", {"verdict": "fraud", "label_at": "-1"}, 422),
        ("/decide", {"verdict": "fraud", "item": "nothing"}, 404),
        ("/undo", {"item": "nothing", "token": "1"}, 404),
        ("/undo", {"item": "nothing", "token": "many"}, 422),
    ],
)
async def test_forms_that_do_not_fit_are_refused_in_words(
    running: RunningConsole, path: str, fields: dict[str, str], status: int
) -> None:
    ann = await running.signed_in(*REVIEWING)
    form = fields_of(await ann.get(PAGE), f"{PAGE}/decide")
    answer = await ann.post(f"{PAGE}{path}", data={**form, **fields})
    assert answer.status_code == status
    assert "Request id" in answer.text


async def test_what_is_not_there_is_said(running: RunningConsole) -> None:
    ann = await running.signed_in(*REVIEWING)
    for path in ("payments/nothing", "payment-graph/nothing", "payment-similar/nothing"):
        answer = await ann.get(f"/console/{path}")
        assert answer.status_code == 404
        assert "No decision is recorded" in answer.text
    assert (await ann.get(f"/console/payment-statements/{'0' * 32}")).status_code == 404
    assert (await ann.get("/console/payment-statements/x")).status_code == 422
    token = token_of(await ann.get(PAGE))
    refused = await ann.post(
        "/console/payment-statements",
        data={
            "csrf": token,
            "effect": "0" * 32,
            "payment.0": "nothing",
        },
    )
    assert refused.status_code == 409
    without_amount = await ann.get("/console/payments/t1")
    assert "cannot be judged here" in without_amount.text


@pytest.mark.parametrize(
    "payment_id", ["a/b", "%2e%2e", "a?b#c", "ünï cödé", "/decide", "a/decide", STORED_SCRIPT]
)
async def test_any_id_has_a_page_and_forms(own: Seeded, payment_id: str) -> None:
    hostile = payment(payment_id, AT, (STORED_SCRIPT, '"><u>', "'; --"))
    with Records(own.records("fraud")) as records:
        keep_decisions(records, [hostile])
    page = f"/console/payments/{quote(payment_id, safe='')}"
    async with reviewing(own) as ann:
        shown = await ann.get(page)
        assert shown.status_code == 200
        assert "<script>alert" not in shown.text
        assert '"><u>' not in shown.text
        form = fields_of(shown, f"{page}/decide")
        answer = await ann.post(f"{page}/decide", data={**form, "verdict": "fraud"})
        assert answer.status_code == 303
        assert "Kept: fraud" in (await ann.get(answer.headers["location"])).text


async def test_pages_are_of_a_size_to_be_read(running: RunningConsole) -> None:
    browser = await running.signed_in(*REVIEWING)
    for path in ("payments", f"payments/{ID}", f"payment-graph/{ID}"):
        answer = await browser.get(f"/console/{path}")
        assert len(answer.content) < 60_000, path
