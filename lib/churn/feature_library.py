"""What feature files of customers may name: formulas, quantities, and what is remembered."""

from __future__ import annotations

from functools import cache

from lib.churn import formulas
from lib.churn.contracts import SIGNALS
from lib.churn.customer_attributes import attribute_columns
from lib.churn.events import ATTRIBUTES, TEXTS
from lib.churn.vocabulary import CustomerVocabulary
from lib.feature import Quantity
from lib.feature.feature_library import ColumnKind, FeatureLibrary, NamedQuantity, NamedRecord

CUSTOMER = "customer_id"
COLUMNS: dict[str, ColumnKind] = {CUSTOMER: "category", **dict.fromkeys(TEXTS, "category")}
"""Columns of events that files may read: texts. Numbers of events are quantities."""
GROUPS = ("contract", "adoption", "engagement", "support", "payment", "sentiment")
"""Of features: what is agreed, and the components of a health score."""
_FORMULAS = (
    formulas.days,
    formulas.or_missing,
    formulas.days_since,
    formulas.days_until,
    formulas.share,
    formulas.difference,
    formulas.at_least_nothing,
    formulas.trend_of_month,
    formulas.trend_of_week,
    formulas.against_pace,
    formulas.usual_gap,
    formulas.spread,
    formulas.major,
    formulas.balance,
    formulas.overdue,
)
_COUNTS = {
    "used": "uses of the product",
    "opened": "1 where a ticket is opened",
    "closed": "1 where a ticket is closed",
    "urgent": "1 where an urgent ticket is opened",
    "escalated": "1 where an escalated ticket is opened",
    "rated": "1 where a ticket is closed and rated",
    "invoiced": "1 of a line of an invoice",
    "first_line": "1 of the first line of an invoice",
    "paid": "1 of a payment that worked",
    "failed": "1 of a payment that failed",
    "on_time_known": "1 of a payment of which it is known when it was due",
    "surveyed": "1 of an answer to a survey",
    "told": "1 of a row of the customer itself",
    **{name: f"1 of the signal '{name}'" for name in SIGNALS},
}

_PACKAGED = (
    *("days_since", "days_until", "overdue", "balance", "or_missing"),
    *("customer", "issued_day", "issued_day_squared"),
)
"""Names that need what files of data sets do not read: today, or what the customer's row says."""


def _identity(number: int) -> int:
    return number


@cache
def column_quantity(name: str) -> Quantity:
    """The whole numbers of a column of the stream; the same object for the same column."""
    return Quantity(name, (name,), _identity)


ISSUED_DAY_SQUARED = Quantity("issued_day_squared", ("issued_day",), _identity, squared=True)


@cache
def remembered_of_customer(base: CustomerVocabulary) -> NamedRecord:
    """What the newest row of a customer says, attributes of the base included."""
    names = (*ATTRIBUTES, *attribute_columns(base))
    quantities = tuple(column_quantity(name) for name in names)
    return NamedRecord(quantities, column_quantity("told"), "the newest row of the customer")


@cache
def customer_library(base: CustomerVocabulary) -> FeatureLibrary:
    """What files of a base's customers may name; the same objects for the same base."""
    invoice = tuple(column_quantity(name) for name in ("due_day", "amount_minor"))
    return FeatureLibrary(
        formulas={formula.__name__: formula for formula in _FORMULAS},
        column_formulas={"day_of": formulas.day_of},
        quantities=_quantities(),
        records={
            "customer": remembered_of_customer(base),
            "invoice": NamedRecord(
                invoice, column_quantity("invoiced"), "the newest line of an invoice"
            ),
            "survey": NamedRecord(
                (column_quantity("score"),), column_quantity("surveyed"), "the newest answer"
            ),
        },
        groups=GROUPS,
        packaged_only=frozenset((*_PACKAGED, *ATTRIBUTES)),
        key_columns=frozenset((CUSTOMER,)),
        lasting_keys=frozenset([(CUSTOMER,)]),
        mixed_events=True,
    )


@cache
def _quantities() -> dict[str, NamedQuantity]:
    counted = {name: NamedQuantity(column_quantity(name), text) for name, text in _COUNTS.items()}
    return {
        **counted,
        "amount": _money("amount_minor", "what a line of an invoice comes to", "invoiced"),
        "discount": _money("discount_minor", "discount of a line", "invoiced"),
        "credited": _money("credited_minor", "what is credited"),
        "paid_amount": _money("paid_minor", "what is paid", "paid"),
        "resolution_hours": _measured(
            "resolution_hours", "hours from opening to closing a ticket", "closed"
        ),
        "satisfaction": _measured(
            "satisfaction_hundredths", "how a closed ticket is rated, points", "rated", 100.0
        ),
        "late_days": _measured("late_days", "days that a payment is late", "on_time_known"),
        "score": _measured("score", "answer to a survey, 0 to 10", "surveyed"),
        "amount_minor": _measured("amount_minor", "as 'amount', minor units", "invoiced"),
        "due_day": _measured("due_day", "when a line is due, days since 1970", "invoiced"),
        "issued_day": NamedQuantity(column_quantity("issued_day")),
        "issued_day_squared": NamedQuantity(ISSUED_DAY_SQUARED),
        **{name: NamedQuantity(column_quantity(name)) for name in ATTRIBUTES},
    }


def _money(column: str, meaning: str, present: str | None = None) -> NamedQuantity:
    return _measured(column, f"{meaning}, currency units", present, formulas.MINOR_UNITS)


def _measured(column: str, meaning: str, present: str | None, scale: float = 1.0) -> NamedQuantity:
    counted = None if present is None else column_quantity(present)
    return NamedQuantity(column_quantity(column), meaning, scale, 1.0 / scale, counted)
