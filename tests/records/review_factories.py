"""Items of the review queue, and what reviewers do with them."""

from dataclasses import replace

from lib.records.review import GoldenItem, Outcome, ReviewItem, Step
from tests.records.conftest import NOVEMBER, SECOND

HOUR = 3600 * SECOND


LEASE = 60 * SECOND


def item(number: int = 0, **changes: object) -> ReviewItem:
    fields: dict[str, object] = {
        "id": f"i{number}",
        "case_id": f"i{number}",
        "system": "moderation",
        "subject_id": f"p{number}",
        "kind": "review",
        "rule": "routed",
        "policies": {"hate": 0.625, "spam": 0.25},
        "severity": 3,
        "reach": 1000,
        "priority": 8.5,
        "created_at": NOVEMBER + number,
        "due_at": NOVEMBER + HOUR + number,
        "rank_us": NOVEMBER + number,
        "policy_version": "v1",
        "model_version": "m1",
        "shown": {"text": "hello"},
    }
    return ReviewItem(**(fields | changes))


def close(item, case):
    """One decision is enough."""
    return Step(
        outcome=Outcome(
            case_id=item.case_id,
            system=item.system,
            subject_id=item.subject_id,
            kind=item.kind,
            rule="single",
            verdicts=case[-1].verdicts,
            at=case[-1].decided_at,
            policy_version=item.policy_version,
            model_version=item.model_version,
        )
    )


def look_twice(item, case):
    """A second opinion of everything."""
    if item.kind == "review":
        again = replace(item, id=f"{item.id}-again", kind="second_opinion", rule="sample")
        return Step(opens=again)
    return close(item, case)


def claim(reviews, reviewer="ann", most=10, now=NOVEMBER, **more):
    return reviews.claim(reviewer, most, now=now, lease=LEASE, **more)


def decide(reviews, claimed, reviewer="ann", hate=True, now=NOVEMBER + SECOND, step=close):
    verdicts = {"hate": hate, "spam": False}
    return reviews.decide(
        claimed.item_id, reviewer, claimed.token, verdicts, now=now, next_step=step
    )


class AlwaysGolden:
    """Mixes the first golden item that a reviewer has not seen into each claim."""

    def draws(self, _: str, __: int) -> bool:
        """Always."""
        return True

    def item(self, unseen, like, reviewer, _):
        """It, with the times of its neighbour."""
        golden = unseen[0]
        names = ("system", "subject_id", "known", "policies", "severity", "shown")
        same = {name: getattr(golden, name) for name in names}
        times = {name: getattr(like, name) for name in ("created_at", "due_at", "policy_version")}
        return item(800, kind="golden", for_reviewer=reviewer, **same, **times)


def golden_item(number: int, **changes: object) -> GoldenItem:
    """An item with known answers."""
    fields: dict[str, object] = {
        "id": f"g{number}",
        "system": "moderation",
        "subject_id": f"gp{number}",
        "policies": {"hate": 0.5, "spam": 0.5},
        "severity": 2,
        "reach": 10,
        "policy_version": "v1",
        "shown": {"text": "known"},
        "known": {"hate": True, "spam": False},
    }
    return GoldenItem(**(fields | changes))
