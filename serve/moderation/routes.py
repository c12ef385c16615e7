"""The HTTP face of the moderation application."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Path, Query, Request
from starlette.responses import Response

from serve.framework import Gateway, RequestContext, Route, new_app
from serve.framework.app_factory import ERRORS, MISSING, call_of
from serve.framework.paths import SLASH, PathIdParam, PathKeyParam
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

PREFIX = "/moderation"
TELL, ASK, REVIEW, READ = (
    "moderation:label",
    "moderation:score",
    "moderation:review",
    "moderation:read",
)
_CONFLICT = {409: {"description": "it is another's, or was decided otherwise"}}
_SMALL_BODY = 64 * 1024
_Id = Annotated[PathIdParam, Path(description=SLASH)]
_ItemId = Annotated[PathKeyParam, Path(description="as `claim` gave it")]
_Digest = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the media")]


def build_gateway(service: ModerationService, names_request: bool = True) -> Gateway:
    """The gateway of a service, which starts and ends with the application's lifespan.

    Args:
        service: what answers.
        names_request: see `Gateway`.
    """

    async def posts(body: bytes, call: RequestContext) -> bytes:
        post = await service.parsing.parse(POST, body)
        del body  # of megabytes in base 64, while decoders take their memory
        return await service.decider.moderate(post, call)

    doors = (
        Route("POST", "/posts", ASK, posts, service.args.body_bytes),
        Route("GET", "/posts/", READ),
        Route("POST", "/appeals", TELL, None, _SMALL_BODY),
        Route("POST", "/review/", REVIEW, None, _SMALL_BODY),
        Route("GET", "/review/", REVIEW),
        Route("GET", "/media/", REVIEW),
    )
    return Gateway(
        app=_app(service),
        prefix=PREFIX,
        doors=doors,
        keys=service.keys,
        log=service.log,
        meter=service.meter,
        limits=service.args.limits,
        names_request=names_request,
        readiness=service.readiness,
    )


def _app(service: ModerationService) -> FastAPI:
    app = new_app(
        "Forewarn: moderation",
        "1",
        "Does this post break a policy? Text, images and video, and the people who decide.",
        service.readiness,
        service.lifespan,
    )
    _declare_posts(app, service)
    _declare_queue(app, service)
    _declare_looks(app, service)
    return app


def _declare_posts(app: FastAPI, service: ModerationService) -> None:
    @app.post("/posts", response_model=PostResponse, responses=ERRORS | _CONFLICT, tags=["posts"])
    async def moderate(post: PostRequest, request: Request) -> Response:
        """Say whether a post may stay: rules first, then models, then the costs of each mistake.

        A post with a video may be PENDING; ask for it again, or look at it, a little later. The
        same post again gets its first answer.
        """
        body = await service.decider.moderate(post, call_of(request))
        return Response(body, media_type="application/json")

    @app.get("/posts/{post_id}", responses=ERRORS | MISSING, tags=["posts"])
    async def show(post_id: _Id, request: Request) -> PostView:
        """What holds for a post now, what was answered first, and what people decided."""
        return await service.posts.show(post_id, call_of(request))

    @app.get("/posts/{post_id}/history", responses=ERRORS, tags=["posts"])
    async def history(post_id: _Id, request: Request) -> HistoryResponse:
        """Everything that happened to a post in review, with the versions in force."""
        return await service.review.history(post_id, call_of(request))

    @app.get("/posts/{post_id}/explanation", responses=ERRORS | MISSING, tags=["posts"])
    async def explanation(
        post_id: _Id,
        request: Request,
        policy: Annotated[str | None, Query(description="default: the most probable")] = None,
    ) -> ExplanationResponse:
        """What of a post speaks for a violation: words, places in images, seconds of video."""
        return await service.posts.explain(post_id, policy, call_of(request))

    @app.post("/appeals", responses=ERRORS | MISSING | _CONFLICT, tags=["posts"])
    async def appeal(appeal_request: AppealRequest, request: Request) -> AppealResponse:
        """An author asks for a removal to be looked at by a person who did not decide it."""
        return await service.posts.appeal(appeal_request, call_of(request))


def _declare_queue(app: FastAPI, service: ModerationService) -> None:
    @app.post("/review/claim", responses=ERRORS, tags=["review"])
    async def claim(claim_request: ClaimRequest, request: Request) -> ClaimsResponse:
        """Lease the most urgent items; nobody else gets them until the lease ends."""
        return await service.review.claim(claim_request, call_of(request))

    @app.post(
        "/review/items/{item_id}/renew", responses=ERRORS | MISSING | _CONFLICT, tags=["review"]
    )
    async def renew(item_id: _ItemId, lease: LeaseRequest, request: Request) -> LeaseResponse:
        """Hold an item for another lease."""
        return await service.review.renew(item_id, lease, call_of(request))

    @app.post(
        "/review/items/{item_id}/release", responses=ERRORS | MISSING | _CONFLICT, tags=["review"]
    )
    async def release(item_id: _ItemId, lease: LeaseRequest, request: Request) -> LeaseResponse:
        """Give an item back undecided."""
        return await service.review.release(item_id, lease, call_of(request))

    @app.post(
        "/review/items/{item_id}/decide", responses=ERRORS | MISSING | _CONFLICT, tags=["review"]
    )
    async def decide(
        item_id: _ItemId, decide_request: DecideRequest, request: Request
    ) -> DecideResponse:
        """Say of each policy whether the post breaks it; the same again changes nothing."""
        return await service.review.decide(item_id, decide_request, call_of(request))


def _declare_looks(app: FastAPI, service: ModerationService) -> None:
    @app.get("/review/policies", responses=ERRORS, tags=["review"])
    async def policies(request: Request) -> PoliciesResponse:
        """The policies in force, as reviewers read them."""
        return service.posts.policies(call_of(request))

    @app.get("/review/figures", responses=ERRORS, tags=["review"])
    async def figures(request: Request) -> QueueStatsResponse:
        """How the queue stands, how reviewers agree, and how right they are on known items."""
        priced = service.decider.priced
        price = 0.0 if priced is None else priced.price
        return await service.review.figures(price, call_of(request))

    @app.get("/media/{digest}", responses=ERRORS | MISSING, tags=["review"])
    async def media(digest: _Digest) -> Response:
        """An image or a video as it was sent, for reviewers; never rendered as a page."""
        return await service.posts.media(digest)
