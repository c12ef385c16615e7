"""Which rows make a change."""

import pyarrow as pa
import pytest

from lib.monitoring import ErrorBudget, detect
from lib.monitoring.segments import likely_segments
from tests.monitoring.rows import FIRST_DAY, Columns, day_columns, reference, table, window

MODEL = reference()
START = FIRST_DAY + 42


def of_phone(rows: Columns) -> None:
    is_phone = rows["channel"] == "phone"
    rows["feature_temperature"] = rows["feature_temperature"] + 20.0 * is_phone


def everywhere(rows: Columns) -> None:
    rows["feature_temperature"] = rows["feature_temperature"] + 4.0


@pytest.mark.parametrize(("change", "expected"), [(of_phone, ["phone"]), (everywhere, [])])
def test_the_segment_that_makes_a_change_is_named(change: object, expected: list[str]) -> None:
    windows = [window(MODEL, START + day) for day in range(10)]
    windows += [window(MODEL, START + 10 + day, change=change) for day in range(4)]
    incidents = detect(MODEL, windows, ErrorBudget())
    incident = next(each for each in incidents if each.measure == "temperature")
    rows = day_columns(START + 13, 1_000, seed=2)
    change(rows)
    earlier = table(day_columns(START, 1_000, seed=2))
    for before in (None, earlier):
        segments = likely_segments(MODEL, incident, table(rows), ["channel"], before)
        assert [segment.value for segment in segments] == expected
        assert all(segment.part > 0.7 for segment in segments)


def test_a_column_that_rows_lack_is_refused() -> None:
    windows = [window(MODEL, START + day, change=everywhere) for day in range(4)]
    (incident,) = detect(MODEL, windows, ErrorBudget())
    with pytest.raises(KeyError, match="merchant"):
        likely_segments(MODEL, incident, pa.table(table(day_columns(START, 9, 2))), ["merchant"])
