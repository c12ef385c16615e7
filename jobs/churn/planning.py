"""Plan of a day: whom to look after, how, within hours and budget."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from jobs.churn.plan import PlanConfig
from jobs.framework.options import parse_time
from jobs.ingestion import mapping_for, read_whole
from jobs.publishing import store_report
from lib.churn.contracts import CHURN
from lib.churn.customer_steps import CustomerStep
from lib.churn.health_repository import HealthRepository
from lib.churn.intervention_repository import InterventionRepository
from lib.churn.interventions.daily import DailyPlan, log_of, plan_day
from lib.churn.interventions.effects import (
    Effect,
    MeasuredShare,
    churned_customers,
    effects_of,
    measured_shares,
)
from lib.churn.interventions.plan import Budget
from lib.churn.interventions.playbooks import Playbooks, load_playbooks, switched_off
from lib.churn.interventions.report import plan_report
from lib.churn.model.scores import PROBABILITIES, read_scores
from lib.churn.overrides import scores_in_force, with_overrides
from lib.churn.target import Floats
from lib.churn.vocabulary import ChurnError
from lib.declaration import read_yaml_text
from lib.storage import Storage, open_dataset, open_storage, write_parquet
from lib.uplift.scores import read_uplift

_SHOWN = 10


@dataclass(frozen=True)
class _SetByPeople:
    """What people set in the records, and a plan obeys.

    Attributes:
        scores: in which those that people set stand in place of the model's.
        overridden: by customer, the score that a person set.
        stop: the step that stopped all interventions; None while they go on.
    """

    scores: pa.Table
    overridden: Mapping[str, float]
    stop: CustomerStep | None

    def lines(self, log: pa.Table) -> list[str]:
        """Whom the plan leaves out or counts otherwise because of them, and why."""
        lines = []
        if self.stop is not None:
            lines.append(
                f"all {self.scores.num_rows:,} customers are left out: {self.stop.author} stopped "
                f"all interventions ({self.stop.detail['reason']})"
            )
        if self.overridden:
            absent = self.overridden.keys() - set(log["customer_id"].to_pylist())
            lines.append(
                "customers who count by the score that a person set, not by the model's: "
                f"{len(self.overridden):,}; not chosen of them: {len(absent):,}"
            )
        return lines


def plan_interventions(config: PlanConfig) -> str:
    """Plan; returns the file or URI of the day's log."""
    limits = Budget(config.hours, config.budget, config.most)
    scores, note = read_scores(config.scores)
    set_by_people = _set_by_people(config.records, scores, note)
    scores = set_by_people.scores
    names = tuple(
        column.removeprefix("feature:")
        for column in scores.column_names
        if column.startswith("feature:")
    )
    text = read_yaml_text(config.playbooks)
    playbooks = load_playbooks(text, names, str(config.playbooks))
    if set_by_people.stop is not None:
        playbooks = load_playbooks(switched_off(text), names)
    output = open_storage(config.output)
    at_us = parse_time("as_of", note["as_of"])
    history = _history(output, at_us)
    falls, uplift_lines = _falls(config, scores, playbooks)
    effects, measured = _past_effects(config, history, note, at_us)
    day = plan_day(
        scores, names, playbooks, limits, config.economics, at_us, history, measured, falls,
        salt=config.holdout_name,
    )  # fmt: skip
    log = log_of(day, playbooks, at_us)
    written = write_parquet(log, output, f"plan/{note['as_of'][:10]}.parquet")
    notes = [*set_by_people.lines(log), *uplift_lines]
    report = plan_report(
        day, log, scores, playbooks, limits, config.economics, note["as_of"], effects,
        config.currency, notes,
    )  # fmt: skip
    store_report(report, output)
    print(_closing_lines(day, log, limits, playbooks, effects, notes))
    print(f"plan:       {written}")
    for name in ("report.html", "report.json"):
        print(f"report:     {output.shown(name)}")
    return written


