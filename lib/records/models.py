"""A decision and a fact: what is recorded, checked on construction, and its row of JSON."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from lib.contract.scalar import LONGEST_KEY_BYTES, LONGEST_NOTE_BYTES, number_fault, text_fault
from lib.records.errors import RecordsError
from lib.records.systems import recorded_system

Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"
Row: TypeAlias = dict[str, Any]
_REQUIRED_TEXTS = ("system", "subject_id", "decision", "method", "request_id")
_OPTIONAL_TEXTS = ("rule_id", "model_version", "rules_version", "feature_set_digest")
_LAST_MICROSECOND = 253_402_300_800_000_000  # the year 10000


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What was decided about one subject, and on what.

    Attributes:
        system: the risk system, e.g. `fraud`.
        subject_id: what was decided about, e.g. a transaction_id; unique within its system.
        entities: names of its entities to their ids, e.g. `user_id`.
        event_time: when it happened, microseconds since 1970 UTC.
        received_at: when it reached us, microseconds since 1970 UTC.
        decided_at: when it was decided, microseconds since 1970 UTC.
        decision: e.g. `APPROVE`.
        score: the model's probability, or None where no model ran.
        method: `rule`, `model`, `fallback` or `pending`; the last two are queued to be scored
            again.
        rule_id: the rule that decided, if one did.
        reasons: codes with contributions.
        rule_hits: ids of the active rules that hit.
        shadow_hits: ids of the rules in shadow that hit.
        model_version: the model's version in the registry.
        rules_version: the version of the rule set.
        feature_set_digest: SHA-256 of the feature declarations.
        features: the values the decision saw; NaN is missing.
        request_id: the id in the answer and the log.
        latency_ms: time to the answer in milliseconds.
        answer: the body that was answered, returned verbatim to a retry.
        request: the body that was asked, to score it again.

    Raises:
        RecordsError: an id or a word is empty or holds a NUL, a time is not in microseconds, or
            score or latency is not a finite number.
    """

    system: str
    subject_id: str
    entities: Mapping[str, str | None]
    event_time: int
    received_at: int
    decided_at: int
    decision: str
    score: float | None
    method: str
    rule_id: str | None
    reasons: Sequence[Json]
    rule_hits: Sequence[str]
    shadow_hits: Sequence[str]
    model_version: str | None
    rules_version: str | None
    feature_set_digest: str | None
    features: Mapping[str, float]
    request_id: str
    latency_ms: float
    answer: Mapping[str, Json]
    request: Mapping[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in _REQUIRED_TEXTS:
            require_text(name, getattr(self, name))
        for name in _OPTIONAL_TEXTS:
            if getattr(self, name) is not None:
                require_text(name, getattr(self, name))
        for name in ("event_time", "received_at", "decided_at"):
            require_time(name, getattr(self, name))
        require_number("latency_ms", self.latency_ms)
        if self.score is not None:
            require_number("score", self.score)


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """What became known about one subject, and when.

    Attributes:
        system: the risk system, e.g. `fraud`.
        subject_id: what it is about, e.g. a transaction_id; need not be known yet.
        kind: of those of its system; of a payment `fraud` (a label) or `declined` (the payment did
            not go through), of a machine `failure` or `finding` (what people saw), of a customer
            `notice`, `left` or `at_risk` (what people expect).
        value: whether it is so; False withdraws an earlier True.
        observed_at: when it became known, of a machine or a customer when it happened, microseconds
            since 1970 UTC.
        source: who says so, e.g. `chargeback` or `review`.
        received_at: when it reached us, microseconds since 1970 UTC.

    Raises:
        RecordsError: an id is empty or holds a NUL, a time is not in microseconds, or the system
            has no such facts.
    """

    system: str
    subject_id: str
    kind: str
    value: bool
    observed_at: int
    source: str
    received_at: int

    def __post_init__(self) -> None:
        require_fields(self, ("system", "subject_id", "source"), ("observed_at", "received_at"))
        kinds = recorded_system(self.system).fact_kinds
        if self.kind not in kinds:
            expected = " or ".join(kinds) or f"no facts of {self.system}"
            raise RecordsError(f"kind: expected {expected}, got {self.kind!r}")


_DECISION_COLUMNS = tuple(field.name for field in dataclasses.fields(Decision))
_DECISION_NAMES = frozenset(_DECISION_COLUMNS)


def decision_from_row(row: Mapping[str, Any]) -> Decision:
    """Build a decision from its columns; a feature that is null is NaN."""
    columns = {name: row[name] for name in _DECISION_COLUMNS}
    # `float` reads the spellings `Infinity` and `-Infinity`
    columns["features"] = {
        name: math.nan if value is None else float(value) for name, value in row["features"].items()
    }
    return Decision(**columns)


def is_decision_row(row: object) -> bool:
    """Whether these are the columns of a decision, by name; their content is not looked at."""
    return isinstance(row, dict) and row.keys() == _DECISION_NAMES


def spelled_row(row: Row) -> Row:
    """The columns of a decision with infinite features as words, which JSON can hold.

    Raises:
        RecordsError: these are other columns.
    """
    if not is_decision_row(row):
        wrong = ", ".join(sorted(row.keys() ^ _DECISION_NAMES))
        raise RecordsError(f"row: expected the columns of a decision; absent or too many: {wrong}")
    features = row["features"]
    if not any(map(math.isinf, features.values())):
        return row
    return {**row, "features": {name: _finite(value) for name, value in features.items()}}


def require_text(name: str, value: object) -> None:
    """Refuse what cannot be a key in every database.

    Raises:
        RecordsError: `value` is no text, empty, longer than 512 bytes, holds a NUL (PostgreSQL
            stores none) or half a surrogate pair (no UTF-8).
    """
    _require(name, value, LONGEST_KEY_BYTES)


def require_note(name: str, value: object) -> None:
    """Refuse what cannot be kept as a person's words: as `require_text`, up to 16,000 bytes.

    Raises:
        RecordsError: see `require_text`.
    """
    _require(name, value, LONGEST_NOTE_BYTES)


def require_time(name: str, value: object) -> None:
    """Refuse what is not an integer of microseconds before the year 10000.

    Wider than `lib.contract.scalar.time_fault`: a clock of ours that is wrong loses no decision.

    Raises:
        RecordsError: `value` is another type, negative or too large.
    """
    if type(value) is not int or not 0 <= value < _LAST_MICROSECOND:
        raise RecordsError(f"{name}: expected microseconds since 1970 UTC (int), got {value!r:.80}")


def require_fields(row: object, texts: Sequence[str], times: Sequence[str] = ()) -> None:
    """Refuse a row whose fields cannot be stored.

    Args:
        row: whose attributes are looked at.
        texts: names of its keys, see `require_text`.
        times: names of its times, see `require_time`.

    Raises:
        RecordsError: a field is refused; the message names it.
    """
    for name in texts:
        require_text(name, getattr(row, name))
    for name in times:
        require_time(name, getattr(row, name))


def require_number(name: str, value: object) -> None:
    """Refuse what is not a finite number.

    Raises:
        RecordsError: `value` is another type, NaN, infinite or beyond double precision.
    """
    if not isinstance(value, int | float):
        raise RecordsError(f"{name}: expected a finite number, got {value!r:.80}")
    if (fault := number_fault(value)) is not None:
        raise RecordsError(f"{name}: {fault}")


def _require(name: str, value: object, most: int) -> None:
    fault = text_fault(value, most) if isinstance(value, str) else "expected a text"
    if fault is not None:
        raise RecordsError(f"{name}: {fault}; got {value!r:.80}")


def _finite(value: float) -> float | str:
    # JSON has no infinity; the spelling is that of the protobuf JSON mapping
    if not math.isinf(value):
        return value
    return "Infinity" if value > 0 else "-Infinity"
