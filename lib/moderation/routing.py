"""What happens to a post: allow, review or remove, by expected cost or by thresholds.

Of a policy with costs, the action of least expected cost is taken (Elkan 2001, The foundations of
cost-sensitive learning), with p the calibrated probability and reach counted in doublings:

    harm    p * missed_violation * (1 + log2(1 + reach / views_that_double))
    ALLOW   harm
    REVIEW  review + price + waiting_share * harm
    REMOVE  (1 - p) * wrong_removal

The price is what a minute of scarce reviewers costs beyond their pay (see `capacity`). The hardest
action over all policies is the post's. A higher probability or reach never makes it milder. A post
of which a modality failed to decode is never allowed unseen: it goes to review unless it is removed
anyway.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lib.moderation.policies import ACTIONS, Policies

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Languages: TypeAlias = Sequence[str | None] | None
"""BCP 47 tags of posts."""

ALLOW, REVIEW, REMOVE = range(len(ACTIONS))
"""Codes of the actions in arrays."""

UNDECODED = "undecoded"
"""Stands for the deciding policy where a modality failed to decode and nothing else decides."""


@dataclass(frozen=True, slots=True)
class Routed:
    """What happens to n posts.

    Attributes:
        actions: int8 (n,), codes of the posts' actions.
        by_policy: int8 (n, policies), what each policy alone would have done.
        deciding: int64 (n,), place of the policy that decided: of those with the post's action the
            one of the greatest risk; -1 where none did (a failed modality, or nothing to find).
        risk: float64 (n,), severity times probability times reach in doublings, the greatest over
            the policies that hold: the queue's priority.
    """

    actions: NDArray[np.int8]
    by_policy: NDArray[np.int8]
    deciding: NDArray[np.int64]
    risk: Floats

    def words(self, row: int, policies: Policies) -> tuple[str, str | None]:
        """A post's action, and the id of the policy that decided it, if one did."""
        action, policy_index = int(self.actions[row]), int(self.deciding[row])
        if policy_index >= 0:
            return ACTIONS[action], policies.ids[policy_index]
        return ACTIONS[action], UNDECODED if action == REVIEW else None


