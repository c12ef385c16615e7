"""The endpoints of the moderation application."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Query
from starlette.responses import Response

from serve.framework import Context, Gateway, RequestContext, Route, Router, new_gateway
from serve.framework.routes import MISSING, SLASH, PathIdParam, PathKeyParam, Responses
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

_CONFLICT: Responses = {409: {"description": "it is another's, or was decided otherwise"}}
_SMALL_BODY = 64 * 1024
_Id = Annotated[PathIdParam, Path(description=SLASH)]
_ItemId = Annotated[PathKeyParam, Path(description="as `claim` gave it")]
_Digest = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the media")]


def build_gateway(service: ModerationService, names_request: bool = True) -> Gateway:
    """The gateway of a service; see `new_gateway`."""
    summary = "Does this post break a policy? Text, images and video, and the people who decide."
    routes = (*_post_routes(service), *_queue_routes(service), *_reviewer_routes(service))
    return new_gateway("moderation", summary, service, routes, names_request)


def _post_routes(service: ModerationService) -> list[Route]:
    router, read = Router("posts"), "moderation:read"

    @router.direct(
        "/posts",
        "moderation:score",
        PostRequest,
        PostResponse,
        _CONFLICT,
        body_bytes=service.args.body_bytes,
    )
    async def moderate(body: bytes, context: RequestContext) -> bytes:
        """Say whether a post may stay: rules first, then models, then the costs of each mistake.

        A post with a video may be PENDING; ask for it again, or look at it, a little later. The
        same post again gets its first answer.
        """
        post = await service.parsing.parse(POST, body)
        del body  # of megabytes in base 64, while decoders take their memory
        return await service.decider.moderate(post, context)

    @router.route("GET", "/posts/{post_id}", read, MISSING)
    async def show(post_id: _Id, context: Context) -> PostView:
        """What holds for a post now, what was answered first, and what people decided."""
        return await service.posts.show(post_id, context)

    @router.route("GET", "/posts/{post_id}/history", read)
    async def history(post_id: _Id, context: Context) -> HistoryResponse:
        """Everything that happened to a post in review, with the versions in force."""
        return await service.review.history(post_id, context)

    @router.route("GET", "/posts/{post_id}/explanation", read, MISSING)
    async def explanation(
        post_id: _Id,
        context: Context,
        policy: Annotated[str | None, Query(description="default: the most probable")] = None,
    ) -> ExplanationResponse:
        """What of a post speaks for a violation: words, places in images, seconds of video."""
        return await service.posts.explain(post_id, policy, context)

    @router.route(
        "POST", "/appeals", "moderation:label", MISSING | _CONFLICT, body_bytes=_SMALL_BODY
    )
    async def appeal(request: AppealRequest, context: Context) -> AppealResponse:
        """An author asks for a removal to be looked at by a person who did not decide it."""
        return await service.posts.appeal(request, context)

    return router.routes


def _queue_routes(service: ModerationService) -> list[Route]:
    router, item = Router("review"), "/review/items/{item_id}"
    options: dict[str, Any] = {"scope": "moderation:review", "body_bytes": _SMALL_BODY}
    of_item = {**options, "responses": MISSING | _CONFLICT}

    @router.route("POST", "/review/claim", **options)
    async def claim(request: ClaimRequest, context: Context) -> ClaimsResponse:
        """Lease the most urgent items; nobody else gets them until the lease ends."""
        return await service.review.claim(request, context)

    @router.route("POST", f"{item}/renew", **of_item)
    async def renew(item_id: _ItemId, lease: LeaseRequest, context: Context) -> LeaseResponse:
        """Hold an item for another lease."""
        return await service.review.renew(item_id, lease, context)

    @router.route("POST", f"{item}/release", **of_item)
    async def release(item_id: _ItemId, lease: LeaseRequest, context: Context) -> LeaseResponse:
        """Give an item back undecided."""
        return await service.review.release(item_id, lease, context)

    @router.route("POST", f"{item}/decide", **of_item)
    async def decide(item_id: _ItemId, request: DecideRequest, context: Context) -> DecideResponse:
        """Say of each policy whether the post breaks it; the same again changes nothing."""
        return await service.review.decide(item_id, request, context)

    return router.routes


def _reviewer_routes(service: ModerationService) -> list[Route]:
    router, scope = Router("review"), "moderation:review"

    @router.route("GET", "/review/policies", scope)
    async def policies(context: Context) -> PoliciesResponse:
        """The policies in force, as reviewers read them."""
        return service.posts.policies(context)

    @router.route("GET", "/review/figures", scope)
    async def figures(context: Context) -> QueueStatsResponse:
        """How the queue stands, how reviewers agree, and how right they are on known items."""
        priced = service.decider.priced
        price = 0.0 if priced is None else priced.price
        return await service.review.figures(price, context)

    @router.route("GET", "/media/{digest}", scope, MISSING, response=Response)
    async def media(digest: _Digest) -> Response:
        """An image or a video as it was sent, for reviewers; never rendered as a page."""
        return await service.posts.media(digest)

    return router.routes
