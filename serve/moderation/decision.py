"""How one post is judged: read, held against rules, models, routing, review, record."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from lib.concurrency.bounded_executor import BoundedExecutor, SizedExecutor
from lib.concurrency.keyed_lock import KeyedLock
from lib.feature.attribute_values import attribute_states, encode_attributes
from lib.feature.attributes import Attribute
from lib.moderation.author import AUTHORS
from lib.moderation.decision_policy import (
    DecisionResult,
    from_model,
    from_rule,
    pending,
    without_model,
)
from lib.moderation.media.decoder_pool import DecoderUnavailableError
from lib.moderation.model.challenger import Scored, score_of
from lib.moderation.model.fusion_version import FusionModelVersion
from lib.moderation.model.inputs import PostInputs
from lib.moderation.model.outputs import Floats
from lib.moderation.policy_bundle import PolicyBundle
from lib.moderation.post import Post
from lib.moderation.prepared_post import PreparedPost
from lib.moderation.result import ModerationResult
from lib.moderation.review_price import ReviewPricer
from lib.moderation.routing import Routed, Routing
from lib.moderation.rules import row_of
from lib.records import Decision, RecordsUnavailableError
from lib.rules import Verdict
from lib.storage import StorageError
from serve.framework import Problem, RequestContext
from serve.framework.decision import Decider, ServiceParts, unavailable
from serve.moderation import metrics
from serve.moderation.dependencies import Dependencies
from serve.moderation.model import ModelUnavailableError
from serve.moderation.post_preparation import REMOVED, TEXT_THREADS, used_id
from serve.moderation.post_trial import PostTrial
from serve.moderation.schemas import PostRequest, PostResponse

CONTENT_DIGEST = "content_digest"
"""Where the record of a post keeps what tells it from another one under its id."""


class PostModerator(Decider):
    """Judges posts.

    Args:
        parts: of the application.
        dependencies: what it works with beside them.
        video_at_once: whether the answer waits for the video.
        attributes: that posts may have.
    """

    def __init__(
        self,
        parts: ServiceParts,
        dependencies: Dependencies,
        video_at_once: bool,
        attributes: Sequence[Attribute] = (),
    ) -> None:
        super().__init__(parts, AUTHORS.digest)
        self._dependencies, self._video_at_once = dependencies, video_at_once
        self._attributes = tuple(attributes)
        self._texts = SizedExecutor(*TEXT_THREADS)
        self._packing = BoundedExecutor("challenger inputs", 1)
        self.review_price = 0.0
        self.recent = ReviewPricer()
        self._turns = KeyedLock()
        self._digesting = BoundedExecutor("digests", 2)

    async def moderate(self, request: PostRequest, context: RequestContext) -> bytes:
        """The answer to a post; the same one again gets its first answer.

        Raises:
            Problem: 409 where the id is that of another post, 422 for a time that is ahead, 503
                where media or decisions cannot be kept.
        """
        self._decision_store.require_room()
        async with self._turns.of(request.post_id):
            return await self._moderate(request, context)

    async def _moderate(self, request: PostRequest, context: RequestContext) -> bytes:
        received = self._clock.now()
        created = self._clock.reject_future("created_at", request.created_at, received)
        digest = await self._digesting.run(request.content_digest)
        first = await self._decision_store.find_if_available(request.post_id)
        if first is not None:
            return self._again(first, request, digest, context)
        with unavailable("the media decoder is temporarily unavailable", DecoderUnavailableError):
            prepared, storing = await self._dependencies.preparer.prepare(request, created)
        bundle = self._dependencies.active_policies.current
        trial = self._post_trial(request.author_id, bundle)
        result = await self._judged(prepared, bundle, digest, self._video_at_once, trial)
        with unavailable("the media store is temporarily unavailable", OSError, StorageError):
            await storing
        if result.choice.decision == "REVIEW" and result.choice.method != "fallback":
            result = await self._admitted(result)
        answer = PostResponse.of(result, self._active_rules.current.version, context)
        body = answer.model_dump_json().encode()
        post = prepared.post
        self._record(
            context,
            answer.model_dump(mode="json"),
            result.verdict,
            {**result.history, **self._attribute_features(post)},
            "model" if result.history else "store",
            subject_id=post.post_id,
            entities={"author_id": post.author_id},
            event_time=post.created_at_us,
            received_at=received,
            score=None if result.probabilities is None else float(result.probabilities.max()),
            reasons=[hit.model_dump() for hit in answer.hits],
            request={**prepared.row(), CONTENT_DIGEST: digest},
        )
        self._count_details(result)
        self._background.submit(lambda: self._tell_author(result, 0))
        if trial is not None:
            times = post.created_at_us, self._clock.now(), answer.latency_ms
            self._background.submit(lambda: trial.record(post.post_id, *times))
        return body

    async def rescore(self, decision: Decision) -> Mapping[str, Any] | None:
        """What models say of a post that waits for them; None while a part is out.

        A post that then needs a person is in the queue before this returns.
        """
        try:
            prepared = await self._dependencies.preparer.reload(decision.request)
            content = str(decision.request.get(CONTENT_DIGEST, ""))
            bundle = self._dependencies.active_policies.current
            result = await self._judged(prepared, bundle, content, wait=True)
            if result.choice.method == "fallback":
                return None
            if result.choice.decision == "REVIEW":
                await self._dependencies.review.admit(result.doubt())
        except (OSError, StorageError, RecordsUnavailableError):
            return None
        self._background.submit(lambda: self._tell_author(result, 1))
        return {
            "decision": result.choice.decision,
            "method": result.choice.method,
            "reason": result.choice.reason,
            "policy": result.choice.policy,
            "policies": {name: policy.model_dump() for name, policy in result.policies.items()},
            "model_version": result.model_version,
            "policies_version": result.bundle.version,
            "decided_at_us": self._clock.now(),
        }

    def _post_trial(self, author_id: str, bundle: PolicyBundle) -> PostTrial | None:
        """A trial of a post; None where no experiment is about its author."""
        read = partial(score_of, bundle.policies.ids)
        trial = self._trial_of({"author_id": author_id}, read)
        return None if trial is None else PostTrial(trial, self._packing)

    async def _judged(
        self,
        prepared: PreparedPost,
        bundle: PolicyBundle,
        content: str,
        wait: bool,
        trial: PostTrial | None = None,
    ) -> ModerationResult:
        started = time.perf_counter()
        word_hits = await self._texts.run_sized(bundle.lists.hits, prepared.post.text or "")
        history = await self._dependencies.authors.fetch_history(prepared.post, content)
        facts = row_of(
            prepared.post,
            history or {},
            known_media=prepared.exact_matches,
            near=prepared.near_match,
            hits=word_hits,
            failed_media=len(prepared.undecoded),
            attributes=self._attributes,
        )
        rules = self._active_rules.current.select(history is not None)
        verdict = rules.evaluate(facts, prepared.post.post_id)
        ruled = time.perf_counter()
        probabilities, routed, choice, version = await self._chosen(
            prepared, verdict, bundle, wait, trial
        )
        return ModerationResult(
            prepared=prepared,
            bundle=bundle,
            words=word_hits,
            verdict=verdict,
            probabilities=probabilities,
            routed=routed,
            model_version=version,
            choice=choice,
            history=history or {},
            stages_ms={
                "decode": prepared.decode_ms,
                "rules": (ruled - started) * 1000.0,
                "models": (time.perf_counter() - ruled) * 1000.0,
            },
        )

    async def _chosen(
        self,
        prepared: PreparedPost,
        verdict: Verdict,
        bundle: PolicyBundle,
        wait: bool,
        trial: PostTrial | None,
    ) -> tuple[Floats | None, Routed | None, DecisionResult, str | None]:
        if (choice := from_rule(verdict)) is not None:
            return None, None, choice, None
        model = self._dependencies.model_slot.current
        if model is None:
            return None, None, without_model(verdict, "no model is loaded"), None
        video_waits = prepared.inputs.clip is not None and not wait
        inputs = replace(prepared.inputs, clip=None) if video_waits else prepared.inputs
        if video_waits and not (inputs.images or inputs.text):
            return None, None, pending(verdict), model.version
        if trial is not None:
            await trial.ask(inputs)
        champion, why = await self._champion_score(model, inputs, bundle.policies.ids)
        challenger = None if trial is None else await trial.decisive()

        def decided(scored: Scored | None) -> tuple[Routed | None, DecisionResult]:
            if scored is None:
                return None, without_model(verdict, why)
            routed = self._routed(scored[0], prepared, bundle)
            return routed, from_model(verdict, routed, scored[0], bundle)

        scored = challenger or champion
        routed, choice = decided(scored)
        if scored is None:
            return None, None, choice, model.version
        probabilities, version = scored
        self.recent.add(self._clock.now(), probabilities, prepared.post, bool(prepared.undecoded))
        if video_waits and choice.decision != "REMOVE":
            return None, None, pending(verdict), version
        if trial is not None:
            trial.note(champion, lambda each: decided(each)[1].decision)
        return probabilities, routed, choice, version

    async def _champion_score(
        self, model: FusionModelVersion, inputs: PostInputs, policies: tuple[str, ...]
    ) -> tuple[Scored | None, str]:
        """What the champion says, or why it says nothing."""
        try:
            return await self._dependencies.model_runner.predict(model, inputs, policies), ""
        except ModelUnavailableError as error:
            return None, str(error)

    def _routed(
        self, probabilities: Floats, prepared: PreparedPost, bundle: PolicyBundle
    ) -> Routed:
        return Routing(bundle.policies, self.review_price).route(
            probabilities[None],
            reach=[prepared.post.reach],
            failed=[bool(prepared.undecoded)],
            languages=[prepared.post.language],
        )

    async def _admitted(self, result: ModerationResult) -> ModerationResult:
        """The same once the queue has it; without records it is judged, and queued, again later."""
        try:
            await self._dependencies.review.admit(result.doubt())
        except RecordsUnavailableError:
            return replace(result, choice=replace(result.choice, method="fallback"))
        return result

    @property
    def _read_attributes(self) -> tuple[Attribute, ...]:
        """Attributes with the vocabularies of the model in force; without one, those of the start.

        A model that came since has the same attributes, maybe with other values.
        """
        model = self._dependencies.model_slot.current
        return self._attributes if model is None else model.fusion.attributes

    def _attribute_features(self, post: Post) -> dict[str, float]:
        """Features of a post's attributes, by name, as monitoring compares them."""
        attributes = self._read_attributes
        values = encode_attributes(attributes, post.attributes).tolist()
        return dict(zip((each.feature_name for each in attributes), values, strict=True))

    def _count_details(self, result: ModerationResult) -> None:
        meter = self._meter
        for name, state in attribute_states(self._read_attributes, result.prepared.post.attributes):
            meter.count(metrics.ATTRIBUTES, name, state)
        for name, policy in result.policies.items():
            if policy.action != "ALLOW":
                meter.count(metrics.POLICIES, name, policy.action)
        for hit in result.hits:
            meter.count(metrics.HITS, hit.kind)
        for stage, ms in result.stages_ms.items():
            meter.observe(metrics.STAGE_MS, ms, stage)

    def _again(
        self, first: Decision, request: PostRequest, digest: str, context: RequestContext
    ) -> bytes:
        if first.entities.get("author_id") != request.author_id:
            raise Problem.conflict(f"post_id: {request.post_id!r} is another author's post")
        # posts that older versions recorded have no digest
        if first.request.get(CONTENT_DIGEST, digest) != digest:
            raise used_id()
        context.log_fields["retry"] = "recorded"
        self._meter.count(metrics.RETRIES)
        return PostResponse.model_validate(first.answer).model_dump_json().encode()

    async def _tell_author(self, result: ModerationResult, revision: int) -> None:
        """Lets the author's history know of a removal."""
        if result.choice.decision == "REMOVE":
            post = result.prepared.post
            await self._dependencies.authors.record_fact(
                post, REMOVED, self._clock.now(), True, revision
            )
