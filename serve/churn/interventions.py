"""Days planned, outcomes taken in, and what interventions changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from lib.churn.interventions import Effect, Playbooks
from lib.churn.interventions.daily import HISTORY
from lib.churn.interventions.outcomes import effects_of, revised_effects
from lib.contract import TIME
from lib.feature import DAY
from lib.records import (
    ContradictedOutcomeError,
    Intervention,
    InterventionOutcome,
    Interventions,
    RecordsUnavailableError,
    StalePlanError,
    StoredPlan,
    UnknownInterventionError,
)
from serve.churn import numbers
from serve.churn.planner import Planning, bytes_of
from serve.churn.playbook_shelf import Shelf
from serve.churn.schema import (
    EffectAnswer,
    EffectsAnswer,
    InterventionAnswer,
    Outcome,
    OutcomesAnswer,
    PlanAnswer,
    PlanRequest,
)
from serve.gateway import Call, Meter, Problem
from serve.gateway.bounded_executor import BoundedExecutor
from serve.gateway.clock import micros, moment, not_ahead
from serve.gateway.turns import Turns

_REMEMBERED_US = 3 * 365 * DAY
_TRIES = 4
_THREADS = 4


class Scores(Protocol):
    """Where scores of those who are considered come from."""

    async def of(
        self, names: Sequence[str] | None, at_us: int | None, call: Call
    ) -> tuple[pa.Table, dict[str, str], int]:
        """Scores, why others have none, and the moment; None: all of the nightly ones."""
        ...


class Desk:
    """Plans days.

    Args:
        shelf: playbooks in force.
        planning: where days are solved.
        book: plans, interventions, outcomes.
        economics: `margin` and `months`.
        salt: names the experiment.
        window_days: days in which leaving counts against an intervention.
        meter: counts.
        now: microseconds since 1970 UTC.
        ahead_us: how far a caller's clock may be ahead.
    """

    def __init__(
        self,
        shelf: Shelf,
        planning: Planning,
        book: Interventions,
        economics: Mapping[str, float],
        salt: str,
        window_days: Callable[[], int],
        meter: Meter,
        now: Callable[[], int],
        ahead_us: int,
    ) -> None:
        self._shelf, self._planning, self.book = shelf, planning, book
        self._economics, self._salt, self._window = dict(economics), salt, window_days
        self._meter, self._now, self._ahead = meter, now, ahead_us
        self._turns = Turns()
        self._threads = BoundedExecutor("interventions", _THREADS)

    def close(self) -> None:
        """Ends the threads, and gives the database's connections back."""
        self._threads.close()
        self.book.close()

    async def plan(self, asked: PlanRequest, scores: Scores, call: Call) -> PlanAnswer:
        """A day, solved and kept; a plan that is known already comes as it was made.

        A plan is named by `plan_id`, else by the id of its request, so that the same request again
        plans nothing twice. Where another plan is stored meanwhile, this one is solved anew.

        Raises:
            Problem: 404 without scores, 409 where the name is that of another request, 422 for
                limits that contradict each other, 503 without model, store or records.
        """
        plan_id = asked.plan_id or call.request_id
        try:
            if known := await self._known(plan_id):
                return _again(known, asked, call)
            # one at a time here; another replica's plan is seen when this one is stored
            async with self._turns.of(""):
                if known := await self._known(plan_id):
                    return _again(known, asked, call)
                made = await self._made(plan_id, asked, scores, call)
        except RecordsUnavailableError as error:
            text = "the records cannot be reached, and a plan that is not kept would be made twice"
            raise Problem(503, "unavailable", text, retry_after=1) from error
        if made is None:
            text = "other plans are stored all the time; send the same request again"
            raise Problem(503, "unavailable", text, retry_after=1)
        plan, chosen = made
        self._meter.count(numbers.PLANS, "made" if self._shelf.enabled else "switched off")
        for one in chosen:
            arm = "held out" if one.held_out else "treated"
            self._meter.count(numbers.INTERVENTIONS, one.playbook, arm)
        return _plan_answer(plan, chosen, call)

    async def _made(
        self, plan_id: str, asked: PlanRequest, scores: Scores, call: Call
    ) -> tuple[StoredPlan, list[Intervention]] | None:
        """A plan that is stored; None where others were stored first each time."""
        now = self._now()
        wanted = None if asked.at is None else not_ahead("at", asked.at, now, self._ahead)
        table, left_out, at_us = await scores.of(asked.customers, wanted, call)
        since = at_us - _REMEMBERED_US
        for _ in range(_TRIES):
            past = await self._threads.run(self.book.since, since)
            effects = await self._threads.run(self._effects, past)
            solved = await self._planning.solve(self._payload(asked, table, past, effects, at_us))
            if "refused" in solved:
                raise Problem.of_field("body", solved["refused"])
            plan, chosen = self._stored(plan_id, asked, solved, left_out, effects, at_us, table)
            try:
                if await self._threads.run(self.book.keep, plan, chosen, past, since):
                    return plan, chosen
                return await self._threads.run(self.book.plan, plan_id)
            except StalePlanError:
                continue
        return None

    async def show(self, plan_id: str, call: Call) -> PlanAnswer:
        """A plan as it was made.

        Raises:
            Problem: 404 where there is none, 503 without records.
        """
        try:
            known = await self._known(plan_id)
        except RecordsUnavailableError as error:
            raise _records_out() from error
        if known is None:
            raise Problem(404, "not-found", f"there is no plan {plan_id!r}")
        return _plan_answer(*known, call)

    async def settle(self, told: Sequence[Outcome], call: Call) -> OutcomesAnswer:
        """Takes outcomes in, all or none; the same again changes nothing.

        Raises:
            Problem: 404 for an intervention that is not known, 409 where the opposite was told
                before, 422 for a time that is ahead, 503 without records.
        """
        now, outcomes = self._now(), []
        for place, one in enumerate(told):
            at = not_ahead(f"{place}.observed_at", one.observed_at, now, self._ahead)
            for kind in ("delivered", "left"):
                value = getattr(one, kind)
                if value is not None:
                    outcomes.append(
                        InterventionOutcome(
                            intervention_id=one.intervention_id,
                            kind=kind,  # type: ignore[arg-type]
                            value=value,
                            observed_at=at,
                            received_at=now,
                            note=one.note,
                        )
                    )
        try:
            new = await self._threads.run(self.book.tell, outcomes)
        except UnknownInterventionError as error:
            raise Problem(404, "not-found", str(error)) from error
        except ContradictedOutcomeError as error:
            raise Problem(409, "conflict", str(error)) from error
        except RecordsUnavailableError as error:
            raise _records_out() from error
        for each in outcomes:
            self._meter.count(numbers.OUTCOMES, each.kind, str(each.value).lower())
        return OutcomesAnswer(new=new, repeated=len(outcomes) - new, request_id=call.request_id)

    async def noticed(self, churn: pa.Table) -> None:
        """Lets notices settle the interventions that they follow within the window.

        Raises:
            RecordsUnavailableError: they cannot be kept; the same can be told again.
        """
        await self._threads.run(self._noticed, churn)

    async def effects(self, call: Call) -> EffectsAnswer:
        """What interventions changed, by intention to treat.

        Raises:
            Problem: 503 without records.
        """
        try:
            past = await self._threads.run(self.book.since, self._now() - _REMEMBERED_US)
            left, delivered = await self._threads.run(self._outcomes, past)
        except RecordsUnavailableError as error:
            raise _records_out() from error
        found = effects_of(_log(past), left)
        known = int((~np.isnan(left)).sum())
        return EffectsAnswer(
            effects={
                name: _effect_answer(one, name, past, delivered) for name, one in found.items()
            },
            chosen=len(past),
            known=known,
            window_days=self._window(),
            words=_words(found, known),
            request_id=call.request_id,
        )

    async def _known(self, plan_id: str) -> tuple[StoredPlan, list[Intervention]] | None:
        try:
            return await self._threads.run(self.book.plan, plan_id)
        except UnknownInterventionError:
            return None

    def _payload(
        self,
        asked: PlanRequest,
        scores: pa.Table,
        past: Sequence[Intervention],
        effects: Mapping[str, float],
        at_us: int,
    ) -> dict[str, Any]:
        history = _log(past).select(HISTORY.names) if past else None
        return {
            "scores": bytes_of(scores),
            "history": None if history is None else bytes_of(history),
            "names": self._shelf.names,
            "playbooks": self._shelf.text,
            "limits": {"hours": asked.hours, "budget": asked.budget, "most": asked.most},
            "economics": self._economics,
            "at_us": at_us,
            "effects": dict(effects),
            "salt": self._salt,
        }

    def _stored(
        self,
        plan_id: str,
        asked: PlanRequest,
        solved: Mapping[str, Any],
        left_out: Mapping[str, str],
        effects: Mapping[str, float],
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
            created_at=self._now(),
            request=_request_of(asked),
            summary={
                **{name: solved[name] for name in ("considered", "value", "cost", "hours")},
                "other_ways": solved["other_ways"],
                "words": solved["words"],
                "effects": dict(effects),
                "not_considered": dict(left_out),
                "enabled": self._shelf.enabled,
                "model_version": _version(scores),
            },
        )
        return plan, chosen

    def _effects(self, past: Sequence[Intervention]) -> dict[str, float]:
        """By playbook, the share of the chance that goes, where outcomes revise it."""
        if not past:
            return {}
        left, _ = self._outcomes(past)
        log = _log(past)
        playbooks: Playbooks = self._shelf.playbooks
        return revised_effects(playbooks, log, effects_of(log, left))

    def _outcomes(
        self, past: Sequence[Intervention]
    ) -> tuple[np.ndarray[Any, np.dtype[np.float64]], dict[str, bool]]:
        """Of each intervention whether the customer left (NaN: open), and what was delivered."""
        told = self.book.outcomes()
        gone = {one.intervention_id: one.value for one in told if one.kind == "left"}
        delivered = {one.intervention_id: one.value for one in told if one.kind == "delivered"}
        over = self._now() - self._window() * DAY
        left = [
            float(gone[one.id]) if one.id in gone else 0.0 if one.planned_at <= over else np.nan
            for one in past
        ]
        return np.array(left, dtype=np.float64), delivered

    def _noticed(self, churn: pa.Table) -> None:
        found = {}
        for row in churn.select(["customer_id", "event_time"]).to_pylist():
            at = micros(row["event_time"])
            for one in self.book.of_customer(row["customer_id"]):
                if one.planned_at < at <= one.planned_at + self._window() * DAY:
                    found[one.id] = InterventionOutcome(
                        intervention_id=one.id,
                        kind="left",
                        value=True,
                        observed_at=at,
                        received_at=self._now(),
                        note="notice",
                    )
        told = {one.intervention_id for one in self.book.outcomes() if one.kind == "left"}
        self.book.tell([one for name, one in found.items() if name not in told])


