"""The endpoints of the moderation application."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import TypeAdapter
from starlette.responses import Response

from serve.framework import Context, Gateway, RequestContext, Route, Router, new_gateway
from serve.framework.review_routes import (
    CONFLICT,
    SMALL_BODY,
    ItemIdParam,
    item_options,
    item_routes,
)
from serve.framework.review_schemas import (
    CaseEntry,
    CaseOutcome,
    ClaimRequest,
    DecideRequest,
    TakeRequest,
)
from serve.framework.routes import ENCODED, MISSING, PathIdParam
from serve.moderation.review import REFUSALS
from serve.moderation.schemas import (
    AppealRequest,
    AppealResponse,
    ClaimedItem,
    ClaimsResponse,
    DecideResponse,
    ExplanationResponse,
    HistoryResponse,
    PoliciesResponse,
    PostRequest,
    PostResponse,
    PostView,
    QueueStatsResponse,
    post_model,
)
from serve.moderation.service import ModerationService

_PostId = Annotated[PathIdParam, Path(description=f"Id of the post, {ENCODED}.")]
_Digest = Annotated[
    str, Path(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the file, as 64 hex digits.")
]


def build_gateway(service: ModerationService, names_request: bool = True) -> Gateway:
    """The gateway of a service; see `new_gateway`."""
    summary = "Decides whether posts may stay, and manages the queue of their reviewers."
    routes = (*_post_routes(service), *_queue_routes(service), *_reviewer_routes(service))
    return new_gateway("moderation", summary, service, routes, names_request, REFUSALS)


def _post_routes(service: ModerationService) -> list[Route]:
    router = Router("posts", "moderation")
    limits = {"responses": CONFLICT, "body_bytes": service.args.body_bytes}
    new_post: Any = post_model(service.attributes)
    adapter: TypeAdapter[PostRequest] = TypeAdapter(new_post)

    @router.direct("/posts", "score", "Moderate a post", new_post, PostResponse, **limits)
    async def moderate(body: bytes, context: RequestContext) -> bytes:
        """Decide whether a post is allowed, reviewed or removed.

        Rules decide first; otherwise the models' probabilities and the costs of each error decide.
        A post with a video may be PENDING: `GET /posts/{post_id}` returns the decision later. The
        same post sent again gets the stored answer.
        """
        post = await service.parsing.parse(adapter, body)
        del body  # of megabytes in base 64, while decoders take their memory
        return await service.decider.moderate(post, context)

    @router.get("/posts/{post_id}", "read", "Get a post's decision", MISSING)
    async def show(post_id: _PostId, context: Context) -> PostView:
        """Return the current decision about a post, its first answer, and outcomes of reviews."""
        return await service.posts.show(post_id, context)

    @router.get("/posts/{post_id}/history", "read", "Get a post's audit log")
    async def history(post_id: _PostId, context: Context) -> HistoryResponse:
        """Return the audit log of a post in review, with the versions that applied."""
        entries = [CaseEntry.of(entry) for entry in await service.review.entries(post_id)]
        return HistoryResponse(post_id=post_id, entries=entries, request_id=context.request_id)

    @router.get("/posts/{post_id}/explanation", "read", "Explain a decision", MISSING)
    async def explanation(
        post_id: _PostId,
        context: Context,
        policy: Annotated[
            str | None, Query(description="Id of the policy. Default: the most probable one.")
        ] = None,
    ) -> ExplanationResponse:
        """Return the words, image regions, video segments and attributes of a violation."""
        return await service.posts.explain(post_id, policy, context)

    refusals = MISSING | CONFLICT

    @router.post("/appeals", "label", "Appeal a removal", refusals, body_bytes=SMALL_BODY)
    async def appeal(request: AppealRequest, context: Context) -> AppealResponse:
        """Queue a removal for review by a person who did not decide it."""
        return await service.posts.appeal(request, context)

    return router.routes


def _queue_routes(service: ModerationService) -> list[Route]:
    router, review = Router("review", "moderation"), service.review

    @router.post("/review/claim", "review", "Claim items", body_bytes=SMALL_BODY)
    async def claim(request: ClaimRequest, context: Context) -> ClaimsResponse:
        """Lease the most urgent items to a reviewer; no one else gets them until the lease ends."""
        claims = await review.claim(request, context)
        items = [ClaimedItem.of(lease) for lease in claims]
        return ClaimsResponse(claims=items, request_id=context.request_id)

    @router.post(
        "/review/items/{item_id}/claim", summary="Claim an item by its id", **item_options()
    )
    async def take(item_id: ItemIdParam, request: TakeRequest, context: Context) -> ClaimedItem:
        """Lease one item to a reviewer, whatever its rank; its holder gets the lease again."""
        return ClaimedItem.of(await review.take(item_id, request, context))

    @router.post("/review/items/{item_id}/decide", summary="Decide an item", **item_options())
    async def decide(
        item_id: ItemIdParam, request: DecideRequest, context: Context
    ) -> DecideResponse:
        """Store a verdict on each policy of an item; the same verdict again changes nothing."""
        verdict, new, outcome = await review.decide(item_id, request, context)
        closed = None if outcome is None else CaseOutcome.of(outcome)
        return DecideResponse.of(verdict, new=new, outcome=closed, request_id=context.request_id)

    return [*router.routes, *item_routes("moderation", review)]


def _reviewer_routes(service: ModerationService) -> list[Route]:
    router = Router("review", "moderation")

    @router.get("/review/policies", "review", "Get the active policies")
    async def policies(context: Context) -> PoliciesResponse:
        """Return the active policies as reviewers read them."""
        return service.posts.policies(context)

    @router.get("/review/figures", "review", "Get queue statistics")
    async def figures(context: Context) -> QueueStatsResponse:
        """Return the state of the queue, and agreement and accuracy of the reviewers."""
        figures, price = await service.review.figures(), service.decider.review_price
        return QueueStatsResponse(**figures, price=price, request_id=context.request_id)

    @router.get("/media/{digest}", "review", "Get a medium", MISSING, response=Response)
    async def media(digest: _Digest) -> Response:
        """Return an image or a video as it was uploaded, as a download."""
        return await service.posts.media(digest)

    return router.routes
