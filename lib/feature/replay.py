"""History as exchanges, in the order in which things became known."""

from collections.abc import Iterator, Sequence
from heapq import heapify, heappop
from typing import Any, NamedTuple

import pyarrow as pa

from lib.feature.online import OnlineFeatures
from lib.feature.profile_exchange import ProfileRequest
from lib.feature.update_plan import Event


class ReplayStep(NamedTuple):
    """One exchange; `event` is the one that it observes, None where it makes a fact known."""

    exchange: ProfileRequest
    event: Event | None


def events(table: pa.Table) -> list[dict[str, Any]]:
    """The rows of a table as the online path takes them.

    Times become microseconds UTC, missing numbers NaN, other missing values None.
    """
    columns = {}
    for name in table.column_names:
        column = table.column(name)
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.timestamp("us", "UTC")).cast(pa.int64())
        elif pa.types.is_floating(column.type):
            column = column.fill_null(float("nan"))
        columns[name] = column
    rows: list[dict[str, Any]] = pa.table(columns).to_pylist()
    return rows


def replay(online: OnlineFeatures, rows: Sequence[Event]) -> Iterator[ReplayStep]:
    """Every exchange that brings an empty profile store to where `rows` leave it.

    Args:
        online: plans the exchanges.
        rows: events with the facts about them in the columns `<fact>_from` and `<fact>_until`
            (microseconds UTC, None where unknown), in any order.

    Events are observed in the order of (received_at, event_time, id). A fact is learned before the
    first event that is received when it is known, and never before its own event was observed.
    """
    features = online.features
    received = [row.get(features.received_column) or row[features.time_column] for row in rows]
    order = sorted(
        range(len(rows)),
        key=lambda i: (received[i], rows[i][features.time_column], rows[i][features.id_column]),
    )
    place_of = {row: index for index, row in enumerate(order)}
    facts = [
        (rows[i][column], place_of[i], fact, is_known)
        for fact in features.facts
        for column, is_known in ((f"{fact}_from", True), (f"{fact}_until", False))
        for i in range(len(rows))
        if rows[i].get(column) is not None
    ]
    heapify(facts)
    waiting: list[tuple[int, int, str, bool]] = []
    for position, row in enumerate(order):
        while facts and facts[0][0] <= received[row]:
            waiting.append(heappop(facts))
        for fact in [fact for fact in waiting if fact[1] < position]:
            yield _learn(online, rows[order[fact[1]]], fact)
        waiting = [fact for fact in waiting if fact[1] >= position]
        yield ReplayStep(online.request(rows[row]), rows[row])
    for fact in waiting:
        yield _learn(online, rows[order[fact[1]]], fact)


def _learn(online: OnlineFeatures, event: Event, fact: tuple[int, int, str, bool]) -> ReplayStep:
    at, _, name, is_known = fact
    return ReplayStep(online.learn(event, name, at, is_known, revision=int(not is_known)), None)