def intervention_answer(one: Intervention, words: str | None) -> InterventionAnswer:
    """An intervention as callers see it."""
    return InterventionAnswer(
        intervention_id=one.id,
        customer_id=one.customer_id,
        playbook=one.playbook,
        words=words,
        planned_at=moment(one.planned_at),
        chance=one.chance,
        expected_fall=one.expected_fall,
        value=one.value,
        cost=one.cost,
        hours=one.hours,
    )


def _request_of(asked: PlanRequest) -> dict[str, Any]:
    """What was asked, whatever it was named."""
    return asked.model_dump(mode="json", exclude={"plan_id"})


def _again(
    known: tuple[StoredPlan, list[Intervention]], asked: PlanRequest, call: Call
) -> PlanAnswer:
    plan, chosen = known
    before = {name: value for name, value in plan.request.items() if name != "plan_id"}
    if before != _request_of(asked):
        text = (
            f"plan_id: expected the same request as that which made plan {plan.id!r}, got another; "
            "send a plan_id (or an X-Request-ID) of its own"
        )
        raise Problem(409, "conflict", text)
    return _plan_answer(plan, chosen, call)


def _plan_answer(plan: StoredPlan, chosen: Sequence[Intervention], call: Call) -> PlanAnswer:
    summary: dict[str, Any] = dict(plan.summary)
    words = summary.pop("words")
    return PlanAnswer(
        plan_id=plan.id,
        planned_at=moment(plan.planned_at),
        interventions=[
            intervention_answer(one, words.get(one.playbook)) for one in chosen if not one.held_out
        ],
        held_out=sum(one.held_out for one in chosen),
        request_id=call.request_id,
        **summary,
    )


