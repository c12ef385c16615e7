"""Counts of rows: the same in any order, within their size, and refused where they do not fit."""

import json
import tracemalloc
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from lib.monitoring import (
    ModelReference,
    MonitoringError,
    ReferenceBins,
    ReferenceSketch,
    WindowSketch,
    fit_bins,
)
from lib.monitoring.bottom_k import BottomK
from lib.monitoring.window import DAY
from tests.monitoring.rows import COLUMNS, FIRST_DAY, day_columns, reference, table, window

ROWS = pa.concat_tables([table(day_columns(FIRST_DAY + day, 60, seed=3)) for day in range(8)])
LABELLED = ROWS.append_column(
    "score", pa.array(np.random.default_rng(0).beta(1, 9, len(ROWS)))
).append_column("label", pa.array([None, 0.0, 1.0, 0.0] * (len(ROWS) // 4)))
BINS = fit_bins(LABELLED, [*COLUMNS, ("score", "score")])
WITHOUT_SHRINKING = (Phase.explicit, Phase.generate)


def finished(sketch: ReferenceSketch) -> bytes:
    return sketch.finish("fraud", "user_id", volume_is_served=True).to_json()


@given(st.data())
@settings(max_examples=25, deadline=None, phases=WITHOUT_SHRINKING)
def test_blocks_sum_to_the_same_reference_in_any_order_and_grouping(data: st.DataObject) -> None:
    whole_table = ReferenceSketch(BINS)
    whole_table.add(LABELLED)
    order = data.draw(st.permutations(range(len(LABELLED))))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(LABELLED)), max_size=6)))
    parts = np.split(np.array(order), cuts)
    sketches = []
    for rows in parts:
        sketch = ReferenceSketch(BINS)
        sketch.add(LABELLED.take(pa.array(rows, pa.int64())))
        sketches.append(sketch)
    total = ReferenceSketch(BINS)
    for at in data.draw(st.permutations(range(len(sketches)))):
        total.merge(sketches[at])
    assert finished(total) == finished(whole_table)


@given(st.lists(st.integers(0, 400), max_size=600), st.integers(1, 60), st.integers(0, 600))
def test_a_sample_of_contents_is_the_same_however_rows_are_divided(
    contents: list[int], limit: int, cut: int
) -> None:
    # spread over 64 bits, as hashes are
    hashes = np.array(contents, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    together, first, second = BottomK(limit), BottomK(limit), BottomK(limit)
    together.add(hashes)
    first.add(hashes[cut:])
    second.add(hashes[:cut])
    first.merge(second)
    assert (first.distinct, first.sampled, first.repeated) == (
        together.distinct,
        together.sampled,
        together.repeated,
    )
    if len(set(contents)) < limit:
        assert first.distinct == len(set(contents))
        assert first.repeated == len(contents) - len(set(contents))


def test_every_row_is_counted_by_an_oracle() -> None:
    model = reference(days=7, rows=300)
    rows = day_columns(FIRST_DAY, 300, seed=1)
    counts = model.measure("amount").by_day[0]
    edges = [-np.inf, *model.measure("amount").bins.edges, np.inf]
    expected = [
        sum(low < value <= high for value in rows["feature_amount"].astype(np.float32))
        for low, high in pairwise(edges)
    ]
    assert counts[1:].tolist() == expected
    channels = model.measure("channel")
    assert channels.bins.categories == ("app", "phone", "shop", "web")
    assert channels.by_day[0][1:-1].tolist() == [
        int((rows["channel"] == name).sum()) for name in channels.bins.categories
    ]


def test_missing_infinite_and_absent_values_are_counted_apart() -> None:
    model = reference(days=7)

    def change(rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        rows["feature_amount"][:3] = np.nan, np.inf, -np.inf
        del rows["feature_visits"]
        rows["feature_temperature"] = rows["channel"]
        return rows

    sketch = window(model, FIRST_DAY + 7, change=change)
    assert sketch.measures["amount"].by_cell[0] == 3
    assert sketch.measures["visits"].absent == 1_000
    assert sketch.measures["temperature"].absent == 1_000
    assert sketch.measures["code"].absent == 0


def test_a_value_that_fills_a_bin_has_a_bin_of_its_own() -> None:
    values = np.concatenate([np.zeros(500), np.linspace(-1.0, 3.0, 500)])
    bins = fit_bins(pa.table({"value": values}), [("value", "value")]).measures[0]
    cells = bins.number_cells(np.array([-0.01, 0.0, 0.01]))
    assert len(set(cells.tolist())) == 3


def test_sixty_features_over_ninety_days_fit_into_300_kilobytes() -> None:
    rng = np.random.default_rng(4)
    names = [f"feature_{number}" for number in range(60)]
    rows = 10_000
    columns = {name: rng.gamma(2.0, 30.0, rows) for name in names}
    entities = pa.array([f"u{code}" for code in rng.integers(0, 500, rows)])
    sample = pa.table(columns)
    sketch = ReferenceSketch(fit_bins(sample, [(name, name) for name in names]))
    for day in range(90):
        times = pa.array(day * DAY + rng.integers(0, DAY, rows), pa.timestamp("us", tz="UTC"))
        sketch.add(sample.append_column("event_time", times).append_column("entity_id", entities))
    model = sketch.finish("fraud", "user_id", volume_is_served=True)
    assert len(model.to_json()) < 300_000
    assert len(model.days) >= 62
    assert {len(measure.bins.edges) for measure in model.measures[:-1]} == {9}
    assert model.rows == (rows,) * len(model.days)
    assert all(measure.by_day.sum() == rows * len(model.days) for measure in model.measures)


def test_memory_does_not_grow_with_rows() -> None:
    bins = fit_bins(table(day_columns(0, 2_000, seed=5)), COLUMNS)

    def peak(blocks: int) -> int:
        sketch = WindowSketch(bins, 0, DAY)
        tracemalloc.start()
        for block in range(blocks):
            columns = day_columns(0, 2_000, seed=block)
            sketch.add(table(columns))
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    assert peak(40) < 1.3 * peak(10)


def test_a_reference_is_read_as_it_was_written() -> None:
    model = reference(days=7)
    assert ModelReference.from_json(model.to_json(), "reference.json") == model


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("days", [3, 2, 1, 4, 5, 6, 7], "ascending days"),
        ("rows", [1], "rows: expected one number a day"),
        ("system", None, "system"),
        ("forgery", 1, "forgery"),
    ],
)
def test_a_malformed_reference_is_refused_by_field(field: str, value: object, message: str) -> None:
    content = json.loads(reference(days=7, rows=50).to_json())
    content[field] = value
    with pytest.raises(MonitoringError, match=message):
        ModelReference.from_json(json.dumps(content).encode(), "reference.json")


