"""What a payment is connected with: customers, devices, merchants, frauds, similar payments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Text, and_, cast, exists, or_

from lib.console.decision_search import DecisionFilter, DecisionLine, line_of
from lib.console.payments import (
    DEVICE,
    FRAUD,
    MERCHANT,
    USER,
    PaymentLine,
    describe,
    read_unmeasured,
)
from lib.console.sketch import GRAPH_HEIGHT, GRAPH_WIDTH, Dot, ring_dots
from lib.console.source import SystemSource
from lib.records import Decision
from lib.records.partitions import DAY
from lib.records.schema import FACTS

SPANS = (1, 7, 30)
"""Days around a payment within which others are connected with it."""
MOST_CONNECTED = 150
"""Payments that are labelled together at most."""
KINDS: Mapping[str, str] = {USER: "customer", DEVICE: "device", MERCHANT: "merchant"}
"""What payments have in common, by its name in decisions, in words."""
_MOST_OWN, _MOST_SCANNED = 200, 250
_MOST_DEVICES, _MOST_MERCHANTS, _MOST_CUSTOMERS = 8, 12, 18
_GRAPH_SPAN = 30 * DAY
_SCORE_BAND = 0.05
Choose = Callable[[Any], ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class Node:
    """Something that payments have in common, in a drawing.

    Attributes:
        kind: name in decisions.
        id: of it.
        payments: that were looked at and have it.
        frauds: of them, known to be.
        dot: where it is drawn.
        is_own: whether the payment that the drawing is about has it.
    """

    kind: str
    id: str
    payments: int
    frauds: int
    dot: Dot
    is_own: bool

    @property
    def word(self) -> str:
        """Its kind in words."""
        return KINDS[self.kind]


@dataclass(frozen=True, slots=True)
class Link:
    """A line between two nodes.

    Attributes:
        start, end: where they are drawn.
        frauds: payments with both of them that are known to be fraud.
    """

    start: Dot
    end: Dot
    frauds: int


@dataclass(frozen=True)
class Graph:
    """A customer in the middle, devices and merchants around, other customers outside.

    Attributes:
        nodes: the customer first.
        links: between them.
        left_out: nodes that are not drawn, as there are too many.
        payments: that were looked at.
    """

    nodes: tuple[Node, ...]
    links: tuple[Link, ...]
    left_out: int
    payments: int


@dataclass(frozen=True, slots=True)
class SimilarCount:
    """What payments became that are like one.

    Attributes:
        words: in what they are alike.
        frauds, fine: known to be fraud, and not.
        unknown: of which nothing is known.
    """

    words: str
    frauds: int
    fine: int
    unknown: int

    @property
    def share(self) -> float | None:
        """Of frauds among those that are known; None where none is."""
        known = self.frauds + self.fine
        return self.frauds / known if known else None


@dataclass(frozen=True)
class ConnectedPayments:
    """Payments that have something in common with one, to be labelled together.

    Attributes:
        payments: the one itself first, then those nearest in time; none is labelled fraud.
        total: sum of their amounts, minor units.
        known: how many more are labelled fraud already.
        busy: how many more wait for other reviewers.
        has_more: whether there are more than can be labelled together.
    """

    payments: tuple[PaymentLine, ...]
    total: int
    known: int
    busy: int
    has_more: bool


def read_graph(source: SystemSource, decision: Decision, reviewer: str) -> Graph:
    """What the customer of a payment shares with others, within 30 days of it, to a reviewer."""
    own = line_of(decision)
    lines = _customer_lines(source, own)
    devices, few_devices = _frequent(lines, DEVICE, own, _MOST_DEVICES)
    merchants, few_merchants = _frequent(lines, MERCHANT, own, _MOST_MERCHANTS)
    choose = partial(_shares, devices=devices, merchants=merchants)
    others = source.records.scan_around(own.key, _GRAPH_SPAN, choose, _MOST_SCANNED)
    unique = {line.subject_id: line for line in (*lines, *others)}
    waiting = source.records.list_waiting_items(list(unique), reviewer)
    labels = read_unmeasured(source, list(unique), waiting)
    frauds = {name for name, label in labels.items() if label.is_fraud}
    drawing = _Drawing(own, tuple(unique.values()), frozenset(frauds))
    return drawing.graph(devices, merchants, few_devices + few_merchants)


def count_similar(source: SystemSource, decision: Decision) -> tuple[SimilarCount, ...]:
    """What those of the last payments before one became that are like it; see `count_labelled`."""
    own = line_of(decision)
    groups: dict[str, Choose] = {}
    for name, word in KINDS.items():
        if value := own.entities.get(name):
            groups[f"same {word}"] = partial(_has, name=name, values=(value,))
    for rule in dict.fromkeys(own.rule_hits):
        groups[f"rule {rule}"] = partial(_has_rule, rule=rule)
    if own.score is not None:
        low = int(own.score / _SCORE_BAND) * _SCORE_BAND
        words = f"score from {low:.2f} to {low + _SCORE_BAND:.2f}"
        groups[words] = partial(_scored, low=low, high=low + _SCORE_BAND)
    if not groups:
        return ()
    counts = source.records.count_labelled(own.key, groups, FRAUD)
    return tuple(
        SimilarCount(name, by_label.get(True, 0), by_label.get(False, 0), by_label.get(None, 0))
        for name, by_label in counts.items()
    )


def read_connected(
    source: SystemSource,
    decision: Decision,
    names: Collection[str],
    days: int,
    reviewer: str,
    now: int,
) -> ConnectedPayments:
    """List the payments that share something with one.

    Args:
        source: of the system.
        decision: about the one.
        names: of what they share, see `KINDS`.
        days: before and after it.
        reviewer: who is to label them.
        now: microseconds since 1970 UTC.
    """
    own = line_of(decision)
    lines = {own.subject_id: own}
    for line in sorted(
        _sharing(source, own, names, days * DAY),
        key=lambda line: (abs(line.event_time - own.event_time), line.subject_id),
    ):
        lines.setdefault(line.subject_id, line)
    payments = describe(source, list(lines.values()), reviewer)
    unlabelled = [p for p in payments if p.label is None or not p.label.is_fraud]
    free = [
        payment
        for payment in unlabelled
        if payment.waiting is None or not payment.waiting.is_with_another(reviewer, now)
    ]
    chosen = tuple(free[:MOST_CONNECTED])
    return ConnectedPayments(
        payments=chosen,
        total=sum(payment.amount_minor or 0 for payment in chosen),
        known=len(payments) - len(unlabelled),
        busy=len(unlabelled) - len(free),
        has_more=len(free) > len(chosen),
    )


def _sharing(
    source: SystemSource, own: DecisionLine, names: Collection[str], span: int
) -> list[DecisionLine]:
    """Payments around one that share its customer, device or merchant."""
    lines: list[DecisionLine] = []
    user = own.entities.get(USER)
    if USER in names and user:
        sought = DecisionFilter(
            entity_id=user, since=max(0, own.event_time - span), until=own.event_time + span + 1
        )
        lines += source.records.search(sought, 2 * MOST_CONNECTED).lines
    values = {name: own.entities[name] for name in (DEVICE, MERCHANT) if name in names}
    present = {name: value for name, value in values.items() if value}
    if present:
        choose = partial(_has_any, values=present)
        lines += source.records.scan_around(own.key, span, choose, 2 * MOST_CONNECTED)
    return lines


def _customer_lines(source: SystemSource, own: DecisionLine) -> list[DecisionLine]:
    user = own.entities.get(USER)
    if not user:
        return [own]
    sought = DecisionFilter(
        entity_id=user,
        since=max(0, own.event_time - _GRAPH_SPAN),
        until=own.event_time + _GRAPH_SPAN,
    )
    return [own, *source.records.search(sought, _MOST_OWN).lines]


def _frequent(
    lines: Iterable[DecisionLine], name: str, own: DecisionLine, most: int
) -> tuple[tuple[str, ...], int]:
    """The ids that payments have most often, that of `own` first; and how many are left out."""
    counts = Counter(value for line in lines if (value := line.entities.get(name)))
    first = own.entities.get(name)
    ranked = sorted(counts, key=lambda value: (value != first, -counts[value], value))
    return tuple(ranked[:most]), max(0, len(ranked) - most)


def _has(columns: Any, name: str, values: Collection[str]) -> ColumnElement[bool]:
    return columns.entities[name].as_string().in_(sorted(values))  # type: ignore[no-any-return]


def _has_any(columns: Any, values: Mapping[str, str]) -> ColumnElement[bool]:
    return or_(*(_has(columns, name, (value,)) for name, value in values.items()))


def _has_rule(columns: Any, rule: str) -> ColumnElement[bool]:
    return cast(columns.rule_hits, Text).contains(f'"{rule}"', autoescape=True)


def _scored(columns: Any, low: float, high: float) -> ColumnElement[bool]:
    return and_(columns.score.is_not(None), columns.score >= low, columns.score < high)


def _shares(columns: Any, devices: Sequence[str], merchants: Sequence[str]) -> ColumnElement[bool]:
    """One of the devices, or one of the merchants in a payment that is known to be fraud."""
    facts = FACTS.c
    is_fraud = exists().where(
        facts.system == FRAUD,
        facts.subject_id == columns.subject_id,
        facts.kind == FRAUD,
        facts.value.is_(True),
    )
    at_merchant = and_(_has(columns, MERCHANT, merchants), is_fraud)
    return or_(_has(columns, DEVICE, devices), at_merchant)


@dataclass(frozen=True)
class _Drawing:
    """Turns payments into nodes and links."""

    own: DecisionLine
    lines: tuple[DecisionLine, ...]
    frauds: frozenset[str]

    def graph(self, devices: Sequence[str], merchants: Sequence[str], left_out: int) -> Graph:
        """The graph of the customer with these devices and merchants."""
        user = str(self.own.entities.get(USER) or "no customer")
        others = self._customers(user, devices, merchants)
        inner = [*((DEVICE, name) for name in devices), *((MERCHANT, name) for name in merchants)]
        outer = [(USER, name) for name in others[:_MOST_CUSTOMERS]]
        ring, outside = ring_dots(len(inner), len(outer))
        middle = Dot(GRAPH_WIDTH / 2, GRAPH_HEIGHT / 2)
        dots = {(USER, user): middle}
        dots |= dict(zip(inner, ring, strict=True)) | dict(zip(outer, outside, strict=True))
        nodes = tuple(self._node(kind, name, dot) for (kind, name), dot in dots.items())
        return Graph(
            nodes, self._links(dots), left_out + max(0, len(others) - len(outer)), len(self.lines)
        )

    def _customers(self, user: str, devices: Sequence[str], merchants: Sequence[str]) -> list[str]:
        """Other customers, those with known frauds first."""
        counts, frauds = Counter[str](), Counter[str]()
        for line in self.lines:
            name = line.entities.get(USER)
            is_near = (
                line.entities.get(DEVICE) in devices or line.entities.get(MERCHANT) in merchants
            )
            if name and name != user and is_near:
                counts[name] += 1
                frauds[name] += line.subject_id in self.frauds
        return sorted(counts, key=lambda name: (-frauds[name], -counts[name], name))

    def _node(self, kind: str, name: str, dot: Dot) -> Node:
        lines = [line for line in self.lines if line.entities.get(kind) == name]
        frauds = sum(line.subject_id in self.frauds for line in lines)
        is_own = self.own.entities.get(kind) == name
        return Node(kind, name, len(lines), frauds, dot, is_own)

    def _links(self, dots: Mapping[tuple[str, str], Dot]) -> tuple[Link, ...]:
        counts: Counter[tuple[Dot, Dot]] = Counter()
        frauds: Counter[tuple[Dot, Dot]] = Counter()
        for line in self.lines:
            customer = dots.get((USER, str(line.entities.get(USER) or "no customer")))
            for kind in (DEVICE, MERCHANT):
                other = dots.get((kind, str(line.entities.get(kind))))
                if customer is not None and other is not None:
                    counts[customer, other] += 1
                    frauds[customer, other] += line.subject_id in self.frauds
        return tuple(Link(start, end, frauds[start, end]) for start, end in counts)
