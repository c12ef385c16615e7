"""Plans and interventions as callers see them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lib.churn.intervention_repository import Intervention, StoredPlan
from serve.churn.schemas import InterventionAnswer, PlanRequest, PlanResponse
from serve.framework import Problem, RequestContext
from serve.framework.validation import to_datetime


def request_fields(request: PlanRequest) -> dict[str, Any]:
    """A request in JSON without its `plan_id`: requests with the same fields ask for one plan."""
    return request.model_dump(mode="json", exclude={"plan_id"})


def repeated_plan(
    plan: StoredPlan, chosen: Sequence[Intervention], request: PlanRequest, context: RequestContext
) -> PlanResponse:
    """A stored plan, for a request that comes again.

    Raises:
        Problem: 409 where another request made the plan.
    """
    stored = {name: value for name, value in plan.request.items() if name != "plan_id"}
    if stored != request_fields(request):
        text = (
            f"plan_id: expected the same request as that which made plan {plan.id!r}, got another; "
            "send a plan_id (or an X-Request-ID) of its own"
        )
        raise Problem.conflict(text)
    return plan_answer(plan, chosen, context)


def plan_answer(
    plan: StoredPlan, chosen: Sequence[Intervention], context: RequestContext
) -> PlanResponse:
    """A plan and its interventions; of those who are held out, how many they are."""
    summary: dict[str, Any] = dict(plan.summary)
    instructions = summary.pop("words")
    return PlanResponse(
        plan_id=plan.id,
        planned_at=to_datetime(plan.planned_at),
        interventions=[
            InterventionAnswer.of(row, intervention_id=row.id, words=instructions.get(row.playbook))
            for row in chosen
            if not row.held_out
        ],
        held_out=sum(row.held_out for row in chosen),
        request_id=context.request_id,
        **summary,
    )
