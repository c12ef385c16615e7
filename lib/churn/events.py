"""All tables of customers as one stream of happenings, the form that features are computed from.

A ticket is two happenings, opened and closed: what became known at its end (how long it took, how
satisfied the customer was) counts from then on. Notice, and a ticket that cancels, are in the
stream as `leaving`, which outcomes are read from and no feature is: what is itself a part of
leaving is no sign of it. A discount given to keep someone is added back to what was paid.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lib.churn.contracts import CUSTOMERS, SIGNALS
from lib.churn.customer_attributes import PREFIX, attribute_columns, attribute_values
from lib.churn.formulas import UNKNOWN
from lib.churn.vocabulary import CustomerVocabulary
from lib.contract import TIME
from lib.feature import DAY

TEXTS = ("user_id", "feature", "use_day", "invoice_id", "invoice_day", "item")
_TEXTS_OF = {"usage": TEXTS[:3], "invoices": TEXTS[3:]}
ATTRIBUTES = ("start_day", "renewal_day", "mrr_minor", "seats_paid", "segment_place", "plan_place")
_NUMBERS_OF = {
    "usage": ("used",),
    "tickets": (
        *("opened", "closed", "urgent", "escalated", "resolution_hours", "rated"),
        "satisfaction_hundredths",
    ),
    "invoices": (
        *("invoiced", "first_line", "issued_day", "amount_minor", "discount_minor"),
        *("credited_minor", "due_day"),
    ),
    "payments": ("paid", "paid_minor", "failed", "on_time_known", "late_days"),
    "surveys": ("surveyed", "score"),
    "signals": ("noticed", *SIGNALS),
    "customers": ("told", "leaving", "ends_day", "flagged", *ATTRIBUTES),
}
NUMBERS = tuple(name for names in _NUMBERS_OF.values() for name in names)
TABLE_OF = {
    name: table
    for columns in (_TEXTS_OF, _NUMBERS_OF)
    for table, names in columns.items()
    for name in names
}
"""The table that each column comes from."""
FLAGGED_LEFT, FLAGGED_STAYS = 1, 2
_OF_NEIGHBOURS = ("start_day", "first_line", "issued_day")
SCHEMA = pa.schema(
    [
        pa.field("event_id", pa.string()),
        pa.field("customer_id", pa.string()),
        pa.field("event_time", TIME),
        pa.field("received_at", TIME),
        *(pa.field(name, pa.string()) for name in TEXTS),
        *(pa.field(name, pa.int64()) for name in NUMBERS),
    ]
)
"""Of a stream without attributes. Texts are null and numbers 0 where a happening says nothing."""
_CONTENT = tuple(
    name for name in SCHEMA.names if name not in ("event_id", "received_at", *_OF_NEIGHBOURS)
)


def schema_of(base: CustomerVocabulary) -> pa.Schema:
    """The columns of a base's stream: `SCHEMA`, and whole numbers that hold the attributes."""
    own = [pa.field(name, pa.int64()) for name in attribute_columns(base)]
    return pa.schema([*SCHEMA, *own])


def content_of(event: Mapping[str, Any]) -> bytes:
    """A digest (8 bytes) of what a happening itself says, whatever rows it is told with."""
    own = [name for name in event if name.startswith(PREFIX)]
    text = repr([event[name] for name in (*_CONTENT, *own)]).encode()
    return hashlib.blake2b(text, digest_size=8).digest()


def events_of(name: str, base: CustomerVocabulary, table: pa.Table) -> pa.Table:
    """The rows of one checked table as happenings, with the columns of `schema_of`.

    Args:
        name: of the contract: `customers`, `usage`, ...
        base: says the codes of segments, plans and values of attributes.
        table: checked.
    """
    if not table.num_rows:
        return schema_of(base).empty_table()
    values = attribute_values(base, table) if name == CUSTOMERS.name else {}
    return _with_attributes(_MAKERS[name](table, base), base, values)


def stream(tables: Mapping[str, pa.Table | None], base: CustomerVocabulary) -> pa.Table:
    """The happenings of several tables, by contract's name."""
    parts = [events_of(name, base, table) for name, table in tables.items() if table is not None]
    return pa.concat_tables([schema_of(base).empty_table(), *parts])


def _with_attributes(
    happened: pa.Table, base: CustomerVocabulary, values: Mapping[str, pa.Array]
) -> pa.Table:
    """Happenings with the columns of a base's attributes; 0 where they say nothing of them."""
    for name in attribute_columns(base):
        zeros = pa.repeat(pa.scalar(0, pa.int64()), happened.num_rows)
        happened = happened.append_column(name, values.get(name, zeros))
    return happened


