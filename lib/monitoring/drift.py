"""Incidents among windows: what differs from the reference by more than days differ by nature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from lib.monitoring.bins import Floats
from lib.monitoring.budget import Detector, ErrorBudget
from lib.monitoring.figures import Aspect, Figure, watch
from lib.monitoring.incident import Incident
from lib.monitoring.kinds import effect_of
from lib.monitoring.naming import Moved, describe
from lib.monitoring.reference import ModelReference
from lib.monitoring.window import DAY, WindowSketch

_GROSS = 4.0
"""A single window must show so many times the smallest effect."""

_QUIET = 2.0
"""Logarithm of an e-value below which a window does not speak for a change."""

_QUIET_WINDOWS = 3
"""Windows in a row without a sign of a change, after which it is over."""


def detect(
    reference: ModelReference,
    windows: Sequence[WindowSketch],
    budget: ErrorBudget,
    figures: Sequence[Figure] | None = None,
) -> list[Incident]:
    """All incidents in windows of a model, those that are over included.

    Evidence of each figure adds up over windows (`ErrorBudget`). An incident opens where it reaches
    the budget's threshold and the change since it began is worth it (`SmallestEffects`); no single
    window can reach the threshold, unless its evidence is overwhelming and its effect gross.
    Figures of one measure share an incident, named by `lib.monitoring.naming`.

    State is carried through the windows alone: the same windows give the same incidents, and more
    windows after them leave `id`, `since`, `kind`, `opened_at` and the figures at the opening as
    they are; only `seen_at` and `closed_at` go on.

    Args:
        reference: of the model that decided in these windows.
        windows: one a day (UTC), in order of time, whole days only, best all since the model
            decides; empty ones where nothing was decided. Counted by `reference.bins`.
        budget: of the installation.
        figures: `lib.monitoring.figures.watch` of the same, where they are known already.

    Returns:
        In order of opening.

    Raises:
        ValueError: windows overlap, are not in order of time, or were counted by other bins.
    """
    _refuse_disorder(reference, windows)
    if not windows:
        return []
    if figures is None:
        figures = watch(reference, windows, budget)
    run = _Run.of(reference, windows, budget, figures)
    for window in range(len(windows)):
        run.step(window)
    return run.incidents


def _refuse_disorder(reference: ModelReference, windows: Sequence[WindowSketch]) -> None:
    bins = reference.bins
    for window, later in pairwise(windows):
        if later.since < window.until:
            raise ValueError(f"windows: expected them in order of time, got {later.since}")
    for window in windows:
        if window.bins != bins:
            raise ValueError(f"window from {window.since}: counted by the bins of another model")
        if (window.until - window.since) % DAY or window.since % DAY:
            raise ValueError(f"window from {window.since}: expected whole days UTC")


@dataclass
class _Open:
    """An incident that lasts, and the figure that opened it."""

    at: int
    figure: int
    quiet: int = 0


@dataclass
class _Run:
    """What `detect` holds from window to window."""

    reference: ModelReference
    windows: Sequence[WindowSketch]
    budget: ErrorBudget
    figures: Sequence[Figure]
    log_e: Floats
    detector: Detector
    threshold: float
    measures: npt.NDArray[np.str_]
    incidents: list[Incident] = field(default_factory=list)
    open: dict[str, _Open] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        reference: ModelReference,
        windows: Sequence[WindowSketch],
        budget: ErrorBudget,
        figures: Sequence[Figure],
    ) -> _Run:
        log_e = np.array([figure.log_e for figure in figures]).reshape(len(figures), len(windows))
        return cls(
            reference=reference,
            windows=windows,
            budget=budget,
            figures=figures,
            log_e=log_e,
            detector=Detector.start(len(figures)),
            threshold=budget.log_threshold(len(figures)),
            measures=np.array([figure.measure for figure in figures], dtype=np.str_),
        )

    def step(self, window: int) -> None:
        """Take the next window."""
        log_e = self.log_e[:, window]
        self.detector.step(np.minimum(log_e, self.budget.single_window * self.threshold), window)
        self._follow(window)
        alarms = [figure for figure in self._candidates(log_e) if self._is_worth(figure, window)]
        for measure in dict.fromkeys(str(self.measures[figure]) for figure in alarms):
            if measure not in self.open:
                self._start(measure, [k for k in alarms if self.measures[k] == measure], window)

    def _candidates(self, log_e: Floats) -> list[int]:
        sure = self.detector.log_r >= self.threshold
        overwhelming = log_e >= self.budget.overwhelming * self.threshold
        candidates = np.flatnonzero(sure | overwhelming)
        return [int(k) for k in candidates[np.argsort(-self.detector.log_r[candidates])]]

    def _is_worth(self, figure: int, window: int) -> bool:
        since = int(self.detector.since[figure])
        effects = self.budget.effects
        if self.detector.log_r[figure] >= self.threshold:
            return effect_of(self.figures[figure], since, window, effects).is_worth
        effect = effect_of(self.figures[figure], window, window, effects)
        return self.figures[figure].aspect in _CERTAIN_ASPECTS or effect.is_gross(_GROSS)

    def _start(self, measure: str, alarms: list[int], window: int) -> None:
        evidence = np.maximum(self.detector.log_r[alarms], self.log_e[alarms, window])
        moved = [
            Moved(self.figures[k], float(log_e), int(self.detector.since[k]), window)
            for k, log_e in zip(alarms, evidence, strict=True)
        ]
        best, incident = describe(self.reference, self.windows, moved, self.budget.effects)
        self.open[measure] = _Open(len(self.incidents), alarms[best])
        self.incidents.append(incident)

    def _follow(self, window: int) -> None:
        """Say of incidents that last whether this window still shows them."""
        for measure, state in list(self.open.items()):
            log_e = self.log_e[state.figure, window]
            if not np.isfinite(log_e):
                continue
            until = self.windows[window].until
            effect = effect_of(self.figures[state.figure], window, window, self.budget.effects)
            if log_e >= _QUIET and effect.is_worth:
                state.quiet = 0
                self._update(state, seen_at=until)
                continue
            state.quiet += 1
            if state.quiet >= _QUIET_WINDOWS:
                self._update(state, closed_at=until)
                del self.open[measure]
                self.detector.reset(self.measures == measure)

    def _update(self, state: _Open, **times: int) -> None:
        self.incidents[state.at] = self.incidents[state.at].model_copy(update=times)


_CERTAIN_ASPECTS = (Aspect.ABSENT, Aspect.CONSTANT)
