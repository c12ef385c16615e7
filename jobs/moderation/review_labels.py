"""Labels that people's decisions gave, since the last time that they were learnt from."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from lib.moderation.contracts import LABELS
from lib.moderation.policies import Policies
from lib.records.review import ReviewStore


@dataclass(frozen=True)
class ReviewLabels:
    """Labels of the review queue.

    Attributes:
        rows: all of them, in the form of their contract.
        until: number of the last label there is.
        new: labels above the number of the last time.
        of_unknown_policies: labels given under a file of policies that is not at hand; they count
            as given under today's.
    """

    rows: pa.Table
    until: int
    new: int
    of_unknown_policies: int


def read_review_labels(
    records: str, files: Sequence[Policies], since: int, as_of: int
) -> ReviewLabels:
    """All labels of the review queue, and what is new of them.

    Args:
        records: URL of the database.
        files: of policies, today's and former ones, by which a label gets the version that its
            policy had when it was given.
        since: number of the last label that was learnt from before; 0 for the first time.
        as_of: labels from then on are left out, microseconds since 1970 UTC.

    Raises:
        RecordsError: the database cannot be read.
    """
    with ReviewStore(records) as reviews:
        reviews.migrate()
        labels = [label for label in reviews.iterate_labels() if label.at < as_of]
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
    numbers = [label.number for label in labels]
    return ReviewLabels(
        rows=pa.Table.from_pylist(rows, schema=LABELS.schema),
        until=max(numbers, default=since),
        new=sum(number > since for number in numbers),
        of_unknown_policies=sum(label.policy_version not in versions for label in labels),
    )
