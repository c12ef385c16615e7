"""Work on the pieces of a window of decisions, side by side on Ray Data."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeAlias

import pyarrow as pa
import ray.data
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from lib.records.decision_reading import DecisionReader, Piece, ReadCounts, screen

Work: TypeAlias = Callable[[Iterator[pa.Table]], pa.Table]
"""Takes the tables of a piece, one at a time, and returns one table."""
_PIECES_PER_CORE = 2


def pieces_at_least() -> int:
    """How many pieces keep the cluster busy."""
    return _PIECES_PER_CORE * int(ray.cluster_resources().get("CPU", 1))


def work_on_pieces(
    reader: DecisionReader, pieces: Sequence[Piece], work: Work, *, local: bool
) -> Iterator[tuple[pa.Table, ReadCounts]]:
    """What `work` made of each piece and what became of its rows, as pieces are done.

    Args:
        reader: of the pieces.
        pieces: at least one.
        work: runs in a task for each piece, and again where that task is lost.
        local: whether the pieces can be read on this machine alone.
    """
    options: dict[str, Any] = {}
    if local:
        node = ray.get_runtime_context().get_node_id()
        options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(node, soft=False)
    results = ray.data.range(len(pieces), override_num_blocks=len(pieces)).map_batches(
        partial(_work_on, reader=reader, pieces=pieces, work=work),
        batch_size=None,
        batch_format="pyarrow",
        **options,
    )
    for row in results.iter_rows():
        counts = ReadCounts(row["rows"], Counter(json.loads(row["left_out"])))
        yield pa.ipc.open_stream(row["result"]).read_all(), counts


def _work_on(
    numbers: pa.Table, reader: DecisionReader, pieces: Sequence[Piece], work: Work
) -> Iterator[pa.Table]:
    for number in numbers.column("id").to_pylist():
        counts = ReadCounts()
        result = work(screen(table, counts) for table in reader.read(pieces[number]))
        buffer = pa.BufferOutputStream()
        with pa.ipc.new_stream(buffer, result.schema) as stream:
            stream.write_table(result)
        yield pa.table(
            {
                "rows": [counts.rows],
                "left_out": [json.dumps(counts.left_out)],
                "result": pa.array([buffer.getvalue().to_pybytes()], pa.large_binary()),
            }
        )
