"""Features of an author's history, declared once for training and serving.

Events are posts. What is decided about them becomes known later, as facts: `removed` (withdrawn
when an appeal is upheld, and then it never counted) and `restored` (an appeal was upheld). Windows
end at the post and leave it out.
"""

import hashlib

from lib.feature import (
    DAY,
    HOUR,
    MINUTE,
    Age,
    Count,
    DistinctCount,
    Feature,
    FeatureSet,
    IsFirstSeen,
    Rate,
    Window,
)
from lib.moderation.text_matching.folding import fold

AUTHOR = ("author_id",)
WORDING = ("wording_key",)
AUTHOR_WORDING = ("author_id", "wording_key")

REMOVAL_PRIOR = 0.02
"""Share of posts that are removed of an author of whom nothing is known."""

REMOVAL_STRENGTH = 20.0
"""Posts that the prior weighs as much as."""

SHORTEST_WORDING = 12
"""Folded characters below which a text is nothing of its own ("thank you")."""

LAST_1H = Window(HOUR, MINUTE)
LAST_24H = Window(DAY, HOUR)
LAST_7D = Window(7 * DAY, HOUR)
LAST_30D = Window(30 * DAY, DAY)
LAST_90D = Window(90 * DAY, DAY)
FAMILIAR_FOR = 365 * DAY


def wording_key(text: str | None) -> str | None:
    """Names what a text says: equal for texts that differ in case, disguise, signs and spaces.

    None for texts too short to be anybody's own.
    """
    if not text:
        return None
    wording = "".join(sign for sign in fold(text, alike=True).text if sign.isalnum())
    if len(wording) < SHORTEST_WORDING:
        return None
    return hashlib.sha256(wording.encode()).hexdigest()[:32]


def _author() -> tuple[Feature, ...]:
    rate = Rate("removed", REMOVAL_PRIOR, REMOVAL_STRENGTH)
    posts = tuple(
        Feature(f"posts_by_author_{label}", "posts", AUTHOR, Count(), window)
        for label, window in {
            "1h": LAST_1H,
            "24h": LAST_24H,
            "7d": LAST_7D,
            "30d": LAST_30D,
        }.items()
    )
    removals = tuple(
        Feature(f"removals_by_author_{w.label}", "posts", AUTHOR, Count(fact="removed"), w)
        for w in (LAST_7D, LAST_30D, LAST_90D)
    )
    return (
        *posts,
        Feature("posts_by_author", "posts", AUTHOR, Count()),
        *removals,
        Feature("removal_rate_by_author_90d", "share", AUTHOR, rate, LAST_90D),
        Feature("restored_by_author_90d", "posts", AUTHOR, Count(fact="restored"), LAST_90D),
        Feature("minutes_since_last_post", "minutes", AUTHOR, Age(FAMILIAR_FOR)),
        Feature("is_new_author", "0 or 1", AUTHOR, IsFirstSeen(FAMILIAR_FOR)),
    )


def _wording() -> tuple[Feature, ...]:
    """How often the same was said; missing (NaN) where a post says nothing of its own."""
    return (
        Feature("repeats_by_author_24h", "posts", AUTHOR_WORDING, Count(), LAST_24H),
        Feature("repeats_24h", "posts", WORDING, Count(), LAST_24H),
        Feature("repeating_authors_24h", "authors", WORDING, DistinctCount("author_id"), LAST_24H),
        Feature("removed_repeats_30d", "posts", WORDING, Count(fact="removed"), LAST_30D),
    )


AUTHORS = FeatureSet(
    name="moderation",
    version=1,
    features=(*_author(), *_wording()),
    id_column="post_id",
    facts=("removed", "restored"),
)
