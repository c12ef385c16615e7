"""One payment: what was decided and why, what the customer did before, what people did with it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from lib.console.decision_search import DecisionLine, WaitingItem, line_of
from lib.console.payments import USER, PaymentLine, describe
from lib.console.sketch import GroundSketch, distance_km, on_scale, sketch_ground
from lib.console.source import SystemSource
from lib.console.subject_history import HistoryLine, read_history
from lib.fraud.features import FRAUD as FEATURES
from lib.fraud.model.reasons import reason_code
from lib.fraud.rules import ACTIONS, RULES_FILE, rule_fields
from lib.records import Decision
from lib.records.models import Json
from lib.records.review import Verdict
from lib.records.review.transitions import UNDO_US
from lib.registry import ArtifactError, RegistryError
from lib.rules.loading import load_rules
from lib.rules.ruleset import RuleSet

_BEFORE, _AFTER = 15, 5
_THRESHOLDS = ("review", "decline")
_UNITS = {feature.name: feature.unit for feature in FEATURES.features}
_HOME = "distance_from_home_km"


@dataclass(frozen=True, slots=True)
class Threshold:
    """A score from which on a payment is decided otherwise.

    Attributes:
        decision: from there on.
        value: the score.
        x: where it is drawn, units of the drawing from its left edge.
    """

    decision: str
    value: float
    x: float


@dataclass(frozen=True, slots=True)
class ReasonLine:
    """Why the model gave its score.

    Attributes:
        code: stable.
        words: in plain English.
        feature: behind it; "" where there is none.
        value: of the feature; None where it is missing.
        contribution: to the score in log-odds, of a rule its confidence; None for neither.
    """

    code: str
    words: str
    feature: str
    value: float | None
    contribution: float | None


@dataclass(frozen=True, slots=True)
class RuleHit:
    """A rule that fired.

    Attributes:
        id: of the rule.
        status: `active` or `shadow`.
        decided: whether it made the decision.
        reason, when, action: of the rule; "" where its text is not at hand.
        fields: that its condition reads.
    """

    id: str
    status: str
    decided: bool
    reason: str = ""
    when: str = ""
    action: str = ""
    fields: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class FeatureLine:
    """A feature as the decision saw it.

    Attributes:
        name: of the feature.
        value: None is missing.
        unit: of the value, "" without one.
        fired: rules that read it and fired.
    """

    name: str
    value: float | None
    unit: str
    fired: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GroundPoint:
    """A payment on the map: `km` from the one that the page is about."""

    payment: PaymentLine
    x: float
    y: float
    km: float


@dataclass(frozen=True, slots=True)
class Undoable:
    """A verdict that can still be taken back.

    Attributes:
        item_id: of the queue's item.
        token: of the claim that decided it.
        until: end of that time, microseconds since 1970 UTC.
    """

    item_id: str
    token: int
    until: int


@dataclass(frozen=True)
class PaymentPage:
    """All that the page of a payment shows.

    Attributes:
        payment: the payment with its label and its item.
        decision: as it is recorded.
        score_x: where the score is drawn; None without one.
        thresholds: of the model that gave it, the lowest first.
        reasons: the strongest first.
        rules: that fired, those that decided first.
        has_rule_texts: whether the rules that decided are those whose texts are shown.
        features: that the decision saw, those that a rule read first.
        timeline: payments of the customer around it, the latest first.
        ground: the map; None where the payment has no place.
        points: on the map, in the order of its dots.
        home_km: from the customer's usual place, kilometres; None where it is not known.
        history: what people did, the latest first.
        undoable: the reviewer's own verdict of the last seconds.
    """

    payment: PaymentLine
    decision: Decision
    score_x: float | None
    thresholds: tuple[Threshold, ...]
    reasons: tuple[ReasonLine, ...]
    rules: tuple[RuleHit, ...]
    has_rule_texts: bool
    features: tuple[FeatureLine, ...]
    timeline: tuple[PaymentLine, ...]
    ground: GroundSketch | None
    points: tuple[GroundPoint, ...]
    home_km: float | None
    history: tuple[HistoryLine, ...]
    undoable: Undoable | None

    @property
    def waiting(self) -> WaitingItem | None:
        """Its undecided item of the queue."""
        return self.payment.waiting


def read_payment(
    source: SystemSource, payment_id: str, reviewer: str, now: int
) -> PaymentPage | None:
    """Read a payment; None where no decision is recorded about it.

    Args:
        source: of the system.
        payment_id: of the payment.
        reviewer: who looks.
        now: microseconds since 1970 UTC.
    """
    decision = source.records.find_decision(payment_id)
    if decision is None:
        return None
    own = line_of(decision)
    around = _lines_around(source, own)
    payments = {payment.id: payment for payment in describe(source, around, reviewer)}
    payment = payments[payment_id]
    rules = _rule_hits(decision)
    ground, points = _ground(payment, tuple(payments.values()))
    verdicts = source.records.list_verdicts(payment_id)
    return PaymentPage(
        payment=payment,
        decision=decision,
        score_x=None if decision.score is None else on_scale(decision.score),
        thresholds=_thresholds(source, decision),
        reasons=tuple(_reason(reason) for reason in decision.reasons if isinstance(reason, dict)),
        rules=rules,
        has_rule_texts=decision.rules_version == packaged_version(),
        features=_features(decision, rules),
        timeline=tuple(payments.values()),
        ground=ground,
        points=points,
        home_km=_known(decision.features.get(_HOME)),
        history=read_history(source, payment_id),
        undoable=_undoable(verdicts, payment.waiting, reviewer, now),
    )


@cache
def packaged_rules() -> RuleSet:
    """The rules that are shipped, whose texts are at hand."""
    text = RULES_FILE.read_text(encoding="utf-8")
    return load_rules(text, rule_fields(FEATURES.names), actions=ACTIONS)


def packaged_version() -> str:
    """Their version, as decisions name it."""
    return f"{packaged_rules().version}-{packaged_rules().digest[:12]}"


def _lines_around(source: SystemSource, own: DecisionLine) -> list[DecisionLine]:
    """The customer's payments around one, itself among them."""
    user = own.entities.get(USER)
    if not user:
        return [own]
    lines = source.records.list_around(user, own.key, _BEFORE, _AFTER)
    return lines if any(line.subject_id == own.subject_id for line in lines) else [own, *lines]


