from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.monitoring.entity_sample import EntitySample


def rows(entities: list[str | None]) -> pa.Table:
    return pa.table(
        {
            "subject_id": [f"s{number}" for number in range(len(entities))],
            "entity_id": pa.array(entities, pa.string()),
        }
    )


def kept(sample: EntitySample) -> list[tuple[str, str | None]]:
    table = sample.table()
    assert table is not None
    return sorted((row["subject_id"], row["entity_id"]) for row in table.to_pylist())


@given(
    st.lists(st.sampled_from([f"e{number}" for number in range(40)]), min_size=1, max_size=200),
    st.integers(1, 60),
    st.randoms(use_true_random=False),
)
def test_parts_in_any_order_give_the_sample_of_all_rows(
    entities: list[str], most: int, random: object
) -> None:
    table = rows(entities)  # type: ignore[arg-type]
    at_once = EntitySample(most)
    at_once.add(table)
    cuts = sorted({0, len(entities), *np.random.default_rng(0).integers(0, len(entities), 4)})
    parts = [table.slice(a, b - a) for a, b in pairwise(cuts)]
    random.shuffle(parts)  # type: ignore[attr-defined]
    merged = EntitySample(most)
    for part in parts:
        sample = EntitySample(most)
        sample.add(part)
        merged.merge(sample)
    assert (merged.share, merged.rows) == (at_once.share, at_once.rows)
    assert kept(merged) == kept(at_once)


def test_an_entity_is_kept_with_all_its_rows_or_with_none() -> None:
    entities = [f"e{number % 500}" for number in range(5_000)]
    sample = EntitySample(1_000)
    sample.add(rows(entities))  # type: ignore[arg-type]
    counts = np.unique([entity for _, entity in kept(sample)], return_counts=True)[1]  # type: ignore[arg-type]
    assert set(counts.tolist()) == {10}
    assert len(counts) / 500 == pytest.approx(sample.share, rel=0.3)


def test_a_row_without_an_entity_is_one_of_its_own() -> None:
    sample = EntitySample(100)
    sample.add(rows([None, None]))
    assert kept(sample) == [("s0", None), ("s1", None)]


def test_nothing_added_is_no_table() -> None:
    assert EntitySample(10).table() is None
