"""Plan an experiment: `python -m jobs.experiments.plan --system fraud --smallest-gain 5000 ...`."""

from __future__ import annotations

import time
from dataclasses import dataclass

from jobs.experiments.options import EventOptions, PricedOptions, decisions_and_labels
from jobs.framework.command import run_job
from jobs.framework.decision_source import DecisionOptions
from jobs.framework.options import shared_options, time_text
from jobs.framework.paths import InputPath, LocalOutput
from lib.experiment.effect import WINSOR_QUANTILE
from lib.experiment.errors import ExperimentError
from lib.experiment.exposure import money_rows
from lib.experiment.plan import Design, history_of, plan_experiment
from lib.experiment.plan_report import plan_report, plan_sentence
from lib.records.systems import System
from lib.report.page import write_report


@dataclass(frozen=True, kw_only=True)
class PlanConfig(DecisionOptions, EventOptions):
    """Say how many entities and days an experiment needs, and what it costs, from past decisions.

    OUTPUT/report.html and OUTPUT/report.json hold the plan.
    """

    system: System
    """the risk system"""
    smallest_gain: float
    """money a week worth having, currency units, were the challenger to decide for all"""
    output: LocalOutput
    """folder for report.html and report.json"""
    share: float = 0.5
    """of entities that the challenger shall decide for, between 0 and 1"""
    power: float = 0.8
    """probability to show that gain"""
    alpha: float = 0.05
    """probability of a wrong conclusion, on either side, over all looks together"""
    winsor_quantile: float = WINSOR_QUANTILE
    """money per entity beyond this quantile on either side counts as that at the quantile"""
    prices: InputPath | None = None
    """YAML file of what outcomes cost and when they are ripe; see jobs.experiments.judge"""
    currency: str = "USD"
    """code of the currency of all amounts"""

    def check(self) -> None:
        """See `JobOptions`."""
        self.design()
        self.pricing().outcomes()
        self.require_events_of(self.system)
        super().check()

    def design(self) -> Design:
        """What is planned.

        Raises:
            ExperimentError: a number cannot be meant.
        """
        return Design(self.share, self.smallest_gain, self.power, self.alpha, self.winsor_quantile)

    def pricing(self) -> PricedOptions:
        """Options of prices."""
        return shared_options(PricedOptions, self, by="plan")


def main(config: PlanConfig, now: int) -> str:
    """Plan it; returns the sentence and where the page is.

    Args:
        config: options.
        now: microseconds since 1970 UTC.

    Raises:
        ExperimentError: the history is too short, or nothing of it is ripe.
    """
    decisions, labels, lines = decisions_and_labels(config, config, config.system, now)
    if decisions.num_rows == 0:
        raise ExperimentError(f"decisions: there are none of {config.system}")
    outcomes = config.pricing().outcomes().outcomes(decisions, labels, now)
    history = history_of(money_rows(decisions, outcomes))
    plan = plan_experiment(history, config.design())
    entities, days = history.money.shape
    words = f"from {days} days of {entities:,} entities, planned {time_text(now)[:10]}"
    page, _ = write_report(plan_report(plan, config.system, config.currency, words), config.output)
    return "\n".join([*lines, "", f"{plan_sentence(plan, config.currency)}", f"page: {page}"])


if __name__ == "__main__":
    run_job(PlanConfig, lambda config: print(main(config, time.time_ns() // 1000)))
