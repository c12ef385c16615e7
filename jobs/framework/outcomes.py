"""Outcomes of a system and the labels that they are made of, for jobs that serve all systems."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from jobs.ingestion import mapping_for, read_whole
from lib.business.system_outcomes import outcomes_of
from lib.contract import Contract
from lib.records.decision_table import LABEL_SCHEMA

__all__ = ["labels_of", "outcomes_of", "with_events"]

if TYPE_CHECKING:
    from jobs.framework.decision_source import DecisionSource


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


def with_events(
    labels: pa.Table,
    contract: Contract,
    path: str | None,
    mapping: str | None,
    entity: str,
    kind: str,
) -> pa.Table:
    """Labels, and events of a file as further ones, received when they were known.

    Args:
        labels: `LABEL_SCHEMA`.
        contract: of the file, with `entity` and `event_time`.
        path: Parquet or CSV file, folder or URI; None for no events.
        mapping: YAML mapping file, None where the columns have the contract's names.
        entity: column of the entity's id.
        kind: of the labels.
    """
    if path is None:
        return labels
    table = read_whole(mapping_for(contract, mapping, path), path, may_be_empty=True)
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
