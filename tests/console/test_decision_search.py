"""Search of decisions on SQLite and PostgreSQL: what fits, in parts, by indexes."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from lib.console.connections import count_similar, read_connected, read_graph
from lib.console.decision_search import Bounds, DecisionFilter
from lib.console.payments import read_labels
from lib.console.source import SystemSource
from lib.console.system_records import SystemRecords
from lib.fraud.outcomes import AMOUNT
from lib.records import Records
from tests.console.seeded_payments import (
    AT,
    CUSTOMER,
    DEVICE,
    EARLIER,
    MAIN,
    MERCHANT,
    ON_DEVICE,
    label,
    payment,
    seed_payments,
)
from tests.records.conftest import SECOND, keep_decisions

NAMES = partial("é{}".format)
Opened = Callable[[Any], Any]


@pytest.fixture
def source(opened: Opened, url: str, tmp_path: Path) -> SystemSource:
    """Payments with letters that collations order differently."""
    opened(Records)
    seed_payments(url, NAMES, "none")
    records = opened(partial(SystemRecords, system="fraud"))
    shell = SystemSource.open("fraud", f"sqlite:///{tmp_path}/other.db", str(tmp_path))
    return SystemSource("fraud", records, shell.registry, shell.queue)


@pytest.mark.parametrize(
    ("sought", "numbers"),
    [
        (DecisionFilter(entity_id=NAMES(CUSTOMER)), [MAIN, *EARLIER]),
        (DecisionFilter(named={"device_id": NAMES(DEVICE)}, since=AT + 1), ON_DEVICE[3:]),
        (DecisionFilter(amounts={AMOUNT: Bounds(41_250, 41_250)}), [MAIN]),
        (DecisionFilter(score=Bounds(0.62), decision="REVIEW"), [MAIN]),
        (DecisionFilter(named={"merchant_id": NAMES(MERCHANT)}, since=AT), [MAIN]),
        (DecisionFilter(subject_id=NAMES(MAIN)), [MAIN]),
    ],
)
def test_what_fits_is_found(
    source: SystemSource, sought: DecisionFilter, numbers: list[int]
) -> None:
    listed = [line.subject_id for line in source.records.search(sought, 100).lines]
    assert sorted(listed) == sorted(map(NAMES, numbers))


def test_parts_of_decisions_of_one_moment_are_the_whole_once(
    source: SystemSource, opened: Opened
) -> None:
    names = ["a", "B", "b", "Z", "ä", "é", "_", "0", "~"]
    rows = [payment(name, AT + SECOND, ("u", "m", None)) for name in names]
    keep_decisions(opened(Records), rows)
    sought, listed, before = DecisionFilter(since=AT + SECOND, until=AT + 2 * SECOND), [], None
    for _ in range(len(names)):
        part = source.records.search(sought, 2, before)
        listed += [line.subject_id for line in part.lines]
        before = part.after
        if before is None:
            break
    assert listed == sorted(names, reverse=True)
    around = source.records.list_around("u", (AT + SECOND, "Z"), 2, 2)
    assert [line.subject_id for line in around] == ["a", "_", "Z", "B"]


def test_connections_and_what_became_of_payments_are_read(source: SystemSource) -> None:
    decision = source.records.find_decision(NAMES(MAIN))
    assert decision is not None
    graph = read_graph(source, decision, "ann")
    assert {node.id for node in graph.nodes if node.kind == "device_id" and node.frauds} == {
        NAMES(DEVICE)
    }
    counts = {count.words: count for count in count_similar(source, decision)}
    assert (counts["same device"].frauds, counts["same merchant"].fine) == (2, 3)
    connected = read_connected(source, decision, ["device_id", "user_id"], 7, "ann", AT)
    assert connected.known == 2
    assert len(connected.payments) == 12


def test_labels_are_those_that_became_known_last(source: SystemSource, opened: Opened) -> None:
    later = label(NAMES(MAIN), True, AT + 10 * SECOND), label(NAMES(MAIN), False, AT + 20 * SECOND)
    opened(Records).record_labels(later)
    state = read_labels(source, [NAMES(MAIN), "nothing"])
    assert {name: listed.is_fraud for name, listed in state.items()} == {NAMES(MAIN): False}


def test_searches_go_by_indexes(tmp_path: Path) -> None:
    with Records(f"sqlite:///{tmp_path}/records.db") as records:
        records.migrate()
    statements: list[tuple[str, Any]] = []

    def keep(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if "FROM decision" in statement:
            statements.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", keep)
    try:
        with SystemRecords(f"sqlite:///{tmp_path}/records.db", "fraud") as store:
            for sought in (
                DecisionFilter(entity_id="u"),
                DecisionFilter(named={"device_id": "d"}, score=Bounds(0.5)),
                DecisionFilter(since=AT),
            ):
                store.search(sought, 10, (AT, "t"))
            store.list_around("u", (AT, "t"), 5, 5)
            store.scan_around((AT, "t"), SECOND, lambda columns: columns.score > 1, 5)
    finally:
        event.remove(Engine, "before_cursor_execute", keep)
    database = sqlite3.connect(tmp_path / "records.db")
    plans = [
        [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
        for statement, parameters in statements
    ]
    database.close()
    assert len(plans) >= 7
    for plan in plans:
        tables = [step for step in plan if re.search(r"(SCAN|SEARCH) decision", step)]
        assert tables
        assert all(re.search(r"USING (COVERING )?INDEX", step) for step in tables), plan
