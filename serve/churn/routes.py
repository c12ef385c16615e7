"""The endpoints of the churn application."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path
from pydantic import TypeAdapter
from starlette.responses import Response

from lib.churn.intervention_repository import (
    ContradictedOutcomeError,
    UnknownInterventionError,
)
from lib.churn.intervention_switch import RepeatedSwitchError, SwitchUnchangedError
from serve.churn.schemas import (
    OUTCOME,
    OUTCOMES,
    PLAN,
    SCORE,
    CustomerResponse,
    EffectsResponse,
    EventsResponse,
    ManyOutcomes,
    Outcome,
    OutcomesResponse,
    OverrideRequest,
    OverrideResponse,
    PlanRequest,
    PlanResponse,
    ScoreRequest,
    ScoreResponse,
    SwitchRequest,
    SwitchResponse,
    WithdrawalRequest,
    WithdrawalResponse,
    events_model,
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
from serve.framework.review import REFUSALS
from serve.framework.review_routes import review_routes
from serve.framework.routes import CONFLICT, ENCODED, MISSING, PathIdParam, Responses

UNCHANGED: Responses = {
    409: {
        "description": "Interventions are stopped, or go on, already; or the X-Request-ID is that "
        "of a request that did the opposite."
    }
}
_CustomerId = Annotated[PathIdParam, Path(description=f"Id of the customer, {ENCODED}.")]
_PlanId = Annotated[PathIdParam, Path(description=f"Id of the plan, {ENCODED}.")]
_Outcomes = Outcome | ManyOutcomes


def build_gateway(service: ChurnService, names_request: bool = True) -> Gateway:
    """The gateway of a service; see `new_gateway`."""
    summary = "Predicts which customers will leave within 60 days, and plans interventions."
    queue = review_routes("churn", service.review)
    routes = (
        *_customer_routes(service),
        *_intervention_routes(service),
        *_outcome_routes(service),
        *queue,
    )
    refusals = {
        **REFUSALS,
        UnknownInterventionError: (404, "not-found"),
        ContradictedOutcomeError: (409, "conflict"),
        SwitchUnchangedError: (409, "unchanged"),
        RepeatedSwitchError: (409, "conflict"),
    }
    return new_gateway("churn", summary, service, routes, names_request, refusals)


def _customer_routes(service: ChurnService) -> list[Route]:
    router, args = Router("customers", "churn"), service.args
    limits = {"body_bytes": args.events_body_bytes, "deadline_ms": args.events_deadline_ms}

    news = events_model(service.ingestor.contracts)
    reading: TypeAdapter[Any] = TypeAdapter(news)

    @router.direct("/events", "label", "Send events", news, EventsResponse, **limits)
    async def events(body: bytes, context: RequestContext) -> bytes:
        """Store events of customers: contracts, usage, tickets, invoices, surveys and notices.

        Rows that are sent again change nothing, for as many days as the service keeps receipts.
        """
        answer = await service.ingestor.ingest(
            await service.parsing.parse_rows(reading, body), context
        )
        return answer.model_dump_json().encode()

    @router.direct(
        "/score", "score", "Score a customer", ScoreRequest, ScoreResponse, responses=MISSING
    )
    async def score(body: bytes, context: RequestContext) -> bytes:
        """Return the probability that a customer leaves, its health, the reasons, and the action.

        Rules decide before the model.
        """
        return await service.decider.score(parse_body(SCORE, body), context)

    @router.get("/customers/{customer_id}/health", "read", "Get a customer's health", MISSING)
    async def health(customer_id: _CustomerId, context: Context) -> CustomerResponse:
        """Return a customer's newest health score, its history, overrides and interventions."""
        return await service.health.get(customer_id, context)

    @router.post("/customers/{customer_id}/override", "review", "Override a health score")
    async def override(
        customer_id: _CustomerId, request: OverrideRequest, context: Context
    ) -> OverrideResponse:
        """Override the health score of a customer, with a reason and an expiry.

        While it is active, plans use the probability of that score instead of the model's.
        """
        return await service.health.override(customer_id, request, context)

    return router.routes


def _intervention_routes(service: ChurnService) -> list[Route]:
    router, answers = Router("interventions", "churn"), service.answers
    large: dict[str, Any] = {"body_bytes": service.args.events_body_bytes, "responses": CONFLICT}

    @router.direct(
        "/interventions/plan", "review", "Plan interventions", PlanRequest, PlanResponse, **large
    )
    async def plan(body: bytes, context: RequestContext) -> bytes:
        """Choose customers and playbooks that maximise the expected value within hours and budget.

        The plan may be empty. The same request under the same `plan_id`, or under the same
        X-Request-ID, gets the stored plan.
        """
        request = await service.parsing.parse_rows(PLAN, body)
        planned = await service.interventions.plan(request, service.considered, context)
        return await answers.write(planned)

    @router.get("/interventions/effects", "read", "Get measured effects")
    async def effects(context: Context) -> EffectsResponse:
        """Return the effect of each playbook: treated customers against the control group."""
        return await service.interventions.outcomes.effects(context)

    @router.get(
        "/interventions/plans/{plan_id}", "read", "Get a plan", MISSING, response=PlanResponse
    )
    async def known_plan(plan_id: _PlanId, context: Context) -> Response:
        """Return a stored plan."""
        return await answers.response(await service.interventions.show(plan_id, context))

    @router.get("/interventions/switch", "read", "Get the kill switch")
    async def switch(context: Context) -> SwitchResponse:
        """Return whether all interventions are stopped, since when and why."""
        return await service.interventions.switch.get(context)

    @router.post("/interventions/stop", "review", "Stop all interventions", UNCHANGED)
    async def stop(request: SwitchRequest, context: Context) -> SwitchResponse:
        """Stop all interventions in every replica: plans are empty until they are resumed.

        409 if they are stopped already; the same request under the same X-Request-ID gets 200.
        """
        return await service.interventions.switch.set(request, context, stopped=True)

    @router.post("/interventions/resume", "review", "Resume interventions", UNCHANGED)
    async def resume(request: SwitchRequest, context: Context) -> SwitchResponse:
        """Let interventions be planned again.

        409 if they are not stopped; the same request under the same X-Request-ID gets 200.
        """
        return await service.interventions.switch.set(request, context, stopped=False)

    return router.routes


def _outcome_routes(service: ChurnService) -> list[Route]:
    router = Router("interventions", "churn")
    options: dict[str, Any] = {
        "body_bytes": service.args.events_body_bytes,
        "responses": MISSING | CONFLICT,
    }

    @router.post("/outcomes/withdraw", "label", "Withdraw a delivery", MISSING)
    async def withdraw(request: WithdrawalRequest, context: Context) -> WithdrawalResponse:
        """Take back the report whether an intervention took place; the audit log keeps it."""
        return await service.interventions.outcomes.withdraw(request, context)

    @router.direct("/outcomes", "label", "Send outcomes", _Outcomes, OutcomesResponse, **options)
    async def outcomes(body: bytes, context: RequestContext) -> bytes:
        """Store whether interventions took place and whether customers left.

        The body is one outcome or a list of outcomes; either all of them are stored or none.
        """
        several = await service.parsing.parse_list(OUTCOME, OUTCOMES, body)
        counts = await service.interventions.outcomes.record(several, context)
        return counts.model_dump_json().encode()

    return router.routes
