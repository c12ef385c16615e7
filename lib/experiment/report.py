"""The page of an experiment's verdict."""

from __future__ import annotations

from typing import Any

import numpy as np

from lib.experiment.judge import Judgement
from lib.experiment.looks import SHARPEST_DAYS
from lib.experiment.ratio_check import FALSE_STOPS
from lib.experiment.verdict import amount_text, capital
from lib.registry.names import to_iso
from lib.report.document import Cell, Figure, KeyFigure, KeyFigures, Note, Report, Section, Table
from lib.report.plots import Axis, Curve, line_plot

_WEEK = 7.0


def verdict_report(judgement: Judgement) -> Report:
    """The page of a judgement; `facts` hold its numbers."""
    declared = judgement.experiment.declaration
    look = judgement.looks[-1]
    sections = [
        Section("Verdict", [Note(f"{capital(judgement.verdict.sentence)}."), _figures(judgement)]),
        Section("The estimate against its bound", [_plot(judgement), _looks(judgement)]),
        Section("The arms", _arms(judgement)),
    ]
    if judgement.notes:
        sections.append(Section("Before it is believed", [Note(note) for note in judgement.notes]))
    sections.append(Section("What was assumed", [Note(text) for text in assumptions(judgement)]))
    return Report(
        title=f"Experiment {judgement.experiment.id}",
        subtitle=(
            f"challenger {declared.challenger} against champion {declared.champion}, "
            f"{declared.mode} mode, judged {to_iso(look.as_of)[:16]}Z"
        ),
        sections=sections,
        facts=facts(judgement),
    )


def facts(judgement: Judgement) -> dict[str, Any]:
    """The numbers of a judgement, as JSON values."""
    look, effect = judgement.looks[-1], judgement.effect
    ratio = judgement.ratio
    return {
        "experiment": judgement.experiment.id,
        "declaration": judgement.experiment.declaration.model_dump(mode="json"),
        "verdict": judgement.verdict.action,
        "sentence": judgement.verdict.sentence,
        "is_new_look": judgement.is_new,
        "gain_a_week": vars(judgement.gain),
        "gain_a_week_without_winsorising": judgement.unclipped,
        "z": judgement.evidence.z,
        "bound": judgement.evidence.bound,
        "win_probability": judgement.evidence.win_probability,
        "days": look.days,
        "fraction": look.fraction,
        "entities": {
            "champion": effect.champion_entities,
            "challenger": effect.challenger_entities,
        },
        "sample_ratio": None if ratio is None else {**vars(ratio), "is_even": ratio.is_even},
        "cuped_variance_cut": effect.variance_cut,
        "winsorised": {"entities": effect.clipped, "limits": effect.limits},
        "rows": vars(judgement.arms),
        "looks": [vars(past) for past in judgement.looks],
        "notes": judgement.notes,
        "assumptions": assumptions(judgement),
    }


def assumptions(judgement: Judgement) -> tuple[str, ...]:
    """What the verdict rests on, in sentences."""
    declared, effect = judgement.experiment.declaration, judgement.effect
    name, currency = declared.entity_name, judgement.gain.currency
    low, high = (amount_text(limit) for limit in effect.limits)
    bound = (
        "Looks are group-sequential: an O'Brien-Fleming type function (Lan and DeMets) spends the "
        f"error of {declared.alpha:.0%} over the time until {to_iso(declared.until)[:10]}, "
        "whenever the looks are."
        if declared.until is not None
        else "The experiment has no end: the interval is an always-valid confidence sequence "
        f"(Waudby-Smith and others), the sharpest after {SHARPEST_DAYS:g} days."
    )
    shared = (
        f"Money is summed per {name}; each is in one arm by a keyed hash, and counts as one "
        "observation.",
        "Only ripe outcomes count, those whose label came or will not come any more.",
        f"Money beyond {low} and {high} {currency} per {name} counts as that "
        f"({effect.clipped:,} of them were beyond).",
        bound,
        "A week's money is that of all entities of the experiment, were the challenger to decide "
        "for each of them.",
    )
    if declared.mode == "shadow":
        return (
            *shared,
            "No arm was drawn: the challenger's decisions are priced by the labels that became "
            "known under the champion's, so what only the challenger had changed is not in it.",
        )
    return (
        *shared,
        f"What was known before the start explains {effect.variance_cut:.0%} of the variance and "
        "was taken out (CUPED).",
        f"The arms' entities are tested against the share at every look (false alarm "
        f"{FALSE_STOPS:.1%} over all looks).",
    )


def _figures(judgement: Judgement) -> KeyFigures:
    gain, effect = judgement.gain, judgement.effect
    interval = f"{100 * gain.confidence:g}%: {amount_text(gain.low)} to {amount_text(gain.high)}"
    look = judgement.looks[-1]
    ratio = judgement.ratio
    figures = [
        KeyFigure(f"{gain.currency} a week", amount_text(gain.estimate), interval),
        KeyFigure(
            "standard errors",
            f"{judgement.evidence.z:.2f}",
            f"bound {judgement.evidence.bound:.2f}",
        ),
        KeyFigure("days of ripe outcomes", f"{look.days:.1f}", f"{look.fraction:.0%} of the plan"),
        KeyFigure(
            "entities",
            f"{effect.champion_entities:,} + {effect.challenger_entities:,}",
            "champion + challenger",
        ),
        KeyFigure("variance cut by CUPED", f"{effect.variance_cut:.0%}", ""),
    ]
    if ratio is not None:
        even = "as declared" if ratio.is_even else "uneven"
        figures.append(KeyFigure("sample ratio", even, f"p = {ratio.p_value:.2g}"))
    return KeyFigures(tuple(figures))


def _plot(judgement: Judgement) -> Figure:
    looks = judgement.looks
    days = [look.days for look in looks]
    gains = np.array([look.gain for look in looks])
    margins = np.array([0.5 * (look.high - look.low) for look in looks])
    curves = {
        "gain": Curve(days, gains),
        "promote above": Curve(days, margins),
        "keep the champion below": Curve(days, -margins),
        "nothing": Curve(days, np.zeros(len(days))),
    }
    return line_plot(
        "Gain a week against its bound",
        curves,
        Axis("days of ripe outcomes"),
        Axis(f"{judgement.gain.currency} a week"),
        points=True,
        caption="The gain decides where it leaves the space between the bounds.",
    )


def _looks(judgement: Judgement) -> Table:
    currency = judgement.gain.currency
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            to_iso(look.as_of)[:10],
            look.days,
            look.fraction,
            look.gain,
            look.low,
            look.high,
            look.z,
            look.bound,
            look.action,
        )
        for look in judgement.looks
    )
    header = ("look", "days", "of the plan", f"{currency} a week", "low", "high", "z", "bound", "")
    money = dict.fromkeys((f"{currency} a week", "low", "high"), 0)
    return Table(header, rows, digits=2, column_digits={"days": 1, **money})


def _arms(judgement: Judgement) -> list[Table]:
    effect, exposure, arms = judgement.effect, judgement.exposure, judgement.arms
    weekly = _WEEK
    rows: tuple[tuple[Cell, ...], ...] = (
        ("champion", effect.champion_entities, weekly * effect.champion_per_day,
         exposure.ripe_shares[0], arms.lost[0]),
        ("challenger", effect.challenger_entities, weekly * effect.challenger_per_day,
         exposure.ripe_shares[1], arms.lost[1]),
    )  # fmt: skip
    money = f"{judgement.gain.currency} a week and entity"
    header = ("arm", "entities", money, "share ripe", "decisions without a row")
    return [Table(header, rows, digits=3, column_digits={money: 2})]