def probes(
    customers: list[str],
    at_us: NDArray[np.int64],
    base: CustomerVocabulary | None = None,
) -> pa.Table:
    """Happenings at which nothing happens, to read features at: one for each customer and time.

    Args:
        customers: who.
        at_us: when, microseconds UTC.
        base: in whose stream they stand; None: in one without attributes.
    """
    # a space comes before every other id: what happens at the moment itself comes after it
    ids = pa.array([f" {name}:{at}" for name, at in zip(customers, at_us.tolist(), strict=True)])
    times = pa.array(at_us).cast(TIME)
    named = pa.table({"customer_id": pa.array(customers, pa.string())})
    happened = _stream(named, ids, times, times, {})
    return happened if base is None else _with_attributes(happened, base, {})


def _customers(table: pa.Table, base: CustomerVocabulary) -> pa.Table:
    def codes(column: str, names: tuple[str, ...]) -> Any:
        indices = pc.index_in(_column(table, column), value_set=pa.array(names, pa.string()))
        return pc.add(pc.fill_null(indices, -1).cast(pa.int64()), 1)

    first = pc.coalesce(_column(table, "contract_start"), _first_told(table))
    values = {
        "told": 1,
        "flagged": pc.fill_null(
            pc.if_else(_column(table, "churned"), FLAGGED_LEFT, FLAGGED_STAYS), 0
        ),
        "start_day": _day(first),
        "renewal_day": _day(_column(table, "renewal_at")),
        "mrr_minor": pc.fill_null(_column(table, "mrr_minor"), UNKNOWN),
        "seats_paid": pc.fill_null(_column(table, "seats"), UNKNOWN),
        "segment_place": codes("segment", base.segments),
        "plan_place": codes("plan", base.plans),
    }
    return _event_stream(table, _ids("customer", table, ["event_time"]), values)


def _usage(table: pa.Table, _: CustomerVocabulary) -> pa.Table:
    values = {
        "used": pc.fill_null(_column(table, "count"), 1),
        "user_id": _column(table, "user_id"),
        "feature": _column(table, "feature"),
        "use_day": _date(table),
    }
    return _event_stream(
        table, _ids("use", table, ["event_time", "user_id", "feature", "count"]), values
    )


def _tickets(table: pa.Table, _: CustomerVocabulary) -> pa.Table:
    cancels = pc.fill_null(table["about_leaving"], False)
    cancellations, table = table.filter(cancels), table.filter(pc.invert(cancels))
    ids = _ids("cancels", cancellations, ["ticket_id"])
    leaving = _event_stream(cancellations, ids, {"leaving": 1})
    values = {
        "opened": 1,
        "urgent": _is(table, "priority", ["high", "urgent"]),
        "escalated": _flag(table, "escalated"),
    }
    opened = _event_stream(table, _ids("opened", table, ["ticket_id"]), values)
    done = table.filter(pc.greater_equal(table["closed_at"], table["event_time"]))
    hours = pc.divide(
        pc.subtract(_micros(done, "closed_at"), _micros(done, "event_time")), DAY // 24
    )
    satisfaction = _column(done, "satisfaction")
    hundredths = pc.round(pc.multiply(pc.fill_null(satisfaction, 0.0), 100.0))
    values = {
        "closed": 1,
        "resolution_hours": hours,
        "rated": pc.is_valid(satisfaction).cast(pa.int64()),
        "satisfaction_hundredths": hundredths.cast(pa.int64()),
    }
    closed_at = _column(done, "closed_at")
    known_at = _later(closed_at, _column(done, "known_at"))
    closed = _stream(done, _ids("closed", done, ["ticket_id"]), closed_at, known_at, values)
    return pa.concat_tables([opened, closed, leaving])


def _invoices(table: pa.Table, _: CustomerVocabulary) -> pa.Table:
    amount = _column(table, "amount_minor")
    bought = pc.greater(amount, 0)
    saved = pc.fill_null(_column(table, "save_offer"), False)
    discount = pc.fill_null(_column(table, "discount_minor"), 0)
    null = pa.scalar(None, pa.string())
    first = _first_of(table, bought)
    values = {
        "invoiced": bought.cast(pa.int64()),
        "first_line": first,
        "issued_day": pc.multiply(first, _day(_column(table, "event_time"))),
        "amount_minor": pc.if_else(bought, pc.add(amount, pc.if_else(saved, discount, 0)), 0),
        "credited_minor": pc.if_else(bought, 0, pc.negate(amount)),
        "discount_minor": pc.if_else(saved, 0, discount),
        "due_day": pc.if_else(bought, _day(_column(table, "due_at")), 0),
        "invoice_id": pc.if_else(bought, _column(table, "invoice_id"), null),
        "invoice_day": pc.if_else(bought, _date(table), null),
        "item": pc.if_else(bought, _column(table, "item"), null),
    }
    return _event_stream(
        table, _ids("invoice", table, ["invoice_id", "item", "amount_minor"]), values
    )