class Routing:
    """Routes posts by a set of policies.

    Args:
        policies: in the order of the columns of probabilities.
        price: of a review beyond its cost, in the policies' unit, from `capacity`.

    Raises:
        ValueError: the price is below 0 or not finite.
    """

    def __init__(self, policies: Policies, price: float = 0.0) -> None:
        if not 0 <= price < np.inf:
            raise ValueError(f"price: expected 0 or more, got {price}")
        self.policies, self.price = policies, price
        self._severity = np.array(
            [policy.severity for policy in policies.policies], dtype=np.float64
        )
        self._can = {
            action: np.array([action in policy.actions for policy in policies.policies])
            for action in ACTIONS
        }
        self._by_cost = np.array([policy.costs is not None for policy in policies.policies])
        self._costs = {
            name: np.array([getattr(policy.costs, name, 1.0) for policy in policies.policies])
            for name in ("wrong_removal", "missed_violation", "review", "waiting_share")
        }
        self._fee = self._costs["review"] + price
        self._thresholds = {
            name: np.array([getattr(policy.thresholds, name, 1.0) for policy in policies.policies])
            for name in ("review", "remove")
        }

    def route(
        self,
        probabilities: ArrayLike,
        reach: ArrayLike = 0,
        failed: ArrayLike = False,
        languages: Languages = None,
    ) -> Routed:
        """Route posts; one post is n = 1 of the same arithmetic.

        Args:
            probabilities: (n, policies), calibrated.
            reach: (n,) or one for all, views, 0 or more.
            failed: (n,) or one for all, whether any modality of the post failed to decode.
            languages: (n,) BCP 47 tags; policies limited to others do not hold. None: all hold.

        Raises:
            ValueError: a shape, or a value outside its range, naming it.
        """
        scores, doublings, broken = self._checked(probabilities, reach, failed)
        holds = self.holds(languages, len(scores))
        by_policy = np.where(holds, self._actions(scores, doublings), ALLOW).astype(np.int8)
        risks = np.where(holds, scores * self._severity, 0.0) * doublings[:, None]
        hardest = by_policy.max(axis=1)
        deciding = np.where(by_policy == hardest[:, None], risks, -1.0).argmax(axis=1)
        return Routed(
            actions=np.where(broken, np.maximum(hardest, REVIEW), hardest).astype(np.int8),
            by_policy=by_policy,
            deciding=np.where(hardest > ALLOW, deciding, -1),
            risk=risks.max(axis=1),
        )

    def patience(
        self, probabilities: ArrayLike, reach: ArrayLike, failed: ArrayLike, languages: Languages
    ) -> Floats:
        """The highest price at which each post (n,) still goes to review.

        Below 0 where it never does; infinite where no price keeps it from review (a failed
        modality, a threshold). Arguments as in `route`; the routing's own price is not counted.
        """
        scores, doublings, broken = self._checked(probabilities, reach, failed)
        holds = self.holds(languages, len(scores))
        harm, removal = self._expected(scores, doublings)
        removable = self._can["REMOVE"] & (removal <= harm)
        reviewing = self._costs["review"] + harm * self._costs["waiting_share"]  # at no price
        saved = np.where(removable, removal, harm) - reviewing
        fixed = np.where(scores >= self._thresholds["review"], np.inf, -np.inf)
        limit = np.where(self._by_cost, saved, fixed)
        limit = np.where(holds & self._can["REVIEW"], limit, -np.inf)
        removed = self._removed_by_threshold(scores) | (self._by_cost & removable)
        ends = np.where(holds & removed, np.where(self._by_cost, limit, -np.inf), np.inf)
        highest = np.where(broken, np.inf, limit.max(axis=1))
        lowest: Floats = np.minimum(highest, ends.min(axis=1))
        return lowest

    def holds(self, languages: Languages, posts: int) -> Mask:
        """Which policies hold for which posts (n, policies), by their languages."""
        shape = posts, len(self.policies.ids)
        if languages is None:
            return np.ones(shape, dtype=bool)
        if len(languages) != posts:
            raise ValueError(f"languages: expected {posts}, got {len(languages)}")
        rows = [[policy.holds_in(tag) for policy in self.policies.policies] for tag in languages]
        return np.array(rows, dtype=bool).reshape(shape)

    def _actions(self, probabilities: Floats, doublings: Floats) -> NDArray[np.int64]:
        """Each policy's action (n, policies).

        Pairs of costs are compared one by one, each side rising or falling with the probability
        and the reach as a whole, so that rounding cannot turn a harder action into a milder one.
        """
        harm, removal = self._expected(probabilities, doublings)
        review = self._can["REVIEW"] & (harm * (1 - self._costs["waiting_share"]) >= self._fee)
        remove = self._can["REMOVE"] & (removal <= harm)
        harder = np.where(
            self._can["REVIEW"], removal <= self._fee + harm * self._costs["waiting_share"], True
        )
        by_cost = np.where(remove & harder, REMOVE, np.where(review | remove, REVIEW, ALLOW))
        is_review = self._can["REVIEW"] & (probabilities >= self._thresholds["review"])
        fixed = np.where(
            self._removed_by_threshold(probabilities), REMOVE, np.where(is_review, REVIEW, ALLOW)
        )
        return np.where(self._by_cost, by_cost, fixed)

    def _expected(self, probabilities: Floats, doublings: Floats) -> tuple[Floats, Floats]:
        """Expected costs (n, policies) of allowing and of removing."""
        harm = probabilities * self._costs["missed_violation"] * doublings[:, None]
        return harm, (1.0 - probabilities) * self._costs["wrong_removal"]

    def _removed_by_threshold(self, probabilities: Floats) -> Mask:
        over = probabilities >= self._thresholds["remove"]
        return np.asarray(~self._by_cost & self._can["REMOVE"] & over)

    def _checked(
        self, probabilities: ArrayLike, reach: ArrayLike, failed: ArrayLike
    ) -> tuple[Floats, Floats, Mask]:
        scores = np.asarray(probabilities, dtype=np.float64)
        if scores.ndim != 2 or scores.shape[1] != len(self.policies.ids):
            raise ValueError(
                f"probabilities: expected (posts, {len(self.policies.ids)}), got {scores.shape}"
            )
        outside = ~((scores >= 0) & (scores <= 1))
        if outside.any():
            row, column = np.argwhere(outside)[0]
            value = scores[row, column]
            name = self.policies.ids[column]
            raise ValueError(f"probabilities: expected 0..1, got {value} for {name}, row {row}")
        views = np.broadcast_to(np.asarray(reach, dtype=np.float64), scores.shape[:1])
        if not (np.isfinite(views) & (views >= 0)).all():
            raise ValueError("reach: expected finite numbers of 0 or more")
        doublings = 1.0 + np.log2(1.0 + views / self.policies.views_that_double)
        return scores, doublings, np.broadcast_to(np.asarray(failed, dtype=bool), views.shape)
