"""The day's report for people who do not train models: who, why, what to do, what it is worth."""

import json
from collections import Counter
from collections.abc import Sequence
from itertools import starmap
from typing import Any

import numpy as np
import pyarrow as pa

from lib import report
from lib.churn.health import COMPONENTS
from lib.churn.interventions.daily import DailyPlan, Economics
from lib.churn.interventions.effects import Effect
from lib.churn.interventions.plan import Budget
from lib.churn.interventions.playbooks import Playbooks

_SHOWN = 50


def plan_report(
    day: DailyPlan,
    log: pa.Table,
    scores: pa.Table,
    playbooks: Playbooks,
    limits: Budget,
    economics: Economics,
    as_of: str,
    effects: dict[str, Effect] | None = None,
    currency: str = "",
    notes: Sequence[str] = (),
) -> report.Report:
    """The report of a planned day; `notes` say why customers are left out."""
    treated = log.filter(pa.array(~log["held_out"].to_numpy(zero_copy_only=False)))
    return report.Report(
        title="Churn: interventions of the day",
        subtitle=f"as of {as_of}; amounts in {currency or 'the settlement currency'}",
        sections=[
            _overview(day, log, scores, limits, economics, notes),
            _people(treated, scores, playbooks),
            _ways(day, log),
            _spent(day, treated, playbooks, limits),
            _effects(playbooks, effects or {}),
        ],
        facts=facts(day, log, as_of, effects or {}, notes),
    )


def facts(
    day: DailyPlan, log: pa.Table, as_of: str, effects: dict[str, Effect], notes: Sequence[str]
) -> dict[str, Any]:
    """The figures, for programs."""
    return {
        "as_of": as_of,
        "customers": len(day.candidates.customers),
        "chosen": log.num_rows,
        "held_out": int(log["held_out"].to_numpy(zero_copy_only=False).sum()),
        "value": day.plan.value,
        "cost": day.plan.cost,
        "hours": day.plan.hours,
        "other_ways": day.other_ways,
        "effects": {name: vars(effect) for name, effect in effects.items()},
        "notes": list(notes),
    }


def _overview(
    day: DailyPlan,
    log: pa.Table,
    scores: pa.Table,
    limits: Budget,
    economics: Economics,
    notes: Sequence[str],
) -> report.Section:
    mrr = np.nan_to_num(scores["mrr"].fill_null(0.0).to_numpy())
    at_risk = float((day.probabilities * mrr).sum()) * 12.0
    held_out = int(log["held_out"].to_numpy(zero_copy_only=False).sum())
    figures = (
        (
            "customers",
            f"{scores.num_rows:,}",
            f"{int(day.probabilities.sum()):,} expected to leave",
        ),
        ("yearly revenue at risk", f"{at_risk:,.0f}", "probability times revenue"),
        (
            "customers to contact",
            f"{log.num_rows - held_out:,}",
            f"{held_out} more in the control group",
        ),
        ("expected gain", f"{day.plan.value:,.0f}", "value of retained customers minus cost"),
        ("hours", f"{day.plan.hours:,.1f}", f"of {limits.hours:,.1f}"),
        ("cost", f"{day.plan.cost:,.0f}", f"of {limits.budget:,.0f}"),
    )
    text = (
        f"A retained customer is valued at {economics.margin:.0%} of its revenue for "
        f"{economics.months:g} months. The gain is computed with the playbooks' effects below; "
        "where these are assumptions, the gain is one, too."
    )
    blocks = [report.Note(note) for note in (*notes, text)]
    return report.Section(
        "Summary", [report.KeyFigures(tuple(starmap(report.KeyFigure, figures))), *blocks]
    )


def _people(treated: pa.Table, scores: pa.Table, playbooks: Playbooks) -> report.Section:
    labels = {playbook.id: playbook.words for playbook in playbooks.playbooks}
    about = {row["customer_id"]: row for row in scores.select(
        ["customer_id", "score", "band", "segment", "reasons", *COMPONENTS]
    ).to_pylist()}  # fmt: skip
    rows: list[tuple[report.Cell, ...]] = []
    for row in treated.slice(0, _SHOWN).to_pylist():
        customer = about[row["customer_id"]]
        raising = [why["words"] for why in json.loads(customer["reasons"]) if why["effect"] > 0]
        why = "; ".join(text.removesuffix("; raises the risk") for text in raising[:2]) or "-"
        name, segment = row["customer_id"], customer["segment"] or "-"
        health = f"{customer['score']:.0f} ({customer['band']})"
        plan = labels[row["playbook"]], float(row["value"])
        rows.append((name, segment, f"{row['chance']:.1%}", health, why, *plan))
    header = ("customer", "segment", "probability", "health", "reasons", "playbook", "value")
    caption = f"The {len(rows)} most valuable of {treated.num_rows} interventions."
    empty_text = "No interventions today: no customer qualifies, or their costs exceed their gains."
    table = report.Table(header, tuple(rows), digits=0, caption=caption)
    return report.Section("Interventions", [table if rows else report.Note(empty_text)])


def _ways(day: DailyPlan, log: pa.Table) -> report.Section:
    rows: list[tuple[report.Cell, ...]] = [(name, value) for name, value in day.other_ways.items()]
    rows.append(("this plan", day.plan.value))
    text = (
        "Expected gain of other selection methods within the same hours and budget, computed with "
        f"the same expected effects. {log.num_rows} customers are chosen by this plan."
    )
    header = ("method", "expected gain")
    table = report.Table(header, tuple(rows), digits=0, emphasis=len(rows) - 1)
    return report.Section("Comparison with other selection methods", [table, report.Note(text)])


def _spent(
    day: DailyPlan, treated: pa.Table, playbooks: Playbooks, limits: Budget
) -> report.Section:
    count = Counter(treated["playbook"].to_pylist())
    plot = report.bar_plot(
        "Interventions by playbook",
        [playbook.words for playbook in playbooks.playbooks],
        [float(count[playbook.id]) for playbook in playbooks.playbooks],
        report.Axis("customers"),
    )
    left = limits.hours - day.plan.hours
    return report.Section(
        "Effort", [report.Figures((plot,)), report.Note(f"{left:,.1f} hours remain unused.")]
    )


def _effects(playbooks: Playbooks, effects: dict[str, Effect]) -> report.Section:
    rows: list[tuple[report.Cell, ...]] = []
    for playbook in playbooks.playbooks:
        measured: tuple[report.Cell, ...] = ("-", None, None, "-")
        if effect := effects.get(playbook.id):
            interval = f"{effect.value:+.1%} ({effect.low:+.1%} to {effect.high:+.1%})"
            measured = (interval, effect.treated, effect.held_out, f"{effect.detectable:.1%}")
        of_what = " of what it treats" if playbook.treats else ""
        expected = f"{playbook.effect:.0%}{of_what}"
        rows.append((playbook.words, expected, playbook.evidence, *measured))
    header = (
        *("playbook", "expected reduction", "evidence", "measured reduction of the probability"),
        *("treated", "control", "smallest detectable reduction"),
    )
    text = (
        "The expected reduction of a playbook that says what it treats is a share of what those "
        "features add to the customer's log-odds; that of any other, a share of the probability. "
        "The measured reduction is the difference between treated customers and customers of the "
        "randomly drawn control group. With few customers the interval is wide and most effects "
        "are not detectable, which is no evidence of no effect. Some thousand customers rarely "
        "suffice to learn which customers respond."
    )
    return report.Section(
        "Evidence of the effects", [report.Table(header, tuple(rows)), report.Note(text)]
    )
