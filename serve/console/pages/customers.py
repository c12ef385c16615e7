"""Customers: by health and revenue at risk, one of them, and the scores that people set."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast, get_args

from starlette.responses import Response

from lib.churn.standing_repository import MOST_FOLLOWED, Order
from lib.console.customer import override_customer, read_customer
from lib.console.customers import (
    BANDS,
    MOST_EXPORTED,
    ORDERS,
    WEEKS,
    CustomerFilter,
    customers_csv,
    list_customers,
    read_customers,
)
from lib.records.partitions import DAY, start_of
from serve.console.console import Console
from serve.console.fields import (
    LONGEST_ID,
    read_form_day,
    read_query,
    require_reason,
    set_fields,
)
from serve.console.metrics import ACTIONS
from serve.console.rendering import path_segment
from serve.console.session import Visit
from serve.framework.problem import Problem

SYSTEM = "churn"
_ROWS = 50
_LONGEST_WORD = 128
_FIELDS = ("segment", "band", "text", "order", "set", "state")
NO_SEGMENT = "-"
"""Stands for customers without a segment, in the address."""
_EXPIRY_DAYS = 30


async def customers(console: Console, visit: Visit) -> Response:
    """A part of the list, with the segments."""
    system, fields = console.system(visit, "read", SYSTEM), _fields(visit)
    after = key_of(visit, "after")
    now = console.service.now()
    page = await system.read(read_customers, _filter(fields), now, _ROWS, after)
    return console.page(
        visit.request,
        "customers.html",
        page="customers",
        view=page,
        fields=fields,
        after=after,
        filters=set_fields(fields),
        orders=ORDERS,
        bands=BANDS,
        weeks=WEEKS,
        followed=MOST_FOLLOWED,
        no_segment=NO_SEGMENT,
    )


async def export(console: Console, visit: Visit) -> Response:
    """What the filter shows as CSV, 10,000 rows at most."""
    system, now = console.system(visit, "read", SYSTEM), console.service.now()
    part = await system.read(list_customers, _filter(_fields(visit)), now, MOST_EXPORTED)
    return await console.download_csv("customers", customers_csv, part.customers)


async def customer(console: Console, visit: Visit) -> Response:
    """One customer."""
    system, now = console.system(visit, "read", SYSTEM), console.service.now()
    page = await system.read(read_customer, _id_of(visit), now)
    return console.page(
        visit.request,
        "customer.html",
        page="customers",
        customer=page,
        until=datetime.fromtimestamp((now + _EXPIRY_DAYS * DAY) / 1e6, UTC).date(),
        may_review=visit.may(SYSTEM, "review"),
    )


async def override(console: Console, visit: Visit) -> Response:
    """Sets the health that counts until a day, for plans as well."""
    until = start_of(read_form_day(visit, "until")) + DAY
    return await _set(console, visit, _score(visit), until, "overridden")


async def withdraw(console: Console, visit: Visit) -> Response:
    """Lets the model's health count again."""
    return await _set(console, visit, None, console.service.now() + DAY, "withdrawn")


async def _set(
    console: Console, visit: Visit, score: float | None, until: int, done: str
) -> Response:
    system = console.system(visit, "review", SYSTEM)
    customer_id, reason = _id_of(visit), require_reason(visit)
    await system.read(
        override_customer,
        customer_id,
        score,
        author=visit.name,
        key_id=visit.session.key_id,
        reason=reason,
        now=console.service.now(),
        until=until,
        present=visit.form.get("present") or None,
    )
    console.service.meter.count(ACTIONS.name, "override", "done")
    return console.redirect(customer_path(customer_id), done=done)


def key_of(visit: Visit, name: str) -> str | None:
    """An id in the address; None without one.

    Raises:
        Problem: 422 for what is no id.
    """
    text = visit.request.query_params.get(name, "")
    if "\0" in text or len(text) > LONGEST_ID:
        raise Problem(422, name, f"{name}: this is no id. Load the page again.")
    return text or None


def customer_path(customer_id: str) -> str:
    """The path of a customer's page, below that of the console."""
    return f"/customers/{path_segment(customer_id)}"


def _id_of(visit: Visit) -> str:
    return str(visit.request.path_params["customer_id"])


def _score(visit: Visit) -> float:
    try:
        score = float(visit.form.get("score", ""))
    except ValueError:
        score = -1.0
    if not 0.0 <= score <= 100.0:
        raise Problem(422, "score", "Health is a number from 0 to 100. Nothing was changed.")
    return score


def _fields(visit: Visit) -> dict[str, str]:
    fields = read_query(visit, _FIELDS, _LONGEST_WORD)
    if "\0" in "".join(fields.values()):
        raise Problem(422, "filter", "A filter holds no control characters.")
    return fields


def _filter(fields: dict[str, str]) -> CustomerFilter:
    """The filter, as the address has it.

    Raises:
        Problem: 422 for a word that is none of those that can be chosen.
    """
    order = fields["order"] or "risk"
    if order not in get_args(Order):
        raise Problem(422, "order", f"Choose one of {', '.join(ORDERS)}.")
    if fields["band"] not in ("", *BANDS):
        raise Problem(422, "band", f"Choose one of {', '.join(BANDS)}.")
    segment = fields["segment"] or None
    return CustomerFilter(
        segment="" if segment == NO_SEGMENT else segment,
        band=fields["band"] or None,
        text=fields["text"] or None,
        overridden=fields["set"] == "people",
        left=fields["state"] == "left",
        order=cast(Order, order),
    )
