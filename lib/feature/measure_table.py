"""All measures of one table, key by key.

A key's measures stand together in one *block*, a row per event of the key in the order of its
`Grouping`, so that the loops write where they read and each row is put back in one piece.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from lib.feature.block import Block
from lib.feature.columns import Lazy, codes, numbers, processing_order, received, require, times_or
from lib.feature.declaration import FeatureSet
from lib.feature.jit import Ints
from lib.feature.kernels_window import NEVER
from lib.feature.key_group import Fact, KeyGroup
from lib.feature.measures import Key, Measure, Quantity


def blocks_of(
    features: FeatureSet, table: pa.Table, measures: Iterable[Measure]
) -> dict[Key, Block]:
    """The blocks of some measures of a table, by key.

    Raises:
        KeyError: for a column that the features read and the table lacks, naming it.
    """
    require(features, table)
    order = processing_order(features, table)
    events = Events(features, table if order is None else table.take(pa.array(order)))
    by_key: dict[Key, list[Measure]] = defaultdict(list)
    for measure in measures:
        by_key[measure.key].append(measure)
    return {
        key: KeyGroup(events, key, key_measures).block(order)
        for key, key_measures in by_key.items()
    }


class Events:
    """One table in processing order; each column is turned into an array once."""

    def __init__(self, features: FeatureSet, table: pa.Table) -> None:
        self.table = table
        self.times = numbers(table.column(features.time_column))
        self.received = received(features, table)
        self.codes = Lazy(lambda name: codes(table.column(name)))
        self.quantities = Lazy(self._quantity)
        self.facts = Lazy(self._fact)

    def _quantity(self, quantity: Quantity) -> Ints:
        columns = [numbers(self.table.column(name)) for name in quantity.columns]
        values = np.broadcast_to(np.int64(quantity.read(*columns)), len(self.table))
        return values * values if quantity.squared else values

    def _fact(self, fact: str) -> Fact | None:
        since = times_or(self.table, f"{fact}_from", NEVER)
        if (ever := since < NEVER).any():
            return Fact(
                ever, np.stack([since, times_or(self.table, f"{fact}_until", NEVER)], axis=1)
            )
        return None
