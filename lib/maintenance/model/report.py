"""The page of a training: curves, calibration, warnings, money, and what the data was like."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from lib import report
from lib.evaluation import Interval
from lib.maintenance.failures import FailureCounts
from lib.maintenance.history import Floats
from lib.maintenance.model.costs import Costs
from lib.maintenance.model.evaluation import (
    BRIER,
    CONCORDANCE,
    FALSE_ALARMS,
    METHODS,
    OURS,
    POLICIES,
    WARNED,
    Evaluation,
)
from lib.maintenance.model.model import SurvivalModel
from lib.maintenance.model.rows import TrainingRows
from lib.maintenance.model.settings import ModelSettings
from lib.survival.kaplan_meier import KaplanMeier
from lib.survival.measures import HorizonGroup

_GROUPS = 4
_HORIZON_TEXTS = {24.0: "24 hours", 168.0: "7 days", 720.0: "30 days"}


@dataclass(frozen=True)
class Subject:
    """What the report is about.

    Attributes:
        source: of the data, in words.
        simulated: whether it is.
        split: time that parts training from test rows; None: machines alone do.
        train, test: the rows.
        model: that is served.
        settings, costs: of the training.
        faults: by sensor: readings, missing, out of range, stuck; see the job that reads them.
        failures: what the rows see of the failures that are booked.
    """

    source: str
    simulated: bool
    split: str | None
    train: TrainingRows
    test: TrainingRows
    model: SurvivalModel
    settings: ModelSettings
    costs: Costs
    faults: Mapping[str, Mapping[str, int]]
    failures: FailureCounts = field(default_factory=FailureCounts)

    @property
    def tested(self) -> str:
        """Which rows figures are measured on."""
        return "of all times" if self.split is None else f"from {self.split} on"

    @property
    def fitted(self) -> str:
        """Which rows the models of a fold were fitted on."""
        return "all rows" if self.split is None else f"rows before {self.split}"


def training_report(subject: Subject, findings: Evaluation) -> report.Report:
    """The page and its numbers."""
    kind = "simulated machines" if subject.simulated else "machines"
    machines = len(np.unique(subject.test.machines))
    return report.Report(
        title="Maintenance model",
        subtitle=f"{subject.source}: {machines} {kind}; tested on rows {subject.tested}",
        sections=(
            report.Section("Summary", _short(subject, findings)),
            report.Section("Comparison of methods", _methods(subject, findings)),
            report.Section("Survival", _survival(subject, findings)),
            report.Section("Calibration", _calibration(findings)),
            report.Section("Warnings", _warnings(subject, findings)),
            report.Section("Money", _money(subject, findings)),
            report.Section("Proportional hazards", _proportional(subject)),
            report.Section("The data", _data(subject)),
        ),
        facts=facts(subject, findings),
    )


def facts(subject: Subject, findings: Evaluation) -> dict[str, Any]:
    """The report's numbers."""
    return {
        "simulated": subject.simulated,
        "split": subject.split,
        "rows": {"train": len(subject.train), "test": len(subject.test)},
        "failures": {
            "train": int(subject.train.outcomes.failed.sum()),
            "test": int(subject.test.outcomes.failed.sum()),
        },
        "weight": subject.model.weight,
        "likely_outside": subject.model.likely.outside.tolist(),
        "horizon_hours": subject.model.horizon,
        "alarm_threshold": findings.threshold,
        "d_calibration_p": findings.d_calibration.p_value,
        "measures": findings.measures,
        "intervals": {name: interval.to_json() for name, interval in findings.ours.items()},
        "ibs_gain": {name: interval.to_json() for name, interval in findings.gain.items()},
        "money": {
            name: {
                "services": money.services,
                "failures": money.failures,
                "avoided": money.avoided,
                "cost": money.cost.to_json(),
            }
            for name, money in findings.money.items()
        },
        "sensor_faults": {name: dict(counts) for name, counts in subject.faults.items()},
        "failure_counts": asdict(subject.failures),
    }


def metrics(findings: Evaluation) -> dict[str, float]:
    """What the manifest keeps: finite numbers only."""
    ours = findings.measures[OURS]
    return {
        name.replace(",", "").replace("-", "_").replace(" ", "_"): value
        for name, value in ours.items()
        if np.isfinite(value)
    }


