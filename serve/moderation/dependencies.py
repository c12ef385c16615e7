"""What a moderation application is made of, for whoever works with several of its parts."""

from dataclasses import dataclass

from lib.moderation.model.fusion_version import FusionModelVersion
from serve.framework.model_slot import ModelSlot
from serve.moderation.active_policies import ActivePolicies
from serve.moderation.model import ModelRunner
from serve.moderation.post_preparation import AuthorProfiles, PostPreparer
from serve.moderation.review import PostReviewService


@dataclass(frozen=True)
class Dependencies:
    """The dependencies.

    Attributes:
        preparer: reads posts.
        authors: histories.
        active_policies: policies and lists in force.
        model_slot: the model in force.
        model_runner: asks it.
        review: the queue.
    """

    preparer: PostPreparer
    authors: AuthorProfiles
    active_policies: ActivePolicies
    model_slot: ModelSlot[FusionModelVersion]
    model_runner: ModelRunner
    review: PostReviewService
