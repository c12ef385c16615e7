"""The contracts of customers and of what they do. All tables but the customers may be missing.

Every row has an event time and, where they differ, the time it became known: nothing counts before.
"""

from __future__ import annotations

from functools import partial

import pyarrow as pa

from lib.contract import MINOR_UNITS, Column, Contract, known_times, text_column, time_column

PRIORITIES = ("low", "normal", "high", "urgent")
SIGNALS = ("competitor_mention", "champion_left", "price_complaint", "other")


_text = partial(text_column, required=False)


def _count(name: str, description: str, *, lenient: bool = False) -> Column:
    return Column(name, pa.int64(), description, required=False, low=0, high=1e9, lenient=lenient)


def _flag(name: str, description: str) -> Column:
    return Column(name, pa.bool_(), description, required=False)


def _money(name: str, description: str, *, required: bool = False, low: float = 0) -> Column:
    return Column(
        name, pa.int64(), description, required=required, unit=MINOR_UNITS, low=low, high=1e13
    )


_CUSTOMER = text_column("customer_id", "names the customer")

CUSTOMERS = Contract(
    name="customers",
    columns=(
        _CUSTOMER,
        *known_times("from when on the rest of the row holds; several rows tell a history"),
        time_column(
            "contract_start", "when the customer first signed", required=False, lenient=True
        ),
        time_column(
            "renewal_at",
            "when the contract ends unless it is renewed",
            required=False,
            lenient=True,
        ),
        _text("segment", "with whom the customer is compared, such as its size", lenient=True),
        _text("plan", "what is subscribed to", lenient=True),
        _count("seats", "users that are paid for", lenient=True),
        _money("mrr_minor", "recurring revenue a month"),
        _flag("churned", "a flag of the source that the customer has left; checked, never used"),
    ),
    key=("customer_id", "event_time"),
    has_parts=True,
)

USAGE = Contract(
    name="usage",
    columns=(
        _CUSTOMER,
        *known_times("when the product was used"),
        _text("user_id", "who used it"),
        _text("feature", "which feature of the product"),
        _count("count", "how often; 1 where nothing is said"),
    ),
)

TICKETS = Contract(
    name="tickets",
    columns=(
        text_column("ticket_id", "names the ticket"),
        _CUSTOMER,
        *known_times("when it was opened"),
        time_column("closed_at", "when it was closed", required=False),
        Column(
            "priority", pa.string(), "how urgent", required=False, values=PRIORITIES, lenient=True,
        ),
        Column(
            "satisfaction", pa.float64(), "of the customer with the answer, known once closed",
            required=False, low=0, high=10, lenient=True,
        ),
        _flag("escalated", "whether it was escalated"),
        _flag("about_leaving", "it asks to cancel: this is leaving, not a sign of it"),
    ),
    key=("ticket_id",),
    # closed before it was opened is no fact
)  # fmt: skip

INVOICES = Contract(
    name="invoices",
    columns=(
        text_column("invoice_id", "names the invoice; several lines may share it"),
        _CUSTOMER,
        *known_times("when it was issued"),
        time_column("due_at", "when it is to be paid", required=False),
        _money("amount_minor", "of the line; below 0 for a credit", required=True, low=-1e13),
        _money("discount_minor", "taken off it"),
        _text("item", "what was bought"),
        _flag("save_offer", "the discount was given to keep the customer: not a sign of churn"),
    ),
)

PAYMENTS = Contract(
    name="payments",
    columns=(
        _CUSTOMER,
        *known_times("when it was paid, or failed"),
        _text("invoice_id", "what it pays"),
        time_column("due_at", "when it was to be paid", required=False),
        _money("amount_minor", "paid", required=True),
        _flag("failed", "whether it failed"),
    ),
)

SURVEYS = Contract(
    name="surveys",
    columns=(
        _CUSTOMER,
        *known_times("when it was answered"),
        Column("score", pa.int64(), "net promoter score, 0 to 10", low=0, high=10),
    ),
    key=("customer_id", "event_time"),
)

CUSTOMER_SIGNALS = Contract(
    name="signals",
    columns=(
        _CUSTOMER,
        *known_times("when it was noticed"),
        Column("kind", pa.string(), "what was noticed", values=SIGNALS),
        _text("source", "who or what noticed it", lenient=True),
    ),
    key=("customer_id", "event_time", "kind"),
)

CHURN = Contract(
    name="churn",
    columns=(
        _CUSTOMER,
        *known_times("when notice was given"),
        time_column("ends_at", "when the contract ended", required=False),
        _text("reason", "why", lenient=True),
    ),
    key=("customer_id", "event_time"),
)

CONTRACTS = (
    CUSTOMERS,
    USAGE,
    TICKETS,
    INVOICES,
    PAYMENTS,
    SURVEYS,
    CUSTOMER_SIGNALS,
    CHURN,
)
"""In the order in which they are read."""