def _short(subject: Subject, findings: Evaluation) -> list[report.Block]:
    ours, gain = findings.measures[OURS], findings.gain["Cox"]
    cost, without = findings.money[OURS].cost, findings.money["run to failure"].cost
    figures = (
        report.KeyFigure("Concordance", f"{ours[CONCORDANCE]:.3f}",
                         _range(findings.ours[CONCORDANCE])),
        report.KeyFigure("Integrated Brier score", f"{ours[BRIER]:.4f}",
                         f"Cox is {gain.value:+.4f} ({gain.low:+.4f} to {gain.high:+.4f})"),
        report.KeyFigure("Failures announced a day ahead", f"{ours[WARNED]:.0%}",
                         f"of {findings.warned_of}, {ours[FALSE_ALARMS]:.2f} false alarms a "
                         "machine-month"),
        report.KeyFigure("Cost by replay", f"{1 - cost.value / max(without.value, 1e-9):.0%} less",
                         "than run to failure, at the assumed costs"),
    )  # fmt: skip
    blocks: list[report.Block] = [report.KeyFigures(figures)]
    if subject.simulated:
        blocks.append(report.Note("Machines, failures and costs are simulated."))
    return blocks


def _range(interval: Interval) -> str:
    return f"95% interval {interval.low:.3f} to {interval.high:.3f}"


def _methods(subject: Subject, findings: Evaluation) -> list[report.Block]:
    names = list(findings.measures[OURS])
    rows: tuple[tuple[report.Cell, ...], ...] = tuple(
        (name, *(findings.measures[name].get(each, float("nan")) for each in names))
        for name in METHODS
    )
    text = (
        f"Each model was fitted on {subject.fitted} of {subject.settings.folds - 1} of "
        f"{subject.settings.folds} groups of machines, and is judged on rows {subject.tested} of "
        "machines outside their training. C-td is Antolini's concordance; IBS the integrated Brier "
        "score, weighted by the probability of censoring; ECE the mean distance of predicted and "
        "observed probabilities; warned the share of failures announced a day ahead or more. "
        "Alarms are "
        f"set on training rows at {subject.settings.false_alarms:g} false ones a machine-month; "
        "'equal "
        "rate' sets each on the test rows instead, so that methods compare at one rate."
    )
    gains = tuple(
        (name, interval.value, interval.low, interval.high)
        for name, interval in findings.gain.items()
    )
    return [
        report.Table(("method", *names), rows, digits=4, emphasis=len(rows) - 1, caption=text),
        report.Table(
            ("IBS less the blend's", "difference", "2.5%", "97.5%"),
            gains,
            digits=4,
            caption="Bootstrap intervals over machines; one that contains 0 shows no difference. "
            f"The blend gives the network {subject.model.weight:.0%}.",
        ),
    ]


def _survival(subject: Subject, findings: Evaluation) -> list[report.Block]:
    risk = 1.0 - findings.curves.at(findings.curves.times[-1] / 2)[:, 0]
    order = np.argsort(risk, kind="stable")
    curves: dict[str, report.Curve] = {}
    for number, rows in enumerate(np.array_split(order, _GROUPS), 1):
        name = f"{number} of {_GROUPS}"
        curves[f"predicted, {name}"] = report.Curve(
            findings.curves.times / 24.0, findings.curves.survival[rows].mean(axis=0)
        )
        marginal = KaplanMeier.fit(findings.outcomes.take(rows))
        curves[f"observed, {name}"] = report.Curve(marginal.times / 24.0, marginal.survival)
    x, y = report.Axis("days"), report.Axis("still running")
    plots = [
        report.line_plot(
            "By predicted risk, four groups",
            curves,
            x,
            y,
            caption="Predicted means and observed survival (Kaplan-Meier), test rows.",
        )
    ]
    for name, row in _extremes(subject).items():
        low, high = subject.model.band(row)
        days = subject.model.grid / 24.0
        own = {
            "survival": report.Curve(days, subject.model.curves(row).survival[0]),
            "80% band, low": report.Curve(days, low[0]),
            "80% band, high": report.Curve(days, high[0]),
        }
        text = "The band shows how much the curve varies between samples of machines."
        plots.append(report.line_plot(name, own, x, y, caption=text))
    return [report.Figures(tuple(plots))]


def _extremes(subject: Subject) -> dict[str, Floats]:
    """Rows (1, features) of the riskiest and the safest machine on the last day."""
    last = np.flatnonzero(subject.test.at_us == subject.test.at_us.max())
    risk = subject.model.risk(subject.test.rows[last])
    chosen = {"riskiest": last[int(risk.argmax())], "safest": last[int(risk.argmin())]}
    return {
        f"{subject.test.machines[row]}, the {word} on the last day": subject.test.rows[row][None]
        for word, row in chosen.items()
    }


