"""The posts of the last hour, by which scarce reviewers are priced."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np

from lib.moderation.model.outputs import Floats
from lib.moderation.policies import Policies
from lib.moderation.post import Post
from lib.moderation.review_price import ReviewPrice, capacity_price

_HOUR_US = 3_600_000_000
_MOST, _FEWEST = 5_000, 50


class _One(NamedTuple):
    at_us: int
    probabilities: Floats
    reach: int
    failed: bool
    language: str | None


class ReviewPricer:
    """What models said of the newest posts of one replica, 5,000 at most."""

    def __init__(self) -> None:
        self._posts: deque[_One] = deque(maxlen=_MOST)

    def add(self, at_us: int, probabilities: Floats, post: Post, failed: bool) -> None:
        """Remembers a post that was judged."""
        self._posts.append(_One(at_us, probabilities, post.reach, failed, post.language))

    def price(self, policies: Policies, reviews_per_hour: float) -> ReviewPrice | None:
        """The price at which these posts would have kept reviewers within their hours.

        None while there are too few posts, or policies have changed since.

        Args:
            policies: in force.
            reviews_per_hour: of this replica's posts, that people can review.
        """
        posts = [post for post in self._posts if len(post.probabilities) == len(policies.ids)]
        if len(posts) < _FEWEST:
            return None
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
