"""Twelve changes, each of one feature of one system, with the name that it should get."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib.monitoring import Kind
from tests.benchmarks.drifting.days import DAY, HOUR

Change = Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame]


@dataclass(frozen=True)
class Planted:
    """A change of all rows from a day on.

    Attributes:
        name: of the change.
        stream: of the system whose rows change.
        measure, kind: what an incident about it should say.
        column: of the rows; "" where the rows as a whole change.
        change: new rows of old ones.
    """

    name: str
    stream: str
    measure: str
    kind: Kind
    column: str
    change: Change


def _number(column: str, new: Callable[[pd.Series], pd.Series]) -> Change:
    return lambda rows, _: rows.assign(**{column: new(rows[column])})


def _some(column: str, share: float, value: object) -> Change:
    def change(rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
        drawn = rng.random(len(rows)) < share
        return rows.assign(**{column: rows[column].mask(drawn, value)})

    return change


def _without_model(rows: pd.DataFrame, _: np.random.Generator) -> pd.DataFrame:
    return rows.assign(model=rows.model.mask(rows.model == "model4", "model3"))


def _later(rows: pd.DataFrame, _: np.random.Generator) -> pd.DataFrame:
    return rows.assign(at=(rows["at"] + HOUR) % DAY)


def _half(rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    return rows[rng.random(len(rows)) < 0.5]


def _repeated(rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    return pd.concat([rows, rows[rng.random(len(rows)) < 0.05]])


PLANTED = (
    Planted(
        "mean +.25 sd", "payments", "amount", Kind.MEAN_MOVED, "amount",
        lambda rows, _: rows.assign(amount=rows.amount + 0.25 * rows.amount.std()),
    ),
    Planted(
        "spread x1.5", "machines", "volt", Kind.SPREAD_MOVED, "volt",
        _number("volt", lambda v: v.mean() + 1.5 * (v - v.mean())),
    ),
    Planted("x100", "payments", "amount", Kind.UNIT_CHANGED, "amount",
            _number("amount", lambda v: v * 100.0)),
    Planted("x1000", "customers", "unit_price", Kind.UNIT_CHANGED, "unit_price",
            _number("unit_price", lambda v: v * 1000.0)),
    Planted("degC to degF", "machines", "vibration", Kind.UNIT_CHANGED, "vibration",
            _number("vibration", lambda v: v * 1.8 + 32.0)),
    Planted("missing 1% to 5%", "payments", "minutes_since_last", Kind.MISSING_SHARE,
            "minutes_since_last", _some("minutes_since_last", 0.04, np.nan)),
    Planted("new category 2%", "customers", "country", Kind.NEW_VALUE, "country",
            _some("country", 0.02, "Atlantis")),
    Planted("vanished category", "machines", "model", Kind.VANISHED_VALUE, "model",
            _without_model),
    Planted("stuck", "machines", "rotate", Kind.CONSTANT, "rotate",
            _number("rotate", lambda v: v * 0.0 + 448.0)),
    Planted("clock +1 h", "payments", "event hour", Kind.CLOCK_SHIFTED, "", _later),
    Planted("half of the rows", "payments", "rows", Kind.FEWER_ROWS, "", _half),
    Planted("5% twice", "payments", "duplicates", Kind.DUPLICATED_ROWS, "", _repeated),
)  # fmt: skip
