"""How one post is judged: read, held against rules, models, routing, review, record."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from lib.moderation.capacity import Priced
from lib.moderation.media.decoder_pool import DecoderUnavailableError
from lib.moderation.model.answers import Floats
from lib.moderation.model.inputs import PostInputs
from lib.moderation.routing import Routed, Routing
from lib.moderation.rules import row_of
from lib.records import Decision, RecordsUnavailableError
from lib.rules import Verdict
from lib.storage import StorageError
from serve.gateway import Call, Meter, Problem
from serve.gateway.bounded_executor import BoundedExecutor
from serve.gateway.clock import not_ahead
from serve.gateway.turns import Turns
from serve.moderation import numbers
from serve.moderation.authors import REMOVED
from serve.moderation.books import InForce
from serve.moderation.content import content_digest
from serve.moderation.intake import Seen
from serve.moderation.judgement import (
    Choice,
    Judgement,
    by_model,
    by_rule,
    pending,
    without_model,
)
from serve.moderation.mind import Mind, ModelOutError, VersionOutError, judged
from serve.moderation.parts import Parts
from serve.moderation.recent import Recent
from serve.moderation.schema import PostAnswer, PostRequest
from serve.moderation.telling import CONTENT_DIGEST, answer_of, count, row_of_decision
from serve.moderation.texts import TextThreads

Later = Callable[[Callable[[], Awaitable[object]]], None]


class Desk:
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
        parts: Parts,
        meter: Meter,
        later: Later,
        now: Callable[[], int],
        ahead_us: int,
        timeout_s: float,
        video_at_once: bool,
    ) -> None:
        self._parts, self._meter, self._later = parts, meter, later
        self._now, self._ahead, self._timeout = now, ahead_us, timeout_s
        self._video_at_once = video_at_once
        self._texts = TextThreads()
        self.priced: Priced | None = None
        self.recent = Recent()
        self._turns = Turns()
        self._digesting = BoundedExecutor("digests", 2)

    async def judge(self, request: PostRequest, call: Call) -> bytes:
        """The answer to a post; the same one again gets its first answer.

        Raises:
            Problem: 409 where the id is that of another post, 422 for a time that is ahead, 503
                where media or decisions cannot be kept.
        """
        self._parts.archive.require_room()
        async with self._turns.of(request.post_id):
            return await self._judge(request, call)

    async def _judge(self, request: PostRequest, call: Call) -> bytes:
        received = self._now()
        created = not_ahead("created_at", request.created_at, received, self._ahead)
        digest = await self._digesting.run(content_digest, request)
        if (first := await self._parts.archive.find_here(request.post_id)) is not None:
            return self._again(first, request, digest, call)
        observation = await self._read(request, created)
        judgement = await self._judged(observation, digest, wait=self._video_at_once)
        await self._shelved(observation)
        if judgement.choice.decision == "REVIEW" and judgement.choice.method != "fallback":
            judgement = await self._admitted(judgement)
        answer = answer_of(judgement, self._parts.rulings.version, call)
        body = answer.model_dump_json().encode()
        self._parts.archive.keep(
            row_of_decision(
                judgement, answer, self._parts.authors.digest, digest, received, self._now()
            )
        )
        count(self._meter, judgement, call)
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

    async def _read(self, request: PostRequest, created_at_us: int) -> Seen:
        try:
            return await self._parts.intake.read(request, created_at_us)
        except DecoderUnavailableError as error:
            text = "media cannot be decoded for a moment; send the same again"
            raise Problem(503, "unavailable", text, retry_after=1) from error

    async def _shelved(self, observation: Seen) -> None:
        try:
            await observation.shelved()
        except (OSError, StorageError) as error:
            text = "the post's media cannot be kept for a moment; send the same again"
            raise Problem(503, "unavailable", text, retry_after=1) from error

    async def _judged(self, observation: Seen, content: str, wait: bool) -> Judgement:
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
        return Judgement(
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
        self, observation: Seen, verdict: Verdict, books: InForce, wait: bool
    ) -> tuple[Floats | None, Routed | None, Choice, str | None]:
        if (choice := by_rule(verdict)) is not None:
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
        except ModelOutError as error:
            return None, None, without_model(verdict, str(error)), mind.version
        routed = self._routed(probabilities, observation, books)
        self.recent.add(self._now(), probabilities, observation.post, bool(observation.undecoded))
        choice = by_model(verdict, routed, probabilities, books)
        if video_waits and choice.decision != "REMOVE":
            return None, None, pending(verdict), version
        return probabilities, routed, choice, version

    async def _probabilities(
        self, mind: Mind, inputs: PostInputs, books: InForce
    ) -> tuple[Floats, str]:
        """Of the policies in force, in their order, and whose they are.

        Where a member still loads the newest version, the one before answers as a whole.
        """
        try:
            return await self._predict(mind, inputs, books), mind.version
        except VersionOutError:
            if mind.before is None:
                raise
            return await self._predict(mind.before, inputs, books), mind.before.version

    async def _predict(self, mind: Mind, inputs: PostInputs, books: InForce) -> Floats:
        policies = mind.fusion.policies
        if lacking := [name for name in books.policies.ids if name not in policies]:
            raise ModelOutError(f"the model was not trained for {', '.join(lacking)}")
        prediction = await judged(mind, self._parts.members, inputs, self._timeout)
        indices = [policies.index(name) for name in books.policies.ids]
        return np.asarray(prediction.probabilities[indices], dtype=np.float64)

    def _routed(self, probabilities: Floats, observation: Seen, books: InForce) -> Routed:
        price = 0.0 if self.priced is None else self.priced.price
        return Routing(books.policies, price).route(
            probabilities[None],
            reach=[observation.post.reach],
            failed=[bool(observation.undecoded)],
            languages=[observation.post.language],
        )

    async def _admitted(self, judgement: Judgement) -> Judgement:
        """The same once the queue has it; without records it is judged, and queued, again later."""
        try:
            await self._parts.review.admit(judgement.doubt())
        except RecordsUnavailableError:
            return replace(judgement, choice=replace(judgement.choice, method="fallback"))
        return judgement

    def _again(self, first: Decision, request: PostRequest, digest: str, call: Call) -> bytes:
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
        self._meter.count(numbers.RETRIES)
        return PostAnswer.model_validate(first.answer).model_dump_json().encode()

    async def _tell_author(self, judgement: Judgement, revision: int) -> None:
        """Lets the author's history know of a removal."""
        if judgement.choice.decision == "REMOVE":
            post = judgement.observation.post
            await self._parts.authors.learn(post, REMOVED, self._now(), True, revision)
