"""What a plan of interventions is worth on simulated accounts whose true effects are known.

For each seed: accounts live a year and some; a model learns from what is told; a pilot gives each
qualifying customer an open playbook or nothing by lot, and its outcomes revise the assumed effects;
on the last day a plan is made, and its true value is reckoned beside doing nothing, the riskiest
first, random choice, and the best plan that knows the true effects. Then outcomes of the plan with
a holdout are drawn many times, and it is counted how often the estimated effect's interval covers
the true one. All figures are of simulated accounts.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np

from lib.churn.events import stream
from lib.churn.features import churn_features
from lib.churn.interventions.effects import Effect, MeasuredShare, estimate_effect
from lib.churn.interventions.expected_falls import assumed_falls, revised_falls
from lib.churn.interventions.plan import (
    NO_PLAYBOOK,
    Budget,
    Candidates,
    Plan,
    candidates_of,
    highest_risk_first,
    plan_interventions,
    random_plan,
)
from lib.churn.interventions.playbooks import PLAYBOOKS_FILE, Playbooks, load_playbooks
from lib.churn.model.fitting import fit_halves
from lib.churn.model.model import blended
from lib.churn.model.settings import ModelSettings
from lib.churn.simulation.accounts import Lifecycles, SimulationConfig, chances_to_leave
from lib.churn.snapshots import Snapshots, snapshots
from lib.churn.target import Floats, Ints, Target
from lib.feature import DAY
from tests.benchmarks.result import print_result
from tests.churn.plan_limits import violations
from tests.churn.small_model import calibrated
from tests.churn.tables import base_in, simulated

TARGET = Target()
_DAYS, _EVERY, _FIRST = 480, 30, 120
_MARGIN, _MONTHS = 0.8, 12.0
_PILOT, _HOLDOUT = 0.5, 0.3
WAYS = ("ours", "nothing", "highest_risk", "random", "best_possible")


@dataclass(frozen=True)
class Outcome:
    """Of one seed: true value by way, broken constraints, and how often the truth was covered."""

    value: dict[str, float]
    violations: int
    covered: float
    chosen: int
    power: float


@dataclass(frozen=True)
class _World:
    """A seed's accounts on the day of the plan and on that of the pilot."""

    lives: Lifecycles
    now: Snapshots
    before: Snapshots
    probabilities: Floats
    contributions: Floats
    chances_before: Floats
    playbooks: Playbooks

    def account_indices(self, rows: Snapshots) -> Ints:
        """Places of the rows' accounts."""
        index_by_name = {name: number for number, name in enumerate(self.lives.accounts.names)}
        return np.array([index_by_name[name] for name in rows.customers.tolist()])


def world(seed: int, accounts: int) -> _World:
    """Simulate, learn and foresee."""
    config = SimulationConfig(accounts=accounts, days=_DAYS + 120, seed=seed)
    lives, tables = simulated(config)
    base = base_in(tables)
    now = config.start_us + _DAYS * DAY
    moments = [config.start_us + day * DAY for day in range(_FIRST, _DAYS + 1, _EVERY)]
    rows = snapshots(stream(tables, base), base, moments, TARGET, now)
    train, settings = rows.known(), ModelSettings()
    linear, trees = fit_halves(train, settings, seed)
    calibrator, _ = calibrated(train, settings, seed)
    parts = [rows.take(rows.at_us == at) for at in (now, now - 60 * DAY)]
    probabilities = [
        calibrator.probabilities(
            blended(
                linear.log_odds(part.matrix), trees.log_odds(part.matrix), settings.linear_share
            )
        )
        for part in parts
    ]
    usual = np.nanmedian(train.matrix, axis=0)[None, :]
    of_now, of_usual = (
        blended(linear.contributions(rows), trees.contributions(rows)[0], settings.linear_share)
        for rows in (parts[0].matrix, usual)
    )
    playbooks = load_playbooks(PLAYBOOKS_FILE.read_text(), churn_features(base).names)
    return _World(
        lives, parts[0], parts[1], probabilities[0], of_now - of_usual, probabilities[1], playbooks
    )