def _set_by_people(records: str | None, scores: pa.Table, note: Mapping[str, Any]) -> _SetByPeople:
    """What people set, of the records; nothing without any.

    Raises:
        ChurnError: scores are set, and the note does not say what they are worth.
    """
    if records is None:
        return _SetByPeople(scores, {}, None)
    with InterventionRepository(records) as repository:
        health, now = repository.sharing(HealthRepository), time.time_ns() // 1000
        overridden, stop = scores_in_force(health, scores, now), repository.find_stop()
    if overridden and PROBABILITIES not in note:
        raise ChurnError(
            "--scores: expected scores that say what those are worth that people set (there are "
            f"{len(overridden):,}), got older ones; run jobs.churn.score again"
        )
    if overridden:
        scores = with_overrides(scores, overridden, np.array(note[PROBABILITIES]))
    return _SetByPeople(scores, overridden, stop)


def _falls(
    config: PlanConfig, scores: pa.Table, playbooks: Playbooks
) -> tuple[Floats | None, list[str]]:
    """Effects by customer of experiments, and what is not taken of them, in words."""
    if config.uplift is None or not playbooks.playbooks:
        return None, []
    uplift = read_uplift(config.uplift)
    ids = [playbook.id for playbook in playbooks.playbooks]
    falls = uplift.falls(scores["customer_id"].to_pylist(), ids)
    known = int((~np.isnan(falls)).any(axis=1).sum())
    lines = [f"effects of an experiment are known of {known:,} of {scores.num_rows:,} customers"]
    lines += [
        f"{arm}: its experiment does not tell customers apart; the playbook's effect is assumed"
        for arm, is_enough in uplift.suffices.items()
        if arm in ids and not is_enough
    ]
    return falls, lines


def _history(output: Storage, at_us: int) -> pa.Table | None:
    """Plans of earlier days; one of the same day is made anew."""
    if not output.files("plan"):
        return None
    table = open_dataset(output, "plan").to_table()
    earlier = table["planned_at"].cast(pa.int64()).to_numpy() < at_us
    return table.filter(pa.array(earlier)) if earlier.any() else None


def _past_effects(
    config: PlanConfig,
    history: pa.Table | None,
    note: dict[str, Any],
    at_us: int,
) -> tuple[dict[str, Effect], dict[str, MeasuredShare]]:
    """What earlier plans changed, as a fall of the chance and as a share of it."""
    if config.churn is None or history is None:
        return {}, {}
    mapping = mapping_for(CHURN, config.mapping_churn, config.churn)
    churn = read_whole(mapping, config.churn, may_be_empty=True)
    left = churned_customers(history, churn, int(note["window_days"]), at_us)
    effects = effects_of(history, left)
    return effects, measured_shares(history, effects)


def _closing_lines(
    day: DailyPlan,
    log: pa.Table,
    limits: Budget,
    playbooks: Playbooks,
    effects: dict[str, Effect],
    notes: Sequence[str],
) -> str:
    lines = [f"{'customer':18}{'playbook':20}{'leaves':>8}{'worth':>12}{'cost':>10}"]
    held_out = log["held_out"].to_numpy(zero_copy_only=False).astype(np.bool_)
    for row in log.filter(pa.array(~held_out)).slice(0, _SHOWN).to_pylist():
        lines.append(
            f"{row['customer_id'][:17]:18}{row['playbook']:20}{row['chance']:>8.1%}"
            f"{row['value']:>12,.0f}{row['cost']:>10,.0f}"
        )
    if not playbooks.playbooks:
        lines.append("all playbooks are switched off: no interventions are planned")
    lines += notes
    lines += [
        f"{name}: chance fell by {effect.value:+.1%} ({effect.low:+.1%} to {effect.high:+.1%}), "
        f"{effect.treated} treated, {effect.held_out} held out; below {effect.detectable:.1%} "
        "nothing shows"
        for name, effect in effects.items()
    ]
    ways = ", ".join(f"{name} {value:,.0f}" for name, value in day.other_ways.items())
    return "\n".join(
        [
            *lines,
            f"{log.num_rows - int(held_out.sum())} to look after, {int(held_out.sum())} held out; "
            f"{day.plan.hours:,.1f} of {limits.hours:,.1f} hours, {day.plan.cost:,.0f} of "
            f"{limits.budget:,.0f}; expected gain {day.plan.value:,.0f} ({ways})",
        ]
    )
