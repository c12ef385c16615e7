"""Outcomes of interventions: ingestion, and the estimated effect of each playbook."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa

from lib.churn.intervention_repository import (
    Intervention,
    InterventionOutcome,
    InterventionRepository,
)
from lib.churn.interventions.effects import Effect, effects_of, revised_effects
from lib.churn.model import SYSTEM
from lib.churn.outcomes import LEFT, NOTICE
from lib.concurrency.bounded_executor import BoundedExecutor
from lib.contract import TIME
from lib.feature import DAY
from lib.records import Fact, RecordsUnavailableError
from serve.churn import metrics
from serve.churn.active_playbooks import ActivePlaybooks
from serve.churn.schemas import EffectAnswer, EffectsResponse, Outcome, OutcomesResponse
from serve.framework import RequestContext
from serve.framework.decision import ServiceParts, unavailable
from serve.framework.validation import to_micros

HISTORY_US = 3 * 365 * DAY
"""How far back interventions count, in microseconds."""


class InterventionOutcomes:
    """Stores outcomes, and estimates by intention to treat what each playbook changed.

    Args:
        parts: of the application.
        repository: interventions and their outcomes.
        threads: run the calls to the database.
        active_playbooks: active playbooks.
        window_days: days in which leaving counts against an intervention.
    """

    def __init__(
        self,
        parts: ServiceParts,
        repository: InterventionRepository,
        threads: BoundedExecutor,
        active_playbooks: ActivePlaybooks,
        window_days: Callable[[], int],
    ) -> None:
        self._repository, self._threads = repository, threads
        self._active_playbooks, self._window = active_playbooks, window_days
        self._meter, self._clock = parts.meter, parts.clock
        self._decision_store = parts.decision_store

    async def record(
        self, outcomes: Sequence[Outcome], context: RequestContext
    ) -> OutcomesResponse:
        """Store all outcomes or none; repeated ones change nothing.

        Raises:
            UnknownInterventionError, ContradictedOutcomeError: an outcome names no intervention,
                or the opposite is stored.
            Problem: 422 for a time in the future, 503 while the records are out.
        """
        entries = list(self._entries(outcomes))
        new = await self._threads.run(self._repository.insert_outcomes, entries)
        await self._record_leavers(entries)
        for entry in entries:
            self._meter.count(metrics.OUTCOMES, entry.kind, str(entry.value).lower())
        return OutcomesResponse(new=new, repeated=len(entries) - new, request_id=context.request_id)

    async def record_notices(self, churn: pa.Table) -> None:
        """Store for each notice that interventions before it, within the window, were left.

        Args:
            churn: rows with `customer_id` and `event_time`.

        Raises:
            RecordsUnavailableError: nothing is stored; the same rows can be sent again.
        """
        await self._threads.run(self._record_notices, churn)
        now = self._clock.now()
        await self._decision_store.record_labels(
            [
                _fact(NOTICE, row["customer_id"], to_micros(row["event_time"]), "event", now)
                for row in churn.select(["customer_id", "event_time"]).to_pylist()
            ]
        )

    async def effects(self, context: RequestContext) -> EffectsResponse:
        """The effect of each playbook, by intention to treat."""
        past = await self._threads.run(self._repository.list_since, self._clock.now() - HISTORY_US)
        left, delivered = await self._threads.run(self._outcomes, past)
        effects = effects_of(log_of_interventions(past), left)
        outcome_count = int((~np.isnan(left)).sum())
        return EffectsResponse(
            effects={
                name: _effect_answer(effect, name, past, delivered)
                for name, effect in effects.items()
            },
            chosen=len(past),
            known=outcome_count,
            window_days=self._window(),
            words=_text(effects, outcome_count),
            request_id=context.request_id,
        )

    def revised_effects(self, past: Sequence[Intervention]) -> dict[str, float]:
        """By playbook with enough outcomes, the revised relative fall of the probability."""
        if not past:
            return {}
        left, _ = self._outcomes(past)
        log = log_of_interventions(past)
        return revised_effects(self._active_playbooks.playbooks, log, effects_of(log, left))

    async def _record_leavers(self, entries: Sequence[InterventionOutcome]) -> None:
        """Keep that customers left as labels of the decisions about them."""
        left = [entry for entry in entries if entry.kind == "left" and entry.value]
        names = [entry.intervention_id for entry in left]
        with unavailable("outcomes cannot be stored temporarily", RecordsUnavailableError):
            customers = await self._threads.run(self._repository.customers_of, names)
            await self._decision_store.record_labels(
                [
                    _fact(
                        LEFT,
                        customers[entry.intervention_id],
                        entry.observed_at,
                        "intervention",
                        entry.received_at,
                    )
                    for entry in left
                ]
            )

    def _entries(self, outcomes: Sequence[Outcome]) -> Iterator[InterventionOutcome]:
        now = self._clock.now()
        for index, outcome in enumerate(outcomes):
            at = self._clock.reject_future(f"{index}.observed_at", outcome.observed_at, now)
            for kind in ("delivered", "left"):
                value = getattr(outcome, kind)
                if value is not None:
                    yield InterventionOutcome(
                        intervention_id=outcome.intervention_id,
                        kind=kind,  # type: ignore[arg-type]
                        value=value,
                        observed_at=at,
                        received_at=now,
                        note=outcome.note,
                    )

    def _outcomes(
        self, past: Sequence[Intervention]
    ) -> tuple[np.ndarray[Any, np.dtype[np.float64]], dict[str, bool]]:
        """Of each intervention whether the customer left (NaN: open), and what was delivered."""
        stored = self._repository.list_outcomes()
        left_by_id = {row.intervention_id: row.value for row in stored if row.kind == "left"}
        delivered = {row.intervention_id: row.value for row in stored if row.kind == "delivered"}
        over = self._clock.now() - self._window() * DAY
        left = [
            float(left_by_id[row.id])
            if row.id in left_by_id
            else 0.0
            if row.planned_at <= over
            else np.nan
            for row in past
        ]
        return np.array(left, dtype=np.float64), delivered

    def _record_notices(self, churn: pa.Table) -> None:
        outcomes = {}
        for row in churn.select(["customer_id", "event_time"]).to_pylist():
            at = to_micros(row["event_time"])
            for intervention in self._repository.list_of_customer(row["customer_id"]):
                planned_at = intervention.planned_at
                if planned_at < at <= planned_at + self._window() * DAY:
                    outcomes[intervention.id] = InterventionOutcome(
                        intervention_id=intervention.id,
                        kind="left",
                        value=True,
                        observed_at=at,
                        received_at=self._clock.now(),
                        note="notice",
                    )
        stored = {
            row.intervention_id for row in self._repository.list_outcomes() if row.kind == "left"
        }
        self._repository.insert_outcomes(
            [row for name, row in outcomes.items() if name not in stored]
        )


def _fact(kind: str, customer_id: str, at_us: int, source: str, now: int) -> Fact:
    return Fact(
        system=SYSTEM,
        subject_id=customer_id,
        kind=kind,
        value=True,
        observed_at=at_us,
        source=source,
        received_at=now,
    )


def log_of_interventions(interventions: Sequence[Intervention]) -> pa.Table:
    """Interventions in the columns of `lib.churn.interventions.daily.log_of`."""
    rows = [asdict(intervention) for intervention in interventions]
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


def _effect_answer(
    effect: Effect, name: str, past: Sequence[Intervention], delivered: Mapping[str, bool]
) -> EffectAnswer:
    treated = [row.id for row in past if row.playbook == name and not row.held_out]
    values = [delivered[row_id] for row_id in treated if row_id in delivered]
    delivered_share = sum(values) / len(values) if values else None
    return EffectAnswer.of(
        effect, fall=effect.value, shown=effect.is_shown, delivered_share=delivered_share
    )


def _text(effects: Mapping[str, Effect], outcome_count: int) -> str:
    if not effects:
        return (
            f"{outcome_count} outcomes are known: too few treated and control customers of any "
            "playbook to measure an effect"
        )
    parts = [
        f"{name} lowers the probability of leaving by {row.value:.1%} ({row.low:.1%} to "
        f"{row.high:.1%})"
        if row.is_shown
        else f"{name}: no effect shown yet; one below {row.detectable:.1%} would not show"
        for name, row in effects.items()
    ]
    return "; ".join(parts)
