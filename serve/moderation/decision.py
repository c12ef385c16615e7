"""How one post is judged: read, held against rules, models, routing, review, record."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from lib.moderation.media.decoder_pool import DecoderUnavailableError
from lib.moderation.model.inputs import PostInputs
from lib.moderation.model.outputs import Floats
from lib.moderation.review_price import ReviewPrice
from lib.moderation.routing import Routed, Routing
from lib.moderation.rules import row_of
from lib.records import Decision, RecordsUnavailableError
from lib.rules import Verdict
from lib.storage import StorageError
from serve.framework import Metrics, Problem, RequestContext
from serve.framework.bounded_executor import BoundedExecutor
from serve.framework.keyed_lock import KeyedLock
from serve.framework.timestamps import reject_future
from serve.moderation import metrics
from serve.moderation.active_policies import PolicyBundle
from serve.moderation.author_profiles import REMOVED
from serve.moderation.content import content_digest
from serve.moderation.dependencies import Dependencies
from serve.moderation.fusion_model import (
    FusionModelVersion,
    ModelUnavailableError,
    VersionUnavailableError,
    run_model,
)
from serve.moderation.post_preparation import PreparedPost
from serve.moderation.result import (
    DecisionResult,
    ModerationResult,
    from_model,
    from_rule,
    pending,
    without_model,
)
from serve.moderation.result_views import CONTENT_DIGEST, record_metrics, to_record, to_response
from serve.moderation.review_pricing import ReviewPricer
from serve.moderation.schemas import PostRequest, PostResponse
from serve.moderation.text_executor import TextExecutor

Later = Callable[[Callable[[], Awaitable[object]]], None]


class PostModerator:
    """Judges posts.

    Args:
        parts: what it works with.
        meter: counts.
        later: runs what may follow the answer.
        now: microseconds since 1970 UTC.
        ahead_us: how far a caller's clock may be ahead.
        timeout_s: then a model is out.
        video_at_once: whether the answer waits for the video.
    """

    def __init__(
        self,
        parts: Dependencies,
        meter: Metrics,
        later: Later,
        now: Callable[[], int],
        ahead_us: int,
        timeout_s: float,
        video_at_once: bool,
    ) -> None:
        self._parts, self._meter, self._later = parts, meter, later
        self._now, self._ahead, self._timeout = now, ahead_us, timeout_s
        self._video_at_once = video_at_once
        self._texts = TextExecutor()
        self.priced: ReviewPrice | None = None
        self.recent = ReviewPricer()
        self._turns = KeyedLock()
        self._digesting = BoundedExecutor("digests", 2)

    async def judge(self, request: PostRequest, call: RequestContext) -> bytes:
        """The answer to a post; the same one again gets its first answer.

        Raises:
            Problem: 409 where the id is that of another post, 422 for a time that is ahead, 503
                where media or decisions cannot be kept.
        """
        self._parts.archive.require_room()
        async with self._turns.of(request.post_id):
            return await self._judge(request, call)

    async def _judge(self, request: PostRequest, call: RequestContext) -> bytes:
        received = self._now()
        created = reject_future("created_at", request.created_at, received, self._ahead)
        digest = await self._digesting.run(content_digest, request)
        if (first := await self._parts.archive.find_here(request.post_id)) is not None:
            return self._again(first, request, digest, call)
        observation = await self._read(request, created)
        judgement = await self._judged(observation, digest, wait=self._video_at_once)
        await self._shelved(observation)
        if judgement.choice.decision == "REVIEW" and judgement.choice.method != "fallback":
            judgement = await self._admitted(judgement)
        answer = to_response(judgement, self._parts.rulings.version, call)
        body = answer.model_dump_json().encode()
        self._parts.archive.keep(
            to_record(judgement, answer, self._parts.authors.digest, digest, received, self._now())
        )
        record_metrics(self._meter, judgement, call)
        self._later(lambda: self._tell_author(judgement, 0))
        return body

    async def redo(self, decision: Decision) -> Mapping[str, Any] | None:
        """What models say of a post that waits for them; None while a part is out.

        A post that then needs a person is in the queue before this returns.
        """
        try:
            observation = await self._parts.intake.again(decision.request)
            content = str(decision.request.get(CONTENT_DIGEST, ""))
            judgement = await self._judged(observation, content, wait=True)
            if judgement.choice.method == "fallback":
                return None
            if judgement.choice.decision == "REVIEW":
                await self._parts.review.admit(judgement.doubt())
        except (OSError, StorageError, RecordsUnavailableError):
            return None
        self._later(lambda: self._tell_author(judgement, 1))
        return {
            "decision": judgement.choice.decision,
            "method": judgement.choice.method,
            "reason": judgement.choice.reason,
            "policy": judgement.choice.policy,
            "policies": {name: policy.model_dump() for name, policy in judgement.policies.items()},
            "model_version": judgement.model_version,
            "policies_version": judgement.books.version,
            "decided_at_us": self._now(),
        }

    async def _read(self, request: PostRequest, created_at_us: int) -> PreparedPost:
        try:
            return await self._parts.intake.read(request, created_at_us)
        except DecoderUnavailableError as error:
            text = "media cannot be decoded for a moment; send the same again"
            raise Problem(503, "unavailable", text, retry_after=1) from error

    async def _shelved(self, observation: PreparedPost) -> None:
        try:
            await observation.shelved()
        except (OSError, StorageError) as error:
            text = "the post's media cannot be kept for a moment; send the same again"
            raise Problem(503, "unavailable", text, retry_after=1) from error

    async def _judged(
        self, observation: PreparedPost, content: str, wait: bool
    ) -> ModerationResult:
        books, started = self._parts.books.current, time.perf_counter()
        word_hits = await self._texts.run(books.lists.hits, observation.post.text or "")
        history = await self._parts.authors.look(observation.post, content)
        facts = row_of(
            observation.post,
            history or {},
            known_media=observation.known,
            near=observation.near,
            hits=word_hits,
            failed_media=len(observation.undecoded),
        )
        rules = self._parts.rulings.rules(history is not None)
        verdict = rules.evaluate(facts, observation.post.post_id)
        ruled = time.perf_counter()
        probabilities, routed, choice, version = await self._chosen(
            observation, verdict, books, wait
        )
        return ModerationResult(
            observation=observation,
            books=books,
            words=word_hits,
            verdict=verdict,
            probabilities=probabilities,
            routed=routed,
            model_version=version,
            choice=choice,
            history=history or {},
            stages_ms={
                "decode": observation.decode_ms,
                "rules": (ruled - started) * 1000.0,
                "models": (time.perf_counter() - ruled) * 1000.0,
            },
        )

    async def _chosen(
        self, observation: PreparedPost, verdict: Verdict, books: PolicyBundle, wait: bool
    ) -> tuple[Floats | None, Routed | None, DecisionResult, str | None]:
        if (choice := from_rule(verdict)) is not None:
            return None, None, choice, None
        mind = self._parts.holder.current
        if mind is None:
            return None, None, without_model(verdict, "no model is loaded"), None
        video_waits = observation.inputs.clip is not None and not wait
        inputs = replace(observation.inputs, clip=None) if video_waits else observation.inputs
        if video_waits and not (inputs.images or inputs.text):
            return None, None, pending(verdict), mind.version
        try:
            probabilities, version = await self._probabilities(mind, inputs, books)
        except ModelUnavailableError as error:
            return None, None, without_model(verdict, str(error)), mind.version
        routed = self._routed(probabilities, observation, books)
        self.recent.add(self._now(), probabilities, observation.post, bool(observation.undecoded))
        choice = from_model(verdict, routed, probabilities, books)
        if video_waits and choice.decision != "REMOVE":
            return None, None, pending(verdict), version
        return probabilities, routed, choice, version

    async def _probabilities(
        self, mind: FusionModelVersion, inputs: PostInputs, books: PolicyBundle
    ) -> tuple[Floats, str]:
        """Of the policies in force, in their order, and whose they are.

        Where a member still loads the newest version, the one before answers as a whole.
        """
        try:
            return await self._predict(mind, inputs, books), mind.version
        except VersionUnavailableError:
            if mind.before is None:
                raise
            return await self._predict(mind.before, inputs, books), mind.before.version

    async def _predict(
        self, mind: FusionModelVersion, inputs: PostInputs, books: PolicyBundle
    ) -> Floats:
        policies = mind.fusion.policies
        if lacking := [name for name in books.policies.ids if name not in policies]:
            raise ModelUnavailableError(f"the model was not trained for {', '.join(lacking)}")
        prediction = await run_model(mind, self._parts.members, inputs, self._timeout)
        indices = [policies.index(name) for name in books.policies.ids]
        return np.asarray(prediction.probabilities[indices], dtype=np.float64)

    def _routed(
        self, probabilities: Floats, observation: PreparedPost, books: PolicyBundle
    ) -> Routed:
        price = 0.0 if self.priced is None else self.priced.price
        return Routing(books.policies, price).route(
            probabilities[None],
            reach=[observation.post.reach],
            failed=[bool(observation.undecoded)],
            languages=[observation.post.language],
        )

    async def _admitted(self, judgement: ModerationResult) -> ModerationResult:
        """The same once the queue has it; without records it is judged, and queued, again later."""
        try:
            await self._parts.review.admit(judgement.doubt())
        except RecordsUnavailableError:
            return replace(judgement, choice=replace(judgement.choice, method="fallback"))
        return judgement

    def _again(
        self, first: Decision, request: PostRequest, digest: str, call: RequestContext
    ) -> bytes:
        if first.entities.get("author_id") != request.author_id:
            text = f"post_id: {request.post_id!r} is another author's post"
            raise Problem(409, "conflict", text)
        # posts that older versions recorded have no digest
        if first.request.get(CONTENT_DIGEST, digest) != digest:
            text = (
                "post_id: expected an id of its own for each post, got one that was used with "
                "other content; send an edited post under a new id, or the first one unchanged"
            )
            raise Problem(409, "conflict", text)
        call.notes["retry"] = "recorded"
        self._meter.count(metrics.RETRIES)
        return PostResponse.model_validate(first.answer).model_dump_json().encode()

    async def _tell_author(self, judgement: ModerationResult, revision: int) -> None:
        """Lets the author's history know of a removal."""
        if judgement.choice.decision == "REMOVE":
            post = judgement.observation.post
            await self._parts.authors.learn(post, REMOVED, self._now(), True, revision)
