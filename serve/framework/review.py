"""The review queue of a system over HTTP: leases, verdicts, transitions, history, figures."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any, TypeVar

from lib.concurrency.bounded_executor import BoundedExecutor
from lib.records import Decision, RecordsError
from lib.records.review import (
    Claim,
    ContradictedVerdictError,
    LeaseLostError,
    Outcome,
    RepeatedOpinionError,
    ReviewKey,
    UndoRefusedError,
    UnknownItemError,
    Verdict,
)
from lib.records.review.models import AuditEntry
from lib.records.review.statements import Statement, StatementResult
from lib.review.known_answers import golden_item_of
from lib.review.policy import ReviewPolicy
from lib.review.queue import ReviewQueue
from serve.framework import review_schemas as schemas
from serve.framework.asgi import RequestContext
from serve.framework.decision import ServiceParts
from serve.framework.problem import Problem
from serve.framework.validation import BodyParser, to_datetime, to_micros

Result = TypeVar("Result")
REFUSALS: Mapping[type[Exception], tuple[int, str]] = {
    RepeatedOpinionError: (403, "forbidden"),
    UnknownItemError: (404, "not-found"),
    LeaseLostError: (409, "lease-lost"),
    ContradictedVerdictError: (409, "lease-lost"),
    UndoRefusedError: (409, "not-undone"),
}
"""What the queue refuses, as callers see it."""
_WEEK_US = 7 * 86_400_000_000
_SEED = 1
_THREADS = 4


class ReviewService:
    """What people do with the subjects that are left to them.

    Every method that is called for a reviewer raises a Problem: 403 for a name that the key may not
    act under.

    Args:
        parts: of the application.
        queue: the queue and its rules.
        lease_clock: of leases; None is the database's, which all replicas share.
        policy: of statements; None where the system takes none.
    """

    def __init__(
        self,
        parts: ServiceParts,
        queue: ReviewQueue,
        lease_clock: Callable[[], int] | None = None,
        policy: ReviewPolicy | None = None,
    ) -> None:
        self._decision_store, self._policy = parts.decision_store, policy
        self.queue, self.meter, self.now = queue, parts.meter, parts.clock.now
        self._lease_clock = lease_clock
        self.threads, self.parsing = BoundedExecutor("reviews", _THREADS), BodyParser()
        name = f"forewarn_{parts.system}"
        self._claimed, self._verdicts = f"{name}_claimed", f"{name}_verdicts"
        self._steps = f"{name}_review_steps"

    def close(self) -> None:
        """Ends the threads and the connections."""
        self.threads.close()
        self.parsing.close()
        self.queue.reviews.close()

    async def claim(self, request: schemas.ClaimRequest, context: RequestContext) -> list[Claim]:
        """Leases items to a reviewer; the same request again gets what it still holds."""
        key = key_of(request.reviewer, context)
        claims = await self.threads.run(
            self.queue.claim, request.reviewer, request.most, self._lease_now(),
            languages=request.languages, skills=request.skills, key=key,
            claim_id=request.claim_id or context.request_id,
        )  # fmt: skip
        self.meter.count(self._claimed, amount=len(claims))
        return claims

    async def take(
        self, item_id: str, request: schemas.TakeRequest, context: RequestContext
    ) -> Claim:
        """Leases one item to a reviewer.

        Raises:
            UnknownItemError, LeaseLostError, RepeatedOpinionError: see `ReviewStore.take`.
        """
        take = partial(self.queue.take, item_id, request.reviewer, self._lease_now())
        return await self._act(request.reviewer, context, take, "taken")

    async def state(
        self, request: schemas.StatementRequest, context: RequestContext
    ) -> schemas.StatementResponse:
        """States one verdict on subjects; the same statement again changes nothing.

        Raises:
            ContradictedVerdictError, RecordsError: see `ReviewStore.state`.
        """
        statement = Statement(
            id=request.statement_id,
            reviewer=request.reviewer,
            verdicts=request.verdicts,
            at=self.now(),
            note=request.note,
            key=key_of(request.reviewer, context),
        )
        names = list(dict.fromkeys(request.subject_ids))
        decisions = [await self._decision_store.find(name) for name in names]
        known = [decision for decision in decisions if decision is not None]
        result = StatementResult((), (), is_new=False)
        if known:
            result = await self.threads.run(self._state, known, statement)
        if result.is_new:
            self.meter.count(self._steps, "stated", amount=len(result.stated))
        subjects = {decision.subject_id for decision in known}
        return schemas.StatementResponse(
            statement_id=request.statement_id,
            new=result.is_new,
            stated=list(result.stated),
            left_out=list(result.left_out),
            unknown=[x for x in names if x not in subjects],
            request_id=context.request_id,
        )

    async def write_note(
        self, subject_id: str, request: schemas.NoteRequest, context: RequestContext
    ) -> schemas.SubjectResponse:
        """Appends a note about a subject to the audit.

        Raises:
            UnknownItemError: no decision is recorded about the subject.
        """
        decision = await self._decision(subject_id)
        about, note = (self._policy_of(), decision), request.note
        write = partial(self.queue.write_note, *about, request.reviewer, note, self.now())
        await self._act(request.reviewer, context, write, "noted")
        return schemas.SubjectResponse(
            subject_id=subject_id, new=True, request_id=context.request_id
        )

    async def refer(
        self, subject_id: str, request: schemas.ReferRequest, context: RequestContext
    ) -> schemas.SubjectResponse:
        """Puts a subject into the queue, for seniors; raises as `write_note` does."""
        decision = await self._decision(subject_id)
        about, note = (self._policy_of(), decision, request.case_id), request.note
        refer = partial(self.queue.refer, *about, request.reviewer, self.now(), note=note)
        is_new = await self._act(request.reviewer, context, refer, "referred")
        return schemas.SubjectResponse(
            subject_id=subject_id, new=is_new, request_id=context.request_id
        )

    async def _decision(self, subject_id: str) -> Decision:
        decision = await self._decision_store.find(subject_id)
        if decision is None:
            raise UnknownItemError(f"no decision about {subject_id!r} is recorded")
        return decision

    def _state(self, decisions: list[Decision], statement: Statement) -> StatementResult:
        return self.queue.state(self._policy_of(), decisions, statement, self._lease_now())

    def _policy_of(self) -> ReviewPolicy:
        if self._policy is None:
            raise RecordsError("policy: expected one of subjects that people choose, got none")
        return self._policy

    async def renew(
        self, item_id: str, lease: schemas.LeaseRequest, context: RequestContext
    ) -> schemas.LeaseResponse:
        """Holds an item for longer.

        Raises:
            UnknownItemError, LeaseLostError: see `ReviewStore.renew`.
        """
        until = await self._act(
            lease.reviewer, context,
            lambda key: self.queue.reviews.renew(
                item_id, lease.reviewer, lease.token, now=self._lease_now(),
                lease=self.queue.settings.lease_us, key=key,
            ),
        )  # fmt: skip
        return _leased(item_id, until, context)

    async def release(
        self, item_id: str, lease: schemas.LeaseRequest, context: RequestContext
    ) -> schemas.LeaseResponse:
        """Gives an item back undecided; raises as `renew` does."""
        release = partial(self.queue.reviews.release, token=lease.token, now=self._lease_now())
        return await self._give_back(item_id, lease.reviewer, context, release)

    async def decide(
        self, item_id: str, request: schemas.DecideRequest, context: RequestContext
    ) -> tuple[Verdict, bool, Outcome | None]:
        """Keeps a verdict, says whether it is new, and the newest outcome; again changes nothing.

        Raises:
            UnknownItemError, LeaseLostError, RepeatedOpinionError, ContradictedVerdictError,
            RecordsError: see `ReviewStore.decide`.
        """
        key = key_of(request.reviewer, context)
        verdict, new = await self.threads.run(
            self.queue.decide, item_id, request.reviewer, request.token, request.verdicts,
            self.now(), note=request.note, key=key,
        )  # fmt: skip
        outcome = await self.outcome(verdict.subject_id)
        if new:
            state = "open" if outcome is None else outcome.rule
            self.meter.count(self._verdicts, verdict.kind, state)
        return verdict, new, outcome

    async def undo(
        self, item_id: str, request: schemas.LeaseRequest, context: RequestContext
    ) -> schemas.UndoResponse:
        """Takes a verdict back within ten seconds.

        Raises:
            UnknownItemError, LeaseLostError, UndoRefusedError: see `ReviewStore.undo`.
        """
        undo = partial(
            self.queue.undo, item_id, request.reviewer, request.token, self.now(),
            lease_now=self._lease_now(),
        )  # fmt: skip
        lease = await self._act(request.reviewer, context, undo, "undone")
        return schemas.UndoResponse(
            item_id=item_id, leased_until=to_datetime(lease.until), token=lease.token,
            request_id=context.request_id,
        )  # fmt: skip

    async def snooze(
        self, item_id: str, request: schemas.SnoozeRequest, context: RequestContext
    ) -> schemas.LeaseResponse:
        """Gives an item back that nobody gets before a time; raises as `ReviewStore.snooze`."""
        until = to_micros(request.until)
        snooze = partial(self.queue.reviews.snooze, until=until, **self._noted(request))
        return await self._give_back(item_id, request.reviewer, context, snooze, "snoozed")

    async def assign(
        self, item_id: str, request: schemas.AssignRequest, context: RequestContext
    ) -> schemas.LeaseResponse:
        """Lets only one reviewer claim an item; raises as `ReviewStore.assign`."""
        assignee = request.assignee
        assign = partial(self.queue.reviews.assign, assignee=assignee, **self._noted(request))
        return await self._give_back(item_id, request.reviewer, context, assign, "assigned")

    async def escalate(
        self, item_id: str, request: schemas.EscalateRequest, context: RequestContext
    ) -> schemas.LeaseResponse:
        """Gives an item to seniors; raises as `ReviewStore.escalate`."""
        escalate = partial(self.queue.escalate, **self._noted(request))
        return await self._give_back(item_id, request.reviewer, context, escalate, "escalated")

    def _noted(
        self, request: schemas.SnoozeRequest | schemas.AssignRequest | schemas.EscalateRequest
    ) -> dict[str, Any]:
        """Under which lease and with which note a change is made, by the clock of leases."""
        return {"token": request.token, "now": self._lease_now(), "note": request.note}

    async def _give_back(
        self,
        item_id: str,
        reviewer: str,
        context: RequestContext,
        change: Callable[..., object],
        step: str | None = None,
    ) -> schemas.LeaseResponse:
        """Runs a change after which nobody holds the item; see `_act`."""
        await self._act(reviewer, context, partial(change, item_id, reviewer), step)
        return _leased(item_id, None, context)

    async def _act(
        self,
        reviewer: str,
        context: RequestContext,
        change: Callable[..., Result],
        step: str | None = None,
    ) -> Result:
        """Runs a change of the queue under the key of a context, and counts it as a step."""
        result = await self.threads.run(change, key=key_of(reviewer, context))
        if step is not None:
            self.meter.count(self._steps, step)
        return result

    async def record_golden(
        self, request: schemas.GoldenRequest, context: RequestContext
    ) -> schemas.GoldenResponse:
        """Lets reviewed subjects with known answers measure reviewers.

        Raises:
            UnknownItemError: a subject was never in the queue; nothing is stored.
            RecordsError: answers do not fit the questions of the subject's item.
        """
        key_of(request.reviewer, context)
        stored = await self.threads.run(self._insert_golden, request.answers)
        received = len(request.answers)
        return schemas.GoldenResponse(
            received=received, stored=stored, repeated=received - stored,
            request_id=context.request_id,
        )  # fmt: skip

    def _insert_golden(self, answers: list[schemas.GoldenAnswer]) -> int:
        reviews = self.queue.reviews
        items = []
        for answer in answers:
            known = reviews.list_items(answer.subject_id)
            items.append(golden_item_of(answer.subject_id, known, answer.verdicts))
        return reviews.insert_golden(items)

    async def outcome(self, subject_id: str) -> Outcome | None:
        """What the newest case of a subject came to; None while there is nothing."""
        outcomes = await self.outcomes(subject_id)
        return outcomes[0] if outcomes else None

    async def outcomes(self, subject_id: str) -> list[Outcome]:
        """All of them, the newest first."""
        return await self.threads.run(self.queue.reviews.list_outcomes, subject_id)

    async def entries(self, subject_id: str) -> list[AuditEntry]:
        """Everything that happened to a subject in review."""
        return await self.threads.run(self.queue.reviews.list_history, subject_id)

    async def figures(self) -> dict[str, Any]:
        """How the queue stands; agreement and accuracy over the last week."""
        now = self.now()
        since = max(0, now - _WEEK_US)
        queue = await self.threads.run(self.queue.reviews.compute_figures, now, _WEEK_US)
        kappa = await self.threads.run(self.queue.agreement, since, _SEED)
        right = await self.threads.run(self.queue.accuracy, since)
        accuracy: dict[str, Any] = {}
        for (reviewer, policy), estimate in right.items():
            accuracy.setdefault(reviewer, {})[policy] = _plain(asdict(estimate))
        return {
            "queue": _plain(asdict(queue)),
            "kappa": {policy: _plain(asdict(agreement)) for policy, agreement in kappa.items()},
            "accuracy": accuracy,
        }

    def _lease_now(self) -> int | None:
        return None if self._lease_clock is None else self._lease_clock()


def key_of(name: str, context: RequestContext, field: str = "reviewer") -> ReviewKey:
    """The key of a context, for a person's name.

    Args:
        name: under which somebody acts.
        context: of the request.
        field: of the request, which has the name.

    Raises:
        Problem: 403 where the key is bound to other names.
    """
    if context.reviewers is not None and name not in context.reviewers:
        text = f"{field}: expected a name that this API key is bound to, got another one"
        raise Problem(403, "forbidden", text)
    return ReviewKey(context.key_id, context.reviewers is not None)


def _leased(item_id: str, until: int | None, context: RequestContext) -> schemas.LeaseResponse:
    ends_at = None if until is None else to_datetime(until)
    return schemas.LeaseResponse(
        item_id=item_id, leased_until=ends_at, request_id=context.request_id
    )


def _plain(value: Any) -> Any:
    """Values as JSON has them: no NaN, no tuples as keys."""
    if isinstance(value, Mapping):
        return {str(key): _plain(element) for key, element in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(element) for element in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
