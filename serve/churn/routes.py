"""The HTTP face of the churn application."""

from __future__ import annotations

from typing import Annotated

from fastapi import Body, FastAPI, Path, Request
from pydantic import Field
from starlette.responses import Response

from serve.churn.schemas import (
    EVENTS,
    MOST_OUTCOMES,
    SCORE,
    CustomerResponse,
    EffectsResponse,
    Events,
    EventsResponse,
    Outcome,
    OutcomesResponse,
    OverrideRequest,
    OverrideResponse,
    PlanRequest,
    PlanResponse,
    ScoreRequest,
    ScoreResponse,
)
from serve.churn.service import ChurnService
from serve.framework import Gateway, RequestContext, Route, new_app, parse_body
from serve.framework.app_factory import CONFLICT, ERRORS, MISSING, call_of
from serve.framework.paths import SLASH, PathIdParam

PREFIX = "/churn"
TELL, ASK, PLAN, READ = "churn:label", "churn:score", "churn:review", "churn:read"
_Id = Annotated[PathIdParam, Path(description=SLASH)]


def build_gateway(service: ChurnService, names_request: bool = True) -> Gateway:
    """The gateway of a service, which starts and ends with the application's lifespan.

    Args:
        service: what answers.
        names_request: see `Gateway`.
    """
    large = service.args.events_body_bytes

    async def events(body: bytes, call: RequestContext) -> bytes:
        answer = await service.ingestor.ingest(await service.parsing.parse(EVENTS, body), call)
        return answer.model_dump_json().encode()

    async def score(body: bytes, call: RequestContext) -> bytes:
        return await service.decider.score(parse_body(SCORE, body), call)

    doors = (
        Route("POST", "/events", TELL, events, large, service.args.events_deadline_ms),
        Route("POST", "/score", ASK, score),
        Route("GET", "/customers/", READ),
        Route("POST", "/customers/", PLAN),
        Route("POST", "/interventions/plan", PLAN, None, large),
        Route("GET", "/interventions/", READ),
        Route("POST", "/outcomes", TELL, None, large),
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


def _app(service: ChurnService) -> FastAPI:
    app = new_app(
        "Forewarn: churn",
        "1",
        "Who leaves within 60 days, and what should be done about it?",
        service.readiness,
        service.lifespan,
    )
    _declare_customers(app, service)
    _declare_interventions(app, service)
    return app


def _declare_customers(app: FastAPI, service: ChurnService) -> None:
    @app.post("/events", responses=ERRORS, tags=["customers"])
    async def events(news: Events, request: Request) -> EventsResponse:
        """Tell what happened: who customers are, what they use, ask, pay and say, who gave notice.

        The same rows again change nothing, for as many days as receipts are kept.
        """
        return await service.ingestor.ingest(news, call_of(request))

    @app.post("/score", response_model=ScoreResponse, responses=ERRORS | MISSING,
              tags=["customers"])  # fmt: skip
    async def score(score_request: ScoreRequest, request: Request) -> Response:
        """Say how likely a customer leaves, how healthy it is and why; rules decide first."""
        body = await service.decider.score(score_request, call_of(request))
        return Response(body, media_type="application/json")

    @app.get("/customers/{customer_id}/health", responses=ERRORS | MISSING, tags=["customers"])
    async def health(customer_id: _Id, request: Request) -> CustomerResponse:
        """How a customer was when it was last scored, how that changed, and what people say."""
        return await service.health.get(customer_id, call_of(request))

    @app.post("/customers/{customer_id}/override", responses=ERRORS, tags=["customers"])
    async def override(
        customer_id: _Id, override_request: OverrideRequest, request: Request
    ) -> OverrideResponse:
        """Put one's own score in the place of the reckoned one, with a reason, for a time.

        What is planned goes by the reckoned chance all the same.
        """
        return await service.health.override(customer_id, override_request, call_of(request))


def _declare_interventions(app: FastAPI, service: ChurnService) -> None:
    @app.post("/interventions/plan", responses=ERRORS | CONFLICT, tags=["interventions"])
    async def plan(plan_request: PlanRequest, request: Request) -> PlanResponse:
        """Choose whom to look after, and how, within hours and budget; nobody is always allowed.

        The same request with the same plan_id, or the same X-Request-ID, gets the same plan.
        """
        return await service.interventions.plan(plan_request, service.considered, call_of(request))

    @app.get("/interventions/effects", responses=ERRORS, tags=["interventions"])
    async def effects(request: Request) -> EffectsResponse:
        """What each playbook changed, against customers who were chosen and left alone."""
        return await service.interventions.outcomes.effects(call_of(request))

    @app.get("/interventions/plans/{plan_id}", responses=ERRORS | MISSING, tags=["interventions"])
    async def known_plan(plan_id: _Id, request: Request) -> PlanResponse:
        """A plan as it was made."""
        return await service.interventions.show(plan_id, call_of(request))

    @app.post("/outcomes", responses=ERRORS | MISSING | CONFLICT, tags=["interventions"])
    async def outcomes(
        body: Annotated[
            Outcome | Annotated[list[Outcome], Field(min_length=1, max_length=MOST_OUTCOMES)],
            Body(),
        ],
        request: Request,
    ) -> OutcomesResponse:
        """Tell whether interventions took place and whether customers left; all or none is kept."""
        several = body if isinstance(body, list) else [body]
        return await service.interventions.outcomes.record(several, call_of(request))
