"""What is known of posts, as one stream: the post itself, what became of its media, its labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from jobs.framework.cluster import gather_rows
from lib.contract import ContractError
from lib.declaration import did_you_mean
from lib.feature.attributes import Attribute
from lib.moderation.contracts import LABELS, POSTS
from lib.moderation.policies import Policies
from lib.moderation.post_attributes import attribute_schema

if TYPE_CHECKING:
    from ray.data import Dataset

POST, MEDIUM, LABEL = range(3)
"""What a fact is."""

_WHAT = pa.field("what", pa.int8())
_MEDIUM = pa.schema(
    [("kind", pa.string()), ("place", pa.int64()), ("reason", pa.string()), ("file", pa.string())]
)
_LABEL = pa.schema([LABELS.schema.field(name) for name in LABELS.names if name not in POSTS.names])
FACTS = pa.schema([*POSTS.schema, _WHAT, *_MEDIUM, *_LABEL])


def events_schema(attributes: Iterable[Attribute]) -> pa.Schema:
    """Of facts about posts that have attributes."""
    return pa.schema([*FACTS, *attribute_schema(attributes)])


def to_events(table: pa.Table, kind: int, schema: pa.Schema = FACTS) -> pa.Table:
    """Rows of a table as facts, or as facts and more, with nulls where they say nothing."""
    count = table.num_rows
    columns = {
        field.name: table[field.name].cast(field.type)
        if field.name in table.column_names
        else pa.nulls(count, field.type)
        for field in schema
    }
    columns["what"] = pa.array([kind] * count, pa.int8())
    return pa.table(columns, schema=schema)


def map_to_events(rows: Dataset, kind: int, schema: pa.Schema = FACTS) -> Dataset:
    """The same over Ray."""
    return rows.map_batches(
        to_events, fn_args=(kind, schema), batch_format="pyarrow", batch_size=None
    )


def by_post(rows: Dataset, partitions: int) -> Dataset:
    """All facts of a post in one block."""
    return gather_rows(rows, "post_id", partitions)


def refuse_unknown_policies(labels: Sequence[str], policies: Policies) -> None:
    """Refuse labels for policies that nobody declared: a typo would silently teach nothing.

    Raises:
        ContractError: the message names the policy, what was expected and how to go on.
    """
    unknown = sorted(set(labels) - set(policies.ids))
    if unknown:
        raise ContractError(
            f"labels: policy: expected one of {', '.join(policies.ids)}, got {unknown[0]!r}; "
            f"{did_you_mean(unknown[0], policies.ids)}; give the policies by --policies"
        )


def policies_in(labels: Dataset) -> list[str]:
    """Ids of all policies that labels are for, without bringing labels to one place."""

    def distinct(table: pa.Table) -> pa.Table:
        return pa.table({"policy": pc.unique(table["policy"].combine_chunks())})

    few = labels.map_batches(distinct, batch_format="pyarrow", batch_size=None)
    return sorted({row["policy"] for row in few.take_all()})
