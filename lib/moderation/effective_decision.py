"""Which decision about a post holds: that of people, else of models afterwards, else the first."""

from collections.abc import Mapping, Sequence
from typing import Any

from lib.records import Decision
from lib.records.review import Outcome


def in_force(
    first: Decision, later: Mapping[str, Any] | None, outcomes: Sequence[Outcome]
) -> tuple[str, str]:
    """The decision that holds and who made it.

    Args:
        first: decision about the post.
        later: what models answered afterwards; None for nothing.
        outcomes: of its reviews, the newest first.
    """
    return standing_of(first.decision, first.method, later, outcomes[0] if outcomes else None)


def standing_of(
    decision: str, method: str, later: Mapping[str, Any] | None, newest: Outcome | None
) -> tuple[str, str]:
    """The same of a decision and its method, with the newest outcome."""
    if newest is not None:
        return ("REMOVE" if any(newest.verdicts.values()) else "ALLOW"), "people"
    if later is not None:
        return str(later["decision"]), str(later["method"])
    return decision, method
