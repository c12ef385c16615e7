"""Labels that people's decisions gave, since the last time that they were learnt from."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from jobs.ingestion import read_whole
from jobs.moderation.sources import Sources
from lib.moderation.contracts import LABELS
from lib.moderation.policies import Policies
from lib.records.review import ReviewStore
from lib.storage import Storage, read_parquet, write_parquet

_STATE = "decisions.json"
_FOLDER = "decisions"
_LABELS = f"{_FOLDER}/labels.parquet"


@dataclass(frozen=True)
class ReviewLabels:
    """Labels of the review queue.

    Attributes:
        since: number of the last label that was learnt from before; 0 for the first time.
        until: number of the last label there is.
        new: labels above `since`.
        total: labels in all.
        of_unknown_policies: labels given under a file of policies that is not at hand; they count
            as given under today's.
    """

    since: int
    until: int
    new: int
    total: int
    of_unknown_policies: int

    def with_others(self, sources: Sources, output: Storage) -> str:
        """All labels, those of other sources too, as one file; its address."""
        tables = [LABELS.schema.empty_table()]
        if output.exists(_LABELS):
            tables.append(read_parquet(output.address(_LABELS)))
        if sources.labels is not None:
            tables.append(read_whole(sources.mapping(LABELS), sources.labels, may_be_empty=True))
        return write_parquet(pa.concat_tables(tables), output, f"{_FOLDER}/all.parquet")

    def settle(self, output: Storage) -> None:
        """Note that these have been learnt from."""
        output.write(_STATE, json.dumps({"until": self.until}).encode())


def read_review_labels(records: str, output: Storage, files: Sequence[Policies]) -> ReviewLabels:
    """All labels of the review queue to OUTPUT/decisions/labels.parquet, and what is new of them.

    Args:
        records: URL of the database.
        output: where the last time is noted.
        files: of policies, today's and former ones, by which a label gets the version that its
            policy had when it was given.

    Raises:
        RecordsError: the database cannot be read.
    """
    since = int(json.loads(output.read(_STATE) or b"{}").get("until", 0))
    with ReviewStore(records) as reviews:
        reviews.migrate()
        labels = list(reviews.iterate_labels())
    # decisions name the file that was in force, not the version of each policy in it
    versions = {
        file.label: {policy.id: policy.version for policy in file.policies} for file in files
    }
    rows = [
        {
            "post_id": label.post_id,
            "policy": label.policy,
            "violates": label.violates,
            "by": label.by[:128],
            "event_time": label.at,
            "known_at": label.at,
            "policy_version": versions.get(label.policy_version, {}).get(label.policy),
        }
        for label in labels
    ]
    table = pa.Table.from_pylist(rows, schema=LABELS.schema)
    write_parquet(table, output, _LABELS)
    numbers = [label.number for label in labels]
    new = sum(number > since for number in numbers)
    unknown = sum(label.policy_version not in versions for label in labels)
    return ReviewLabels(since, max(numbers, default=since), new, len(labels), unknown)
