"""Estimates before labels beside what came out, labels held back 7, 30 and 60 days.

The Handbook's payments, scored by a small model that the product's own functions train on their
first 30 days with labels as late as said. Every window of some days is estimated on its first day
after, from payments whose labels had come by then, and compared with what came out. Its inputs are
moved by drawing payments by their amount, their merchant's past or their score, never by their
label. NannyML's CBPE has the same scores and the same labelled payments; it runs in an environment
of its own (`--nannyml PYTHON`), and where there is none its columns say "not installed". Last, the
concept is changed on a day: half of the frauds look like good payments, inputs and scores stay.

The last line is one JSON object: `within_2se` (share of windows whose outcome lies within two
standard errors, the lower of AUC and money), `error` and `error_cbpe` (mean distance of the
estimated from the realised AUC over all windows), `concept_change_found_after_days` by delay.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from lib.monitoring.contradiction import (
    ReviewCheck,
    check_by_outcomes,
    check_by_review,
    draw_review,
)
from lib.monitoring.estimation import Estimate, EstimationSettings, PerformanceEstimator
from lib.monitoring.measures import AveragePrecision, Measure, Money, RecallAtCapacity, RocAuc
from lib.monitoring.scored_rows import DAY
from tests.benchmarks.delayed.deployment import Deployment, deploy
from tests.benchmarks.delayed.nannyml_estimates import NannyML, ScoredFiles, estimate
from tests.benchmarks.delayed.shifts import SHIFTS, shifted, with_changed_concept
from tests.benchmarks.result import print_result
from tests.fraud.payment_files import read_payments

DELAYS = (7, 30, 60)
FIRST_WINDOW, CHANGE = 105, 133
"""Days after the first payment: of the first window, and on which the concept changes."""
REVIEWS = 300
MEASURES: tuple[Measure, ...] = (RocAuc(), AveragePrecision(), RecallAtCapacity(100.0), Money())


@dataclass(frozen=True)
class Row:
    """One window under one shift: its estimates and what came out, by measure."""

    delay: int
    first: int
    shift: str
    estimates: list[Estimate]
    realised: list[float]

    def is_within(self, position: int) -> bool:
        """Whether the outcome lies within two standard errors."""
        estimated = self.estimates[position]
        return abs(self.realised[position] - estimated.value) <= 2.0 * estimated.standard_error


@dataclass(frozen=True)
class ConceptWindow:
    """A window of the changed concept: its estimates, what came out, and a random review."""

    first: int
    estimates: list[Estimate]
    realised: list[float]
    review: ReviewCheck


@dataclass
class Run:
    """All windows of a deployment, and what NannyML needs of them.

    Attributes:
        deployment: model and payments.
        days: of a window.
        shifts: that inputs are moved by.
        files: where scores are written.
    """

    deployment: Deployment
    days: int
    shifts: tuple[str, ...]
    files: ScoredFiles
    rows: list[Row] = field(default_factory=list)
    concept: list[ConceptWindow] = field(default_factory=list)
    tasks: list[dict[str, str]] = field(default_factory=list)

    def estimate(self) -> None:
        """Every window under every shift, and what follows the change of the concept."""
        deployment = self.deployment
        change = deployment.first_day + CHANGE
        changed = with_changed_concept(deployment, change, seed=1)
        for first in self._starts():
            today = first + self.days
            estimator = self._estimator(deployment.rows.label, today)
            for shift in self.shifts:
                rows = shifted(deployment, self._window(first), shift, seed=first)
                window = deployment.rows.take(rows)
                realised = [measure.value(window) for measure in MEASURES]
                estimates = estimator.estimate(window)
                self.rows.append(Row(deployment.delay_days, first, shift, estimates, realised))
                self._add_task(first, shift, rows, deployment.reference(today))
            self._show(first)
            if first < change + 2 * self.days:
                if today - deployment.delay_days > change:
                    estimator = self._estimator(changed, today)
                self._follow_concept(first, estimator, changed)

    def _follow_concept(
        self, first: int, estimator: PerformanceEstimator, label: np.ndarray
    ) -> None:
        """A window whose labels are those of the changed concept, and a review of some rows."""
        rows = self._window(first)
        window = self.deployment.rows.take(rows).labelled(label[rows])
        adapted, _ = estimator.adapt(window)
        drawn = draw_review(adapted.value, REVIEWS, seed=first)
        check = check_by_review(adapted.value[drawn], window.label[drawn], seed=first)
        realised = [measure.value(window) for measure in MEASURES]
        self.concept.append(ConceptWindow(first, estimator.estimate(window), realised, check))

    def found_after_days(self) -> tuple[int | str, int | str]:
        """Days from the change until outcomes, and until a random review, contradict estimates.

        A false alarm is what was contradicted before the change.
        """
        change = self.deployment.first_day + CHANGE
        alarms = []
        for position in range(len(MEASURES)):
            checks = check_by_outcomes(
                [window.estimates[position].value for window in self.concept],
                [window.estimates[position].standard_error for window in self.concept],
                [window.realised[position] for window in self.concept],
            )
            alarms += [
                window.first
                for window, check in zip(self.concept, checks, strict=True)
                if not check.trusted
            ][:1]
        waited = self.days + self.deployment.delay_days
        reviewed = [window.first for window in self.concept if not window.review.trusted]
        return _after(alarms, change, waited), _after(reviewed, change, self.days)

    def _starts(self) -> Iterator[int]:
        """First day of each window."""
        last = int(self.deployment.rows.event_time[-1] // DAY) + 1
        first = self.deployment.first_day + FIRST_WINDOW
        yield from range(first, last - self.days + 1, self.days)

    def _estimator(self, label: np.ndarray, today: int) -> PerformanceEstimator:
        """Of what is known at the beginning of a day, were these the labels."""
        known = self.deployment.reference(today)
        reference = self.deployment.rows.take(known).labelled(label[known])
        settings = EstimationSettings(window_days=self.days, repeats=100)
        return PerformanceEstimator(reference, MEASURES, settings)

    def _window(self, first: int) -> np.ndarray:
        return self.deployment.between(first, first + self.days)

    def _add_task(self, first: int, shift: str, rows: np.ndarray, reference: np.ndarray) -> None:
        all_rows, delay = self.deployment.rows, self.deployment.delay_days
        self.tasks.append(
            {
                "reference": self.files.write(
                    f"{delay}-{first}", all_rows.score[reference], all_rows.label[reference]
                ),
                "window": self.files.write(
                    f"{delay}-{first}-{shift}".replace(" ", "_"),
                    all_rows.score[rows],
                    all_rows.label[rows],
                ),
            }
        )

    def _show(self, first: int) -> None:
        latest = self.rows[-len(self.shifts) :]
        parts = (
            f"{row.shift} {row.estimates[0].value:.3f}+-{row.estimates[0].standard_error:.3f}"
            f" came {row.realised[0]:.3f}"
            for row in latest
        )
        day = first - self.deployment.first_day
        print(
            f"  {self.deployment.delay_days:>2} days, window of day {day}: {'; '.join(parts)}",
            flush=True,
        )


def _after(firsts: list[int], change: int, waited: int) -> int | str:
    """Days from the change to the end of waiting for the first of some windows."""
    if not firsts:
        return "not found"
    first = min(firsts)
    return "false alarm" if first < change else first + waited - change


def summary(rows: list[Row], nannyml: NannyML) -> dict[str, object]:
    """Shares within two standard errors and mean errors, of all windows and by delay and shift."""
    errors = np.array([abs(row.realised[0] - row.estimates[0].value) for row in rows])
    answer: dict[str, object] = {
        "windows": len(rows),
        "error": float(errors.mean()),
        "nannyml": nannyml.version,
        "error_cbpe": "not installed",
    }
    for position, measure in enumerate(MEASURES):
        inside = [row.is_within(position) for row in rows]
        answer[f"within_2se_{measure.name}"] = float(np.mean(inside))
    answer["within_2se"] = min(answer["within_2se_auc"], answer["within_2se_money"])  # type: ignore[type-var]
    groups = {f"{delay}_days": [row.delay == delay for row in rows] for delay in DELAYS}
    groups |= {shift: [row.shift == shift for row in rows] for shift in SHIFTS}
    cbpe = np.array([])
    if nannyml.auc:
        cbpe = np.abs(np.array([row.realised[0] for row in rows]) - np.array(nannyml.auc))
        answer["error_cbpe"] = float(cbpe.mean())
        answer["nearer_share"] = float((errors < cbpe).mean())
    for name, mask in groups.items():
        if not any(mask):
            continue
        chosen = np.flatnonzero(mask)
        answer[name] = {
            "within_2se_auc": float(np.mean([rows[index].is_within(0) for index in chosen])),
            "within_2se_money": float(np.mean([rows[index].is_within(3) for index in chosen])),
            "error": float(errors[chosen].mean()),
        } | ({"error_cbpe": float(cbpe[chosen].mean())} if len(cbpe) else {})
    return answer


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--transactions", type=Path, required=True, help="the Parquet file")
    parser.add_argument("--nannyml", type=Path, help="a Python interpreter that has NannyML")
    parser.add_argument("--days", type=int, default=7, help="days of a window")
    parser.add_argument("--delays", type=int, nargs="+", default=list(DELAYS), metavar="DAYS")
    parser.add_argument("--shifts", nargs="+", default=list(SHIFTS), choices=list(SHIFTS))
    parser.add_argument("--processes", type=int, default=2, help="delays at once")
    return parser.parse_args()


@dataclass(frozen=True)
class DelayResult:
    """What one delay gave: windows, tasks for NannyML, and when the changed concept was found."""

    rows: list[Row]
    tasks: list[dict[str, str]]
    detected: tuple[int | str, int | str]


def run_delay(
    transactions: Path, delay: int, days: int, shifts: tuple[str, ...], folder: Path
) -> DelayResult:
    """Train with labels that late, and estimate every window."""
    deployment = deploy(read_payments(str(transactions)), delay)
    run = Run(deployment, days, shifts, ScoredFiles(folder))
    run.estimate()
    detected = run.found_after_days()
    print("  {} days: concept change found after {} days, by review {}".format(delay, *detected))
    for window in run.concept:
        print(f"    day {window.first - deployment.first_day}: {window.review.statement}")
    return DelayResult(run.rows, run.tasks, detected)


def main() -> None:
    """Run all delays side by side and print the tables and the JSON line."""
    options = arguments()
    started = time.perf_counter()
    with (
        tempfile.TemporaryDirectory() as name,
        ProcessPoolExecutor(options.processes, mp_context=get_context("spawn")) as pool,
    ):
        folder = Path(name)
        calls = [
            pool.submit(
                run_delay, options.transactions, delay, options.days, tuple(options.shifts), folder
            )
            for delay in options.delays
        ]
        results = [call.result() for call in calls]
        tasks = [task for result in results for task in result.tasks]
        nannyml = estimate(options.nannyml, tasks, folder, timeout=7_200)
    rows = [row for result in results for row in result.rows]
    names = [f"{delay}_days" for delay in options.delays]
    print_result(
        pq.read_metadata(options.transactions).num_rows,
        time.perf_counter() - started,
        **summary(rows, nannyml),
        concept_change_found_after_days={
            name: result.detected[0] for name, result in zip(names, results, strict=True)
        },
        concept_change_found_by_review_after_days={
            name: result.detected[1] for name, result in zip(names, results, strict=True)
        },
        file=options.transactions.name,
    )


if __name__ == "__main__":
    main()