def outcome(arguments: tuple[int, int, int]) -> Outcome:
    """One seed."""
    seed, accounts, draws = arguments
    simulation = world(seed, accounts)
    draw = np.random.default_rng([seed, 9])
    measured = _pilot(simulation, draw)
    limits = Budget(hours=0.10 * accounts, budget=12.0 * accounts, most=accounts // 20)
    mrr, indices, day = (
        simulation.now.column("mrr"),
        simulation.account_indices(simulation.now),
        _DAYS,
    )
    open_to = simulation.playbooks.qualified(simulation.now.names, simulation.now.matrix)
    true = _true_uplift(simulation, indices, day)
    assumed = assumed_falls(
        simulation.playbooks, simulation.now.names, simulation.probabilities,
        simulation.contributions,
    )  # fmt: skip
    first = plan_interventions(_candidates(simulation, mrr, assumed, open_to), limits)
    falls, _ = revised_falls(
        simulation.playbooks, assumed, simulation.probabilities, first.chosen, measured
    )
    ours = _candidates(simulation, mrr, falls, open_to)
    real = _candidates(simulation, mrr, true, open_to)
    plans = {
        "ours": plan_interventions(ours, limits),
        "nothing": Plan(np.full(len(mrr), NO_PLAYBOOK), 0.0, 0.0, 0.0),
        "highest_risk": highest_risk_first(ours, limits, simulation.probabilities),
        "random": random_plan(ours, limits, seed),
        "best_possible": plan_interventions(real, limits),
    }
    covered, power = _coverage(simulation, indices, day, plans["ours"].chosen, falls, draw, draws)
    return Outcome(
        value={name: _true_value(real, plan.chosen) for name, plan in plans.items()},
        violations=sum(len(violations(real, limits, plan)) for plan in plans.values()),
        covered=covered,
        chosen=int((plans["ours"].chosen != NO_PLAYBOOK).sum()),
        power=power,
    )


def _candidates(
    simulation: _World,
    mrr: Floats,
    uplift: Floats,
    open_to: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
) -> Candidates:
    value = np.nan_to_num(mrr) * _MARGIN * _MONTHS
    names = tuple(simulation.now.customers.tolist())
    return candidates_of(
        names, uplift, value, np.nan_to_num(mrr) * 12.0, open_to, simulation.playbooks
    )


def _true_uplift(simulation: _World, indices: Ints, day: int) -> Floats:
    idle = chances_to_leave(simulation.lives, indices, day, TARGET.window_days, None)
    return np.column_stack(
        [
            idle - chances_to_leave(simulation.lives, indices, day, TARGET.window_days, playbook.id)
            for playbook in simulation.playbooks.playbooks
        ]
    )


def _true_value(real: Candidates, chosen: Ints) -> float:
    """Expected, with the true effects, cost taken off."""
    rows = np.flatnonzero(chosen != NO_PLAYBOOK)
    return float(real.value[rows, chosen[rows]].sum())


def _pilot(simulation: _World, draw: np.random.Generator) -> dict[str, MeasuredShare]:
    """What a pilot two months earlier showed, in which chance decided, by playbook."""
    indices, day = simulation.account_indices(simulation.before), _DAYS - 60
    open_to = simulation.playbooks.qualified(simulation.before.names, simulation.before.matrix)
    idle = chances_to_leave(simulation.lives, indices, day, TARGET.window_days, None)
    measured = {}
    for index, playbook in enumerate(simulation.playbooks.playbooks):
        rows = np.flatnonzero(open_to[:, index])
        treated = draw.random(len(rows)) < _PILOT
        with_it = chances_to_leave(
            simulation.lives, indices[rows], day, TARGET.window_days, playbook.id
        )
        left = (draw.random(len(rows)) < np.where(treated, with_it, idle[rows])).astype(float)
        if not len(rows) or treated.all() or not treated.any():
            continue
        probabilities = simulation.chances_before[rows]
        effect = estimate_effect(left, treated, np.full(len(rows), _PILOT), probabilities)
        measured[playbook.id] = MeasuredShare.of(effect, float(probabilities.mean()))
    return measured


def _coverage(
    simulation: _World,
    indices: Ints,
    day: int,
    chosen: Ints,
    falls: Floats,
    draw: np.random.Generator,
    draws: int,
) -> tuple[float, float]:
    """Share of drawn runs whose interval covers the true mean effect on those chosen; power."""
    rows = np.flatnonzero(chosen != NO_PLAYBOOK)
    if len(rows) < 4:
        return float("nan"), float("nan")
    idle = chances_to_leave(simulation.lives, indices[rows], day, TARGET.window_days, None)
    books = [playbook.id for playbook in simulation.playbooks.playbooks]
    helped = np.array(
        [
            chances_to_leave(
                simulation.lives, indices[[row]], day, TARGET.window_days, books[book]
            )[0]
            for row, book in zip(rows.tolist(), chosen[rows].tolist(), strict=True)
        ]
    )
    truth, probabilities = float((idle - helped).mean()), simulation.probabilities[rows]
    expected = float(falls[rows, chosen[rows]].mean())
    estimates: list[Effect] = []
    for _ in range(draws):
        treated = draw.random(len(rows)) >= _HOLDOUT
        if treated.all() or not treated.any():
            continue
        left = (draw.random(len(rows)) < np.where(treated, helped, idle)).astype(float)
        propensity = np.full(len(rows), 1.0 - _HOLDOUT)
        estimates.append(estimate_effect(left, treated, propensity, probabilities, expected))
    hits = [estimate.low <= truth <= estimate.high for estimate in estimates]
    return float(np.mean(hits)), float(np.mean([estimate.power for estimate in estimates]))


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--accounts", type=int, default=1500)
    parser.add_argument("--draws", type=int, default=200, help="outcomes drawn for each seed")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    started = time.perf_counter()
    tasks = [(seed, options.accounts, options.draws) for seed in range(1, options.seeds + 1)]
    outcomes: list[Outcome] = []
    with ProcessPoolExecutor(options.processes) as pool:
        for seed, result in enumerate(pool.map(outcome, tasks), start=1):
            outcomes.append(result)
            summary = ", ".join(f"{name} {result.value[name]:,.0f}" for name in WAYS)
            print(
                f"seed {seed}: {result.chosen} chosen; {summary}; covered {result.covered:.3f}",
                flush=True,
            )
    value = {name: np.array([result.value[name] for result in outcomes]) for name in WAYS}
    draw = np.random.default_rng(0)
    picks = draw.integers(0, len(outcomes), (2000, len(outcomes)))

    def interval(values: Floats) -> tuple[float, float]:
        low, high = np.quantile(values[picks].mean(axis=1), [0.025, 0.975])
        return float(low), float(high)

    print_result(
        0,
        time.perf_counter() - started,
        value={name: float(values.mean()) for name, values in value.items()},
        value_interval={name: interval(values) for name, values in value.items()},
        ours_above={
            name: (
                float((value["ours"] - value[name]).mean()),
                *interval(value["ours"] - value[name]),
            )
            for name in ("nothing", "highest_risk", "random")
        },
        share_of_best=float(value["ours"].sum() / value["best_possible"].sum()),
        violations=sum(result.violations for result in outcomes),
        coverage=float(np.nanmean([result.covered for result in outcomes])),
        power=float(np.nanmean([result.power for result in outcomes])),
        seeds=options.seeds,
        accounts=options.accounts,
        simulated=True,
    )


if __name__ == "__main__":
    main()
