"""The contracts of customers and of what they do. All tables but the customers may be missing.

Every row has an event time and, where they differ, the time it became known: nothing counts before.
"""

from functools import partial
from typing import Any

import pyarrow as pa

from lib.contract import (
    MINOR_UNITS,
    Column,
    Contract,
    choice_column,
    known_times,
    measure_column,
    text_column,
    time_column,
)

PRIORITIES = ("low", "normal", "high", "urgent")
SIGNALS = ("competitor_mention", "champion_left", "price_complaint", "other")


_text = partial(text_column, required=False)
_lenient_time = partial(time_column, required=False, lenient=True)


def _count(name: str, description: str, *, lenient: bool = False) -> Column:
    return Column(name, pa.int64(), description, required=False, low=0, high=1e9, lenient=lenient)


def _flag(name: str, description: str) -> Column:
    return Column(name, pa.bool_(), description, required=False)


def _money(name: str, description: str, *, required: bool = False, low: float = 0) -> Column:
    return Column(
        name, pa.int64(), description, required=required, unit=MINOR_UNITS, low=low, high=1e13
    )


_CUSTOMER = text_column("customer_id", "id of the customer")


def _events(
    name: str, when: str, *columns: Column, ids: tuple[Column, ...] = (), **options: Any
) -> Contract:
    """A table of what customers did at times; the columns `ids` come first."""
    columns = (*ids, _CUSTOMER, *known_times(when), *columns)
    return Contract(name=name, columns=columns, **options)


CUSTOMERS = _events(
    "customers",
    "time from which the other values of the row hold; several rows form a history",
    _lenient_time("contract_start", "time at which the customer's contract began"),
    _lenient_time("renewal_at", "time at which the contract ends unless it is renewed"),
    _text(
        "segment",
        "segment of similar customers that this one is compared with, such as `small`",
        lenient=True,
    ),
    _text("plan", "name of the subscribed plan", lenient=True),
    _count("seats", "number of paid user seats", lenient=True),
    _money("mrr_minor", "monthly recurring revenue"),
    _flag(
        "churned",
        "whether the source marks the customer as churned; checked, never a feature",
    ),
    key=("customer_id", "event_time"),
    has_parts=True,
    takes_attributes=True,
)

USAGE = _events(
    "usage",
    "time at which the product was used",
    _text("user_id", "id of the user"),
    _text("feature", "name of the product feature that was used"),
    _count("count", "number of uses; null counts as 1"),
)

TICKETS = _events(
    "tickets",
    "time at which the ticket was opened",
    time_column("closed_at", "time at which the ticket was closed", required=False),
    choice_column("priority", "urgency of the ticket", PRIORITIES, required=False, lenient=True),
    measure_column(
        "satisfaction", "satisfaction of the customer, 0 to 10, known at closing", 0, 10
    ),
    _flag("escalated", "whether the ticket was escalated"),
    _flag("about_leaving", "whether the ticket asks to cancel; that is a label, not a feature"),
    ids=(text_column("ticket_id", "id of the ticket"),),
    key=("ticket_id",),
)

INVOICES = _events(
    "invoices",
    "time at which the invoice was issued",
    time_column("due_at", "time at which the invoice is due", required=False),
    _money("amount_minor", "amount of the line; below 0 for a credit", required=True, low=-1e13),
    _money("discount_minor", "discount on the line"),
    _text("item", "name of the item"),
    _flag("save_offer", "whether the discount was given to retain the customer; not a feature"),
    ids=(text_column("invoice_id", "id of the invoice; several lines may share it"),),
)

PAYMENTS = _events(
    "payments",
    "time of the payment or of the failed attempt",
    _text("invoice_id", "id of the invoice that is paid"),
    time_column("due_at", "time at which the payment was due", required=False),
    _money("amount_minor", "amount that was paid", required=True),
    _flag("failed", "whether the payment failed"),
)

SURVEYS = _events(
    "surveys",
    "time at which the survey was answered",
    Column("score", pa.int64(), "net promoter score, 0 to 10", low=0, high=10),
    key=("customer_id", "event_time"),
)

CUSTOMER_SIGNALS = _events(
    "signals",
    "time at which the signal was noticed",
    choice_column("kind", "kind of the signal", SIGNALS),
    _text("source", "person or system that noticed the signal", lenient=True),
    key=("customer_id", "event_time", "kind"),
)

CHURN = _events(
    "churn",
    "time at which the customer gave notice",
    time_column("ends_at", "time at which the contract ended", required=False),
    _text("reason", "reason that the customer gave", lenient=True),
    key=("customer_id", "event_time"),
)

CONTRACTS = (CUSTOMERS, USAGE, TICKETS, INVOICES, PAYMENTS, SURVEYS, CUSTOMER_SIGNALS, CHURN)
"""In the order in which they are read."""
