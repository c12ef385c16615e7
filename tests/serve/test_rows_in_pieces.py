"""Bodies that are parsed in pieces are accepted, refused and named as those parsed at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from lib.churn.contracts import CONTRACTS
from serve.churn.schemas import OUTCOMES, PLAN, events_model
from serve.framework.review_routes import GOLDEN, STATEMENT
from serve.framework.validation import Problem, parse_body, parse_rows
from serve.fraud.schemas import LABELS
from serve.maintenance.schedule_schemas import SCHEDULE
from serve.maintenance.schemas import MachineReadings, many_machines
from tests.concurrency.tiny_pieces import tiny_pieces
from tests.maintenance.small_fleet import week

AT = "2026-01-31T12:00:00Z"
BODIES: dict[str, tuple[TypeAdapter[Any], Any]] = {
    "labels": (
        LABELS,
        [{"transaction_id": "t", "is_fraud": True, "observed_at": AT, "source": "review"}] * 2,
    ),
    "readings": (
        TypeAdapter(many_machines(MachineReadings)),
        [
            {
                "machine_id": "m",
                "installed_at": AT,
                "units": {"rpm": "rpm"},
                "readings": [{"event_time": AT, "sensors": {"rpm": 1.25, "volt": 3}}] * 2,
                "errors": [{"event_time": AT, "error_code": "error1"}],
                "services": [{"event_time": AT, "maintenance_type": "corrective"}],
                "waveforms": [
                    {"event_time": AT, "sampling_rate_hz": 12_000, "samples": [0.5, 1, -2e3] * 22}
                ],
            }
        ],
    ),
    "week": (
        SCHEDULE,
        {
            "schedule_id": "s",
            "machines": [{"machine_id": "m", "plant": "p", "line": "l"}],
            "week": week(1_769_860_800_000_000),
            "gap": 1.0,
        },
    ),
    "events": (
        TypeAdapter(events_model(CONTRACTS)),
        {
            "usage": [{"customer_id": "c", "event_time": AT, "user_id": "u", "feature": "f"}] * 2,
            "customers": [
                {"customer_id": "c", "event_time": AT, "segment": "small", "mrr_minor": 1000}
            ],
        },
    ),
    "plan": (PLAN, {"plan_id": "p", "hours": 8, "budget": 9e6, "customers": ["a", "b"]}),
    "outcomes": (
        OUTCOMES,
        [{"intervention_id": "i", "delivered": False, "observed_at": AT, "note": "[late]"}],
    ),
    "statement": (
        STATEMENT,
        {
            "statement_id": "s",
            "reviewer": "bob",
            "subject_ids": ["a", "b"],
            "verdicts": {"fraud": True},
        },
    ),
    "golden": (
        GOLDEN,
        {"reviewer": "bob", "answers": [{"subject_id": "a", "verdicts": {"fraud": False}}] * 2},
    ),
}
LITERALS = (
    "null true 0 -0 1 1.0 2.5 -1e-7 1e400 NaN -Infinity 01 1. +1 truth 'a' [] {} [[1],[2 "
    r'"" "a" "]" "},{" "1" "2.5" "nan" "2026-01-31" "\u0000" "\u00e9" "é😀" "\ud83d\ude00" "\ '
    r'"\ud800" "\udc00\ud800" "\ud83d" "\ud83dx" "\\ud800" "\ud7ff" "\ud8" {"a":1,"a":2}'
)
LONG = ("9" * 30, "9" * 400, "9" * 5_000, "0." + "3" * 400, "[" * 300 + "]" * 300, "[" * 5_000)
TOKENS = (*LITERALS.split(), *LONG, '"\x01"')
"""JSON, and what is none, to put in the place of a value."""
_tiny_pieces = tiny_pieces(20, 90)


def written(value: Any, changes: Iterator[tuple[str, str]]) -> str:
    """JSON whose parts take the changes: what a value is replaced by, and a name is preceded by."""
    token, earlier = next(changes, ("", ""))
    if token:
        return token
    if isinstance(value, list):
        return "[" + ", ".join(written(part, changes) for part in value) + "]"
    if isinstance(value, dict):
        fields = [f"{json.dumps(name)}: {written(part, changes)}" for name, part in value.items()]
        return "{" + earlier + ", ".join(fields) + "}"
    return json.dumps(value)


def names_in(value: Any) -> list[str]:
    """Every name of every object."""
    if isinstance(value, list):
        return [name for part in value for name in names_in(part)]
    if isinstance(value, dict):
        return [*value, *(name for part in value.values() for name in names_in(part))]
    return []


def outcome(parse: Any, adapter: TypeAdapter[Any], body: bytes) -> Any:
    """What a body is parsed to; of a problem what a caller sees."""
    try:
        return parse(adapter, body)
    except Problem as problem:
        return problem.status, problem.kind, problem.detail, problem.errors


def assert_same(adapter: TypeAdapter[Any], body: bytes) -> None:
    at_once, in_pieces = (outcome(parse, adapter, body) for parse in (parse_body, parse_rows))
    assert repr(in_pieces) == repr(at_once)


@pytest.mark.parametrize("name", BODIES)
def test_the_examples_are_accepted(name: str):
    adapter, value = BODIES[name]
    body = json.dumps(value).encode()
    assert not isinstance(outcome(parse_body, adapter, body), tuple)
    assert_same(adapter, body)


@given(st.data(), st.sampled_from(list(BODIES)), st.integers(0, 90), st.sampled_from(TOKENS))
def test_a_value_of_any_kind_is_taken_alike(data: Any, name: str, position: int, token: str):
    adapter, value = BODIES[name]
    known = st.sampled_from(names_in(value) or ["a"])
    again = f"{json.dumps(data.draw(known))}: {data.draw(st.sampled_from(TOKENS))}, "
    change = data.draw(st.sampled_from([(token, ""), ("", again), ("", r'"\ud800": 1, ')]))
    body = written(value, iter([*[("", "")] * position, change])).encode()
    assert_same(adapter, body)


@given(st.sampled_from(list(BODIES)), st.integers(0, 2_000), st.binary(max_size=4), st.booleans())
def test_damaged_bodies_are_refused_alike(name: str, position: int, inserted: bytes, cut: bool):
    adapter, value = BODIES[name]
    body = json.dumps(value).encode()
    at = position % len(body)
    assert_same(adapter, body[:at] + inserted + (b"" if cut else body[at:]))


@pytest.mark.parametrize("body", [b"", b" ", b"\xef\xbb\xbf[]", b"[] x", b"\x0b[]", b"null", b"[]"])
def test_bodies_without_rows_are_refused_alike(body: bytes):
    for adapter, _ in BODIES.values():
        assert_same(adapter, body)
