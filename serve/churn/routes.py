"""The endpoints of the churn application."""

from __future__ import annotations

from typing import Annotated

from fastapi import Body, Path
from pydantic import Field

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
from serve.framework import (
    Context,
    Gateway,
    RequestContext,
    Route,
    Router,
    new_gateway,
    parse_body,
)
from serve.framework.routes import CONFLICT, MISSING, SLASH, PathIdParam

_Id = Annotated[PathIdParam, Path(description=SLASH)]
_Outcomes = Outcome | Annotated[list[Outcome], Field(min_length=1, max_length=MOST_OUTCOMES)]


def build_gateway(service: ChurnService, names_request: bool = True) -> Gateway:
    """The gateway of a service; see `new_gateway`."""
    summary = "Who leaves within 60 days, and what should be done about it?"
    routes = (*_customer_routes(service), *_intervention_routes(service))
    return new_gateway("churn", summary, service, routes, names_request)


def _customer_routes(service: ChurnService) -> list[Route]:
    router, args = Router("customers"), service.args

    @router.direct(
        "/events",
        "churn:label",
        Events,
        EventsResponse,
        body_bytes=args.events_body_bytes,
        deadline_ms=args.events_deadline_ms,
    )
    async def events(body: bytes, context: RequestContext) -> bytes:
        """Tell what happened: who customers are, what they use, ask, pay and say, who gave notice.

        The same rows again change nothing, for as many days as receipts are kept.
        """
        answer = await service.ingestor.ingest(await service.parsing.parse(EVENTS, body), context)
        return answer.model_dump_json().encode()

    @router.direct("/score", "churn:score", ScoreRequest, ScoreResponse, MISSING)
    async def score(body: bytes, context: RequestContext) -> bytes:
        """Say how likely a customer leaves, how healthy it is and why; rules decide first."""
        return await service.decider.score(parse_body(SCORE, body), context)

    @router.route("GET", "/customers/{customer_id}/health", "churn:read", MISSING)
    async def health(customer_id: _Id, context: Context) -> CustomerResponse:
        """How a customer was when it was last scored, how that changed, and what people say."""
        return await service.health.get(customer_id, context)

    @router.route("POST", "/customers/{customer_id}/override", "churn:review")
    async def override(
        customer_id: _Id, request: OverrideRequest, context: Context
    ) -> OverrideResponse:
        """Put one's own score in the place of the reckoned one, with a reason, for a time.

        What is planned goes by the reckoned chance all the same.
        """
        return await service.health.override(customer_id, request, context)

    return router.routes


def _intervention_routes(service: ChurnService) -> list[Route]:
    router, large = Router("interventions"), service.args.events_body_bytes

    @router.route("POST", "/interventions/plan", "churn:review", CONFLICT, body_bytes=large)
    async def plan(request: PlanRequest, context: Context) -> PlanResponse:
        """Choose whom to look after, and how, within hours and budget; nobody is always allowed.

        The same request with the same plan_id, or the same X-Request-ID, gets the same plan.
        """
        return await service.interventions.plan(request, service.considered, context)

    @router.route("GET", "/interventions/effects", "churn:read")
    async def effects(context: Context) -> EffectsResponse:
        """What each playbook changed, against customers who were chosen and left alone."""
        return await service.interventions.outcomes.effects(context)

    @router.route("GET", "/interventions/plans/{plan_id}", "churn:read", MISSING)
    async def known_plan(plan_id: _Id, context: Context) -> PlanResponse:
        """A plan as it was made."""
        return await service.interventions.show(plan_id, context)

    @router.route("POST", "/outcomes", "churn:label", MISSING | CONFLICT, body_bytes=large)
    async def outcomes(body: Annotated[_Outcomes, Body()], context: Context) -> OutcomesResponse:
        """Tell whether interventions took place and whether customers left; all or none is kept."""
        several = body if isinstance(body, list) else [body]
        return await service.interventions.outcomes.record(several, context)

    return router.routes
