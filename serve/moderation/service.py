"""The moderation application as one object: everything behind its HTTP face."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lib.feature.attributes import Attribute, write_attributes
from lib.moderation.media.limits import Limits
from lib.moderation.media.media_fetcher import MediaFetcher
from lib.moderation.media.media_store import MediaStore
from lib.moderation.model import SYSTEM
from lib.moderation.model.fusion_version import FusionModelVersion, load_fusion_version
from lib.moderation.model.model import open_artifact, read_attributes_of
from lib.moderation.post_attributes import served_difference
from lib.moderation.review.queue import PostReviewQueue
from lib.moderation.rules import ACTIONS, NUMBERS, RULES_FILE, TEXTS, rule_fields
from lib.records.review import ReviewStore
from lib.registry import ArtifactError
from lib.review.salt import read_salt
from lib.review.settings import ReviewSettings
from lib.storage import open_storage
from serve.framework import Metrics
from serve.framework.model_slot import ModelSlot, RestartRequiredError, read_at_start
from serve.framework.reloadable import ActiveRules
from serve.framework.service import RiskService, ServiceStart
from serve.framework.settings import UserConfig
from serve.framework.trial import ChallengerKind
from serve.moderation.active_policies import ActivePolicies
from serve.moderation.decision import PostModerator
from serve.moderation.dependencies import Dependencies
from serve.moderation.model import LocalModalities, ModalityClient, ModelRunner
from serve.moderation.post_preparation import AuthorProfiles, PostPreparer
from serve.moderation.post_queries import PostService
from serve.moderation.review import PostReviewService
from serve.moderation.settings import ModerationSettings, ModerationUserConfig

_DAY_SECONDS = 86_400


class ModerationService(RiskService):
    """Posts, rules, models, policies, the review queue, records.

    Args:
        start: see `RiskService`.
        modalities: where modalities are answered; None answers them here.
    """

    profiles: AuthorProfiles
    model_slot: ModelSlot[FusionModelVersion]
    review: PostReviewService

    def __init__(
        self, start: ServiceStart[ModerationSettings], modalities: ModalityClient | None = None
    ) -> None:
        self.args = args = start.args
        self.attributes = read_at_start(SYSTEM, args, _attributes_in, ())
        own = {each.name for each in self.attributes}
        fields = rule_fields(attributes=self.attributes)
        active_rules = ActiveRules(fields, RULES_FILE, ACTIONS, {*NUMBERS, *TEXTS, *own})
        super().__init__(SYSTEM, start, active_rules)
        self.active_policies = ActivePolicies()
        # at once: a model is only taken where it answers for the policies in force
        self.active_policies.load(ModerationUserConfig(**{**args.live, "experiment": None}))
        self.model_slot = ModelSlot(SYSTEM, args.registry, args.models, self._load)
        timeout, receipts = args.store_timeout_ms / 1000.0, args.receipt_days * _DAY_SECONDS
        store = self.new_profile_store(args.profile_store, timeout)
        self.profiles = AuthorProfiles(store, timeout, receipts)
        self._modalities = modalities or LocalModalities(args, start.meter)
        self._loop: asyncio.AbstractEventLoop | None = None
        dependencies = self._dependencies(start.meter)
        self.preparer, self.review = dependencies.preparer, dependencies.review
        self.decider = PostModerator(self.parts, dependencies, args.video_at_once, self.attributes)
        media = args.media
        self.posts = PostService(self.decision_store, dependencies, lambda: open_storage(media))
        self.outcomes = self.new_outcomes(self.review.queue, self.posts.apply_outcome)
        self.rescorer = self.new_rescorer(self.decider.rescore)
        if args.reviews_per_hour is not None:
            self.periodic_tasks.append((args.capacity_seconds, self.price_reviews))
        self.readiness.add("policies", self.active_policies.check)

    def _dependencies(self, meter: Metrics) -> Dependencies:
        args, limits = self.args, Limits()
        settings = ReviewSettings(salt=read_salt(args.review_salt))
        queue = PostReviewQueue(ReviewStore(args.records), settings)
        return Dependencies(
            preparer=PostPreparer(
                MediaFetcher(args.addresses, limits),
                limits,
                MediaStore(args.media),
                self.active_policies,
                meter,
            ),
            authors=self.profiles,
            active_policies=self.active_policies,
            model_slot=self.model_slot,
            model_runner=ModelRunner(self._modalities, args.model_timeout_ms / 1000.0),
            review=PostReviewService(self.parts, queue, self.lease_clock),
        )

    def challenger_kind(self) -> ChallengerKind:
        """See `RiskService`."""
        options = {
            "policies": list(self.active_policies.current.policies.ids),
            "attributes": write_attributes(self.attributes),
        }
        loader = "lib.moderation.model.challenger:load"
        return ChallengerKind(loader, options, ("REMOVE",), ("REVIEW",))

    async def reconfigure(self, config: Mapping[str, Any]) -> None:
        """See `RiskService`; a model is in force once the members have it too."""
        self._loop = asyncio.get_running_loop()
        await super().reconfigure(config)

    async def apply_user_config(self, live: UserConfig) -> None:
        """See `RiskService`."""
        if isinstance(live, ModerationUserConfig):
            loaded = await self.loading.run(self.active_policies.load, live)
            self.record_reload("policies", loaded, self.active_policies.error)

    async def price_reviews(self) -> None:
        """Prices reviews so that recent posts would have kept people within their hours."""
        if self.args.reviews_per_hour is not None:
            # each replica sees its share of the posts, and prices its share of the hours
            hours = self.args.reviews_per_hour / self.args.front.min
            policies = self.active_policies.current.policies
            self.decider.review_price = await self.loading.run(
                self.decider.recent.price, policies, hours
            )

    async def is_ready(self) -> bool:
        """See `RiskService`; a post is judged without its author's profile, too."""
        return self.model_slot.current is not None

    def _load(self, directory: Path) -> FusionModelVersion:
        if differs := served_difference(_attributes_in(directory), self.attributes):
            raise RestartRequiredError(
                f"{directory.name} reads other attributes of posts than the model that this "
                f"service started with: {differs}; start the service again with this model, then "
                "send its attributes"
            )
        model, active_model = (
            load_fusion_version(directory, self.active_policies.current.policies.ids),
            self.model_slot.current,
        )
        if active_model is not None and active_model.version != model.version:
            model = replace(model, previous=replace(active_model, previous=None))
        self._prepare(model)
        return model

    def _prepare(self, model: FusionModelVersion) -> None:
        """Has the members load a version before it is used; blocks.

        Members that are away load it when they are asked for it.

        Raises:
            ArtifactError: a member cannot use it.
        """
        if self._loop is None:
            return
        ready = self._modalities.prepare(model.views.modalities, model.version)
        future = asyncio.run_coroutine_threadsafe(ready, self._loop)
        try:
            future.result(self.args.prepare_seconds)
        except ArtifactError:
            raise
        except Exception as error:
            future.cancel()
            self.log.write("members-unprepared", "error", error=repr(error))


def _attributes_in(directory: Path) -> tuple[Attribute, ...]:
    """The attributes of posts that a model reads.

    Raises:
        ArtifactError: it is damaged, or of another system.
    """
    return read_attributes_of(open_artifact(directory))
