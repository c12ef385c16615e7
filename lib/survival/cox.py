"""Cox regression: fitted by lifelines, kept as coefficients and a baseline."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lib.durable import PUBLIC_FILE, replace_file
from lib.survival.curves import Curves
from lib.survival.outcomes import Floats, Outcomes, SurvivalError
from lib.survival.scaling import Scaling


@dataclass(frozen=True)
class CoxModel:
    """Proportional hazards: S(t) = exp(-H0(t) exp(x b)).

    Attributes:
        scaling: of its columns.
        coefficients: (used,) log hazard ratio of a standard deviation.
        errors: (used,) their standard errors, robust against rows of one group where asked.
        times: (m,) ascending from 0.
        cumulative_hazard: (m,) H0 of a subject that is average in all columns.
        departures: p-value of proportional hazards by column where it was tested (Grambsch and
            Therneau 1994); small means that the column's effect changes with time.
    """

    scaling: Scaling
    coefficients: Floats
    errors: Floats
    times: Floats
    cumulative_hazard: Floats
    departures: dict[str, float]

    def risk(self, rows: Floats) -> Floats:
        """(n,) log hazard ratio to the average subject, for rows (n, columns)."""
        return np.asarray(self.scaling.apply(rows) @ self.coefficients, dtype=np.float64)

    def curves(self, rows: Floats) -> Curves:
        """Step curves of rows (n, columns)."""
        ratio = np.exp(np.clip(self.risk(rows), -50.0, 50.0))
        return Curves(self.times, np.exp(-ratio[:, None] * self.cumulative_hazard), "step")

    def save(self, folder: Path, name: str = "cox") -> None:
        """`name`.json, in place of what was there."""
        content = {
            "scaling": self.scaling.to_json(),
            "coefficients": self.coefficients.tolist(),
            "errors": self.errors.tolist(),
            "times": self.times.tolist(),
            "cumulative_hazard": self.cumulative_hazard.tolist(),
            "departures": self.departures,
        }
        replace_file(
            folder / f"{name}.json", json.dumps(content, indent=1).encode() + b"\n", PUBLIC_FILE
        )

    @classmethod
    def load(cls, folder: Path, name: str = "cox") -> CoxModel:
        """What `save` wrote.

        Raises:
            SurvivalError: the file is missing, damaged, or its parts do not belong together.
        """
        path = folder / f"{name}.json"
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            scaling = Scaling.from_json(stored["scaling"])
            parts = [
                np.array(stored[name], dtype=np.float64)
                for name in ("coefficients", "errors", "times", "cumulative_hazard")
            ]
            departures = {str(key): float(value) for key, value in stored["departures"].items()}
        except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise SurvivalError(f"{path}: not a Cox model: {error}") from error
        coefficients, errors, times, hazard = parts
        model = cls(scaling, coefficients, errors, times, hazard, departures)
        model._check(path)
        return model

    def _check(self, origin: Path) -> None:
        width, time_count = len(self.scaling.columns), len(self.times)
        if (
            len(self.coefficients) != width
            or len(self.cumulative_hazard) != time_count
            or time_count < 2
        ):
            raise SurvivalError(f"{origin}: coefficients or baseline have another length")
        if not np.isfinite(self.coefficients).all() or (np.diff(self.cumulative_hazard) < 0).any():
            raise SurvivalError(f"{origin}: a coefficient is not finite, or the baseline falls")


def fit_cox(
    names: tuple[str, ...],
    rows: Floats,
    outcomes: Outcomes,
    *,
    penalty: float = 0.01,
    groups: npt.ArrayLike | None = None,
    test_proportionality: bool = False,
    categorical: Sequence[int] = (),
) -> CoxModel:
    """Ridge-penalised Cox regression on standardised columns; competing causes are censored.

    Args:
        names: of the columns.
        rows: (n, columns); missing values become the column's mean.
        outcomes: of the same subjects.
        penalty: lifelines' `penalizer`; 0 is unpenalised.
        groups: (n,) whose rows belong together: standard errors are then robust (Lin and Wei 1989).
        test_proportionality: whether to test it, on ranks of time.
        categorical: places of columns that hold codes; see `Scaling`. A penalty of 0 has no answer
            there.

    Raises:
        SurvivalError: nobody failed, no column varies, or the fit does not converge.
    """
    if not outcomes.failed.any():
        raise SurvivalError(f"no failures among {len(outcomes)} training outcomes")
    scaling = Scaling.fit(names, rows, flags=False, categorical=categorical)
    fitter, frame = _fitted(scaling, rows, outcomes, penalty, groups)
    departures: dict[str, float] = {}
    if test_proportionality:
        departures = _departures(fitter, frame, scaling)
    baseline = fitter.baseline_cumulative_hazard_
    times = baseline.index.to_numpy(dtype=np.float64)
    hazard = baseline.iloc[:, 0].to_numpy(dtype=np.float64)
    if times[0] > 0.0:
        times, hazard = np.append(0.0, times), np.append(0.0, hazard)
    coefficients = fitter.params_.to_numpy(dtype=np.float64)
    centre = fitter._norm_mean[fitter.params_.index].to_numpy(dtype=np.float64)
    hazard = hazard * np.exp(-float(centre @ coefficients))
    errors = fitter.standard_errors_.to_numpy(dtype=np.float64)
    return CoxModel(scaling, coefficients, errors, times, hazard, departures)


def _fitted(
    scaling: Scaling,
    rows: Floats,
    outcomes: Outcomes,
    penalty: float,
    groups: npt.ArrayLike | None,
) -> tuple[Any, Any]:
    import pandas as pd  # noqa: PLC0415  fitting alone needs both
    from lifelines import CoxPHFitter  # noqa: PLC0415
    from lifelines.exceptions import ConvergenceError  # noqa: PLC0415

    frame = pd.DataFrame(
        scaling.apply(rows), columns=[f"x{k}" for k in range(len(scaling.columns))]
    )
    frame["time"], frame["failed"] = outcomes.time, outcomes.failed
    options: dict[str, Any] = {}
    if groups is not None:
        frame["group"] = np.unique(np.asarray(groups), return_inverse=True)[1]
        options["cluster_col"] = "group"
    fitter = CoxPHFitter(penalizer=penalty)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitter.fit(frame, "time", "failed", **options)
    except (ConvergenceError, ValueError, np.linalg.LinAlgError) as error:
        raise SurvivalError(
            f"Cox regression did not converge on {len(scaling.columns)} columns and "
            f"{int(outcomes.failed.sum())} failures: {str(error).splitlines()[0]} "
            "Raise the penalty, or leave out columns that separate failures completely"
        ) from error
    return fitter, frame


def _departures(fitter: Any, frame: Any, scaling: Scaling) -> dict[str, float]:
    from lifelines.statistics import proportional_hazard_test  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tested = proportional_hazard_test(fitter, frame, time_transform="rank")
    values = np.atleast_1d(tested.p_value)
    by_column = dict(zip([str(name) for name in tested.name], values.tolist(), strict=True))
    return {
        name: float(by_column[f"x{index}"])
        for index, name in enumerate(scaling.columns)
        if f"x{index}" in by_column
    }
