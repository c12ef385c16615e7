"""A planned week as coordinates of an SVG: a row for each crew, a bar for each service."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lib.console.chart import Tick

WIDTH = 1140
"""Of the drawing, in its own units."""
_LEFT, _RIGHT, _TOP = 176, 6, 24
_LANE, _GAP, _BAR = 20, 8, 16
_LETTER = 6.6
_LEAST_LETTERS = 3


@dataclass(frozen=True, slots=True)
class PlannedBar:
    """A service to draw.

    Attributes:
        crew: name of the crew in whose row it is drawn.
        start, end: hours since the week's start.
        text: on it.
        title: of it.
        state: `open`, `locked`, `closed` or `chosen`.
        query: of the address that it leads to.
    """

    crew: str
    start: float
    end: float
    text: str
    title: str
    state: str
    query: str


@dataclass(frozen=True, slots=True)
class Block:
    """A box, such as hours in which nobody of a crew is left."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Bar(Block):
    """A bar as it is drawn; `text` is "" where there is no room for it."""

    text: str
    title: str
    state: str
    query: str


@dataclass(frozen=True, slots=True)
class CrewRow:
    """A row of the drawing.

    Attributes:
        name: of the crew, at the height where it stands.
        bottom: where the row ends, units of the drawing from the top.
    """

    name: Tick
    bottom: float


@dataclass(frozen=True)
class Gantt:
    """The drawing.

    Attributes:
        rows, bars, busy, days: what is drawn.
        now: where the present is; None where that is another week.
        left, right, top, height: of the drawing.
    """

    rows: tuple[CrewRow, ...]
    bars: tuple[Bar, ...]
    busy: tuple[Block, ...]
    days: tuple[Tick, ...]
    now: float | None
    height: float
    width: float = WIDTH
    left: float = _LEFT
    right: float = WIDTH - _RIGHT
    top: float = _TOP


def draw_gantt(
    bars: Sequence[PlannedBar],
    busy: Mapping[str, Sequence[tuple[int, int]]],
    days: Mapping[float, str],
    hours: int,
    now: float,
) -> Gantt:
    """Draw services below each other where they overlap.

    Args:
        bars: of each crew together, in the order of rows; each crew's by start.
        busy: by crew, hours (from, until) in which nobody is left.
        days: hours at which days begin, with their names.
        hours: of the week.
        now: hours since the week's start.
    """
    scale = (WIDTH - _RIGHT - _LEFT) / hours

    def at(hour: float) -> float:
        return round(_LEFT + hour * scale, 1)

    rows: list[CrewRow] = []
    drawn: list[Bar] = []
    blocks: list[Block] = []
    top: float = _TOP
    for crew, own in itertools.groupby(bars, key=lambda bar: bar.crew):
        placed, lanes = _in_lanes(list(own))
        bottom = top + lanes * _LANE + _GAP
        rows.append(CrewRow(Tick(top + _LANE - 4, crew), bottom))
        blocks += [
            Block(at(first), top, round(at(last) - at(first), 1), bottom - top)
            for first, last in busy.get(crew, ())
        ]
        for bar, lane in placed:
            width = round(max(at(bar.end) - at(bar.start) - 1, 2), 1)
            y = top + _GAP / 2 + lane * _LANE + (_LANE - _BAR) / 2
            text = _fitted(bar.text, width)
            box = (at(bar.start), y, width, _BAR)
            drawn.append(Bar(*box, text, bar.title, bar.state, bar.query))
        top = bottom
    ticks = tuple(Tick(at(hour), text) for hour, text in days.items() if hour < hours)
    present = at(now) if 0 <= now <= hours else None
    return Gantt(tuple(rows), tuple(drawn), tuple(blocks), ticks, present, top + 4)


def _in_lanes(bars: Sequence[PlannedBar]) -> tuple[list[tuple[PlannedBar, int]], int]:
    """Each bar with the first lane that is free at its start, and how many lanes there are."""
    ends: list[float] = []
    placed = []
    for bar in bars:
        lane = next((number for number, end in enumerate(ends) if end <= bar.start), len(ends))
        ends[lane : lane + 1] = [bar.end]
        placed.append((bar, lane))
    return placed, max(len(ends), 1)


def _fitted(text: str, width: float) -> str:
    letters = int((width - 6) / _LETTER)
    if letters >= len(text):
        return text
    return "" if letters < _LEAST_LETTERS else text[: letters - 1] + "…"
