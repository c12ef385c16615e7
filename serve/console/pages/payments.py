"""Payments: search, one payment with what speaks for and against it, and what people do with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from starlette.responses import Response

from lib.console.connections import (
    KINDS,
    MOST_CONNECTED,
    SPANS,
    count_similar,
    read_connected,
    read_graph,
)
from lib.console.decision_search import Bounds, DecisionFilter
from lib.console.payment import PaymentPage, read_payment
from lib.console.payment_actions import (
    Effect,
    TimedReviewer,
    decide_payment,
    label_together,
    note_payment,
    read_left_out,
    read_statement,
    refer_payment,
    take_back,
)
from lib.console.payments import (
    DEVICE,
    FRAUD,
    MERCHANT,
    MOST_EXPORTED,
    payments_csv,
    read_payments,
)
from lib.console.queue import LeasedItem, Reviewer, release_item, undo_decision
from lib.console.source import SystemSource
from lib.fraud.outcomes import AMOUNT
from lib.fraud.rules import ACTIONS
from lib.records import Decision
from lib.records.review.statements import StatementResult
from serve.console.console import Console, is_htmx
from serve.console.fields import (
    LONGEST_ID,
    new_effect,
    read_bounds,
    read_effect,
    read_key,
    read_note,
    read_query,
    read_span,
    read_whole,
    require_effect,
    set_fields,
)
from serve.console.metrics import ACTIONS as DONE
from serve.console.rendering import path_segment
from serve.console.service import SystemReader
from serve.console.session import Visit
from serve.framework.problem import Problem

_ROWS = 50
_FIELDS = (
    *("payment", "customer", "merchant", "device", "decision", "since", "until"),
    *("amount_from", "amount_to", "score_from", "score_to"),
)
_VERDICTS = {"fraud": True, "fine": False}
_CHOSEN = "payment."
_LONGEST_NAMED, _DIGITS = 2_000, 4
_MISSING = "No decision is recorded about this payment. Search for another, or check its id."


async def payments(console: Console, visit: Visit) -> Response:
    """What a search finds."""
    system, fields = _system(console, visit, "read"), _fields(visit)
    sought, before = _sought(system.source, fields), read_key(visit)
    part = await system.read(read_payments, sought, _ROWS, before, visit.name)
    filters = set_fields(fields)
    return console.page(
        visit.request,
        "payments.html",
        page="payments",
        part=part,
        fields=fields,
        filters=filters,
        decisions=ACTIONS,
        is_first=before is None,
        total=system.source.scale.text(part.total),
        older=None if part.after is None else f"{part.after[0]}~{part.after[1]}",
    )


async def export(console: Console, visit: Visit) -> Response:
    """What a search finds as CSV, the newest 5,000 payments at most."""
    system = _system(console, visit, "read")
    sought, before = _sought(system.source, _fields(visit)), read_key(visit)
    part = await system.read(read_payments, sought, MOST_EXPORTED, before, visit.name)
    return await console.download_csv("payments", payments_csv, part.payments)


async def payment(console: Console, visit: Visit) -> Response:
    """One payment, and what may be done with it."""
    system = _system(console, visit, "read")
    shown = await system.read(
        read_payment, visit.request.path_params["payment_id"], visit.name, console.service.now()
    )
    if shown is None:
        raise Problem.not_found(_MISSING)
    return console.page(
        visit.request,
        "payment.html",
        page="payments",
        shown=shown,
        effect=new_effect(),
        may_review=visit.may(FRAUD, "review"),
        **_on_page(visit, shown, console),
    )


async def graph(console: Console, visit: Visit) -> Response:
    """What a payment shares with others, as a part of its page."""
    system, decision = await _decided(console, visit)
    shown = await system.read(read_graph, decision, visit.name)
    return _part(console, visit, "payment_graph.html", "Connections", decision, graph=shown)


async def similar(console: Console, visit: Visit) -> Response:
    """What payments like one became, as a part of its page."""
    system, decision = await _decided(console, visit)
    counts = await system.read(count_similar, decision)
    title = "What similar payments became"
    return _part(console, visit, "payment_similar.html", title, decision, counts=counts)


async def connected(console: Console, visit: Visit) -> Response:
    """Payments that share something with one, to be labelled together: how many, and which."""
    visit.require(f"{FRAUD}:review")
    system, decision = await _decided(console, visit)
    query = visit.request.query_params
    names = [name for name in KINDS if query.get(name) == "yes"] or [DEVICE]
    days = next((span for span in SPANS if query.get("days") == str(span)), SPANS[1])
    shown = await system.read(
        read_connected, decision, names, days, visit.name, console.service.now()
    )
    return console.page(
        visit.request,
        "payment_connected.html",
        page="payments",
        shown=shown,
        names=names,
        days=days,
        spans=SPANS,
        words=KINDS,
        most=MOST_CONNECTED,
        effect=new_effect(),
        payment=decision,
        total=system.source.scale.text(shown.total),
    )


async def statement(console: Console, visit: Visit) -> Response:
    """A verdict that was stated of several payments, and the way back."""
    system = _system(console, visit, "read")
    name = require_effect(visit.request.path_params["statement"])
    view = await system.read(read_statement, name, visit.name)
    if view is None:
        raise Problem.not_found("Nothing was labelled under this name.")
    left, more = visit.request.query_params.getlist("left"), read_query(visit, ["more"])["more"]
    left_out = await system.read(
        read_left_out, left[:MOST_CONNECTED], visit.name, console.service.now()
    )
    return console.page(
        visit.request,
        "payment_statement.html",
        page="payments",
        view=view,
        left_out=left_out,
        more=int(more) if more.isdecimal() and len(more) < _DIGITS else 0,
        total=system.source.scale.text(view.total),
        may_review=visit.may(FRAUD, "review"),
    )


async def decide(console: Console, visit: Visit) -> Response:
    """Says whether a payment was fraud."""
    system = _system(console, visit, "review")
    answer = visit.form.get("verdict", "")
    if answer not in _VERDICTS:
        raise Problem(422, "verdict", "Choose fraud or not fraud. Nothing was changed.")
    payment_id, effect = visit.request.path_params["payment_id"], _effect(visit)
    by = _timed(console, visit)
    await system.read(decide_payment, by, payment_id, _VERDICTS[answer], effect)
    return _done(console, visit, "decide", f"decided-{answer}")


async def refer(console: Console, visit: Visit) -> Response:
    """Leaves a payment to seniors."""
    system, by = _system(console, visit, "review"), _timed(console, visit)
    payment_id = visit.request.path_params["payment_id"]
    await system.read(refer_payment, by, payment_id, _effect(visit))
    return _done(console, visit, "escalate", "referred")


async def note(console: Console, visit: Visit) -> Response:
    """Writes a note about a payment."""
    system = _system(console, visit, "review")
    text = read_note(visit)
    if text is None:
        raise Problem(422, "note", "Write the note first. Nothing was changed.")
    payment_id = visit.request.path_params["payment_id"]
    await system.read(note_payment, _timed(console, visit), payment_id, text)
    return _done(console, visit, "note", "noted")


async def undo(console: Console, visit: Visit) -> Response:
    """Takes the last verdict on a payment back, within ten seconds."""
    system, service = _system(console, visit, "review"), console.service
    item_id, lease_now = visit.form.get("item", ""), service.lease_now()
    item = LeasedItem(item_id, _reviewer(visit), read_whole(visit, "token"))
    claim = await system.read(undo_decision, item, service.now(), lease_now)
    # nobody looks at it here: others may have it
    await system.read(release_item, replace(item, token=claim.token), lease_now)
    return _done(console, visit, "undo", "undone")


async def label(console: Console, visit: Visit) -> Response:
    """Labels the payments that were listed fraud, all at once."""
    system, service = _system(console, visit, "review"), console.service
    chosen = [
        value
        for name, value in visit.form.items()
        if name.startswith(_CHOSEN) and 0 < len(value.encode()) <= LONGEST_ID
    ]
    if not chosen or len(chosen) > MOST_CONNECTED:
        raise Problem(
            422, "payments", f"Choose 1 to {MOST_CONNECTED} payments. Nothing was changed."
        )
    effect = Effect(read_effect(visit), note=read_note(visit))
    result = await system.read(label_together, _timed(console, visit), chosen, effect)
    service.meter.count(DONE.name, "label", "done")
    return _stated(console, effect.id, "labelled", chosen, result)


async def unlabel(console: Console, visit: Visit) -> Response:
    """Takes a verdict back that was stated of several payments."""
    system, service = _system(console, visit, "review"), console.service
    name = require_effect(visit.request.path_params["statement"])
    result = await system.read(take_back, _timed(console, visit), name)
    service.meter.count(DONE.name, "take-back", "done")
    return _stated(console, name, "taken-back", result.left_out, result)


def _stated(
    console: Console, name: str, done: str, chosen: Sequence[str], result: StatementResult
) -> Response:
    """Leads to a statement; the address names what was left out, as far as it may be long."""
    left_out = list(dict.fromkeys(chosen).keys() - set(result.stated))
    named, length = list[str](), 0
    for payment_id in sorted(left_out):
        length += len(payment_id.encode())
        if length <= _LONGEST_NAMED:
            named.append(payment_id)
    more = str(len(left_out) - len(named))
    return console.redirect(f"/payment-statements/{name}", done=done, left=named, more=more)


def _system(console: Console, visit: Visit, role: str) -> SystemReader:
    return console.system(visit, role, FRAUD)


async def _decided(console: Console, visit: Visit) -> tuple[SystemReader, Decision]:
    system = _system(console, visit, "read")
    decision = await system.read(_find, visit.request.path_params["payment_id"])
    if decision is None:
        raise Problem.not_found(_MISSING)
    return system, decision


def _part(
    console: Console, visit: Visit, part: str, title: str, decision: Decision, **values: Any
) -> Response:
    """A part of the page of a payment for htmx, else a page of its own."""
    template = part if is_htmx(visit.request) else "payment_part.html"
    return console.page(
        visit.request, template, page="payments", part=part, title=title, payment=decision, **values
    )


def _find(source: SystemSource, payment_id: str) -> Decision | None:
    return source.records.find_decision(payment_id)


def _on_page(visit: Visit, shown: PaymentPage, console: Console) -> dict[str, Any]:
    waiting = shown.waiting
    return {
        "is_with_another": waiting is not None
        and waiting.is_with_another(visit.name, console.service.now()),
        "spans": SPANS,
        "words": KINDS,
    }


def _fields(visit: Visit) -> dict[str, str]:
    return read_query(visit, _FIELDS)


def _sought(source: SystemSource, fields: dict[str, str]) -> DecisionFilter:
    """The filter that an address describes.

    Raises:
        Problem: 422 for what is no day, number or decision.
    """
    if fields["decision"] and fields["decision"] not in ACTIONS:
        raise Problem(422, "decision", f"Choose one of {', '.join(ACTIONS)}.")
    amounts = read_bounds(fields, "amount", source.scale.minor_per_unit)
    named = {MERCHANT: fields["merchant"], DEVICE: fields["device"]}
    return DecisionFilter(
        subject_id=fields["payment"] or None,
        entity_id=fields["customer"] or None,
        named={name: value for name, value in named.items() if value},
        decision=fields["decision"] or None,
        score=read_bounds(fields, "score"),
        amounts={} if amounts == Bounds() else {AMOUNT: amounts},
        **read_span(fields),
    )


def _reviewer(visit: Visit) -> Reviewer:
    return Reviewer(visit.name, visit.review_key, "")


def _timed(console: Console, visit: Visit) -> TimedReviewer:
    service = console.service
    return TimedReviewer(visit.name, visit.review_key, service.now(), service.lease_now())


def _effect(visit: Visit) -> Effect:
    return Effect(
        read_effect(visit),
        visit.form.get("item", ""),
        read_whole(visit, "label_at"),
        read_note(visit),
    )


def _done(console: Console, visit: Visit, action: str, done: str) -> Response:
    console.service.meter.count(DONE.name, action, "done")
    payment_id = path_segment(visit.request.path_params["payment_id"])
    return console.redirect(f"/payments/{payment_id}", done=done)
