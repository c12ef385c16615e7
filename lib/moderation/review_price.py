"""Scarce reviewers as a price on review: what is worth least to review is decided without them."""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from lib.moderation.model.outputs import Floats
from lib.moderation.policies import Policies
from lib.moderation.post import Post
from lib.moderation.routing import Routing

_ABOVE = 1 + 1e-9
"""A price that is to keep a post from review lies above its patience by more than rounding."""


def capacity_price(
    policies: Policies,
    capacity: float,
    probabilities: ArrayLike,
    reach: ArrayLike = 0,
    failed: ArrayLike = False,
    languages: Sequence[str | None] | None = None,
) -> float:
    """The lowest price at which recent posts would have kept reviewers within capacity.

    Exact: each post has one price up to which it goes to review, and the price is the one of them
    that leaves as many above it as can be reviewed. It is in the policies' unit; 0 where capacity
    is enough as it is. Posts that must be reviewed at any price (thresholds, posts that did not
    decode) may exceed capacity all the same.

    Args:
        policies: by which posts are routed.
        capacity: share of the posts that can be reviewed, 0..1.
        probabilities: (n, policies), calibrated, of recent posts; at least one.
        reach: as in `Routing.route`.
        failed: as in `Routing.route`.
        languages: as in `Routing.route`.

    Raises:
        ValueError: no posts, or a value outside its range.
    """
    if not 0 <= capacity <= 1:
        raise ValueError(f"capacity: expected a share 0..1, got {capacity}")
    if not len(np.asarray(probabilities)):
        raise ValueError("probabilities: expected recent posts, got none")
    patience = Routing(policies).patience(probabilities, reach, failed, languages)
    # the lowest price at which at most so many posts keep patience, or the lowest that helps
    over = np.sort(patience)[::-1][int(capacity * len(patience) + 1e-9) :]
    over = over[np.isfinite(over) & (over >= 0)]
    return float(over[0] * _ABOVE + 1e-12) if over.size else 0.0


_HOUR_US = 3_600_000_000
_MOST, _FEWEST = 5_000, 50


class _RecentPost(NamedTuple):
    at_us: int
    probabilities: Floats
    reach: int
    failed: bool
    language: str | None


class ReviewPricer:
    """What models said of the newest posts of one replica, 5,000 at most."""

    def __init__(self) -> None:
        self._posts: deque[_RecentPost] = deque(maxlen=_MOST)

    def add(self, at_us: int, probabilities: Floats, post: Post, failed: bool) -> None:
        """Remembers a post that was judged."""
        self._posts.append(_RecentPost(at_us, probabilities, post.reach, failed, post.language))

    def price(self, policies: Policies, reviews_per_hour: float) -> float:
        """The price at which these posts would have kept reviewers within their hours.

        0 while there are too few posts, or policies have changed since.

        Args:
            policies: in force.
            reviews_per_hour: of this replica's posts, that people can review.
        """
        posts = [post for post in self._posts if len(post.probabilities) == len(policies.ids)]
        if len(posts) < _FEWEST:
            return 0.0
        hours = max(posts[-1].at_us - posts[0].at_us, 1) / _HOUR_US
        share = min(1.0, reviews_per_hour / (len(posts) / hours))
        return capacity_price(
            policies,
            share,
            np.stack([post.probabilities for post in posts]),
            [post.reach for post in posts],
            [post.failed for post in posts],
            [post.language for post in posts],
        )
