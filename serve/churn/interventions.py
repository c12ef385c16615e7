"""Planning of days: each is solved within its limits, stored once and shown as stored."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import pyarrow as pa

from lib.churn.health import HealthReference
from lib.churn.health_repository import HealthRepository
from lib.churn.intervention_repository import (
    Intervention,
    InterventionRepository,
    StalePlanError,
    StoredPlan,
    UnknownInterventionError,
)
from lib.churn.interventions.daily import HISTORY
from lib.churn.interventions.effects import MeasuredShare
from lib.churn.interventions.outcome_labels import log_of_interventions
from lib.churn.overrides import scores_in_force, with_overrides
from lib.concurrency.bounded_executor import BoundedExecutor
from lib.concurrency.keyed_lock import KeyedLock
from lib.records import RecordsUnavailableError
from serve.churn import metrics
from serve.churn.active_playbooks import ActivePlaybooks
from serve.churn.candidates import CandidateSource
from serve.churn.intervention_outcomes import HISTORY_US, InterventionOutcomes
from serve.churn.intervention_switch import InterventionSwitch
from serve.churn.planner import bytes_of
from serve.churn.schemas import InterventionAnswer, PlanRequest, PlanResponse
from serve.framework import Problem, RequestContext
from serve.framework.decision import ServiceParts, unavailable
from serve.framework.offload import Solver
from serve.framework.validation import to_datetime

_TRIES = 4
_THREADS = 4


class InterventionService:
    """Plans days.

    Args:
        parts: of the application.
        active_playbooks: active playbooks.
        solver: where days are solved.
        repository: plans, interventions, outcomes.
        economics: `margin` and `months`.
        salt: names the experiment.
        window_days: days in which leaving counts against an intervention.
        reference: which probability a health score is worth; None while no model is loaded.

    Attributes:
        repository: as given.
        outcomes: what became of interventions.
        switch: stops all of them.
    """

    def __init__(
        self,
        parts: ServiceParts,
        active_playbooks: ActivePlaybooks,
        solver: Solver,
        repository: InterventionRepository,
        economics: Mapping[str, float],
        salt: str,
        window_days: Callable[[], int],
        reference: Callable[[], HealthReference | None],
    ) -> None:
        self._meter, self._clock, self.repository = parts.meter, parts.clock, repository
        self._active_playbooks, self._solver = active_playbooks, solver
        self._economics, self._salt, self._reference = dict(economics), salt, reference
        self._health = repository.sharing(HealthRepository)
        self._turns = KeyedLock()
        self._threads = BoundedExecutor("interventions", _THREADS)
        self.outcomes = InterventionOutcomes(
            parts, repository, self._threads, active_playbooks, window_days
        )
        self.switch = InterventionSwitch(repository, self._threads, parts.clock.now)

    def close(self) -> None:
        """Ends the threads, and gives the database's connections back."""
        self._threads.close()
        self.repository.close()

    async def plan(
        self, request: PlanRequest, scores: CandidateSource, context: RequestContext
    ) -> PlanResponse:
        """Solve and store a day; a repeated request gets the plan that is stored.

        A plan is named by `plan_id`, else by the id of its request. Where another plan is stored
        meanwhile, this one is solved again with it.

        Raises:
            Problem: 404 without scores, 409 where the name is that of another request, 422 for
                limits that contradict each other, 503 without model, store or records.
        """
        plan_id = request.plan_id or context.request_id
        what = "the records are temporarily unavailable, so the plan cannot be stored"
        with unavailable(what, RecordsUnavailableError):
            if stored := await self._find(plan_id):
                return await self._repeated(*stored, request, context)
            # one at a time here; another replica's plan is seen when this one is stored
            async with self._turns.of(""):
                if stored := await self._find(plan_id):
                    return await self._repeated(*stored, request, context)
                solution = await self._solve_and_store(plan_id, request, scores, context)
        if solution is None:
            raise Problem.unavailable(
                "other plans were stored at the same time; send the same request again"
            )
        plan, chosen = solution
        self._meter.count(metrics.PLANS, "made" if plan.summary["enabled"] else "switched off")
        for row in chosen:
            arm = "held out" if row.held_out else "treated"
            self._meter.count(metrics.INTERVENTIONS, row.playbook, arm)
        return await self._threads.run(_plan_answer, plan, chosen, context)

    async def show(self, plan_id: str, context: RequestContext) -> PlanResponse:
        """A plan as it was stored.

        Raises:
            UnknownInterventionError: there is none.
        """
        plan, chosen = await self._threads.run(self.repository.find_plan, plan_id)
        return await self._threads.run(_plan_answer, plan, chosen, context)

    async def _repeated(
        self,
        plan: StoredPlan,
        chosen: Sequence[Intervention],
        request: PlanRequest,
        context: RequestContext,
    ) -> PlanResponse:
        """A stored plan, for a request that comes again; raises as `_repeated_plan`."""
        return await self._threads.run(_repeated_plan, plan, chosen, request, context)

    async def _find(self, plan_id: str) -> tuple[StoredPlan, list[Intervention]] | None:
        try:
            return await self._threads.run(self.repository.find_plan, plan_id)
        except UnknownInterventionError:
            return None

    async def _solve_and_store(
        self, plan_id: str, request: PlanRequest, scores: CandidateSource, context: RequestContext
    ) -> tuple[StoredPlan, list[Intervention]] | None:
        """A plan that is stored; None where others were stored first each time."""
        now = self._clock.now()
        moment_us = None if request.at is None else self._clock.reject_future("at", request.at, now)
        table, left_out, at_us = await scores.fetch(request.customers, moment_us, context)
        table, overridden = await self._overridden(table, now)
        since = at_us - HISTORY_US
        for _ in range(_TRIES):
            enabled = await self._is_enabled()
            past = await self._threads.run(self.repository.list_since, since)
            measured = await self._threads.run(self.outcomes.measured_shares, past)
            payload = await self._threads.run(self._payload, request, table, past, measured, at_us)
            payload["playbooks"] = self._active_playbooks.text_if(enabled)
            solved = await self._solver.solve(payload)
            if "refused" in solved:
                raise Problem.of_field("body", solved["refused"])
            plan, chosen = await self._threads.run(
                self._stored, plan_id, request, solved, left_out, at_us, table
            )
            about = {"overridden": overridden, "enabled": enabled}
            plan = replace(plan, summary={**plan.summary, **about})
            try:
                if await self._threads.run(self.repository.insert_plan, plan, chosen, past, since):
                    return plan, chosen
                return await self._threads.run(self.repository.find_plan, plan_id)
            except StalePlanError:
                continue
        return None

    async def _is_enabled(self) -> bool:
        """Whether anybody may be planned for: neither settings nor people stopped it."""
        stop = await self._threads.run(self.repository.find_stop)
        return self._active_playbooks.enabled and stop is None

    async def _overridden(self, table: pa.Table, now: int) -> tuple[pa.Table, dict[str, float]]:
        """Scores with those that people set, and these by customer.

        Raises:
            Problem: 503 where some are in force, and no model says what they are worth.
        """
        overridden = await self._threads.run(scores_in_force, self._health, table, now)
        if not overridden:
            return table, {}
        reference = self._reference()
        if reference is None:
            text = "no model is loaded, so overrides in force cannot be planned with; try again"
            raise Problem.unavailable(text, retry_after=5)
        rescored = await self._threads.run(with_overrides, table, overridden, reference.chances)
        return rescored, overridden

    def _payload(
        self,
        request: PlanRequest,
        scores: pa.Table,
        past: Sequence[Intervention],
        measured: Mapping[str, MeasuredShare],
        at_us: int,
    ) -> dict[str, Any]:
        history = log_of_interventions(past).select(HISTORY.names) if past else None
        return {
            "scores": bytes_of(scores),
            "history": None if history is None else bytes_of(history),
            "names": self._active_playbooks.names,
            "limits": {"hours": request.hours, "budget": request.budget, "most": request.most},
            "economics": self._economics,
            "at_us": at_us,
            "measured": {name: asdict(share) for name, share in measured.items()},
            "salt": self._salt,
        }

    def _stored(
        self,
        plan_id: str,
        request: PlanRequest,
        solved: Mapping[str, Any],
        left_out: Mapping[str, str],
        at_us: int,
        scores: pa.Table,
    ) -> tuple[StoredPlan, list[Intervention]]:
        chosen = [
            Intervention(
                id=f"{plan_id}-{number}", plan_id=plan_id, planned_at=at_us, **row
            )
            for number, row in enumerate(solved["log"])
        ]  # fmt: skip
        plan = StoredPlan(
            id=plan_id,
            planned_at=at_us,
            created_at=self._clock.now(),
            request=_request_fields(request),
            summary={
                **{name: solved[name] for name in ("considered", "value", "cost", "hours")},
                **{name: solved[name] for name in ("other_ways", "prices", "words", "effects")},
                "not_considered": dict(left_out),
                "model_version": _version(scores),
            },
        )
        return plan, chosen


def _request_fields(request: PlanRequest) -> dict[str, Any]:
    """A request in JSON without its `plan_id`: requests with the same fields ask for one plan."""
    return request.model_dump(mode="json", exclude={"plan_id"})


def _repeated_plan(
    plan: StoredPlan, chosen: Sequence[Intervention], request: PlanRequest, context: RequestContext
) -> PlanResponse:
    """A stored plan, for a request that comes again.

    Raises:
        Problem: 409 where another request made the plan.
    """
    stored = {name: value for name, value in plan.request.items() if name != "plan_id"}
    if stored != _request_fields(request):
        text = (
            f"plan_id: expected the same request as that which made plan {plan.id!r}, got another; "
            "send a plan_id (or an X-Request-ID) of its own"
        )
        raise Problem.conflict(text)
    return _plan_answer(plan, chosen, context)


def _plan_answer(
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


def _version(scores: pa.Table) -> str | None:
    about = (scores.schema.metadata or {}).get(b"model_version")
    return None if about is None else json.loads(about)
