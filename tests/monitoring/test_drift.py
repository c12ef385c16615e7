"""What is called an incident, and what is not."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from lib.monitoring import (
    ErrorBudget,
    Incident,
    Kind,
    ModelReference,
    WindowSketch,
    detect,
)
from lib.monitoring.window import DAY
from tests.monitoring.rows import FIRST_DAY, Change, Columns, learnt_from, reference, window

BUDGET = ErrorBudget()
MODEL = reference()
FIRST_WINDOW = FIRST_DAY + 42
QUIET = [window(MODEL, FIRST_WINDOW + day) for day in range(20)]
CHANGED_AT = FIRST_WINDOW + 20


def after(change: Change, days: int = 2, model: ModelReference = MODEL) -> list[Incident]:
    changed = [window(model, CHANGED_AT + day, change=change) for day in range(days)]
    return detect(model, [*QUIET, *changed], BUDGET)


def setting(column: str, new: Callable[[np.ndarray], object]) -> Change:
    def change(rows: Columns) -> None:
        rows[column] = np.asarray(new(rows[column].copy()))

    return change


def filled(count: int, value: object) -> Callable[[np.ndarray], np.ndarray]:
    def new(values: np.ndarray) -> np.ndarray:
        values = values.astype(object)
        values[::3][:count] = value
        return np.array(values.tolist())

    return new


def later(hours: int) -> Change:
    def change(rows: Columns) -> None:
        day = rows["event_time"] // DAY * DAY
        rows["event_time"] = day + (rows["event_time"] - day + hours * DAY // 24) % DAY

    return change


def part(share: float) -> Change:
    def change(rows: Columns) -> Columns:
        kept = np.random.default_rng(0).random(len(rows["event_time"])) < share
        return {name: values[kept] for name, values in rows.items()}

    return change


def repeated(share: float) -> Change:
    def change(rows: Columns) -> Columns:
        kept = np.random.default_rng(0).random(len(rows["event_time"])) < share
        return {name: np.concatenate([values, values[kept]]) for name, values in rows.items()}

    return change


def without(column: str) -> Change:
    def change(rows: Columns) -> Columns:
        return {name: values for name, values in rows.items() if name != column}

    return change


CHANGES = {
    "mean": (
        setting("feature_temperature", lambda v: v + 2.0),
        "temperature",
        Kind.MEAN_MOVED,
        "",
    ),
    "spread": (
        setting("feature_temperature", lambda v: 20.0 + 1.5 * (v - 20.0)),
        "temperature",
        Kind.SPREAD_MOVED,
        "",
    ),
    "x100": (setting("feature_amount", lambda v: v * 100), "amount", Kind.UNIT_CHANGED, "x100"),
    "x1000": (setting("feature_amount", lambda v: v * 1000), "amount", Kind.UNIT_CHANGED, "x1000"),
    "degF": (
        setting("feature_temperature", lambda v: v * 1.8 + 32),
        "temperature",
        Kind.UNIT_CHANGED,
        "degC to degF",
    ),
    "missing": (setting("feature_amount", filled(50, np.nan)), "amount", Kind.MISSING_SHARE, ""),
    "new category": (setting("channel", filled(20, "fax")), "channel", Kind.NEW_VALUE, "fax"),
    "new code": (setting("feature_code", filled(20, 9.0)), "code", Kind.NEW_VALUE, "9"),
    "vanished": (
        setting("channel", lambda v: np.where(v == "phone", "web", v)),
        "channel",
        Kind.VANISHED_VALUE,
        "phone",
    ),
    "stuck": (setting("feature_amount", lambda v: v * 0 + 21.5), "amount", Kind.CONSTANT, ""),
    "clock": (later(1), "event hour", Kind.CLOCK_SHIFTED, "+1 h"),
    "clock back": (later(-2), "event hour", Kind.CLOCK_SHIFTED, "-2 h"),
    "fewer": (part(0.5), "rows", Kind.FEWER_ROWS, ""),
    "duplicated": (repeated(0.05), "duplicates", Kind.DUPLICATED_ROWS, ""),
    "absent": (without("feature_visits"), "visits", Kind.NOT_COMPUTED, ""),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_named_with_its_measure_and_kind_within_two_windows(name: str) -> None:
    change, measure, kind, what = CHANGES[name]
    incidents = after(change)
    assert [(i.measure, i.kind, i.name) for i in incidents] == [(measure, kind, what)]
    assert incidents[0].since == CHANGED_AT * DAY
    assert incidents[0].is_open


def test_windows_like_the_reference_give_no_incident() -> None:
    for seed in range(10):
        windows = [window(MODEL, FIRST_WINDOW + day, seed=10 + seed) for day in range(30)]
        assert detect(MODEL, windows, BUDGET) == []


def test_what_is_sure_but_small_wakes_nobody() -> None:
    model = reference(rows=20_000)
    shifted = setting("feature_temperature", lambda v: v + 0.3)  # .06 standard deviations
    windows = [window(model, FIRST_WINDOW + day, 20_000, change=shifted) for day in range(8)]
    assert detect(model, windows, BUDGET) == []


def test_an_odd_day_alone_is_no_incident() -> None:
    odd = window(MODEL, CHANGED_AT, change=setting("feature_temperature", lambda v: v + 2.0))
    later_days = [window(MODEL, CHANGED_AT + 1 + day) for day in range(5)]
    assert detect(MODEL, [*QUIET, odd, *later_days], BUDGET) == []


def test_an_incident_closes_after_three_windows_without_a_sign() -> None:
    shift = setting("feature_temperature", lambda v: v + 2.0)
    bad = [window(MODEL, CHANGED_AT + day, change=shift) for day in range(3)]
    good = [window(MODEL, CHANGED_AT + 3 + day) for day in range(4)]
    (incident,) = detect(MODEL, [*QUIET, *bad, *good], BUDGET)
    assert incident.seen_at == (CHANGED_AT + 3) * DAY
    assert incident.closed_at == (CHANGED_AT + 6) * DAY


def test_more_windows_leave_what_was_opened_as_it_was() -> None:
    shift = setting("feature_temperature", lambda v: v + 2.0)
    bad = [window(MODEL, CHANGED_AT + day, change=shift) for day in range(6)]
    first = detect(MODEL, [*QUIET, *bad[:2]], BUDGET)[0]
    again = detect(MODEL, [*QUIET, *bad], BUDGET)[0]
    times = {"seen_at", "closed_at"}
    assert again.id == first.id
    assert again.model_dump(exclude=times) == first.model_dump(exclude=times)
    assert again.seen_at > first.seen_at


def test_small_windows_are_pooled_until_they_can_speak() -> None:
    def hundred(rows: Columns) -> Columns:
        return {name: values[:50] for name, values in rows.items()}

    def moved(rows: Columns) -> Columns:
        rows["feature_temperature"] = rows["feature_temperature"] + 5.0
        return hundred(rows)

    small = [window(MODEL, FIRST_WINDOW + day, change=hundred) for day in range(20)]
    changed = [window(MODEL, CHANGED_AT + day, change=moved) for day in range(12)]
    assert detect(MODEL, small, BUDGET) == []
    incidents = detect(MODEL, [*small, *changed], BUDGET)
    assert [(i.measure, i.kind) for i in incidents] == [("temperature", Kind.MEAN_MOVED)]


def test_decisions_are_compared_with_the_first_windows() -> None:
    rng = np.random.default_rng(0)

    def decided(share: float, day: int) -> WindowSketch:
        sketch = window(MODEL, FIRST_WINDOW + day)
        declined = int(rng.binomial(1_000, share))
        sketch.tally("decision", {"DECLINE": declined, "APPROVE": 1_000 - declined}, 1_000)
        return sketch

    usual = [decided(0.02, day) for day in range(25)]
    assert detect(MODEL, usual, BUDGET) == []
    risen = [decided(0.08, day) for day in range(25, 28)]
    (incident,) = detect(MODEL, [*usual, *risen], BUDGET)
    assert (incident.measure, incident.kind) == ("decision", Kind.SHARE_MOVED)
    assert incident.since == (FIRST_WINDOW + 25) * DAY


def test_windows_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="order of time"):
        detect(MODEL, [QUIET[1], QUIET[0]], BUDGET)


def test_windows_of_another_model_are_refused() -> None:
    other = reference(days=7, seed=9)
    with pytest.raises(ValueError, match="another model"):
        detect(other, QUIET, BUDGET)


def test_parts_of_days_are_refused() -> None:
    half = WindowSketch(MODEL.bins, CHANGED_AT * DAY, CHANGED_AT * DAY + DAY // 2)
    with pytest.raises(ValueError, match="whole days"):
        detect(MODEL, [half], BUDGET)


def test_a_window_without_rows_says_fewer_rows() -> None:
    empty = [
        WindowSketch(MODEL.bins, (CHANGED_AT + day) * DAY, (CHANGED_AT + day + 1) * DAY)
        for day in range(2)
    ]
    incidents = detect(MODEL, [*QUIET, *empty], BUDGET)
    assert [(i.measure, i.kind) for i in incidents] == [("rows", Kind.FEWER_ROWS)]


def rare_features(days: range, rows: int, seed: int, rate: float, spread: float) -> pa.Table:
    """Features that are rarely 1, at a rate that differs from day to day."""
    generator = np.random.default_rng(seed)
    per_day = generator.gamma(1.0 / spread**2, rate * spread**2, (len(days), RARE)).clip(0.0, 0.9)
    count = rows * len(days)
    times = np.repeat(np.array(days), rows) * DAY + generator.integers(0, DAY, count)
    flags = generator.random((count, RARE)) < np.repeat(per_day, rows, axis=0)
    columns = {f"feature_rare{at}": flags[:, at].astype(np.float64) for at in range(RARE)}
    entities = generator.integers(0, 10**9, count).astype(str)
    return pa.table(
        {"entity_id": entities, "event_time": pa.array(times, pa.timestamp("us", "UTC")), **columns}
    )


RARE = 40


def called_constant(spread: float, changed: Callable[[pa.Table], pa.Table]) -> set[str]:
    """Features of four weeks of training that are called constant in the quiet month after."""
    learnt = rare_features(range(20_000, 20_028), 1_000, 1, 0.03, spread)
    names = [(f"rare{at}", f"feature_rare{at}") for at in range(RARE)]
    model = learnt_from([learnt], names)
    served = model.daily()
    served.add(changed(rare_features(range(20_028, 20_058), 250, 2, 0.03, spread)))
    incidents = detect(model, served.windows(), BUDGET)
    return {own.measure for own in incidents if own.kind is Kind.CONSTANT}


def test_days_on_which_a_rare_value_does_not_come_are_no_incident() -> None:
    """By the rate of an average day alone, three of the 40 features would be called constant."""
    assert called_constant(0.8, lambda table: table) == set()


def test_a_rare_value_that_comes_each_day_and_then_never_is_one() -> None:
    def stuck(table: pa.Table) -> pa.Table:
        index = table.schema.get_field_index("feature_rare7")
        return table.set_column(index, "feature_rare7", pa.array(np.zeros(table.num_rows)))

    assert called_constant(0.05, stuck) == {"rare7"}
