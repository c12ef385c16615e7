"""Performance of a window before its labels are in, with standard errors.

Probabilities of a positive are learnt on rows with ripe labels and corrected to today's inputs;
measures are then computed on probabilities in place of labels. This is Probabilistic Adaptive
Performance Estimation (Bialek, Kuberski, Perrakis, Kivimaki, arXiv 2401.08348) with two additions.
The weighted calibration starts from score and inputs, not the score alone, so that it is right
where either the outcome model or the density ratio is (Robins, Rotnitzky and Zhao, JASA 89, 1994),
and it moves as far as a measure needs only (van der Laan and Rubin, Targeted maximum likelihood
learning, 2006). And standard errors say how far such estimates were from what came out.

An estimate cannot see that the concept changed, i.e. that rows alike have other labels: see
`lib.monitoring.contradiction` for what tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import t as student

from lib.monitoring.correction import AdaptedProbabilities, Correction
from lib.monitoring.density_ratio import DensityRatio, RatioSettings, density_ratio
from lib.monitoring.measures import Measure
from lib.monitoring.outcome_model import fit_outcome_models
from lib.monitoring.performance import Figure
from lib.monitoring.scored_rows import DAY, Codes, Floats, MonitoringError, ScoredRows

_PRIOR_WINDOWS = 4.0


@dataclass(frozen=True)
class EstimationSettings:
    """How estimates are made.

    Attributes:
        seed: of all draws.
        repeats: draws of labels and of the correction, for standard errors.
        window_days: length of a window; the reference is tried out in windows of that length.
        most_windows: that are tried out.
        most_rows: negatives that trees are fitted on.
        ratio: of the density ratio.
        threads: of XGBoost.
    """

    seed: int = 7
    repeats: int = 200
    window_days: float = 7.0
    most_windows: int = 6
    most_rows: int = 30_000
    ratio: RatioSettings = field(default_factory=RatioSettings)
    threads: int = 1


@dataclass(frozen=True)
class Estimate:
    """A measure of a window before its labels are in.

    Attributes:
        name, unit: of the measure.
        value: expected; NaN where the measure is not defined.
        standard_error: of value less what will come out: luck of the labels, the correction, and
            how far estimates of earlier windows were off beyond that.
        dispersion: mean of (estimate - outcome)^2 over its variance, on windows of the reference.
        rows, entities: of the window.
        positives: expected among them.
        shift_auc: how well today's inputs are told from the reference's; .5 means alike.
        effective: share of the reference that counts after weighing.
        note: why there is no value; empty if nothing.
    """

    name: str
    unit: str
    value: float
    standard_error: float
    dispersion: float
    rows: int
    entities: int
    positives: float
    shift_auc: float
    effective: float
    note: str = ""

    def figure(self) -> Figure:
        """As a figure: the ends of its interval are two standard errors away."""
        return Figure(
            name=self.name,
            unit=self.unit,
            basis="estimated",
            value=self.value,
            low=self.value - 2.0 * self.standard_error,
            high=self.value + 2.0 * self.standard_error,
            rows=self.rows,
            entities=self.entities,
            positives=self.positives,
            ripeness=0.0,
            note=self.note,
        )


class PerformanceEstimator:
    """Learnt on a reference of ripe rows; estimates any later window.

    Args:
        reference: every label known, scores are probabilities, newest rows last or not; with
            inputs, and with money where a measure counts it.
        measures: what to estimate.
        settings: how.

    Raises:
        MonitoringError: the reference has one class or one day only, or a score is no probability.
    """

    def __init__(
        self,
        reference: ScoredRows,
        measures: Sequence[Measure],
        settings: EstimationSettings | None = None,
    ) -> None:
        self._settings = settings or EstimationSettings()
        self._reference, self._measures = reference, tuple(measures)
        _require_probabilities(reference)
        positives = float(np.nansum(reference.label))
        if not 0.0 < positives < len(reference):
            raise MonitoringError(
                f"label: expected both classes in the reference, got {positives:g} positives "
                f"in {len(reference)} rows"
            )
        windows = int(reference.days // max(self._settings.window_days, 1.0))
        self._models = fit_outcome_models(
            reference,
            min(max(windows, 3), self._settings.most_windows),
            seed=self._settings.seed,
            most_rows=self._settings.most_rows,
            threads=self._settings.threads,
        )
        self._dispersions, self._windows = self._try_out()

    def adapt(self, window: ScoredRows) -> tuple[AdaptedProbabilities, DensityRatio]:
        """Probability of a positive for each row of a window, corrected to its inputs."""
        _require_probabilities(window)
        ratio = self._ratio(window)
        every = np.arange(len(self._reference))
        return self._corrected(window, self._models.predict(window), every, ratio), ratio

    def estimate(self, window: ScoredRows) -> list[Estimate]:
        """An estimate of each measure; labels of the window are not read."""
        adapted, ratio = self.adapt(window)
        spread = float(student.ppf(0.97725, _PRIOR_WINDOWS + self._windows)) / 2.0
        estimates = []
        drawn = self._draw(window, adapted, self._settings.repeats)
        for measure, dispersion, (value, error, note) in zip(
            self._measures, self._dispersions, drawn, strict=True
        ):
            estimates.append(
                Estimate(
                    name=measure.name,
                    unit=measure.unit,
                    value=value,
                    standard_error=error * np.sqrt(dispersion) * spread,
                    dispersion=dispersion,
                    rows=len(window),
                    entities=len(np.unique(window.entity)),
                    positives=float(adapted.value.sum()),
                    shift_auc=ratio.auc,
                    effective=ratio.effective,
                    note=note,
                )
            )
        return estimates

    def _ratio(self, window: ScoredRows) -> DensityRatio:
        reference = self._reference
        if reference.inputs is None or window.inputs is None:
            return _even(len(reference))
        return density_ratio(
            reference.inputs, window.inputs, reference.entity, window.entity, self._settings.ratio
        )

    def _corrected(
        self, window: ScoredRows, log_odds: Floats, rows: Codes, ratio: DensityRatio
    ) -> AdaptedProbabilities:
        """The correction that some reference rows ask for, applied to the window."""
        correction = Correction.fit(
            self._reference.take(rows), self._models.log_odds[rows], ratio.weight[rows]
        )
        return correction.apply(window, log_odds)

    def _draw(
        self, window: ScoredRows, adapted: AdaptedProbabilities, repeats: int
    ) -> list[tuple[float, float, str]]:
        """Mean and deviation of each measure over draws of labels; NaN and why."""
        generator = np.random.default_rng(self._settings.seed)
        values: list[list[float]] = [[] for _ in self._measures]
        notes = [""] * len(self._measures)
        for _ in range(repeats):
            rows = window.labelled(adapted.draw(generator))
            for index, measure in enumerate(self._measures):
                try:
                    values[index].append(measure.value(rows))
                except MonitoringError as error:
                    notes[index] = str(error)
        return [
            (float(np.mean(each)), float(np.std(each, ddof=1)), "")
            if len(each) > repeats / 2
            else (float("nan"), float("nan"), note)
            for each, note in zip(values, notes, strict=True)
        ]

    def _tried_out(self, number: int) -> Codes:
        """Rows of the first days of a block, as many days as a window has."""
        rows = np.flatnonzero(self._models.block == number)
        day = self._reference.event_time[rows] // DAY
        is_first = day < day.min() + max(self._settings.window_days, 1.0)
        return np.asarray(rows[is_first], dtype=np.int64)

    def _try_out(self) -> tuple[list[float], int]:
        """By measure, how much farther off estimates of reference windows were than foreseen.

        Quasi-likelihood's dispersion (McCullagh and Nelder, Generalized Linear Models, 1989),
        drawn to 1 by the weight of four windows and never below it.
        """
        count = len(self._models.models)
        squares: list[list[float]] = [[] for _ in self._measures]
        even = _even(len(self._reference))
        for number in range(count):
            others = np.flatnonzero(self._models.block != number)
            inside = self._tried_out(number)
            window = self._reference.take(inside)
            adapted = self._corrected(window, self._models.log_odds[inside], others, even)
            drawn = self._draw(window, adapted, max(self._settings.repeats // 2, 2))
            for each, measure, (value, error, note) in zip(
                squares, self._measures, drawn, strict=True
            ):
                with suppress(MonitoringError):
                    if not note and error > 0:
                        each.append(((measure.value(window) - value) / error) ** 2)
        dispersions = [
            max(1.0, (_PRIOR_WINDOWS + float(np.sum(each))) / (_PRIOR_WINDOWS + len(each)))
            for each in squares
        ]
        return dispersions, count


def _even(count: int) -> DensityRatio:
    return DensityRatio(np.ones(count), 0.5, 1.0, 1.0)


def _require_probabilities(rows: ScoredRows) -> None:
    if len(rows) and (rows.score.min() < 0.0 or rows.score.max() > 1.0):
        raise MonitoringError(
            f"score: expected calibrated probabilities, got {rows.score.min():g} to "
            f"{rows.score.max():g}"
        )
