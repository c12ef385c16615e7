"""The page of a statement, for people who do not train models; it prints on two sheets of A4."""

from collections.abc import Mapping

import numpy as np

from lib import report
from lib.business.measures import Change
from lib.business.statement import Measure, Segment, Statement, Wording, changes

_HEADLINES = 4
_MARK = "✓"
_TIMES = ((86_400.0 * 2, "days"), (7_200.0, "h"), (120.0, "min"), (1.0, "s"), (0.0, "ms"))
"""Seconds from which on a time is told in a unit."""
_NOT_YET = "not known yet"


def business_report(
    now: Statement, wording: Wording, before: Statement | None = None, has_plot: bool = True
) -> report.Report:
    """The page of a period, beside that of one before it.

    Args:
        now: the period.
        wording: the system's words.
        before: the period before it.
        has_plot: whether money by day is drawn; not safe for threads.

    Raises:
        BusinessError: the two have no figure in common, or are of other currencies.
    """
    changed = {} if before is None else changes(now, before)
    shown_before = {} if before is None else before.named()
    return report.Report(
        title=f"{wording.title}: {_span(now)}",
        subtitle=f"As of {now.as_of:%Y-%m-%d %H:%M} UTC. {now.decisions:,} {wording.decisions} of "
        f"{now.entities:,} {wording.entities}; {now.ripe:,} with a final outcome. Amounts in "
        f"{now.currency or 'the settlement currency'}.",
        sections=[
            report.Section("In short", _short(now, before, changed)),
            report.Section("The figures", [_figures(now, shown_before, changed)]),
            report.Section("What was wrong", _wrong(now, wording, has_plot)),
            report.Section(
                "What this rests on", [report.Note(text) for text in _basis(now, before)]
            ),
        ],
        facts=now.model_dump(mode="json"),
    )


def number_text(value: float | None, unit: str, sign: bool = False) -> str:
    """A figure with its unit; `sign` for changes, in which a share is in percentage points.

    >>> number_text(0.0213, "share"), number_text(-0.004, "share", sign=True)
    ('2.13%', '-0.4 points')
    >>> number_text(12345.6, "currency"), number_text(3.14159, "days"), number_text(31, "ms")
    ('12,346', '3.14', '31 ms')
    >>> number_text(5400, "seconds"), number_text(864000, "seconds")
    ('90 min', '10 days')
    """
    if value is None or not np.isfinite(value):
        return "–"
    plus = "+" if sign and value > 0 else ""
    if unit == "share":
        percent = value * 100.0
        return (
            f"{plus}{_significant(round(percent, 2))} points"
            if sign
            else f"{_significant(percent)}%"
        )
    if unit == "seconds":
        size, name = next((size, name) for size, name in _TIMES if abs(value) >= size or size == 0)
        return f"{plus}{_significant(value / (size or 0.001))} {name}"
    if unit == "ms":
        return f"{plus}{_significant(value)} ms"
    return f"{plus}{_significant(value)}"


def _significant(value: float) -> str:
    """Three significant digits, whole numbers above a hundred, without an exponent."""
    size = abs(value)
    if size >= 100 or value == int(value):
        return f"{value:,.0f}"
    decimals = 1 - int(np.floor(np.log10(size))) + 1 if size else 0
    return f"{value:,.{min(decimals, 5)}f}".rstrip("0").rstrip(".")


def _span(statement: Statement) -> str:
    return f"{statement.since:%Y-%m-%d} to {statement.until:%Y-%m-%d}"


def _short(
    now: Statement, before: Statement | None, changed: Mapping[str, Change]
) -> list[report.Block]:
    known = [measure for measure in now.measures if measure.better != "neither"]
    figures = tuple(
        report.KeyFigure(
            measure.label,
            _value_text(measure),
            _key_detail(measure, changed.get(measure.name)),
        )
        for measure in known[:_HEADLINES]
    )
    blocks: list[report.Block] = [report.KeyFigures(figures)]
    if before is not None:
        blocks.append(report.Note(_verdict(now, before, changed)))
    return blocks


def _key_detail(measure: Measure, changed: Change | None) -> str:
    if changed is not None and np.isfinite(changed.value):
        return f"{number_text(changed.value, measure.unit, sign=True)} against before"
    if measure.value is None:
        return _when(measure) or measure.rests_on
    return interval_text(measure)


def _verdict(now: Statement, before: Statement, changed: Mapping[str, Change]) -> str:
    """What became better, what worse, and what cannot be told apart from chance."""
    groups: dict[str, list[str]] = {"better": [], "worse": []}
    for measure in now.measures:
        move = changed.get(measure.name)
        if move is None or not move.is_shown or measure.better == "neither":
            continue
        good = (move.value > 0) == (measure.better == "more")
        groups["better" if good else "worse"].append(measure.label)
    told_apart = sum(map(len, groups.values()))
    compared = sum(measure.better != "neither" for measure in now.measures if
                   measure.name in changed)  # fmt: skip
    parts = [f"{name.capitalize()}: {'; '.join(labels)}." for name, labels in groups.items()
             if labels]  # fmt: skip
    rest = _rest_text(compared - told_apart, "other " if told_apart else "")
    return f"Against {_span(before)}. " + " ".join([*parts, rest]).rstrip()


