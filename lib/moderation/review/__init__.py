"""People decide what the model cannot: moderation's rules over `lib.records.review.ReviewStore`."""

from lib.moderation.review.agreement import Agreement, agreement_by_policy, cohen_kappa
from lib.moderation.review.appeals import AppealError, Removal, appeal_item
from lib.moderation.review.golden import Accuracy, GoldenMixer, accuracies
from lib.moderation.review.opinions import majority, next_step, second_opinion_rule
from lib.moderation.review.priority import longest_overtaking_us, priority_at, priority_of, rank_us
from lib.moderation.review.queue import Doubt, ReviewQueue
from lib.moderation.review.salt import read_salt, require_salt_address
from lib.moderation.review.settings import HOUR_US, ReviewSettings, ReviewSettingsError

__all__ = [
    "HOUR_US",
    "Accuracy",
    "Agreement",
    "AppealError",
    "Doubt",
    "GoldenMixer",
    "Removal",
    "ReviewQueue",
    "ReviewSettings",
    "ReviewSettingsError",
    "accuracies",
    "agreement_by_policy",
    "appeal_item",
    "cohen_kappa",
    "longest_overtaking_us",
    "majority",
    "next_step",
    "priority_at",
    "priority_of",
    "rank_us",
    "read_salt",
    "require_salt_address",
    "second_opinion_rule",
]
