"""The endpoints of the moderation application."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Query
from starlette.responses import Response

from serve.framework import Context, Gateway, RequestContext, Route, Router, new_gateway
from serve.framework.routes import ENCODED, MISSING, PathIdParam, PathKeyParam, Responses
from serve.moderation.review import REFUSALS
from serve.moderation.schemas import (
    POST,
    AppealRequest,
    AppealResponse,
    ClaimRequest,
    ClaimsResponse,
    DecideRequest,
    DecideResponse,
    ExplanationResponse,
    HistoryResponse,
    LeaseRequest,
    LeaseResponse,
    PoliciesResponse,
    PostRequest,
    PostResponse,
    PostView,
    QueueStatsResponse,
)
from serve.moderation.service import ModerationService

_CONFLICT: Responses = {
    409: {"description": "The item or id is another caller's, or was decided or used differently."}
}
_SMALL_BODY = 64 * 1024
_PostId = Annotated[PathIdParam, Path(description=f"Id of the post, {ENCODED}.")]
_ItemId = Annotated[PathKeyParam, Path(description=f"Id of the review item, {ENCODED}.")]
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
    limits = {"responses": _CONFLICT, "body_bytes": service.args.body_bytes}

    @router.direct("/posts", "score", "Moderate a post", PostRequest, PostResponse, **limits)
    async def moderate(body: bytes, context: RequestContext) -> bytes:
        """Decide whether a post is allowed, reviewed or removed.

        Rules decide first; otherwise the models' probabilities and the costs of each error decide.
        A post with a video may be PENDING: `GET /posts/{post_id}` returns the decision later. The
        same post sent again gets the stored answer.
        """
        post = await service.parsing.parse(POST, body)
        del body  # of megabytes in base 64, while decoders take their memory
        return await service.decider.moderate(post, context)

    @router.get("/posts/{post_id}", "read", "Get a post's decision", MISSING)
    async def show(post_id: _PostId, context: Context) -> PostView:
        """Return the current decision about a post, its first answer, and outcomes of reviews."""
        return await service.posts.show(post_id, context)

    @router.get("/posts/{post_id}/history", "read", "Get a post's audit log")
    async def history(post_id: _PostId, context: Context) -> HistoryResponse:
        """Return the audit log of a post in review, with the versions that applied."""
        return await service.review.history(post_id, context)

    @router.get("/posts/{post_id}/explanation", "read", "Explain a decision", MISSING)
    async def explanation(
        post_id: _PostId,
        context: Context,
        policy: Annotated[
            str | None, Query(description="Id of the policy. Default: the most probable one.")
        ] = None,
    ) -> ExplanationResponse:
        """Return the words, image regions and video segments that indicate a violation."""
        return await service.posts.explain(post_id, policy, context)

    refusals = MISSING | _CONFLICT

    @router.post("/appeals", "label", "Appeal a removal", refusals, body_bytes=_SMALL_BODY)
    async def appeal(request: AppealRequest, context: Context) -> AppealResponse:
        """Queue a removal for review by a person who did not decide it."""
        return await service.posts.appeal(request, context)

    return router.routes


def _queue_routes(service: ModerationService) -> list[Route]:
    router, item = Router("review", "moderation"), "/review/items/{item_id}"
    options: dict[str, Any] = {"scope": "review", "body_bytes": _SMALL_BODY}
    of_item = {**options, "responses": MISSING | _CONFLICT}

    @router.post("/review/claim", summary="Claim items", **options)
    async def claim(request: ClaimRequest, context: Context) -> ClaimsResponse:
        """Lease the most urgent items to a reviewer; no one else gets them until the lease ends."""
        return await service.review.claim(request, context)

    @router.post(f"{item}/renew", summary="Renew a lease", **of_item)
    async def renew(item_id: _ItemId, lease: LeaseRequest, context: Context) -> LeaseResponse:
        """Extend the lease of an item by the length of a lease."""
        return await service.review.renew(item_id, lease, context)

    @router.post(f"{item}/release", summary="Release an item", **of_item)
    async def release(item_id: _ItemId, lease: LeaseRequest, context: Context) -> LeaseResponse:
        """Return an item to the queue without a verdict."""
        return await service.review.release(item_id, lease, context)

    @router.post(f"{item}/decide", summary="Decide an item", **of_item)
    async def decide(item_id: _ItemId, request: DecideRequest, context: Context) -> DecideResponse:
        """Store a verdict on each policy of an item; the same verdict again changes nothing."""
        return await service.review.decide(item_id, request, context)

    return router.routes


def _reviewer_routes(service: ModerationService) -> list[Route]:
    router = Router("review", "moderation")

    @router.get("/review/policies", "review", "Get the active policies")
    async def policies(context: Context) -> PoliciesResponse:
        """Return the active policies as reviewers read them."""
        return service.posts.policies(context)

    @router.get("/review/figures", "review", "Get queue statistics")
    async def figures(context: Context) -> QueueStatsResponse:
        """Return the state of the queue, and agreement and accuracy of the reviewers."""
        return await service.review.figures(service.decider.review_price, context)

    @router.get("/media/{digest}", "review", "Get a medium", MISSING, response=Response)
    async def media(digest: _Digest) -> Response:
        """Return an image or a video as it was uploaded, as a download."""
        return await service.posts.media(digest)

    return router.routes
