"""Scores that people set in place of the computed ones: until when, and what a plan makes of them.

A score in force stands for the probability to leave that training's customers of that health had:
plans choose by it instead of the model's.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import TypedDict, Unpack

import pyarrow as pa

from lib.churn.health import band_of, probability_of
from lib.churn.health_repository import HealthRepository, Override
from lib.churn.target import Floats
from lib.feature import DAY

LONGEST_US = 366 * DAY
"""How far ahead an override may expire, microseconds."""


class OverrideOptions(TypedDict):
    """Who sets a score, under which key (`key_id`), why, when (`now`) and `until` when."""

    author: str
    key_id: str
    reason: str
    now: int
    until: int


class ExpiryError(ValueError):
    """An expiry that is past, or too far ahead."""


def is_in_force(override: Override, now: int) -> bool:
    """Whether a customer's newest override counts at a time: not withdrawn, not expired."""
    return override.score is not None and override.expires_at > now


def standing_override(overrides: Sequence[Override], now: int) -> Override | None:
    """The override in force of a customer, of its overrides from the newest on."""
    return overrides[0] if overrides and is_in_force(overrides[0], now) else None


def set_override(
    repository: HealthRepository,
    customer_id: str,
    score: float | None,
    **options: Unpack[OverrideOptions],
) -> Override:
    """Set a customer's score until a time, or withdraw the one that is set.

    Args:
        repository: of overrides.
        customer_id: of the customer.
        score: 0 to 100; None withdraws.
        options: see `OverrideOptions`; times are microseconds since 1970 UTC.

    Raises:
        ExpiryError: `until` is past or more than a year away.
    """
    now, until = options["now"], options["until"]
    if not now < until <= now + LONGEST_US:
        raise ExpiryError("expected a time in the future, at most 366 days ahead")
    if score is None:
        # a withdrawal lasts as long as what it withdraws, which would come back otherwise
        earlier = repository.list_overrides(customer_id)
        until = max([until, *(override.expires_at for override in earlier)])
    override = Override(
        id=uuid.uuid4().hex,
        customer_id=customer_id,
        score=score,
        author=options["author"],
        reason=options["reason"],
        key_id=options["key_id"],
        created_at=now,
        expires_at=until,
    )
    repository.insert_override(override)
    return override


def scores_in_force(repository: HealthRepository, scores: pa.Table, now: int) -> dict[str, float]:
    """By customer of a table of scores, the score that a person set and that is in force."""
    names = set(scores["customer_id"].to_pylist())
    return {
        override.customer_id: override.score
        for override in repository.list_in_force(now)
        if override.customer_id in names and override.score is not None
    }


def with_overrides(
    scores: pa.Table, in_force: Mapping[str, float], probabilities: Floats
) -> pa.Table:
    """Scores in which people's stand in place of the model's.

    Args:
        scores: see `lib.churn.model.scores.scores_table`.
        in_force: by customer, the score that a person set.
        probabilities: which one a score is worth: `chances` of the model's `HealthReference`.
    """
    names = scores["customer_id"].to_pylist()
    rows = [row for row, name in enumerate(names) if name in in_force]
    if not rows:
        return scores
    columns: dict[str, Callable[[float], object]] = {
        "chance": lambda score: probability_of(probabilities, score),
        "score": float,
        "band": band_of,
    }
    for name, value_of in columns.items():
        values = scores[name].to_pylist()
        for row in rows:
            values[row] = value_of(in_force[names[row]])
        index, field = scores.schema.get_field_index(name), scores.schema.field(name)
        scores = scores.set_column(index, field, pa.array(values, field.type))
    return scores