def _log(past: Sequence[Intervention]) -> pa.Table:
    """Interventions in the columns of `log_of`."""
    rows = [asdict(one) for one in past]
    names = (
        *("customer_id", "playbook", "held_out", "propensity", "chance", "expected_fall"),
        *("value", "cost", "hours"),
    )
    types = [pa.string(), pa.string(), pa.bool_(), *[pa.float64()] * 6]
    columns = {
        name: pa.array([row[name] for row in rows], kind)
        for name, kind in zip(names, types, strict=True)
    }
    times = pa.array([row["planned_at"] for row in rows], pa.int64()).cast(TIME)
    return pa.table({**columns, "planned_at": times})


def _version(scores: pa.Table) -> str | None:
    about = (scores.schema.metadata or {}).get(b"model_version")
    return None if about is None else json.loads(about)


def _effect_answer(
    one: Effect, name: str, past: Sequence[Intervention], delivered: Mapping[str, bool]
) -> EffectAnswer:
    treated = [each.id for each in past if each.playbook == name and not each.held_out]
    told = [delivered[each] for each in treated if each in delivered]
    return EffectAnswer(
        fall=one.value,
        low=one.low,
        high=one.high,
        shown=one.shown,
        treated=one.treated,
        held_out=one.held_out,
        delivered_share=sum(told) / len(told) if told else None,
        detectable=one.detectable,
        power=one.power,
    )


def _words(found: Mapping[str, Effect], known: int) -> str:
    if not found:
        return (
            f"{known} outcomes are known: too few of any playbook, treated and held out, to say "
            "what it changed"
        )
    parts = [
        f"{name} lowers the chance to leave by {one.value:.1%} ({one.low:.1%} to {one.high:.1%})"
        if one.shown
        else f"{name}: no effect shown yet; one below {one.detectable:.1%} would not show"
        for name, one in found.items()
    ]
    return "; ".join(parts)


def _records_out() -> Problem:
    text = "the records cannot be reached at the moment"
    return Problem(503, "unavailable", text, retry_after=1)
