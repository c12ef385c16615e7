"""Experiments between a model and itself, by the thousand, on our own money outcomes.

Money per entity and day is priced by the product's own outcomes: payments of the Fraud Detection
Handbook by customer, simulated accounts, simulated machines. Of each, 28 days are the time before
(CUPED) and 14 the experiment, with a look after each day. Arms are drawn anew in each replay, and
nothing differs between them: `false_wins` is how often a winner is announced anyway by the
group-sequential bounds that `jobs.experiments.judge` uses, beside a test at 5% at each look
(`naive`), one test at the end (`fixed`) and the always-valid sequence of experiments without an
end (`endless`). Then the challenger saves that share of its entities' losses (`saved`) which one
test at the end shows with a probability of 80%: `power` and `mean_stop` (share of the 14 days) are
of the sequential test. `srm_false_stops` is of the test of the sample ratio. Rates are over
`--replays` of each population; at the top of the last line stand those of all together and the
worst, below them each population's.

A few replays are repeated by `lib.experiment.effect` itself (`largest_difference` of z), and with
bounds by their own correlations instead of the mean ones (`bound_difference`).
"""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import beta

from lib.experiment.effect import WINSOR_QUANTILE
from tests.benchmarks.experimenting.money import (
    MoneyOfSystem,
    account_money,
    machine_money,
    payment_money,
)
from tests.benchmarks.experimenting.replays import (
    REPLAYS_AT_ONCE,
    LooksAtMoney,
    drawn_arms,
    error_rates,
    largest_difference,
    planned_bounds,
    replayed,
)
from tests.benchmarks.result import print_result

_BEFORE, _LOOKS = 28, 14
_CHECKED, _BOUNDED = 3, 50


def main() -> None:
    """Replay, and print a line for each population and the result."""
    arguments = _arguments()
    began = time.monotonic()
    populations = _populations(arguments)
    results = {money.name: measured(money, arguments) for money in populations}
    for name, result in results.items():
        print(f"{name}: " + ", ".join(f"{key} {value:.4g}" for key, value in result.items()))
    rates = {
        key: float(np.nanmean([result[key] for result in results.values()]))
        for key in ("false_wins", "naive_false_wins", "srm_false_stops", "power", "mean_stop")
    }
    print_result(
        sum(money.rows for money in populations),
        time.monotonic() - began,
        replays=arguments.replays,
        share=arguments.share,
        **rates,
        false_wins_high=upper_limit(rates["false_wins"], arguments.replays * len(results)),
        worst_false_wins=max(result["false_wins"] for result in results.values()),
        worst_power=float(np.nanmin([result["power"] for result in results.values()])),
        cuped_variance_cut={name: round(r["cuped_variance_cut"], 4) for name, r in results.items()},
        populations=results,
    )


def upper_limit(rate: float, replays: int) -> float:
    """Of a rate, exact (Clopper and Pearson), one-sided 95%."""
    wrong = round(rate * replays)
    return float(beta.ppf(0.95, wrong + 1, replays - wrong))


def measured(money: MoneyOfSystem, arguments: argparse.Namespace) -> dict[str, Any]:
    """The error rates of one population."""
    looks = LooksAtMoney.of(money.money, _LOOKS, arguments.winsor_quantile)
    share, seed = arguments.share, arguments.seed
    replays = replayed(looks, share, seed, arguments.replays)
    bounds = planned_bounds(replays)
    rates = error_rates(replays, bounds, share, seed)
    arms = drawn_arms(looks, share, seed, 0, min(arguments.replays, REPLAYS_AT_ONCE))[:_CHECKED]
    difference = largest_difference(looks, arms, replays, share, arguments.winsor_quantile)
    own = planned_bounds(replays, slice(0, _BOUNDED))
    result = asdict(rates)
    if np.isnan(rates.saved):
        unknown = ("fixed_power", "power", "mean_stop", "endless_power")
        result |= dict.fromkeys(unknown, float("nan"))
    result["srm_false_stops"] = result.pop("ratio_false_stops")
    return {
        **result,
        "false_wins_high": upper_limit(rates.false_wins, arguments.replays),
        "cuped_variance_cut": replays.variance_cut,
        "mean_correlation": float(replays.correlation[:, 1:].mean()),
        "largest_difference": difference,
        "bound_difference": float(np.abs(own - bounds)[:, _LOOKS // 2 :].max()),
        "entities": len(money.money),
    }


def _populations(arguments: argparse.Namespace) -> list[MoneyOfSystem]:
    days, seed = _BEFORE + _LOOKS, arguments.seed
    populations = [
        account_money(arguments.accounts, days, seed),
        machine_money(arguments.machines, days, seed),
    ]
    if arguments.transactions is not None:
        file, begin = arguments.transactions, arguments.begin
        populations.insert(0, payment_money(file, begin, days, seed))
    return populations


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--replays", type=int, default=10_000, help="experiments of each population")
    add("--transactions", type=Path, help="payments of the Handbook, Parquet; without: none")
    add("--begin", default="2018-06-01", help="first day of the payments")
    add("--accounts", type=int, default=120_000, help="simulated accounts")
    add("--machines", type=int, default=8_000, help="simulated machines")
    add("--share", type=float, default=0.5, help="of entities in the challenger's arm")
    add("--winsor-quantile", type=float, default=WINSOR_QUANTILE, help="see the judge")
    add("--seed", type=int, default=1, help="of simulations and arms")
    return parser.parse_args()


if __name__ == "__main__":
    main()
