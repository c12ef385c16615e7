"""The review queue over HTTP: claims with leases, verdicts, appeals, history, figures."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from lib.concurrency.bounded_executor import BoundedExecutor
from lib.moderation.review.items import AppealError, Doubt, Removal
from lib.moderation.review.queue import ReviewQueue
from lib.records import RecordsError
from lib.records.review import (
    ContradictedVerdictError,
    LeaseLostError,
    Outcome,
    RepeatedOpinionError,
    ReviewKey,
    UnknownItemError,
)
from serve.framework import Problem, RequestContext
from serve.framework.app_factory import Refusals
from serve.framework.decision import ServiceParts
from serve.framework.validation import to_datetime
from serve.moderation import metrics
from serve.moderation.schemas import (
    AppealResponse,
    ClaimedItem,
    ClaimRequest,
    ClaimsResponse,
    DecideRequest,
    DecideResponse,
    HistoryResponse,
    LeaseRequest,
    LeaseResponse,
    OutcomeAnswer,
    PolicyResult,
    QueueStatsResponse,
)

REFUSALS: Refusals = {
    RecordsError: (422, "invalid-field"),
    RepeatedOpinionError: (403, "forbidden"),
    UnknownItemError: (404, "not-found"),
    LeaseLostError: (409, "lease-lost"),
    ContradictedVerdictError: (409, "lease-lost"),
}
"""What the queue refuses, as callers see it."""
_WEEK_US = 7 * 86_400_000_000
_SEED = 1
_THREADS = 4


class ReviewService:
    """What people do with the posts that are left to them.

    Args:
        parts: of the application.
        queue: the queue and its rules.
        lease_clock: of leases; None is the database's, which all replicas share.
        closed: told of a post whose case came to an outcome.
    """

    def __init__(
        self,
        parts: ServiceParts,
        queue: ReviewQueue,
        closed: Callable[[str], None],
        lease_clock: Callable[[], int] | None = None,
    ) -> None:
        self.queue, self._meter, self._now = queue, parts.meter, parts.clock.now
        self._closed, self._lease_clock = closed, lease_clock
        self._threads = BoundedExecutor("reviews", _THREADS)

    def close(self) -> None:
        """Ends the threads."""
        self._threads.close()

    async def admit(self, doubt: Doubt) -> bool:
        """Puts a post into the queue; False where it is there already.

        Raises:
            RecordsUnavailableError: the database is away.
        """
        return bool(await self._threads.run(self.queue.admit, [doubt], self._now()))

    async def claim(self, request: ClaimRequest, context: RequestContext) -> ClaimsResponse:
        """Leases items to a reviewer; the same request again gets what it still holds.

        Raises:
            Problem: 403 for a name that the key may not act under, 503 without records.
        """
        key = _key_of(request.reviewer, context)
        claim_id = request.claim_id or context.request_id

        claims = await self._threads.run(
            self.queue.claim, request.reviewer, request.most, self._lease_now(),
            languages=request.languages, key=key, claim_id=claim_id,
        )  # fmt: skip
        self._meter.count(metrics.CLAIMED, amount=len(claims))
        return ClaimsResponse(
            claims=[ClaimedItem.of(claim) for claim in claims], request_id=context.request_id
        )

    async def renew(
        self, item_id: str, lease: LeaseRequest, context: RequestContext
    ) -> LeaseResponse:
        """Holds an item for longer.

        Raises:
            Problem: 403 for a name that the key may not act under, 404 for no such item, 409 where
                it is not this reviewer's any more.
        """
        key = _key_of(lease.reviewer, context)
        until = await self._threads.run(
            self.queue.reviews.renew, item_id, lease.reviewer, lease.token,
            now=self._lease_now(), lease=self.queue.settings.lease_us, key=key,
        )  # fmt: skip
        return LeaseResponse(
            item_id=item_id, leased_until=to_datetime(until), request_id=context.request_id
        )

    async def release(
        self, item_id: str, lease: LeaseRequest, context: RequestContext
    ) -> LeaseResponse:
        """Gives an item back undecided; raises as `renew` does."""
        key = _key_of(lease.reviewer, context)
        await self._threads.run(
            self.queue.reviews.release, item_id, lease.reviewer, lease.token,
            now=self._lease_now(), key=key,
        )  # fmt: skip
        return LeaseResponse(item_id=item_id, leased_until=None, request_id=context.request_id)

    async def decide(
        self, item_id: str, request: DecideRequest, context: RequestContext
    ) -> DecideResponse:
        """Keeps a verdict; the same again changes nothing.

        Raises:
            Problem: 403 for a name that the key may not act under, and for a second opinion of one
                person or one key, 404 for no such item, 409 where another holds it or it was
                decided otherwise, 422 for verdicts that do not fit its policies.
        """
        key = _key_of(request.reviewer, context)
        verdict, new = await self._threads.run(
            self.queue.decide, item_id, request.reviewer, request.token, request.verdicts,
            self._now(), request.note, key,
        )  # fmt: skip
        outcome = await self.outcome(verdict.post_id)
        if new:
            state = "open" if outcome is None else outcome.rule
            self._meter.count(metrics.VERDICTS, verdict.kind, state)
            self._closed(verdict.post_id)
        return DecideResponse.of(
            verdict,
            new=new,
            outcome=None if outcome is None else OutcomeAnswer.of(outcome),
            request_id=context.request_id,
        )

    async def outcome(self, post_id: str) -> Outcome | None:
        """What the newest case of a post came to; None while there is nothing."""
        outcomes = await self._threads.run(self.queue.reviews.list_outcomes, post_id)
        return outcomes[0] if outcomes else None

    async def outcomes(self, post_id: str) -> list[Outcome]:
        """All of them, the newest first."""
        return await self._threads.run(self.queue.reviews.list_outcomes, post_id)

    async def appeal(
        self, removal: Removal, author_id: str, statement: str, context: RequestContext
    ) -> AppealResponse:
        """Takes an author's appeal in.

        Raises:
            Problem: 403 for another author, 422 where it is too late.
        """
        try:
            item_id, new = await self._threads.run(
                self.queue.appeal, removal, author_id, statement, self._now(), context.key_id
            )
        except AppealError as error:
            self._meter.count(metrics.APPEALS, "refused")
            status = 403 if author_id != removal.author_id else 422
            raise Problem(status, "no-appeal", str(error)) from error
        self._meter.count(metrics.APPEALS, "new" if new else "repeated")
        return AppealResponse(item_id=item_id, new=new, request_id=context.request_id)

    async def history(self, post_id: str, context: RequestContext) -> HistoryResponse:
        """Everything that happened to a post in review."""
        entries = await self._threads.run(self.queue.reviews.list_history, post_id)
        return HistoryResponse(
            post_id=post_id,
            entries=[PolicyResult.of(entry) for entry in entries],
            request_id=context.request_id,
        )

    async def figures(self, price: float, context: RequestContext) -> QueueStatsResponse:
        """How the queue stands; agreement and accuracy over the last week."""
        now = self._now()
        since = max(0, now - _WEEK_US)
        queue = await self._threads.run(self.queue.reviews.compute_figures, now, _WEEK_US)
        kappa = await self._threads.run(self.queue.agreement, since, _SEED)
        right = await self._threads.run(self.queue.accuracy, since)
        accuracy: dict[str, Any] = {}
        for (reviewer, policy), estimate in right.items():
            accuracy.setdefault(reviewer, {})[policy] = _plain(asdict(estimate))
        return QueueStatsResponse(
            queue=_plain(asdict(queue)),
            price=price,
            kappa={policy: _plain(asdict(agreement)) for policy, agreement in kappa.items()},
            accuracy=accuracy,
            request_id=context.request_id,
        )

    def _lease_now(self) -> int | None:
        return None if self._lease_clock is None else self._lease_clock()


def _key_of(reviewer: str, context: RequestContext) -> ReviewKey:
    """The key of a context.

    Raises:
        Problem: 403 where it is bound to other names.
    """
    if context.reviewers is not None and reviewer not in context.reviewers:
        text = "reviewer: expected a name that this API key is bound to, got another one"
        raise Problem(403, "forbidden", text)
    return ReviewKey(context.key_id, context.reviewers is not None)


def _plain(value: Any) -> Any:
    """Values as JSON has them: no NaN, no tuples as keys."""
    if isinstance(value, Mapping):
        return {str(key): _plain(element) for key, element in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(element) for element in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