def _calibration(findings: Evaluation) -> list[report.Block]:
    plots = tuple(
        report.line_plot(
            f"Failure within {_HORIZON_TEXTS[hours]}",
            {
                "observed": _points(groups, "observed"),
                "95% low": _points(groups, "low"),
                "95% high": _points(groups, "high"),
                "as predicted": _points(groups, "predicted"),
            },
            report.Axis("predicted probability"),
            report.Axis("observed share"),
            points=True,
        )
        for hours, groups in findings.calibration.items()
    )  # fmt: skip
    shares = ", ".join(f"{share:.3f}" for share in findings.d_calibration.shares)
    text = (
        "D-calibration: the share of failures in each tenth of their own predicted probability, "
        f"which is .100 throughout when all curves are right: {shares} "
        f"(p {findings.d_calibration.p_value:.3g}; rows of one machine depend on each other, so p "
        "is too small)."
    )
    return [report.Figures(plots), report.Note(text)] if plots else [report.Note(text)]


def _points(groups: list[HorizonGroup], name: str) -> report.Curve:
    return report.Curve(
        [group.predicted for group in groups], [getattr(group, name) for group in groups]
    )


def _warnings(subject: Subject, findings: Evaluation) -> list[report.Block]:
    text = (
        "An alarm is raised if the probability of a failure within "
        f"{subject.model.alarm_hours:g} hours is {findings.threshold:.3f} or more. A failure is "
        "announced if an alarm precedes it by 24 hours or more."
    )
    if not len(findings.lead_hours):
        return [report.Note(text)]
    plot = report.histogram(
        "Lead of announced failures", {"failures": findings.lead_hours}, report.Axis("hours")
    )
    return [report.Note(text), report.Figures((plot,))]


def _money(subject: Subject, findings: Evaluation) -> list[report.Block]:
    costs = subject.costs
    text = (
        f"Replayed on the test rows, per machine and year. Assumed: a service costs "
        f"{costs.service:,.0f}, a failure {costs.failure:,.0f}; a service comes "
        f"{costs.respond_hours:g} h after its alarm and keeps failures away for "
        f"{costs.credit_hours:g} h. Every policy uses the threshold that was cheapest on the "
        "training rows."
    )
    rows: tuple[tuple[report.Cell, ...], ...] = tuple(
        (
            name,
            money.services,
            money.failures,
            money.avoided,
            money.cost.value,
            money.cost.low,
            money.cost.high,
        )
        for name, money in ((name, findings.money[name]) for name in POLICIES)
    )
    header = ("policy", "services", "failures", "avoided", "cost", "2.5%", "97.5%")
    return [report.Table(header, rows, digits=1, emphasis=len(rows) - 1, caption=text)]


def _proportional(subject: Subject) -> list[report.Block]:
    departures = sorted(subject.model.main_half.cox.departures.items(), key=lambda entry: entry[1])
    if not departures:
        return [report.Note("Not tested; use --test-proportionality.")]
    bad = sum(p < 0.05 for _, p in departures)
    text = (
        f"Cox assumes that a feature multiplies the hazard by the same factor at all times. For "
        f"{bad} of {len(departures)} features this is rejected at 5% (Schoenfeld residuals against "
        "ranks "
        "of time); the network does not assume it."
    )
    return [report.Table(("feature", "p"), tuple(departures[:12]), digits=4, caption=text)]


def _data(subject: Subject) -> list[report.Block]:
    faults: tuple[tuple[report.Cell, ...], ...] = tuple(
        (
            name,
            *(
                float(counts.get(key, 0))
                for key in ("readings", "missing", "out_of_range", "stuck")
            ),
        )
        for name, counts in subject.faults.items()
    )
    rows: tuple[tuple[report.Cell, ...], ...] = tuple(
        (name, float(len(part)), float(len(np.unique(part.machines))),
         float(part.outcomes.failed.sum()))
        for name, part in (("training", subject.train), ("test", subject.test))
    )  # fmt: skip
    blocks: list[report.Block] = [
        report.Table(("rows", "count", "machines", "followed by a failure"), rows, digits=0)
    ]
    if subject.failures.unseen:
        unseen = tuple((text, float(n)) for text, n in subject.failures.reasons().items())
        caption = (
            f"{subject.failures.seen:,} of {subject.failures.total:,} failures are covered by "
            "rows; "
            "the model does not use the others."
        )
        blocks.append(report.Table(("failures without rows", "count"), unseen, digits=0,
                            caption=caption))  # fmt: skip
    if faults:
        blocks.append(
            report.Table(
                ("sensor", "readings", "missing", "out of range", "stuck"),
                faults,
                digits=0,
                caption="Faulty readings are left out of every window and counted as a feature.",
            )
        )
    return blocks
