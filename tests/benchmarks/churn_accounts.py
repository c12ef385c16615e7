"""Simulated B2B accounts whose causes of leaving are known: who is found, when, and why.

Accounts live two and a half years. The model learns from moments whose outcome was known before the
test begins, and is measured on later ones beside the baselines, and beside who knows the true
chances: ranking, what the team finds at its capacity, calibration, and how long before their notice
leavers were first flagged. Of accounts with one trouble that has shown, and no other, it is counted
whether the model's strongest reason is what that trouble shows. All figures are of simulated
accounts.
"""

from __future__ import annotations

import argparse
import re
import time

import numpy as np
from numpy.typing import NDArray

from lib.churn.events import stream
from lib.churn.health import fit_reference
from lib.churn.model.baselines import baseline_scores
from lib.churn.model.evaluation import OURS, Evaluation, evaluate, measures_of, ordered
from lib.churn.model.fitting import Split, fit_halves, split_by_time
from lib.churn.model.model import ChurnModel
from lib.churn.model.settings import ModelSettings
from lib.churn.simulation.accounts import CAUSES, Lifecycles, SimulationConfig, chances_to_leave
from lib.churn.snapshots import Snapshots, moments_between, snapshots
from lib.churn.target import Floats, Ints, Target
from lib.evaluation import bootstrap_interval
from lib.feature import DAY
from tests.benchmarks.result import print_result
from tests.churn.small_model import calibrated
from tests.churn.tables import base_in, simulated

TARGET = Target()
_WARM_UP, _EVERY = 365, 14  # so that no window reaches before the data begins
_TROUBLED, _CALM = 0.4, 0.1
SHOWS = {
    "adoption": r"active_users|features_used|seats_active|usage_|active_days|days_since_use",
    "support": r"ticket|resolution|satisfaction",
    "payment": r"failed_payments|late_days|balance_due|overdue",
    "champion": r"champion_left",
    "competitor": r"competitor_mention",
    "price": r"price_complaint",
}
"""The features in which each trouble shows; what several show, such as surveys, names none."""


def world(config: SimulationConfig) -> tuple[Lifecycles, Snapshots, ChurnModel, Split]:
    """Simulate, and fit as `jobs.churn.train` does in one process."""
    lives, tables = simulated(config)
    base = base_in(tables)
    until = config.start_us + config.days * DAY
    moments = moments_between(config.start_us + _WARM_UP * DAY, until, _EVERY)
    rows = snapshots(stream(tables, base), base, moments, TARGET, until)
    split, settings = split_by_time(rows, TARGET, 0.25), ModelSettings().suited(TARGET)
    calibrator, probabilities = calibrated(split.train, settings, config.seed)
    linear, trees = fit_halves(split.train, settings, config.seed)
    newest = split.train.at_us == split.train.at_us.max()
    model = ChurnModel(
        base=base,
        target=TARGET,
        linear=linear,
        trees=trees,
        linear_share=settings.linear_share,
        calibrator=calibrator,
        usual=np.nanmedian(split.train.matrix, axis=0),
        reference=fit_reference(split.train.matrix[newest], split.train.names, probabilities),
        capacity=0.1,
        threshold=float(np.quantile(probabilities, 0.9)),
    )
    return lives, rows, model, split


def judged(split: Split, model: ChurnModel, seed: int) -> tuple[Evaluation, dict[str, Floats]]:
    """Measures of every method on the test rows, and the scores that they are of."""
    scores = baseline_scores(split, seed)
    scores[OURS] = model.log_odds(split.test.matrix)
    findings = evaluate(
        split,
        TARGET,
        scores,
        model.calibrator.probabilities(scores[OURS]),
        model.contributions(split.test.matrix),
        model.capacity,
        model.threshold,
        seed,
        500,
    )
    return findings, scores


