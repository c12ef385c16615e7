"""What a moderation application is made of, for whoever works with several of its parts."""

from __future__ import annotations

from dataclasses import dataclass

from serve.framework.active_rules import ActiveRules
from serve.framework.decision_store import DecisionStore
from serve.framework.model_slot import ModelSlot
from serve.moderation.active_policies import ActivePolicies
from serve.moderation.author_profiles import AuthorProfiles
from serve.moderation.fusion_model import FusionModelVersion
from serve.moderation.modality_client import ModalityClient
from serve.moderation.post_preparation import PostPreparer
from serve.moderation.review import ReviewService


@dataclass(frozen=True)
class Dependencies:
    """The parts.

    Attributes:
        intake: reads posts.
        authors: histories.
        books: policies and lists in force.
        rulings: rules in force.
        holder: the model in force.
        members: where modalities are answered.
        review: the queue.
        archive: where decisions go.
    """

    intake: PostPreparer
    authors: AuthorProfiles
    books: ActivePolicies
    rulings: ActiveRules
    holder: ModelSlot[FusionModelVersion]
    members: ModalityClient
    review: ReviewService
    archive: DecisionStore
