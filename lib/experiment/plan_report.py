"""The page of a planned experiment."""

from __future__ import annotations

from lib.experiment.plan import ExperimentPlan
from lib.experiment.verdict import amount_text, capital
from lib.report.document import Cell, Note, Report, Section, Table
from lib.report.plots import Axis, Curve, line_plot


def plan_report(plan: ExperimentPlan, system: str, currency: str, history: str) -> Report:
    """The page of a plan.

    Args:
        plan: to show.
        system: of the experiment.
        currency: code of money.
        history: in words, what it rests on.
    """
    times = plan.times
    days = [float(time.days) for time in times]
    curves = {
        f"shown with {plan.design.power:.0%}": Curve(days, [time.detectable for time in times]),
        "smallest gain worth having": Curve(days, [plan.design.smallest_gain] * len(days)),
    }
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (t.days, t.entities, t.detectable, t.power, t.mean_days) for t in times
    )
    table = Table(
        (
            "days",
            "entities",
            f"smallest gain shown, {currency} a week",
            "power",
            "days in the mean",
        ),
        rows,
        digits=2,
        emphasis=None if plan.chosen is None else times.index(plan.chosen),
        column_digits={f"smallest gain shown, {currency} a week": 0, "days in the mean": 1},
    )
    plot = line_plot(
        "What an experiment can show", curves, Axis("days"), Axis(f"{currency} a week"), points=True
    )
    return Report(
        title=f"Plan of an experiment in {system}",
        subtitle=history,
        sections=[
            Section("Plan", [Note(f"{capital(plan_sentence(plan, currency))}.")]),
            Section("How long for which gain", [plot, table]),
        ],
        facts={
            "system": system,
            "sentence": plan_sentence(plan, currency),
            "design": vars(plan.design),
            "chosen": None if plan.chosen is None else vars(plan.chosen),
            "times": [vars(time) for time in times],
            "cuped_variance_cut": plan.variance_cut,
            "cost_if_worse": plan.cost_if_worse,
            "cost_of_waiting": plan.cost_of_waiting,
        },
    )


def plan_sentence(plan: ExperimentPlan, currency: str) -> str:
    """The plan in a sentence."""
    design = plan.design
    gain = f"a gain of {amount_text(design.smallest_gain)} {currency} a week"
    if plan.chosen is None:
        last = plan.times[-1]
        return (
            f"{gain} cannot be shown within {last.days} days at a share of {design.share:g}; what "
            f"can be is {amount_text(last.detectable)} {currency} a week"
        )
    chosen = plan.chosen
    return (
        f"{gain} is shown with a probability of {design.power:.0%} by {chosen.days} days of ripe "
        f"outcomes of {chosen.entities:,} entities at a share of {design.share:g} (in the mean "
        f"after {chosen.mean_days:.1f} days); were the challenger worse by as much, that "
        f"would cost {amount_text(plan.cost_if_worse or 0.0)} {currency}, and were it better, "
        f"waiting costs {amount_text(plan.cost_of_waiting or 0.0)}; the time before explains "
        f"{plan.variance_cut:.0%} of the variance"
    )