def positions(lives: Lifecycles, config: SimulationConfig, rows: Snapshots) -> tuple[Ints, Ints]:
    """The account and the day of the simulation of each row."""
    index = {name: number for number, name in enumerate(lives.accounts.names)}
    account_indices = np.array([index[name] for name in rows.customers.tolist()])
    return account_indices, ((rows.at_us - config.start_us) // DAY).astype(np.int64)


def true_chances(lives: Lifecycles, config: SimulationConfig, rows: Snapshots) -> Floats:
    """What nobody can know: the chance with which each account leaves within the window."""
    accounts, day = positions(lives, config, rows)
    probabilities = np.zeros(len(rows))
    for unique_day in np.unique(day).tolist():
        day_rows = day == unique_day
        probabilities[day_rows] = chances_to_leave(
            lives, accounts[day_rows], unique_day - 1, TARGET.window_days, None
        )
    return probabilities


def _has_signal(test: Snapshots, cause: str) -> NDArray[np.bool_]:
    if cause not in ("champion", "competitor", "price"):
        return np.ones(len(test), dtype=np.bool_)
    name = next(feature for feature in test.names if re.match(SHOWS[cause] + ".*_90d", feature))
    return test.column(name) > 0


def drivers(
    lives: Lifecycles, config: SimulationConfig, test: Snapshots, model: ChurnModel
) -> dict[str, tuple[int, float]]:
    """By trouble: rows with it and no other, and the share where its features add the most.

    A trouble that is told by signals counts from the first one: of a champion whose leaving nobody
    has noticed no model can speak.
    """
    accounts, day = positions(lives, config, test)
    severity = lives.severity[accounts, :, day - 1]
    named = {
        cause: [k for k, name in enumerate(test.names) if re.search(pattern, name)]
        for cause, pattern in SHOWS.items()
    }
    shares = {}
    for number, cause in enumerate(CAUSES):
        others = np.delete(severity, number, axis=1).max(axis=1)
        rows = np.flatnonzero(
            (severity[:, number] > _TROUBLED) & (others < _CALM) & _has_signal(test, cause)
        )
        adds = model.contributions(test.matrix[rows])
        contributions = np.column_stack([adds[:, named[driver]].sum(axis=1) for driver in CAUSES])
        shares[cause] = (len(rows), float((contributions.argmax(axis=1) == number).mean()))
    return shares


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=3000)
    parser.add_argument("--days", type=int, default=900)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    started = time.perf_counter()
    config = SimulationConfig(options.accounts, options.days, options.seed)
    lives, rows, model, split = world(config)
    findings, scores = judged(split, model, options.seed)
    true = true_chances(lives, config, split.test)
    ceiling = measures_of(split.test, true, model.capacity)
    for name in ordered(findings.measures):
        figures = findings.measures[name]
        print(f"{name:28}" + "  ".join(f"{key} {value:.3f}" for key, value in figures.items()))
    ceiling_text = "  ".join(f"{key} {value:.3f}" for key, value in ceiling.items())
    print(f"{'who knows the true chances':28}{ceiling_text}")
    recall = bootstrap_interval(
        lambda chosen: measures_of(split.test.take(chosen), scores[OURS][chosen], 0.1)[
            "recall_at_capacity"
        ],
        split.test.customers,
        options.seed,
        200,
    )
    early = findings.warned_days
    why = drivers(lives, config, split.test, model)
    print(
        "strongest reason is the only trouble: "
        + ", ".join(f"{cause} {share:.2f} of {count}" for cause, (count, share) in why.items())
    )
    print_result(
        len(rows),
        time.perf_counter() - started,
        methods={name: dict(values) for name, values in findings.measures.items()},
        ceiling=ceiling,
        auc_interval=(findings.auc.low, findings.auc.high),
        ap_interval=(findings.ap.low, findings.ap.high),
        recall_interval=(recall.low, recall.high),
        ece=findings.calibration_error,
        flagged_60_days_before=float((np.nan_to_num(early) >= 60.0).mean()),
        flagged_at_all=float((~np.isnan(early)).mean()),
        leavers=len(early),
        drivers={cause: share for cause, (_, share) in why.items()},
        driver_rows={cause: count for cause, (count, _) in why.items()},
        first_features=list(findings.importance)[:10],
        test_rows=findings.rows,
        training_rows=len(split.train),
        prevalence=findings.prevalence,
        accounts=options.accounts,
        simulated=True,
    )


if __name__ == "__main__":
    main()
