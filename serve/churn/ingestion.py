"""News of customers in: checked, remembered, counted."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import pyarrow as pa

from lib.churn.contracts import CONTRACTS
from lib.churn.customer_attributes import attribute_counts, customers_contract
from lib.churn.events import events_of
from lib.churn.profiles import CustomerFeatures
from lib.concurrency.bounded_executor import SizedExecutor
from lib.concurrency.piecewise_release import release_rows
from lib.feature import DAY, StoreError
from lib.records import RecordsUnavailableError
from serve.churn import metrics
from serve.churn.intervention_outcomes import InterventionOutcomes
from serve.churn.profiles import ProfileRepository
from serve.churn.schemas import EventsResponse, IngestCounts
from serve.framework import FieldError, Problem, RequestContext
from serve.framework.contract_models import to_rows
from serve.framework.decision import ServiceParts, unavailable
from serve.framework.validation import to_datetime, to_micros

_MOST_SHOWN = 20
_ENDS = (
    ("customers", "contract_start", "renewal_at", "after"),
    ("churn", "event_time", "ends_at", "at or after"),
    ("tickets", "event_time", "closed_at", "at or after"),
)
"""By table, what ends at which column, never before another column."""
_LONG_ROWS, _LONG_AT_ONCE, _ROWS_AT_ONCE = 100, 2, 1_000


class _KnownCustomer(NamedTuple):
    """What is stored of a customer, with which new rows are compared.

    Attributes:
        known: whether a row of the customer itself is stored.
        starts, ends: first day and day of renewal that are known, in days since 1970.
    """

    known: bool
    starts: int | None
    ends: int | None


_KnownCustomers = Mapping[str, _KnownCustomer]
_Tables = Mapping[str, pa.Table]


class EventIngestor:
    """Takes news in.

    Args:
        parts: of the application.
        customers: profiles.
        outcomes: of interventions; notices count among them.

    Attributes:
        contracts: of the tables, that of customers with the attributes of the base.
    """

    def __init__(
        self, parts: ServiceParts, customers: ProfileRepository, outcomes: InterventionOutcomes
    ) -> None:
        self._customers, self._outcomes = customers, outcomes
        of_customers = customers_contract(customers.base)
        self.contracts = tuple(
            of_customers if contract.name == of_customers.name else contract
            for contract in CONTRACTS
        )
        self._meter, self._clock = parts.meter, parts.clock
        self._reading = SizedExecutor("events", _LONG_AT_ONCE, _LONG_ROWS)

    async def ingest(self, news: Any, context: RequestContext) -> EventsResponse:
        """Stores all rows, and empties the lists of `news` as soon as they are read.

        Raises:
            Problem: 422 with every field at fault, and nothing is remembered; 503 while the store
                is out: the same can be sent again, what was remembered meanwhile counts once.
        """
        count = sum(len(getattr(news, contract.name)) for contract in CONTRACTS)
        tables = await self._reading.run_sized(self._checked, news, count)
        names = await self._reading.run_sized(_customers_of, tables, count)
        context.log_fields["customers"] = len(names)
        what = "events cannot be stored temporarily"
        with unavailable(what, StoreError, RecordsUnavailableError):
            known = {name: await self._look(name, context) for name in names}
            compare = partial(_contradictions, known)
            contradictions = await self._reading.run_sized(compare, tables, count)
            tallies = {name: await self._tell(name, table, known) for name, table in tables.items()}
            if "churn" in tables:
                await self._outcomes.record_notices(tables["churn"])
        counts_by_table = {name: count for name, (count, _) in tallies.items()}
        contradictions += [text for _, texts in tallies.values() for text in texts]
        self._count(counts_by_table, contradictions)
        self._count_attributes(tables.get("customers"))
        introduced = set(_names(tables.get("customers")))
        strangers = [name for name in names if not known[name].known and name not in introduced]
        return EventsResponse(
            tables=counts_by_table,
            contradictions=contradictions[:_MOST_SHOWN],
            unknown_customers=strangers[:_MOST_SHOWN],
            request_id=context.request_id,
        )

    def _checked(self, news: Any) -> _Tables:
        """The rows of a request as tables; the lists of the request are emptied."""
        self._check(news)
        tables = to_rows(news, self.contracts)
        for contract in CONTRACTS:
            release_rows(getattr(news, contract.name))
        return tables

    async def _look(self, customer_id: str, context: RequestContext) -> _KnownCustomer:
        request_id = f"events:{context.request_id}"
        features = await self._customers.fetch(customer_id, self._clock.now(), request_id)
        return _KnownCustomer(features.known, *_contract(features))

    async def _tell(
        self, name: str, table: pa.Table, known: _KnownCustomers
    ) -> tuple[IngestCounts, list[str]]:
        """What became of a table's rows, and which of them were told before with other content."""
        read = partial(self._events, name, known)
        events = await self._reading.run_sized(read, table, table.num_rows)
        tally = await self._customers.record_events(events)
        contradicting = len(tally.contradicting)
        counts = IngestCounts(
            rows=table.num_rows,
            new=tally.new,
            repeated=events.num_rows - tally.new - contradicting,
            contradicting=contradicting,
        )
        text = "stored with other content, which stays; send a correction under a new id or time"
        return counts, [f"{name}: {event_id}: {text}" for event_id in tally.contradicting]

    def _events(self, name: str, known: _KnownCustomers, table: pa.Table) -> pa.Table:
        """A table's rows as events, in the order in which they are counted."""
        if name == "customers":
            table = _with_start(table, known)
        events = _told_apart(events_of(name, self._customers.base, table))
        order = [(column, "ascending") for column in ("received_at", "event_time", "event_id")]
        return events.sort_by(order)

    def _count(
        self, counts_by_table: Mapping[str, IngestCounts], contradictions: list[str]
    ) -> None:
        for name, counts in counts_by_table.items():
            for outcome in ("new", "repeated", "contradicting"):
                if count := getattr(counts, outcome):
                    self._meter.count(metrics.EVENTS, name, outcome, amount=count)
        if contradictions:
            self._meter.count(metrics.CONTRADICTIONS, amount=len(contradictions))

    def _count_attributes(self, customers: pa.Table | None) -> None:
        if customers is None:
            return
        for name, state, count in attribute_counts(self._customers.base, customers):
            if count:
                self._meter.count(metrics.ATTRIBUTES, name, state, amount=count)

    def _check(self, news: Any) -> None:
        """Nothing may have happened, or be known, later than now."""
        now, faults = self._clock.now(), []
        for contract in CONTRACTS:
            for index, row in enumerate(getattr(news, contract.name)):
                for field in ("event_time", "known_at"):
                    at = getattr(row, field)
                    if at is not None and to_micros(at) > now + self._clock.ahead:
                        message = (
                            self._clock.future_text(to_micros(at), now)
                            + ", and send values that hold from a later day on that day"
                        )
                        where = f"{contract.name}.{index}.{field}"
                        faults.append(FieldError(where, message))
        faults += self._before_start(news)
        if faults:
            raise Problem.of_fields(faults)

    def _before_start(self, news: Any) -> list[FieldError]:
        """Contracts and tickets that end before they begin, and notices before they are given."""
        faults = []
        for table, start, end, text in _ENDS:
            for index, row in enumerate(getattr(news, table)):
                begins, ends = getattr(row, start), getattr(row, end)
                if begins is not None and ends is not None and ends < begins:
                    message = (
                        f"expected {text} {start}, {begins.isoformat()}, got {ends.isoformat()}"
                    )
                    faults.append(FieldError(f"{table}.{index}.{end}", message))
        return faults


