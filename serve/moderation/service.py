"""The moderation application as one object: everything behind its HTTP face."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lib.moderation.media.limits import Limits
from lib.moderation.media.media_fetcher import MediaFetcher
from lib.moderation.media.media_store import MediaStore
from lib.moderation.model import SYSTEM
from lib.moderation.review.queue import ReviewQueue
from lib.moderation.review.salt import read_salt
from lib.moderation.review.settings import ReviewSettings
from lib.moderation.rules import ACTIONS, NUMBERS, RULES_FILE, TEXTS, rule_fields
from lib.records import Reviews
from lib.registry import ArtifactError
from lib.storage import open_storage
from serve.framework import Health, Metrics
from serve.framework.active_rules import ActiveRules
from serve.framework.model_slot import ModelSlot
from serve.framework.profile_stores import ThreadedSqliteStore, open_profile_store
from serve.framework.rescoring import Rescorer
from serve.framework.service import RiskService, model_health
from serve.framework.settings import UserConfig
from serve.framework.timestamps import SECOND, system_clock
from serve.moderation import metrics
from serve.moderation.active_policies import ActivePolicies
from serve.moderation.author_profiles import AuthorProfiles
from serve.moderation.decision import PostModerator
from serve.moderation.dependencies import Dependencies
from serve.moderation.fusion_model import FusionModelVersion, load_fusion_version
from serve.moderation.modality_client import LocalModalities, ModalityClient
from serve.moderation.post_preparation import PostPreparer
from serve.moderation.post_queries import PostService
from serve.moderation.review import ReviewService
from serve.moderation.settings import ModerationSettings, ModerationUserConfig

_SWEEP_SECONDS = 600.0
_DAY_SECONDS = 86_400


class ModerationService(RiskService):
    """Posts, rules, models, policies, the review queue, records.

    Args:
        args: what the application was started with.
        meter: counts.
        members: where modalities are answered; None answers them here.
        now: microseconds since 1970 UTC; None is the system clock.
    """

    def __init__(
        self,
        args: ModerationSettings,
        meter: Metrics,
        members: ModalityClient | None = None,
        now: Callable[[], int] | None = None,
    ) -> None:
        self.args = args
        self._now, self._lease_clock = now or system_clock, now
        rulings = ActiveRules(rule_fields(), RULES_FILE, ACTIONS, {*NUMBERS, *TEXTS})
        super().__init__(SYSTEM, args, meter, metrics.RELOADS, rulings, ModerationUserConfig)
        self.books = ActivePolicies()
        # at once: a model is only taken where it answers for the policies in force
        self.books.load(
            ModerationUserConfig(policies=args.policies, lists=args.lists, hashes=args.hashes)
        )
        self.holder = ModelSlot(SYSTEM, args.registry, args.models, self._load)
        self._store = open_profile_store(args.profile_store, args.store_timeout_ms / 1000.0)
        self._reviews = Reviews(args.records)
        self._members = members or LocalModalities(args, meter)
        self._loop: asyncio.AbstractEventLoop | None = None
        parts = self._parts(meter)
        self.intake, self.authors, self.review = parts.intake, parts.authors, parts.review
        model_s, ahead = args.model_timeout_ms / 1000.0, args.ahead_seconds * SECOND
        self.desk = PostModerator(
            parts, meter, self.later.run, self._now, ahead, model_s, args.video_at_once
        )
        self.posts = PostService(parts, lambda: open_storage(args.media), model_s)
        self.redoing = Rescorer(
            self.archive,
            self.desk.redo,
            self._ready,
            meter,
            metrics.RESCORED,
            self.log,
            self._now,
        )
        self.readiness.add("policies", self._books_part)

    def _parts(self, meter: Metrics) -> Dependencies:
        args, limits = self.args, Limits()
        queue = ReviewQueue(self._reviews, ReviewSettings(salt=read_salt(args.review_salt)))
        timeout, receipts = args.store_timeout_ms / 1000.0, args.receipt_days * _DAY_SECONDS
        return Dependencies(
            intake=PostPreparer(
                MediaFetcher(args.addresses, limits),
                limits,
                MediaStore(args.media),
                lambda: self.books.current.hashes,
                meter,
            ),
            authors=AuthorProfiles(self._store, timeout, receipts),
            books=self.books,
            rulings=self.rulings,
            holder=self.holder,
            members=self._members,
            review=ReviewService(queue, meter, self._now, self._closed, self._lease_clock),
            archive=self.archive,
        )

    def _closed(self, post_id: str) -> None:
        """Lets the author know of a case's outcome, soon."""
        self.later.run(lambda: self.posts.settle(post_id))

    @property
    def replaceable(self) -> ModelSlot[FusionModelVersion]:
        """See `RiskService`."""
        return self.holder

    def rounds(self) -> list[tuple[float, Callable[[], Awaitable[object]]]]:
        """See `RiskService`."""
        rounds: list[tuple[float, Callable[[], Awaitable[object]]]] = [
            (self.args.rescore_seconds, self.redoing.work_off)
        ]
        if self.args.reviews_per_hour is not None:
            rounds.append((self.args.capacity_seconds, self.price_reviews))
        if isinstance(self._store, ThreadedSqliteStore):
            rounds.append((_SWEEP_SECONDS, self._store.sweep))
        return rounds

    async def close(self) -> None:
        """See `RiskService`."""
        self.review.close()
        self._reviews.close()
        await self.authors.close()

    async def reconfigure(self, config: Mapping[str, Any]) -> None:
        """See `RiskService`; a model is in force once the members have it too."""
        self._loop = asyncio.get_running_loop()
        await super().reconfigure(config)

    async def take_live(self, live: UserConfig) -> None:
        """See `RiskService`."""
        if isinstance(live, ModerationUserConfig):
            loaded = await self.loading.run(self.books.load, live)
            self.log_load("policies", loaded, self.books.error)

    async def price_reviews(self) -> None:
        """Prices reviews so that recent posts would have kept people within their hours."""
        if self.args.reviews_per_hour is not None:
            # each replica sees its share of the posts, and prices its share of the hours
            hours = self.args.reviews_per_hour / self.args.front.min
            policies = self.books.current.policies
            self.desk.priced = await self.loading.run(self.desk.recent.price, policies, hours)

    async def model_part(self) -> Health:
        """See `RiskService`."""
        return model_health(self.holder.state())

    async def store_part(self) -> Health:
        """See `RiskService`."""
        await self.authors.ping()
        return Health(True)

    async def _books_part(self) -> Health:
        return Health(self.books.error is None, self.books.status())

    async def _ready(self) -> bool:
        return self.holder.current is not None

    def _load(self, directory: Path) -> FusionModelVersion:
        mind, active_mind = (
            load_fusion_version(directory, self.books.current.policies.ids),
            self.holder.current,
        )
        if active_mind is not None and active_mind.version != mind.version:
            mind = replace(mind, before=replace(active_mind, before=None))
        self._prepare(mind)
        return mind

    def _prepare(self, mind: FusionModelVersion) -> None:
        """Has the members load a version before it is used; blocks.

        Members that are away load it when they are asked for it.

        Raises:
            ArtifactError: a member cannot use it.
        """
        if self._loop is None:
            return
        ready = self._members.prepare(mind.views.modalities, mind.version)
        future = asyncio.run_coroutine_threadsafe(ready, self._loop)
        try:
            future.result(self.args.prepare_seconds)
        except ArtifactError:
            raise
        except Exception as error:
            future.cancel()
            self.log.write("members-unprepared", "error", error=repr(error))
