"""The report of a training: likely leaks first, then measures, pictures, reasons and the data."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import starmap
from typing import Any

from lib import report
from lib.contract import QuarantineSummary
from lib.static_table.contracts import LABEL
from lib.static_table.evaluation import (
    AP,
    AUC,
    BRIER,
    ECE,
    MEASURES,
    OURS,
    Evaluation,
)
from lib.static_table.pictures import quality_figures, share_by_value, short_words
from lib.static_table.table_mapping import TableMapping
from lib.static_table.training import Trained

PLURALS = {"churn": "customers", "maintenance": "machines"}
OUTCOMES = {"churn": "leave", "maintenance": "fail"}
WARNING = (
    "The rows were split at random and carry no times, so this says how well the model ranks rows "
    "like these. It says nothing of later ones: prices, products and machines change."
)
_SHOWN, _PICTURED = 15, 5


@dataclass(frozen=True)
class Subject:
    """What the report is about.

    Attributes:
        source: the table.
        mapping: that read it.
        unsuitable: attributes that are no inputs, with the reason.
        summary: what became of its rows.
        trained: the model and its measures.
    """

    source: str
    mapping: TableMapping
    unsuitable: Mapping[str, str]
    summary: QuarantineSummary
    trained: Trained

    @property
    def system(self) -> str:
        """Whose rows they are."""
        return self.trained.model.system

    @property
    def likely_leaks(self) -> dict[str, str]:
        """Source columns that are no input because they tell the label, with the reason."""
        return {name: self.mapping.left_out[name] for name in self.mapping.leaks}

    @property
    def left_out(self) -> dict[str, str]:
        """Other source columns that are no input, with the reason."""
        other = {n: why for n, why in self.mapping.left_out.items() if n not in self.mapping.leaks}
        sources = {self.mapping.source_of(name): why for name, why in self.unsuitable.items()}
        return other | sources


def training_report(subject: Subject) -> report.Report:
    """The report, and its figures as JSON."""
    sections = [
        *_leak_section(subject),
        _summary(subject),
        _methods(subject.trained.evaluation),
        _quality(subject),
        _reasons(subject),
        _attributes(subject),
        _data(subject),
    ]
    return report.Report(
        title=f"{subject.system.capitalize()} model of a table without times: training report",
        subtitle=f"{subject.source}; label: {subject.mapping.source_of(LABEL)}; split at random, "
        "measured on rows that taught nothing",
        sections=sections,
        facts=facts(subject),
    )


def facts(subject: Subject) -> dict[str, Any]:
    """The figures, for programs."""
    trained = subject.trained
    measured = trained.evaluation
    return {
        "system": subject.system,
        "rows": asdict(subject.summary),
        "split": {
            "by": "group" if trained.rows.split.is_grouped else "label",
            "train": len(trained.rows.split.train),
            "calibrate": len(trained.rows.split.calibrate),
            "test": len(trained.rows.split.test),
        },
        "prevalence": measured.prevalence,
        "methods": {name: dict(measures) for name, measures in measured.measures.items()},
        "auc": vars(measured.auc),
        "ap": vars(measured.ap),
        "auc_ahead_of_logistic_regression": vars(measured.ahead),
        "calibration_error_by_chance": measured.calibration_by_chance,
        "importance": dict(measured.importance),
        "leaks": trained.leaks,
        "leaks_left_out": subject.likely_leaks,
        "strong": trained.strong,
        "left_out": subject.left_out,
        "unsure": list(subject.mapping.unsure),
        "warning": WARNING,
    }


def leak_lines(subject: Subject) -> list[str]:
    """The same warnings as lines: leaks among the inputs, those left out, strong columns."""
    trained = subject.trained
    lines = [
        f"LIKELY LEAK: {_named(subject, name)}: {why}; leave it out of 'attributes' unless it is "
        "known before the label"
        for name, why in trained.leaks.items()
    ]
    lines += [f"likely leak, left out: {name}: {why}" for name, why in subject.likely_leaks.items()]
    lines += [
        f"look at {_named(subject, name)}: it alone reaches an AUC of {auc:.3f}; is it known "
        "before the label?"
        for name, auc in trained.strong.items()
    ]
    return lines


def _named(subject: Subject, name: str) -> str:
    source = subject.mapping.source_of(name)
    return name if source == name else f"{name} (column '{source}')"


def _leak_section(subject: Subject) -> list[report.Section]:
    trained = subject.trained
    if not (trained.leaks or subject.likely_leaks or trained.strong):
        return []
    rows: list[tuple[report.Cell, ...]] = [
        (name, "likely leak, in the model", why) for name, why in trained.leaks.items()
    ]
    rows += [(name, "likely leak, left out", why) for name, why in subject.likely_leaks.items()]
    rows += [
        (name, "strong", f"it alone reaches an AUC of {auc:.3f}")
        for name, auc in trained.strong.items()
    ]
    text = (
        "A leak tells the label because it follows from it: a reason of leaving, a code of the "
        "failure. Nobody has it when the prediction is needed, so measures with it are worthless. "
    )
    advice = (
        "Take the columns below that are marked as in the model out of the section 'attributes' "
        "of the mapping file, and train again, unless they are known before the label is."
        if trained.leaks
        else "Nothing below is in the model but what is marked as strong. A column that was left "
        "out and is known before the label is can be declared in a mapping file."
    )
    return [
        report.Section(
            "Look at these columns first",
            [
                report.Note(text + advice),
                report.Table(("column", "what it is", "why"), tuple(rows)),
            ],
        )
    ]


def _summary(subject: Subject) -> report.Section:
    measured = subject.trained.evaluation
    ours = measured.measures[OURS]
    outcome = OUTCOMES[subject.system]
    figures = (
        (f"{PLURALS[subject.system]} that {outcome}", f"{measured.prevalence:.1%}", "of the test"),
        ("AUC", f"{measured.auc.value:.3f}", f"{measured.auc.low:.3f} to {measured.auc.high:.3f}"),
        (
            "average precision",
            f"{measured.ap.value:.3f}",
            f"{measured.ap.low:.3f} to {measured.ap.high:.3f}; at random {measured.prevalence:.3f}",
        ),
        ("Brier score", f"{ours[BRIER]:.4f}", "mean squared error of probabilities"),
        (
            "calibration error",
            f"{ours[ECE]:.3f}",
            f"true probabilities would show {measured.calibration_by_chance:.3f}",
        ),
    )
    over = "groups" if subject.trained.rows.split.is_grouped else "rows"
    text = (
        f"{measured.rows:,} rows of the test. Intervals are 95% bootstrap intervals over {over}. "
        f"{ahead_words(measured)} Rows were split {subject.trained.rows.split.words}. The model "
        f"that was measured is the one that was saved: {subject.trained.model.trees.rounds:,} "
        f"{subject.trained.model.settings} trees for each of its "
        f"{len(subject.trained.model.trees.boosters)} seeds."
    )
    return report.Section(
        "Summary",
        [
            report.KeyFigures(tuple(starmap(report.KeyFigure, figures))),
            report.Note(text),
            report.Note(WARNING),
        ],
    )


def ahead_words(measured: Evaluation) -> str:
    """How the model compares with the logistic regression, in a sentence.

    >>> from types import SimpleNamespace
    >>> from lib.evaluation import Interval
    >>> ahead_words(SimpleNamespace(ahead=Interval(0.01, -0.01, 0.03)))
    'The AUC is not shown to differ from that of a logistic regression (+0.010; -0.010 to +0.030).'
    """
    ahead = measured.ahead
    figures = f"({ahead.value:+.3f}; {ahead.low:+.3f} to {ahead.high:+.3f})"
    if not ahead.is_shown:
        return f"The AUC is not shown to differ from that of a logistic regression {figures}."
    word = "above" if ahead.value > 0 else "below"
    return f"The AUC is {word} that of a logistic regression {figures}."


def _methods(measured: Evaluation) -> report.Section:
    rows: list[tuple[report.Cell, ...]] = [
        (name, *(measures[key] for key in MEASURES)) for name, measures in measured.measures.items()
    ]
    header = ("method", "AUC", "average precision", "Brier score", "calibration error")
    caption = (
        "All methods learnt from the same rows and are measured on the same rows. Lower is better "
        "in the last two columns."
    )
    emphasis = list(measured.measures).index(OURS)
    digits = {"Brier score": 4}
    return report.Section(
        "Beside simpler methods",
        [report.Table(header, tuple(rows), 3, emphasis, caption, digits)],
    )


def _quality(subject: Subject) -> report.Section:
    figures = quality_figures(subject.trained, PLURALS[subject.system], OUTCOMES[subject.system])
    return report.Section("Quality", [report.Figures(figures)])


def _reasons(subject: Subject) -> report.Section:
    trained = subject.trained
    by_name = {attribute.name: attribute for attribute in trained.model.inputs.attributes}
    top = list(trained.evaluation.importance.items())[:_SHOWN]
    outcome = OUTCOMES[subject.system]
    figures = []
    if top:
        figures.append(
            report.bar_plot(
                "Most important attributes",
                [short_words(by_name[name].words) for name, _ in top],
                [share for _, share in top],
                report.Axis("share of all contributions"),
            )
        )
    for name, _ in top[:_PICTURED]:
        values = trained.rows.table[name]
        figures.append(share_by_value(by_name[name], values, trained.rows.labels, outcome))
    text = (
        "Importance: mean absolute SHAP values of the model's log-odds. It shows which attributes "
        "the model uses, not the effect of changing them, which only a control group measures. "
        f"Beside it: the share of all rows that {outcome}, by value."
    )
    return report.Section("Reasons", [report.Figures(tuple(figures)), report.Note(text)])


def _attributes(subject: Subject) -> report.Section:
    trained = subject.trained
    rows: list[tuple[report.Cell, ...]] = [
        (
            attribute.name,
            subject.mapping.source_of(attribute.name),
            attribute.type,
            len(attribute.values) or None,
            f"{trained.model.missing[k]:.1%}",
            trained.signals[k].auc,
            trained.evaluation.importance.get(attribute.name, 0.0),
        )
        for k, attribute in enumerate(trained.model.inputs.attributes)
    ]
    header = (
        *("attribute", "column", "type", "categories", "missing"),
        *("AUC alone", "importance"),
    )
    caption = (
        "Categories are frozen: a value that came in fewer than five rows to learn from, or later, "
        "has the code 0; missing is kept apart."
    )
    blocks: list[report.Block] = [report.Table(header, tuple(rows), caption=caption)]
    if subject.left_out:
        table = report.Table(("column that is no input", "why"), tuple(subject.left_out.items()))
        blocks.append(table)
    if subject.mapping.unsure:
        text = "Inferred without a mapping file, to be confirmed: "
        blocks.append(report.Note(text + "; ".join(subject.mapping.unsure) + "."))
    return report.Section("Attributes", blocks)


def _data(subject: Subject) -> report.Section:
    summary = subject.summary
    good = subject.trained.rows.table.num_rows
    header = ("rows", "good", "set aside", "repeats dropped", "left out")
    counts = (summary.rows_in, good, summary.quarantined, summary.repeats, summary.left_out)
    blocks: list[report.Block] = [report.Table(header, (counts,))]
    for name, table in (
        ("reason of rows that were set aside", summary.reasons),
        ("values that could not be read and are missing", summary.adjustments),
    ):
        if table:
            blocks.append(report.Table((name, "rows"), tuple(table.items())))
    return report.Section("The data", blocks)


def method_rows(measured: Evaluation) -> list[tuple[str, ...]]:
    """The table of methods as text, with a header, for closing lines."""
    rows: list[tuple[str, ...]] = [("method", "AUC", "AP", "Brier", "ECE")]
    for name, measures in measured.measures.items():
        figures = (f"{measures[key]:.{4 if key == BRIER else 3}f}" for key in (AUC, AP, BRIER, ECE))
        rows.append((name, *figures))
    return rows