def _thresholds(source: SystemSource, decision: Decision) -> tuple[Threshold, ...]:
    if decision.model_version is None:
        return ()
    try:
        stored = source.manifest(decision.model_version).thresholds
    except (RegistryError, ArtifactError, OSError):
        return ()
    known = [(name, stored[name]) for name in _THRESHOLDS if name in stored]
    return tuple(
        Threshold(name.upper(), value, on_scale(value))
        for name, value in sorted(known, key=lambda pair: pair[1])
    )


def _reason(reason: Mapping[str, Json]) -> ReasonLine:
    code, feature = str(reason.get("code") or ""), str(reason.get("feature") or "")
    words = str(reason.get("words") or reason_code(feature or code.lower())[1])
    return ReasonLine(
        code, words, feature, _number(reason.get("value")), _number(reason.get("contribution"))
    )


def _rule_hits(decision: Decision) -> tuple[RuleHit, ...]:
    known = {rule.id: rule for rule in packaged_rules().rules}
    hits = []
    for status, names in (("active", decision.rule_hits), ("shadow", decision.shadow_hits)):
        for name in dict.fromkeys(names):
            has_decided = status == "active" and name == decision.rule_id
            hit = RuleHit(name, status, has_decided)
            if (rule := known.get(name)) is not None:
                hit = RuleHit(
                    name, status, has_decided, rule.reason, rule.when, rule.action, rule.fields
                )
            hits.append(hit)
    return tuple(sorted(hits, key=lambda hit: not hit.decided))


def _features(decision: Decision, rules: Sequence[RuleHit]) -> tuple[FeatureLine, ...]:
    lines = [
        FeatureLine(
            name,
            _known(value),
            _UNITS.get(name, ""),
            tuple(rule.id for rule in rules if name in rule.fields),
        )
        for name, value in decision.features.items()
    ]
    return tuple(sorted(lines, key=lambda line: not line.fired))


def _ground(
    payment: PaymentLine, timeline: Sequence[PaymentLine]
) -> tuple[GroundSketch | None, tuple[GroundPoint, ...]]:
    """Where the payment and those before it were made."""
    origin = _coordinates(payment)
    if origin is None:
        return None, ()
    others = [
        (other, location)
        for other in timeline
        if other.id != payment.id and (location := _coordinates(other)) is not None
    ]
    located = [(payment, origin), *others]
    ground = sketch_ground([coordinates for _, coordinates in located])
    if ground is None:
        return None, ()
    points = [
        GroundPoint(other, dot.x, dot.y, round(distance_km(origin, coordinates), 1))
        for (other, coordinates), dot in zip(located, ground.dots, strict=True)
    ]
    return ground, tuple(points)


def _coordinates(payment: PaymentLine) -> tuple[float, float] | None:
    values = [_number(payment.line.request.get(name)) for name in ("latitude", "longitude")]
    latitude, longitude = values
    return None if latitude is None or longitude is None else (latitude, longitude)


def _undoable(
    verdicts: Sequence[Verdict], waiting: WaitingItem | None, reviewer: str, now: int
) -> Undoable | None:
    """The last verdict, where it is the reviewer's and nobody else was asked since."""
    latest = verdicts[-1] if verdicts else None
    if latest is None or latest.reviewer != reviewer or waiting is not None:
        return None
    until = latest.decided_at + UNDO_US
    return Undoable(latest.item_id, latest.token, until) if now <= until else None


def _number(value: Json) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return _known(float(value)) if is_number else None  # type: ignore[arg-type]


def _known(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value
