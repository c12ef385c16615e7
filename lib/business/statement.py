"""What a system came to in a period, as data: figures, what was wrong, what it all rests on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from lib.business.measures import Change, change
from lib.declaration import load_declaration
from lib.evaluation import Interval


class BusinessError(ValueError):
    """A statement that cannot be made or read; the message says what to change."""


@dataclass(frozen=True)
class Wording:
    """A system's words.

    Attributes:
        title: of the page.
        decisions, entities: what is decided, and of whom, in the plural.
        missed, wrongly: decisions that were wrong, by not acting and by acting.
        positives: subjects of label 1.
    """

    title: str
    decisions: str
    entities: str
    missed: str
    wrongly: str
    positives: str


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Measure(_Part):
    """A row of the page.

    Attributes:
        name: stable key, by which the same row of another period is found.
        label: in words.
        unit: of the value: `share`, `currency`, `hours`, `ms`, ...
        better: whether more or less of it is better; `neither` for what is only read beside.
        value: None where it is not known yet or cannot be.
        low, high: ends of the 95% interval; None without one.
        rests_on: on which rows, and how many of them are ripe.
        known_from: from when on it will be known, where it is not known fully yet.
    """

    name: str = Field(min_length=1, max_length=64, pattern=r"^[a-z][a-z0-9_]*$")
    label: str = Field(min_length=1, max_length=200)
    unit: str = Field(min_length=1, max_length=40)
    better: Literal["more", "less", "neither"]
    value: FiniteFloat | None = None
    low: FiniteFloat | None = None
    high: FiniteFloat | None = None
    rests_on: str = ""
    known_from: AwareDatetime | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Measure:
        if None not in (self.low, self.high, self.value) and not (
            self.low <= self.high  # type: ignore[operator]
        ):
            raise ValueError(f"low ({self.low}) stands above high ({self.high})")
        return self

    @property
    def interval(self) -> Interval:
        """Value and ends, NaN where there are none."""
        values = (self.value, self.low, self.high)
        return Interval(*(float("nan") if number is None else number for number in values))


class Segment(_Part):
    """A part of the decisions, and how often they were wrong there."""

    kind: str
    name: str
    decisions: int
    positives: int
    missed: int
    wrongly_acted: int

    @property
    def wrong_share(self) -> float:
        """Share of its decisions that were wrong."""
        return (self.missed + self.wrongly_acted) / max(self.decisions, 1)


class Point(_Part):
    """Money of a day, in currency units."""

    day: datetime
    money: float


class Statement(_Part):
    """A period of a system.

    Attributes:
        version: of this form.
        system: its name.
        since, until: event times of the decisions, `until` is exclusive.
        as_of: what was known by then.
        currency: name of the currency, empty where nobody named it.
        decisions, entities: how many there were.
        ripe: how many of the decisions have a final outcome.
        measures: rows of the page, in order.
        missed, wrongly_acted: decisions that were wrong, among ripe ones.
        wrongly_by: those that wrongly acted, by decision.
        segments: where they were wrong most often.
        daily: money of each day, ripe decisions only.
        notes: sentences on what the figures assume.
    """

    version: Literal[1] = 1
    system: str
    since: AwareDatetime
    until: AwareDatetime
    as_of: AwareDatetime
    currency: str = ""
    decisions: int = Field(0, ge=0)
    entities: int = Field(0, ge=0)
    ripe: int = Field(0, ge=0)
    measures: tuple[Measure, ...] = Field(min_length=1)
    missed: int = Field(0, ge=0)
    wrongly_acted: int = Field(0, ge=0)
    wrongly_by: dict[str, int] = Field({})
    segments: tuple[Segment, ...] = ()
    daily: tuple[Point, ...] = ()
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _in_order(self) -> Statement:
        if self.until <= self.since:
            raise ValueError(f"until ({self.until}) is not after since ({self.since})")
        names = [measure.name for measure in self.measures]
        if len(set(names)) < len(names):
            raise ValueError("measures: expected each name once")
        return self

    def named(self) -> Mapping[str, Measure]:
        """Measures by name."""
        return {measure.name: measure for measure in self.measures}

    def to_json(self) -> str:
        """The statement as `read_statement` reads it."""
        return json.dumps(self.model_dump(mode="json"), indent=2, allow_nan=False) + "\n"


def read_statement(text: str, origin: str, system: str) -> Statement:
    """An earlier statement, or one that somebody wrote of a time without this product.

    Args:
        text: JSON; only `system`, `since`, `until`, `as_of` and `measures` are needed.
        origin: of messages.
        system: that it must be of.

    Raises:
        BusinessError: names the field, what was expected and what came.
    """
    statement = load_declaration(text, Statement, origin, BusinessError)
    if statement.system != system:
        raise BusinessError(f"{origin}: system: expected {system}, got {statement.system!r}")
    return statement


def changes(now: Statement, before: Statement) -> dict[str, Change]:
    """By name of a measure that both know in the same unit, how far it changed.

    Raises:
        BusinessError: they are of different currencies, or have no measure in common.
    """
    if before.currency and now.currency and before.currency != now.currency:
        raise BusinessError(
            f"before: currency: expected {now.currency}, got {before.currency}; convert it first"
        )
    former = before.named()
    common = {
        measure.name: change(measure.interval, former[measure.name].interval)
        for measure in now.measures
        if measure.name in former
        and None not in (measure.value, former[measure.name].value)
        and measure.unit == former[measure.name].unit
    }
    if not common:
        names = ", ".join(measure.name for measure in now.measures)
        raise BusinessError(f"before: expected measures such as {names}; got none of them")
    return common
