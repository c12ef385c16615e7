"""The endpoints of the review queue, alike in every system."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path
from pydantic import TypeAdapter

from serve.framework.app_factory import Context
from serve.framework.asgi import RequestContext
from serve.framework.review import ReviewService
from serve.framework.review_schemas import (
    AssignRequest,
    CaseClaimsResponse,
    CaseDecideResponse,
    CaseEntry,
    CaseHistoryResponse,
    CaseOutcome,
    ClaimedCase,
    ClaimRequest,
    DecideRequest,
    EscalateRequest,
    GoldenRequest,
    GoldenResponse,
    LeaseRequest,
    LeaseResponse,
    NoteRequest,
    QueueFiguresResponse,
    ReferRequest,
    SnoozeRequest,
    StatementRequest,
    StatementResponse,
    SubjectResponse,
    TakeRequest,
    UndoResponse,
)
from serve.framework.routes import (
    ENCODED,
    MISSING,
    PathIdParam,
    PathKeyParam,
    Responses,
    Route,
    Router,
)

CONFLICT: Responses = {
    409: {"description": "The item or id is another caller's, or was decided or used differently."}
}
SMALL_BODY = 64 * 1024
_STATEMENT_BODY = 256 * 1024
ItemIdParam = Annotated[PathKeyParam, Path(description=f"Id of the review item, {ENCODED}.")]
_SubjectId = Annotated[
    PathIdParam, Path(description=f"Id of the payment or of the prediction, {ENCODED}.")
]
STATEMENT, GOLDEN = TypeAdapter(StatementRequest), TypeAdapter(GoldenRequest)
_ITEM = "/review/items/{item_id}"
_SUBJECT = "/review/subjects/{subject_id}"


def item_options() -> dict[str, Any]:
    """Options of routes about an item."""
    return {"scope": "review", "body_bytes": SMALL_BODY, "responses": MISSING | CONFLICT}


def review_routes(system: str, review: ReviewService) -> list[Route]:
    """All endpoints of a system's queue; a system with bodies of its own takes `item_routes`."""
    return [
        *_case_routes(system, review),
        *_choice_routes(system, review),
        *item_routes(system, review),
    ]


def _case_routes(system: str, review: ReviewService) -> list[Route]:
    router = Router("review", system)

    @router.post("/review/claim", "review", "Claim items", body_bytes=SMALL_BODY)
    async def claim(request: ClaimRequest, context: Context) -> CaseClaimsResponse:
        """Lease the most urgent items to a reviewer; no one else gets them until the lease ends."""
        claims = await review.claim(request, context)
        cases = [ClaimedCase.of(lease) for lease in claims]
        return CaseClaimsResponse(claims=cases, request_id=context.request_id)

    @router.post(f"{_ITEM}/decide", summary="Decide an item", **item_options())
    async def decide(
        item_id: ItemIdParam, request: DecideRequest, context: Context
    ) -> CaseDecideResponse:
        """Store a verdict on each question of an item; the same verdict again changes nothing.

        Ten seconds after a case is closed its outcome becomes a label.
        """
        verdict, new, outcome = await review.decide(item_id, request, context)
        closed = None if outcome is None else CaseOutcome.of(outcome)
        return CaseDecideResponse.of(
            verdict, new=new, outcome=closed, request_id=context.request_id
        )

    @router.get(f"{_SUBJECT}/history", "review", "Get a subject's audit log")
    async def history(subject_id: _SubjectId, context: Context) -> CaseHistoryResponse:
        """Return everything that happened to a payment or a prediction in review."""
        entries = [CaseEntry.of(entry) for entry in await review.entries(subject_id)]
        return CaseHistoryResponse(
            subject_id=subject_id, entries=entries, request_id=context.request_id
        )

    @router.get("/review/figures", "review", "Get queue statistics")
    async def figures(context: Context) -> QueueFiguresResponse:
        """Return the state of the queue, and agreement and accuracy of the reviewers."""
        return QueueFiguresResponse(**await review.figures(), request_id=context.request_id)

    return router.routes


