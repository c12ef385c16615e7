"""Which posts people should look at next, so that the model learns the most."""

from lib.moderation.active_learning.duplicates import fold_plainly, text_keys
from lib.moderation.active_learning.pool import Pool, SelectionError, entropy, margin
from lib.moderation.active_learning.selection import (
    METHODS,
    Method,
    Selection,
    SelectionSettings,
    select_batch,
)

__all__ = [
    "METHODS",
    "Method",
    "Pool",
    "Selection",
    "SelectionError",
    "SelectionSettings",
    "entropy",
    "fold_plainly",
    "margin",
    "select_batch",
    "text_keys",
]
