"""How trees of a table are grown."""

from lib.boosting.parameters import TreeSettings

SHALLOW = TreeSettings(
    trees=2000, depth=2, learning_rate=0.04, boosters=3,
    subsample=0.7, colsample=0.4, min_child_weight=5.0, l2=5.0,
)  # fmt: skip
"""For attributes that add up, as in most tables of customers."""
DEEP = TreeSettings(
    trees=2000, depth=5, learning_rate=0.04, boosters=3,
    subsample=0.7, colsample=0.8, min_child_weight=1.0, l2=1.0,
)  # fmt: skip
"""For attributes that act together, as heat and speed of a machine do."""
CANDIDATES = {"shallow": SHALLOW, "deep": DEEP}
"""For tables with 500 to 100,000 rows; the one with the lower loss on rows left out is taken."""
PATIENCE = 60
"""Trees without a lower loss after which no more are grown."""