def _contradictions(known: _KnownCustomers, tables: _Tables) -> list[str]:
    """Descriptions of new rows that contradict stored ones; the rows are accepted.

    Raises:
        Problem: 422 for notice that was given before the contract began.
    """
    contradictions, begun = [], {}
    for row in _rows(tables.get("customers"), "customer_id", "contract_start"):
        _, starts, ends = known[row["customer_id"]]
        begins = begun[row["customer_id"]] = row["contract_start"]
        if begins is None or starts is None or ends is None:
            continue
        day = to_micros(begins) // DAY
        if starts < day < ends:
            contradictions.append(
                f"customers: {row['customer_id']}: contract_start {begins.date()} lies before "
                f"the end of the stored contract, {to_datetime(ends * DAY).date()}; "
                "the new contract applies from now on"
            )
    for index, row in enumerate(_rows(tables.get("churn"), "customer_id", "event_time")):
        contract_start = begun.get(row["customer_id"])
        starts = (
            known[row["customer_id"]].starts
            if contract_start is None
            else to_micros(contract_start) // DAY
        )
        if starts is not None and to_micros(row["event_time"]) // DAY < starts:
            raise Problem.of_field(
                f"churn.{index}.event_time",
                f"expected after the contract began, {to_datetime(starts * DAY).date()}, got "
                f"{row['event_time'].date()}",
            )
    return contradictions


def _customers_of(tables: _Tables) -> list[str]:
    return sorted({name for table in tables.values() for name in _names(table)})


def _rows(table: pa.Table | None, *columns: str) -> Iterator[dict[str, Any]]:
    """Rows of some columns; other threads run between batches."""
    if table is not None:
        for batch in table.select(columns).to_batches(max_chunksize=_ROWS_AT_ONCE):
            yield from batch.to_pylist()


def _names(table: pa.Table | None) -> list[str]:
    return [] if table is None else table["customer_id"].to_pylist()


def _contract(features: CustomerFeatures) -> tuple[int | None, int | None]:
    """First day and day of renewal that are known, in days since 1970."""
    now = features.at_us / DAY
    tenure, left = features.values["tenure_days"], features.values["days_to_renewal"]
    starts = None if tenure != tenure else round(now - tenure)  # noqa: PLR0124
    return starts, None if left != left else round(now + left)  # noqa: PLR0124


def _with_start(table: pa.Table, known: _KnownCustomers) -> pa.Table:
    """Rows that do not say when the contract began say what is known: it does not begin anew."""
    filled = []
    for row in _rows(table, "customer_id", "contract_start"):
        starts = known[row["customer_id"]].starts
        if row["contract_start"] is None and starts is not None:
            row["contract_start"] = to_datetime(starts * DAY)
        filled.append(row["contract_start"])
    index = table.schema.get_field_index("contract_start")
    field = table.schema.field(index)
    return table.set_column(index, field, pa.array(filled, field.type))


def _told_apart(happened: pa.Table) -> pa.Table:
    """Equal rows of one request are several; the same request again tells the same ones."""
    occurrences: dict[str, int] = {}
    ids = []
    for event_id in happened["event_id"].to_pylist():
        occurrences[event_id] = occurrences.get(event_id, 0) + 1
        ids.append(
            event_id if occurrences[event_id] == 1 else f"{event_id}#{occurrences[event_id]}"
        )
    index = happened.schema.get_field_index("event_id")
    return happened.set_column(index, happened.schema.field(index), pa.array(ids, pa.string()))
