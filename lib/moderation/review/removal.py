"""What a post was taken down for, as its author may appeal against it."""

from collections.abc import Mapping, Sequence
from typing import Any

from lib.moderation.review.items import Removal
from lib.records import Decision
from lib.records.review import Outcome


def removal_of(
    first: Decision,
    later: Mapping[str, Any] | None,
    outcomes: Sequence[Outcome],
    severities: Mapping[str, int],
    otherwise: int = 1,
) -> Removal:
    """The removal of a post that is down.

    Args:
        first: decision about the post.
        later: what models answered afterwards; None for nothing.
        outcomes: of its reviews, the newest first.
        severities: of policies, 1 to 5.
        otherwise: severity of one that is not among them.
    """
    answer, request = later or first.answer, first.request
    removed_at = int(str(answer.get("decided_at_us", first.decided_at)))
    version = str(answer.get("policies_version", ""))
    broken = _broken(answer, first)
    if outcomes:
        newest = outcomes[0]
        removed_at, version = newest.at, newest.policy_version
        broken = {name: 1.0 for name, violates in newest.verdicts.items() if violates}
    severity = max((severities.get(name, otherwise) for name in broken), default=otherwise)
    model_version = answer.get("model_version")
    return Removal(
        post_id=first.subject_id,
        author_id=str(first.entities["author_id"]),
        removed_at=removed_at,
        policies=broken,
        severity=severity,
        reach=int(request["reach"]),  # type: ignore[arg-type]
        policy_version=version,
        model_version=None if model_version is None else str(model_version),
        shown={"text": request["text"], "media": request["media"]},
        language=request["language"],  # type: ignore[arg-type]
    )


def _broken(answer: Mapping[str, Any], first: Decision) -> dict[str, float]:
    """What a post was removed for, to the chance of each; 1 for a hit of a list."""
    policies = answer.get("policies") or {}
    broken = {
        name: float(policy["probability"])
        for name, policy in policies.items()
        if policy["action"] == "REMOVE"
    }
    if not broken:
        broken = {
            str(reason["policy"]): 1.0
            for reason in first.reasons
            if isinstance(reason, dict) and reason.get("policy")
        }
    return broken