def _rest_text(figures: int, other: str) -> str:
    """How many figures did not change by more than chance."""
    if figures < 1:
        return ""
    many = f"{figures} {other}figures do" if figures > 1 else f"One {other}figure does"
    return f"{many} not differ by more than chance."


def _figures(
    now: Statement, former: Mapping[str, Measure], changed: Mapping[str, Change]
) -> report.Table:
    header: tuple[str, ...] = ("figure", "this period", "95% interval", "rests on")
    if former:
        header = ("figure", "before", "this period", "95% interval", "change", "rests on")
    rows = []
    for measure in now.measures:
        value = _value_text(measure)
        interval = interval_text(measure)
        row = [measure.label, value, interval, rests_on_text(measure)]
        if former:
            earlier = former.get(measure.name)
            text = "–" if earlier is None else number_text(earlier.value, earlier.unit)
            row[1:1] = [text]
            row[4:4] = [_change_text(changed.get(measure.name), measure)]
        rows.append(tuple(row))
    caption = f"{_MARK} the change is larger than chance: its 95% interval excludes 0." * bool(
        former
    )
    return report.Table(header, tuple(rows), caption=caption)


def _change_text(move: Change | None, measure: Measure) -> str:
    if move is None or not np.isfinite(move.value):
        return "–"
    text = number_text(move.value, measure.unit, sign=True)
    if not np.isfinite(move.low):
        return text
    low, high = (number_text(end, measure.unit, sign=True) for end in (move.low, move.high))
    mark = f" {_MARK}" if move.is_shown else ""
    return f"{text} ({low.removesuffix(' points')} to {high.removesuffix(' points')}){mark}"


def interval_text(measure: Measure) -> str:
    """Its interval, a dash without one."""
    if measure.low is None or measure.high is None:
        return "–"
    return f"{number_text(measure.low, measure.unit)} to {number_text(measure.high, measure.unit)}"


def rests_on_text(measure: Measure) -> str:
    """What it rests on, and from when on it is known or final."""
    when = _when(measure)
    return f"{measure.rests_on}; {when}" if when else measure.rests_on


def _value_text(measure: Measure) -> str:
    if measure.value is None and measure.known_from is not None:
        return _NOT_YET
    return number_text(measure.value, measure.unit)


def _when(measure: Measure) -> str:
    """From when on it is known, where it is not fully known yet."""
    if measure.known_from is None:
        return ""
    return f"{'known' if measure.value is None else 'final'} from {measure.known_from:%Y-%m-%d}"


def _wrong(now: Statement, wording: Wording, has_plot: bool) -> list[report.Block]:
    text = (
        f"Of {now.ripe:,} {wording.decisions} with a final outcome {now.missed:,} were "
        f"{wording.missed}, and {now.wrongly_acted:,} were {wording.wrongly}"
    )
    by_decision = ", ".join(f"{name} {count:,}" for name, count in now.wrongly_by.items())
    text += f" ({by_decision})." if by_decision else "."
    blocks: list[report.Block] = [report.Note(text)]
    if now.segments:
        blocks.append(_segments(now.segments, wording))
    elif now.ripe:
        blocks.append(
            report.Note(
                "In no part of them was it wrong more often than elsewhere by more than chance."
            )
        )
    if has_plot and len(now.daily) > 1:
        blocks.append(_daily(now))
    return blocks


def _segments(segments: tuple[Segment, ...], wording: Wording) -> report.Table:
    rows = tuple(
        (
            f"{part.kind}: {part.name}",
            part.decisions,
            part.positives,
            part.missed,
            part.wrongly_acted,
            f"{part.wrong_share:.1%}",
        )
        for part in segments
    )
    header = ("where it is wrong most often", wording.decisions, wording.positives, "missed",
              "wrongly acted on", "wrong")  # fmt: skip
    return report.Table(header, rows)


def _daily(now: Statement) -> report.Figure:
    start = now.daily[0].day
    days = [(point.day - start).days for point in now.daily]
    curve = report.Curve(days, [point.money for point in now.daily])
    unit = now.currency or "currency units"
    return report.line_plot(
        "What decisions brought, less what they cost, by day",
        {"money": curve},
        report.Axis(f"days since {start:%Y-%m-%d}"),
        report.Axis(unit),
        points=len(days) < 60,
    )


def _basis(now: Statement, before: Statement | None) -> list[str]:
    waiting = [measure.known_from for measure in now.measures if measure.known_from is not None]
    notes = [*now.notes]
    notes.append(
        "Intervals: customers, machines or authors are drawn with replacement, all their rows "
        "together; the interval of a change is made of those of both periods."
    )
    if waiting:
        notes.append(
            f"Outcomes of the period are final from {max(waiting):%Y-%m-%d} on; until then figures "
            "rest on the part that is final."
        )
    if before is not None:
        notes.append(
            f"Before: {_span(before)}, {before.decisions:,} decisions, as of "
            f"{before.as_of:%Y-%m-%d}. The two periods differ in more than this system: season, "
            "customers, prices."
        )
    return notes
