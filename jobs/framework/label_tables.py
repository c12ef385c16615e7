"""Tables of labels: those of the records and those of files as one, and how many are new."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from jobs.data_fingerprint import fingerprint_of
from jobs.framework.options import shared_options
from jobs.framework.retrained_system import Champion, NewLabels, TrainedModel
from jobs.ingestion import mapping_for, read_whole
from lib.business.spans import standing_events
from lib.contract import Contract
from lib.records import Records
from lib.records.decision_table import label_table
from lib.storage import open_storage, write_parquet

FOLDER = "labels"
"""Folder of OUTPUT with what was learnt from."""


class LabelledRetraining:
    """The training of a `RetrainedSystem` that learns from labels alone, whatever the champion is.

    Attributes:
        options: of the system's own training.
    """

    options: ClassVar[type[Any]]

    def train(self, config: Any, labels: NewLabels, champion: Champion) -> TrainedModel:
        """See `RetrainedSystem`."""
        more = as_options(labels)
        settings = shared_options(self.options, config, **more, registry=None, alias="none")
        return self._train(config, self.comparable(settings, champion))

    def comparable(self, settings: Any, champion: Champion) -> Any:  # noqa: ARG002
        """The settings of a training whose model reads what the champion reads."""
        return settings

    def _train(self, config: Any, settings: Any) -> TrainedModel:
        """Train by the settings of a retraining, without publishing."""
        raise NotImplementedError


def given_rows(config: Any, contract: Contract) -> pa.Table:
    """The good rows of the table that an option named after its contract gives; none without."""
    path = getattr(config, contract.name)
    if path is None:
        return contract.schema.empty_table()
    mapping = mapping_for(contract, getattr(config, f"mapping_{contract.name}"), path)
    return read_whole(mapping, path, may_be_empty=True)


def write_labels(config: Any, contract: Contract, rows: Iterable[pa.Table]) -> str:
    """All rows of a contract, in the order of the tables, to OUTPUT/labels; the file's address."""
    schema = contract.schema
    tables = [table.select(schema.names).cast(schema) for table in rows]
    storage = open_storage(config.output)
    return write_parquet(pa.concat_tables(tables), storage, f"{FOLDER}/{contract.name}.parquet")


def write_tables(config: Any, rows: Mapping[Contract, Sequence[pa.Table]]) -> dict[str, str]:
    """As `write_labels`, of several contracts; a table that is nowhere stays away."""
    return {
        contract.name: write_labels(config, contract, tables)
        for contract, tables in rows.items()
        if getattr(config, contract.name) is not None or any(t.num_rows for t in tables)
    }


class LabelCount:
    """How many labels are new by their times, and up to where they were read.

    Times after `as_of` are of a clock that is wrong or of what is planned: they count when they
    have come, so that one of them does not hide all labels that follow.

    Attributes:
        new: labels after their marks.
        marks: for the next time, by source.

    Args:
        before: marks of the last time, by source.
        as_of: microseconds since 1970 UTC.
    """

    def __init__(self, before: Mapping[str, int], as_of: int) -> None:
        self.new, self.marks = 0, dict[str, int]()
        self._before, self._as_of = before, as_of

    def add(self, source: str, times: npt.ArrayLike) -> None:
        """Count labels of a source by their times, microseconds since 1970 UTC."""
        array, mark = np.asarray(times, dtype=np.int64), self._before.get(source, -1)
        known = array[array <= self._as_of]
        self.new += int((known > mark).sum())
        self.marks[source] = int(max(known, default=mark))


def times_of(table: pa.Table, column: str) -> Any:
    """(rows,) times of a column as microseconds since 1970 UTC; null is 0."""
    times = pc.fill_null(table[column].cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()), 0)
    return np.asarray(times.to_numpy(), dtype=np.int64)


def new_labels(count: LabelCount, total: int, tables: Mapping[str, str]) -> NewLabels:
    """Labels with the digest of their tables.

    Args:
        count: of those that are new.
        total: in all.
        tables: options of the training to addresses of tables.
    """
    digest = fingerprint_of(sorted(tables.values()))
    return NewLabels(count.new, total, count.marks, tables, digest)


def kept_labels(config: Any, known: Mapping[str, Any], digest: str) -> NewLabels | None:
    """The labels that a retraining wrote before it was cut off; None where others lie there.

    Args:
        config: options of the retraining.
        known: what the records keep of the labels.
        digest: of their tables as they were written.
    """
    storage = open_storage(config.output)
    paths = {name: f"{FOLDER}/{name}.parquet" for name in known.get("tables", ())}
    if not (digest and known and all(map(storage.exists, paths.values()))):
        return None
    tables = {name: storage.address(path) for name, path in paths.items()}
    if fingerprint_of(sorted(tables.values())) != digest:
        return None
    return NewLabels(known["new"], known["total"], known["marks"], tables, digest)


def as_options(labels: NewLabels) -> dict[str, Any]:
    """Options of a training that learns from these tables, which are in their contracts' form."""
    return labels.tables | {f"mapping_{name}": None for name in labels.tables}


def recorded_events(records: str, system: str, kinds: tuple[str, ...], as_of: int) -> pa.Table:
    """Events that the records know of, each once: `subject_id`, `observed_at`, `received_at`.

    Args:
        records: URL of the database.
        system: the risk system.
        kinds: of facts that report such events.
        as_of: facts received from then on are left out, microseconds since 1970 UTC.
    """
    with Records(records) as database:
        facts = label_table(fact for fact in database.facts(system, as_of) if fact.kind in kinds)
    return standing_events(facts, kinds, as_of).select(["subject_id", "observed_at", "received_at"])


def without_repeats(events: pa.Table, reported: pa.Table, entity: str, within_us: int) -> pa.Table:
    """Events of the records that no row of a table reports already, by entity and about the time.

    Args:
        events: see `recorded_events`.
        reported: rows with `event_time` and the entity.
        entity: column of `reported` that `subject_id` is of.
        within_us: two reports of an entity within so long are of one event.
    """
    if not (events.num_rows and reported.num_rows):
        return events
    events_by_time = _ordered(events, "subject_id", "observed_at")
    others = _ordered(reported, entity, "event_time")
    others["reported"] = others["at"]
    merged = pd.merge_asof(
        events_by_time, others[["at", "entity", "reported"]], on="at", by="entity",
        direction="nearest", tolerance=within_us,
    )  # fmt: skip
    return events.take(pa.array(merged.loc[merged["reported"].isna(), "row"].sort_values()))


def _ordered(table: pa.Table, entity: str, time: str) -> pd.DataFrame:
    """Rows by time: `entity`, `at` in microseconds, and `row`, its number in the table."""
    frame = pd.DataFrame({"entity": table[entity].to_pylist(), "at": times_of(table, time)})
    frame["row"] = np.arange(len(frame))
    return frame.sort_values("at", kind="stable")
