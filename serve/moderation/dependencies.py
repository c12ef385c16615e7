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
    """The dependencies.

    Attributes:
        preparer: reads posts.
        authors: histories.
        active_policies: policies and lists in force.
        active_rules: rules in force.
        model_slot: the model in force.
        modalities: where modalities are answered.
        review: the queue.
        decision_store: where decisions go.
    """

    preparer: PostPreparer
    authors: AuthorProfiles
    active_policies: ActivePolicies
    active_rules: ActiveRules
    model_slot: ModelSlot[FusionModelVersion]
    modalities: ModalityClient
    review: ReviewService
    decision_store: DecisionStore
