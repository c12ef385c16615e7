"""Columns of decisions that are read from what was asked and answered: language, media, scores."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import pyarrow as pa

from lib.records.json_codec import read_json

REQUEST, ANSWER = "request.", "answer."
"""Begin the name of a column that is a path (with dots) into the JSON of that column."""
BARE = "none"
"""Stands for an object without entries."""


def with_request_columns(table: pa.Table, columns: Collection[str]) -> pa.Table:
    """The decisions with those of `columns` that are paths and are not there yet.

    Args:
        table: `lib.records.decision_table.DECISION_SCHEMA`.
        columns: names; those that are no path are passed over.
    """
    for prefix, kind in ((REQUEST, pa.string()), (ANSWER, pa.float64())):
        source = prefix[:-1]
        paths = [name for name in columns if name.startswith(prefix)]
        paths = [name for name in paths if name not in table.column_names]
        if not paths or source not in table.column_names:
            continue
        bodies = [read_json(text or "{}") for text in table[source].to_pylist()]
        for name in paths:
            steps = name.removeprefix(prefix)
            cells = [_typed(value_at(body, steps), kind) for body in bodies]
            table = table.append_column(name, pa.array(cells, kind))
    return table


def value_at(body: Any, path: str) -> str | float | None:
    """The value at a path; of an object the names of its entries, those of a list once.

    >>> value_at({"media": {"images.1": "ab", "images.0": "cd", "video": "ef"}}, "media")
    'images and video'
    """
    for part in path.split("."):
        body = body.get(part) if isinstance(body, Mapping) else None
    if isinstance(body, Mapping):
        return " and ".join(sorted({str(key).partition(".")[0] for key in body})) or BARE
    return body if isinstance(body, str | int | float) else None


def _typed(value: str | float | None, kind: pa.DataType) -> str | float | None:
    if value is None or pa.types.is_string(kind):
        return None if value is None else str(value)
    return None if isinstance(value, str) else float(value)