def _choice_routes(system: str, review: ReviewService) -> list[Route]:
    """Endpoints about items and subjects that the caller chooses."""
    router = Router("review", system)

    @router.post(f"{_ITEM}/claim", summary="Claim an item by its id", **item_options())
    async def take(item_id: ItemIdParam, request: TakeRequest, context: Context) -> ClaimedCase:
        """Lease one item to a reviewer, whatever its rank; its holder gets the lease again."""
        return ClaimedCase.of(await review.take(item_id, request, context))

    options: dict[str, Any] = {"body_bytes": _STATEMENT_BODY, "responses": CONFLICT}

    @router.direct(
        "/review/statements",
        "review",
        "State a verdict",
        StatementRequest,
        StatementResponse,
        **options,
    )
    async def state(body: bytes, context: RequestContext) -> bytes:
        """State one verdict on several subjects, whether or not they are in the queue.

        A subject that waits for its first verdict, and that no other reviewer leases, is decided
        in the queue; one that waits for anything else is left out. To withdraw a statement, state
        the opposite verdict under another id.
        """
        request = await review.parsing.parse_rows(STATEMENT, body)
        return (await review.state(request, context)).model_dump_json().encode()

    @router.post(f"{_SUBJECT}/notes", summary="Write a note about a subject", **item_options())
    async def note(
        subject_id: _SubjectId, request: NoteRequest, context: Context
    ) -> SubjectResponse:
        """Append a note about a payment or a prediction to its audit log."""
        return await review.write_note(subject_id, request, context)

    @router.post(f"{_SUBJECT}/refer", summary="Refer a subject to seniors", **item_options())
    async def refer(
        subject_id: _SubjectId, request: ReferRequest, context: Context
    ) -> SubjectResponse:
        """Put a payment or a prediction into the queue for reviewers with the skill `senior`."""
        return await review.refer(subject_id, request, context)

    return router.routes


def item_routes(system: str, review: ReviewService) -> list[Route]:
    """Endpoints about items whose bodies are alike in all systems."""
    router, options = Router("review", system), item_options()

    @router.post(f"{_ITEM}/renew", summary="Renew a lease", **options)
    async def renew(item_id: ItemIdParam, lease: LeaseRequest, context: Context) -> LeaseResponse:
        """Extend the lease of an item by the length of a lease."""
        return await review.renew(item_id, lease, context)

    @router.post(f"{_ITEM}/release", summary="Release an item", **options)
    async def release(item_id: ItemIdParam, lease: LeaseRequest, context: Context) -> LeaseResponse:
        """Return an item to the queue without a verdict."""
        return await review.release(item_id, lease, context)

    @router.post(f"{_ITEM}/undo", summary="Undo a verdict", **options)
    async def undo(item_id: ItemIdParam, lease: LeaseRequest, context: Context) -> UndoResponse:
        """Take a verdict back within ten seconds, under the token with which it was sent.

        The reviewer holds the item again, with a new token. 409 if the verdict is older, or if
        another reviewer got the case since.
        """
        return await review.undo(item_id, lease, context)

    return [*router.routes, *_transition_routes(system, review)]


def _transition_routes(system: str, review: ReviewService) -> list[Route]:
    router, options = Router("review", system), item_options()

    @router.post(f"{_ITEM}/snooze", summary="Snooze an item", **options)
    async def snooze(
        item_id: ItemIdParam, request: SnoozeRequest, context: Context
    ) -> LeaseResponse:
        """Return an item to the queue; it cannot be claimed before a time."""
        return await review.snooze(item_id, request, context)

    @router.post(f"{_ITEM}/assign", summary="Assign an item", **options)
    async def assign(
        item_id: ItemIdParam, request: AssignRequest, context: Context
    ) -> LeaseResponse:
        """Let only one reviewer claim an item, or anybody again.

        An item that somebody holds is assigned by its holder, and is returned to the queue.
        """
        return await review.assign(item_id, request, context)

    @router.post(f"{_ITEM}/escalate", summary="Escalate an item", **options)
    async def escalate(
        item_id: ItemIdParam, request: EscalateRequest, context: Context
    ) -> LeaseResponse:
        """Return an item to the queue for reviewers with the skill `senior`, more severe."""
        return await review.escalate(item_id, request, context)

    golden_options: dict[str, Any] = {"responses": MISSING, "body_bytes": 1024 * 1024}

    @router.direct(
        "/review/golden",
        "review",
        "Add golden items",
        GoldenRequest,
        GoldenResponse,
        **golden_options,
    )
    async def golden(body: bytes, context: RequestContext) -> bytes:
        """Mix reviewed subjects whose right answers are known among the items of other reviewers.

        What a reviewer decides about them measures the reviewer and becomes no label.
        """
        request = await review.parsing.parse_rows(GOLDEN, body)
        return (await review.record_golden(request, context)).model_dump_json().encode()

    return router.routes