def _payments(table: pa.Table, _: CustomerVocabulary) -> pa.Table:
    failed = _flag(table, "failed")
    worked = pc.equal(failed, 0)
    due = _column(table, "due_at")
    is_known = pc.and_(pc.is_valid(due), worked)
    late = pc.subtract(_micros(table, "event_time"), pc.fill_null(_micros(table, "due_at"), 0))
    late_days = pc.divide(pc.max_element_wise(late, 0), DAY)
    values = {
        "paid": worked.cast(pa.int64()),
        "paid_minor": pc.if_else(worked, _column(table, "amount_minor"), 0),
        "failed": failed,
        "on_time_known": is_known.cast(pa.int64()),
        "late_days": pc.if_else(is_known, late_days, 0),
    }
    return _event_stream(
        table, _ids("payment", table, ["event_time", "invoice_id", "amount_minor"]), values
    )


def _surveys(table: pa.Table, _: CustomerVocabulary) -> pa.Table:
    values = {"surveyed": 1, "score": _column(table, "score")}
    return _event_stream(table, _ids("survey", table, ["event_time"]), values)


def _signals(table: pa.Table, _: CustomerVocabulary) -> pa.Table:
    values = {"noticed": 1, **{name: _is(table, "kind", [name]) for name in SIGNALS}}
    return _event_stream(table, _ids("signal", table, ["event_time", "kind"]), values)


def _churn(table: pa.Table, _: CustomerVocabulary) -> pa.Table:
    values = {"leaving": 1, "ends_day": _day(_column(table, "ends_at"))}
    return _event_stream(table, _ids("leaving", table, ["event_time"]), values)


_MAKERS = {
    "customers": _customers,
    "usage": _usage,
    "tickets": _tickets,
    "invoices": _invoices,
    "payments": _payments,
    "surveys": _surveys,
    "signals": _signals,
    "churn": _churn,
}


def _event_stream(table: pa.Table, ids: pa.Array, values: Mapping[str, Any]) -> pa.Table:
    # what is told ahead (a plan from next month on) counts from when it holds
    known_at = _later(_column(table, "known_at"), _column(table, "event_time"))
    return _stream(table, ids, _column(table, "event_time"), known_at, values)


def _stream(
    table: pa.Table, ids: Any, at: Any, received: Any, values: Mapping[str, Any]
) -> pa.Table:
    rows = table.num_rows
    columns = {
        "event_id": ids,
        "customer_id": _column(table, "customer_id"),
        "event_time": at,
        "received_at": received,
    }
    for name in TEXTS:
        columns[name] = values.get(name, pa.nulls(rows, pa.string()))
    for name in NUMBERS:
        value = values.get(name, 0)
        columns[name] = (
            pa.repeat(pa.scalar(value, pa.int64()), rows) if isinstance(value, int) else value
        )
    return pa.table(columns).cast(SCHEMA)


def _column(table: pa.Table, name: str) -> Any:
    column = table.column(name)
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _ids(kind: str, table: pa.Table, names: list[str]) -> Any:
    """Texts that order what happens at one time, the same wherever a row is read."""
    parts = [pc.fill_null(_column(table, name).cast(pa.string()), "") for name in names]
    return pc.binary_join_element_wise(
        pa.scalar(kind), _column(table, "customer_id"), *parts, pa.scalar(":")
    )


def _later(first: Any, second: Any) -> Any:
    """The later of two times, row by row."""
    return pc.if_else(pc.greater(first, second), first, second)


def _flag(table: pa.Table, name: str) -> Any:
    return pc.fill_null(_column(table, name), False).cast(pa.int64())


def _is(table: pa.Table, name: str, values: list[str]) -> Any:
    mask = pc.is_in(_column(table, name), value_set=pa.array(values, pa.string()))
    return mask.cast(pa.int64())


def _micros(table: pa.Table, name: str) -> Any:
    return _column(table, name).cast(TIME).cast(pa.int64())


def _day(times: Any) -> Any:
    """Whole days since 1970 UTC; `UNKNOWN` of null."""
    return pc.fill_null(pc.divide(times.cast(TIME).cast(pa.int64()), DAY), UNKNOWN)


def _date(table: pa.Table) -> Any:
    return pc.divide(_micros(table, "event_time"), DAY).cast(pa.string())


def _first_told(table: pa.Table) -> Any:
    """The first time that a customer's row of the table holds from."""
    names = _column(table, "customer_id").dictionary_encode()
    codes = names.indices.to_numpy(zero_copy_only=False)
    times = _micros(table, "event_time").to_numpy(zero_copy_only=False)
    first = np.full(len(names.dictionary), np.iinfo(np.int64).max)
    np.minimum.at(first, codes, times)
    return pa.array(first[codes]).cast(TIME)


def _first_of(table: pa.Table, bought: Any) -> Any:
    """1 for the first line of each invoice, of the lines that are bought."""
    lines = bought.to_numpy(zero_copy_only=False)
    names = pc.binary_join_element_wise(
        _column(table, "customer_id"),
        _column(table, "invoice_id"),
        _column(table, "event_time").cast(pa.int64()).cast(pa.string()),
        "\x00",
    )
    codes = names.dictionary_encode().indices.to_numpy(zero_copy_only=False)
    first = np.zeros(len(lines), dtype=np.int64)
    rows = np.flatnonzero(lines)
    first[rows[np.unique(codes[rows], return_index=True)[1]]] = 1
    return pa.array(first)