def test_calibration_and_prevalence_are_those_of_the_rows() -> None:
    sketch = ReferenceSketch(BINS)
    sketch.add(LABELLED)
    model = sketch.finish("fraud", "user_id", volume_is_served=True)
    labels = np.array(LABELLED["label"].to_pylist(), dtype=float)
    known = np.isfinite(labels)
    assert sum(model.labelled) == known.sum()
    assert model.prevalence == pytest.approx(labels[known].mean())
    scores = LABELLED["score"].to_numpy()[known]
    stated = sum(part.stated * part.rows for part in model.calibration)
    assert stated == pytest.approx(scores.sum(), abs=1e-6 * len(scores))
    assert sum(part.positives for part in model.calibration) == labels[known].sum()


def test_a_window_is_compared_the_same_after_a_way_through_json() -> None:
    model = reference(days=7)
    sketch = window(model, FIRST_DAY + 7)
    sketch.tally("labels", {"fraud": 3}, 100)
    content = json.loads(json.dumps(sketch.to_json()))
    read = WindowSketch.from_json(model.bins, content)
    assert read.to_json() == sketch.to_json()
    with pytest.raises(ValueError, match="closed"):
        read.add(table(day_columns(FIRST_DAY + 7, 5, seed=1)))


def test_rows_of_another_window_are_refused() -> None:
    model = reference(days=7)
    sketch = WindowSketch(model.bins, 0, DAY)
    with pytest.raises(ValueError, match="event_time"):
        sketch.add(table(day_columns(FIRST_DAY, 5, seed=1)))
    assert sketch.rows == 0


def test_repeated_rows_are_counted() -> None:
    model = reference(days=7)

    def twice(rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: np.concatenate([values, values[:40]]) for name, values in rows.items()}

    sketch = window(model, FIRST_DAY + 7, change=twice)
    assert (sketch.rows, sketch.repeated) == (1_040, 40)


def test_no_rows_give_no_reference() -> None:
    with pytest.raises(MonitoringError, match="rows"):
        ReferenceSketch(ReferenceBins()).finish("fraud", "user_id", volume_is_served=True)


def test_windows_of_other_bins_do_not_merge() -> None:
    sketch, other = (WindowSketch(bins, 0, DAY) for bins in (BINS, ReferenceBins()))
    with pytest.raises(ValueError, match="same bins"):
        sketch.merge(other)
