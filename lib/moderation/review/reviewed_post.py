"""What a reviewer is told of a post."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lib.records.models import Json


@dataclass(frozen=True, kw_only=True, slots=True)
class ReviewedPost:
    """A post that people look at; fields as in `lib.records.review.ReviewItem`."""

    post_id: str
    policies: Mapping[str, float]
    severity: int
    reach: int
    policy_version: str
    model_version: str | None
    shown: Mapping[str, Json]
    language: str | None = None
    skill: str | None = None
