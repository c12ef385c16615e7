"""Predictions as a table, and survival curves out of it again."""

import json
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lib.contract import TIME
from lib.contract.coercion import as_array
from lib.maintenance.feature_set import FeatureError
from lib.maintenance.history import UNKNOWN_US, Floats, Ints
from lib.maintenance.model.model import SurvivalModel
from lib.maintenance.model.prediction import HORIZONS
from lib.survival.curves import Curves

_SURVIVAL = "survival"


def scores_table(
    model: SurvivalModel,
    machines: Sequence[str],
    rows: Floats,
    at_us: int,
    last_us: Ints,
    explain: bool = True,
) -> pa.Table:
    """One row a machine: chances, times, mode, drivers, and curves over the model's grid.

    Args:
        model: that answers.
        machines: (n,) names.
        rows: (n, features) at `at_us`.
        at_us: microseconds UTC.
        last_us: (n,) last reading of each, `UNKNOWN_US` where there was none.
        explain: whether to say what drives each.
    """
    predictions = model.predict(rows, explain) if len(rows) else []
    curves = {_SURVIVAL: model.curves(rows)} | {
        f"{_SURVIVAL}_{name}": each for name, each in model.by_mode(rows).items()
    }
    likely = [prediction.likely_mode for prediction in predictions]
    columns: dict[str, pa.Array] = {
        "machine_id": pa.array(list(machines), pa.string()),
        "scored_at": pa.array([at_us] * len(predictions), pa.int64()).cast(TIME),
        "last_reading": pa.array(
            [None if time_us == UNKNOWN_US else time_us for time_us in last_us.tolist()], pa.int64()
        ).cast(TIME),
    }
    columns |= {
        f"failure_within_{name}": pa.array(
            [prediction.probabilities[name] for prediction in predictions], pa.float64()
        )
        for name in HORIZONS
    }
    columns |= {
        "alarm": pa.array([prediction.alarm for prediction in predictions], pa.bool_()),
        "median_hours": pa.array(
            [prediction.median_hours for prediction in predictions], pa.float64()
        ),
        "mean_hours": pa.array([prediction.mean_hours for prediction in predictions], pa.float64()),
        "likely_from_hours": pa.array(
            [prediction.likely_hours[0] for prediction in predictions], pa.float64()
        ),
        "likely_to_hours": pa.array(
            [prediction.likely_hours[1] for prediction in predictions], pa.float64()
        ),
        "likely_mode": pa.array(likely, pa.string()),
        "drivers": pa.array(
            [json.dumps([[driver.what, round(driver.effect, 6)] for driver in each.drivers])
             for each in predictions], pa.string()
        ),
        "model_version": pa.array([model.version] * len(predictions), pa.string()),
    }  # fmt: skip
    values = pa.list_(pa.float64())
    columns |= {name: pa.array(each.survival.tolist(), values) for name, each in curves.items()}
    return pa.table(columns)


def curves_of_scores(table: pa.Table, grid: npt.ArrayLike) -> tuple[Curves, dict[str, Curves]]:
    """Curves of the machines of a table of scores, and by mode.

    Raises:
        FeatureError: the table has no curves, or they are of another grid.
    """
    hours = np.asarray(grid, dtype=np.float64)
    if _SURVIVAL not in table.column_names or not table.num_rows:
        raise FeatureError("scores: expected rows with survival curves; score the machines again")
    arrays = {
        name.removeprefix(_SURVIVAL).removeprefix("_"): np.array(
            as_array(table[name]).to_pylist(), dtype=np.float64
        )
        for name in table.column_names
        if name == _SURVIVAL or name.startswith(f"{_SURVIVAL}_")
    }
    for values in arrays.values():
        if values.shape != (table.num_rows, len(hours)):
            raise FeatureError(
                f"scores: expected curves at {len(hours)} hours, got shape {values.shape}"
            )
    curves = {name: Curves(hours, values) for name, values in arrays.items()}
    return curves.pop(""), curves
