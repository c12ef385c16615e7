"""Outcomes of a system and the labels that they are made of, for jobs that serve all systems."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from jobs.ingestion import checked_mapping, mapping_for, read_whole
from lib.business.system_outcomes import outcomes_of
from lib.contract import Contract
from lib.records.decision_table import LABEL_SCHEMA

__all__ = ["EventFile", "labels_of", "outcomes_of", "with_events"]

if TYPE_CHECKING:
    from jobs.framework.decision_source import DecisionSource


@dataclass(frozen=True)
class EventFile:
    """A file of events that a job may be given.

    Attributes:
        contract: of its rows.
        path: Parquet or CSV file, folder or URI; None where none is given.
        mapping: YAML mapping file; None where the columns have the contract's names.
    """

    contract: Contract
    path: str | None
    mapping: str | None

    def check(self) -> None:
        """Refuse a file that its mapping does not fit.

        Raises:
            ContractError: the mapping is wrong, or a file or a column is missing.
        """
        if self.path is not None:
            checked_mapping(self.contract, self.mapping, self.path)

    def read(self) -> pa.Table | None:
        """Its rows, columns as in the contract; None where none is given."""
        if self.path is None:
            return None
        mapping = mapping_for(self.contract, self.mapping, self.path)
        return read_whole(mapping, self.path, may_be_empty=True)


def labels_of(source: DecisionSource, records: str | None) -> pa.Table:
    """What became known of a system's subjects, as rows of `LABEL_SCHEMA`.

    Those of moderation are the outcomes of reviews, unless a file is given.

    Args:
        source: of the job.
        records: address of the database, None where only files are read.
    """
    labels = source.labels()
    if source.system != "moderation" or records is None or labels.num_rows:
        return labels
    from lib.moderation.outcomes import review_label_table
    from lib.records.review import ReviewStore

    with ReviewStore(records) as reviews:
        return review_label_table(reviews.iterate_labels())


def with_events(labels: pa.Table, file: EventFile, entity: str, kind: str) -> pa.Table:
    """Labels, and events of a file as further ones, received when they were known.

    Args:
        labels: `LABEL_SCHEMA`.
        file: with the columns `entity` and `event_time`.
        entity: column of the entity's id.
        kind: of the labels.
    """
    table = file.read()
    if table is None:
        return labels
    known = table["event_time"]
    if "known_at" in table.column_names:
        known = pc.coalesce(table["known_at"], table["event_time"])
    columns = {
        "subject_id": table[entity],
        "kind": pa.array([kind] * table.num_rows, pa.string()),
        "value": pa.array([True] * table.num_rows),
        "observed_at": table["event_time"],
        "received_at": known,
        "source": pa.array(["file"] * table.num_rows, pa.string()),
    }
    return pa.concat_tables([labels, pa.table(columns).cast(LABEL_SCHEMA)])
