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

    async def judge(self, asked: PostRequest, call: Call) -> bytes:
        """The answer to a post; the same one again gets its first answer.

        Raises:
            Problem: 409 where the id is that of another post, 422 for a time that is ahead, 503
                where media or decisions cannot be kept.
        """
        self._parts.archive.require_room()
        async with self._turns.of(asked.post_id):
            return await self._judge(asked, call)

    async def _judge(self, asked: PostRequest, call: Call) -> bytes:
        received = self._now()
        created = not_ahead("created_at", asked.created_at, received, self._ahead)
        digest = await self._digesting.run(content_digest, asked)
        if (first := await self._parts.archive.find_here(asked.post_id)) is not None:
            return self._again(first, asked, digest, call)
        seen = await self._read(asked, created)
        made = await self._judged(seen, digest, wait=self._video_at_once)
        await self._shelved(seen)
        if made.choice.decision == "REVIEW" and made.choice.method != "fallback":
            made = await self._admitted(made)
        answer = answer_of(made, self._parts.rulings.version, call)
        body = answer.model_dump_json().encode()
        self._parts.archive.keep(
            row_of_decision(made, answer, self._parts.authors.digest, digest, received, self._now())
        )
        count(self._meter, made, call)
        self._later(lambda: self._tell_author(made, 0))
        return body

    async def redo(self, decision: Decision) -> Mapping[str, Any] | None:
        """What models say of a post that waits for them; None while a part is out.

        A post that then needs a person is in the queue before this returns.
        """
        try:
            seen = await self._parts.intake.again(decision.request)
            content = str(decision.request.get(CONTENT_DIGEST, ""))
            made = await self._judged(seen, content, wait=True)
            if made.choice.method == "fallback":
                return None
            if made.choice.decision == "REVIEW":
                await self._parts.review.admit(made.doubt())
        except (OSError, StorageError, RecordsUnavailableError):
            return None
        self._later(lambda: self._tell_author(made, 1))
        return {
            "decision": made.choice.decision,
            "method": made.choice.method,
            "reason": made.choice.reason,
            "policy": made.choice.policy,
            "policies": {name: one.model_dump() for name, one in made.policies.items()},
            "model_version": made.model_version,
            "policies_version": made.books.version,
            "decided_at_us": self._now(),
        }

    async def _read(self, asked: PostRequest, created_at_us: int) -> Seen:
        try:
            return await self._parts.intake.read(asked, created_at_us)
        except DecoderUnavailableError as error:
            text = "media cannot be decoded for a moment; send the same again"
            raise Problem(503, "unavailable", text, retry_after=1) from error

    async def _shelved(self, seen: Seen) -> None:
        try:
            await seen.shelved()
        except (OSError, StorageError) as error:
            text = "the post's media cannot be kept for a moment; send the same again"
            raise Problem(503, "unavailable", text, retry_after=1) from error

    async def _judged(self, seen: Seen, content: str, wait: bool) -> Judgement:
        books, started = self._parts.books.held, time.perf_counter()
        words = await self._texts.run(books.lists.hits, seen.post.text or "")
        history = await self._parts.authors.look(seen.post, content)
        facts = row_of(
            seen.post,
            history or {},
            known=seen.known,
            near=seen.near,
            hits=words,
            failed_media=len(seen.undecoded),
        )
        rules = self._parts.rulings.rules(history is not None)
        verdict = rules.evaluate(facts, seen.post.post_id)
        ruled = time.perf_counter()
        chances, routed, choice, version = await self._chosen(seen, verdict, books, wait)
        return Judgement(
            seen=seen,
            books=books,
            words=words,
            verdict=verdict,
            chances=chances,
            routed=routed,
            model_version=version,
            choice=choice,
            history=history or {},
            stages_ms={
                "decode": seen.decode_ms,
                "rules": (ruled - started) * 1000.0,
                "models": (time.perf_counter() - ruled) * 1000.0,
            },
        )

    async def _chosen(
        self, seen: Seen, verdict: Verdict, books: InForce, wait: bool
    ) -> tuple[Floats | None, Routed | None, Choice, str | None]:
        if (choice := by_rule(verdict)) is not None:
            return None, None, choice, None
        mind = self._parts.holder.held
        if mind is None:
            return None, None, without_model(verdict, "no model is loaded"), None
        video_waits = seen.inputs.clip is not None and not wait
        inputs = replace(seen.inputs, clip=None) if video_waits else seen.inputs
        if video_waits and not (inputs.images or inputs.text):
            return None, None, pending(verdict), mind.version
        try:
            chances, version = await self._chances(mind, inputs, books)
        except ModelOutError as error:
            return None, None, without_model(verdict, str(error)), mind.version
        routed = self._routed(chances, seen, books)
        self.recent.add(self._now(), chances, seen.post, bool(seen.undecoded))
        choice = by_model(verdict, routed, chances, books)
        if video_waits and choice.decision != "REMOVE":
            return None, None, pending(verdict), version
        return chances, routed, choice, version

    async def _chances(self, mind: Mind, inputs: PostInputs, books: InForce) -> tuple[Floats, str]:
        """Of the policies in force, in their order, and whose they are.

        Where a member still loads the newest version, the one before answers as a whole.
        """
        try:
            return await self._said(mind, inputs, books), mind.version
        except VersionOutError:
            if mind.before is None:
                raise
            return await self._said(mind.before, inputs, books), mind.before.version

    async def _said(self, mind: Mind, inputs: PostInputs, books: InForce) -> Floats:
        known = mind.fusion.policies
        if lacking := [name for name in books.policies.ids if name not in known]:
            raise ModelOutError(f"the model was not trained for {', '.join(lacking)}")
        said = await judged(mind, self._parts.members, inputs, self._timeout)
        places = [known.index(name) for name in books.policies.ids]
        return np.asarray(said.chances[places], dtype=np.float64)

    def _routed(self, chances: Floats, seen: Seen, books: InForce) -> Routed:
        price = 0.0 if self.priced is None else self.priced.price
        return Routing(books.policies, price).route(
            chances[None],
            reach=[seen.post.reach],
            failed=[bool(seen.undecoded)],
            languages=[seen.post.language],
        )

    async def _admitted(self, made: Judgement) -> Judgement:
        """The same once the queue has it; without records it is judged, and queued, again later."""
        try:
            await self._parts.review.admit(made.doubt())
        except RecordsUnavailableError:
            return replace(made, choice=replace(made.choice, method="fallback"))
        return made

    def _again(self, first: Decision, asked: PostRequest, digest: str, call: Call) -> bytes:
        if first.entities.get("author_id") != asked.author_id:
            text = f"post_id: {asked.post_id!r} is another author's post"
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

    async def _tell_author(self, made: Judgement, revision: int) -> None:
        """Lets the author's history know of a removal."""
        if made.choice.decision == "REMOVE":
            post = made.seen.post
            await self._parts.authors.learn(post, REMOVED, self._now(), True, revision)
