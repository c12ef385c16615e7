"""Posts that people look at, and posts that were taken down."""

from lib.moderation.review.items import Doubt, Removal

NOW = 1_795_428_900_000_000  # 2026-11-23T10:15:00Z in microseconds
POLICIES = {"hate": 0.5, "spam": 0.25}
_POST: dict[str, object] = {
    "post_id": "p0",
    "policies": POLICIES,
    "severity": 2,
    "reach": 100,
    "policy_version": "v1",
    "model_version": "m1",
    "shown": {"text": "words"},
}


def doubt(number: int = 0, **changes: object) -> Doubt:
    return Doubt(**(_POST | {"post_id": f"p{number}"} | changes))


def removed(**changes: object) -> Removal:
    more = {"author_id": "author", "removed_at": NOW + 1, "policies": {"hate": 1.0}}
    return Removal(**(_POST | more | changes))
