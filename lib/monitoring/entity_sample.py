"""A sample of whole entities that stays below a number of rows, the same in whatever order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lib.monitoring.bottom_k import row_hashes

_RANGE = 2**64
_ENTITY = "entity_id"


class EntitySample:
    """All rows of the entities whose hash is below a limit, which is halved as rows come.

    Entities are drawn, not rows, so that what is measured has intervals over entities. The limit
    depends on the rows alone: a sample of parts that are merged is that of all rows at once.

    Args:
        most_rows: that are kept; an entity with more rows of its own may leave none.

    Attributes:
        share: of the entities that is kept, 1 or a power of a half.
        rows: that were added.
    """

    def __init__(self, most_rows: int) -> None:
        self._most = most_rows
        self._halvings = 0
        self._parts: list[pa.Table] = []
        self._hashes: list[npt.NDArray[np.uint64]] = []
        self._kept = 0
        self.rows = 0

    @property
    def share(self) -> float:
        """See the class."""
        return float(0.5**self._halvings)

    def add(self, table: pa.Table) -> None:
        """Take rows with `entity_id`; rows without one are entities of their own subject."""
        self.rows += table.num_rows
        entity = pc.coalesce(table[_ENTITY], table["subject_id"])
        self._take(table, row_hashes(pa.table({_ENTITY: entity}), [_ENTITY]))

    def merge(self, other: EntitySample) -> None:
        """Take what another kept, which has the same limit of rows."""
        self.rows += other.rows
        self._halvings = max(self._halvings, other._halvings)
        self._thin()
        for table, hashes in zip(other._parts, other._hashes, strict=True):
            self._take(table, hashes)

    def table(self) -> pa.Table | None:
        """The rows of the sample; None where nothing was added."""
        if not self._parts:
            return None
        tables: Sequence[pa.Table] = self._parts
        return pa.concat_tables(tables, promote_options="default").combine_chunks()

    def _take(self, table: pa.Table, hashes: npt.NDArray[np.uint64]) -> None:
        inside = self._inside(hashes)
        self._parts.append(table.filter(pa.array(inside)))
        self._hashes.append(hashes[inside])
        self._kept += int(inside.sum())
        while self._kept > self._most:
            self._halvings += 1
            self._thin()

    def _thin(self) -> None:
        for index, hashes in enumerate(self._hashes):
            inside = self._inside(hashes)
            if not inside.all():
                self._parts[index] = self._parts[index].filter(pa.array(inside))
                self._hashes[index] = hashes[inside]
        self._kept = sum(len(hashes) for hashes in self._hashes)

    def _inside(self, hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
        if not self._halvings:
            return np.ones(len(hashes), dtype=np.bool_)
        return np.asarray(hashes < np.uint64(_RANGE >> self._halvings))
