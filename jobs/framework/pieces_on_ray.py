"""Work on the pieces of a window of decisions, side by side on Ray Data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np
import pyarrow as pa
import ray.data

from lib.records.decision_reading import DecisionReader, Piece, ReadCounts, screen

Result = TypeVar("Result")
Work: TypeAlias = Callable[[Iterator[pa.Table]], Result]
"""Takes the tables of a piece, one at a time, and returns something small."""
_PIECES_PER_CORE = 2
_NODE = "ray.io/node-id"  # a label that Ray gives every node


def pieces_at_least() -> int:
    """How many pieces keep the cluster busy."""
    return _PIECES_PER_CORE * int(ray.cluster_resources().get("CPU", 1))


def work_on_pieces(
    reader: DecisionReader, pieces: Sequence[Piece], work: Work[Result], *, local: bool
) -> Iterator[tuple[Result, ReadCounts]]:
    """What `work` made of each piece and what became of its rows, as pieces are done.

    Args:
        reader: of the pieces.
        pieces: at least one.
        work: runs in a task for each piece, and again where that task is lost.
        local: whether the pieces can be read on this machine alone.
    """
    node = ray.get_runtime_context().get_node_id()
    results = ray.data.range(len(pieces), override_num_blocks=len(pieces)).map_batches(
        partial(_work_on, reader=reader, pieces=pieces, work=work),
        batch_size=None,
        batch_format="numpy",
        label_selector={_NODE: node} if local else None,
    )
    for row in results.iter_rows():
        done = row["done"]
        yield done.result, done.counts


@dataclass(frozen=True)
class _Done(Generic[Result]):
    """What became of a piece; one object, whatever the result is."""

    result: Result
    counts: ReadCounts


def _work_on(
    numbers: dict[str, Any], reader: DecisionReader, pieces: Sequence[Piece], work: Work[Result]
) -> Iterator[dict[str, Any]]:
    for number in numbers["id"].tolist():
        counts = ReadCounts()
        result = work(screen(table, counts) for table in reader.read(pieces[number]))
        done = np.empty(1, dtype=object)
        done[0] = _Done(result, counts)
        yield {"done": done}
