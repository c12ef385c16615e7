"""Outcomes of interventions: ingestion, and the estimated effect of each playbook."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from lib.churn.intervention_repository import (
    Intervention,
    InterventionOutcome,
    InterventionRepository,
)
from lib.churn.interventions.effects import Effect, MeasuredShare, effects_of, measured_shares
from lib.churn.interventions.outcome_labels import (
    leaver_labels,
    log_of_interventions,
    notice_labels,
)
from lib.churn.standing_repository import StandingRepository
from lib.concurrency.bounded_executor import BoundedExecutor
from lib.feature import DAY
from lib.records import Fact, RecordsUnavailableError
from serve.churn import metrics
from serve.churn.active_playbooks import ActivePlaybooks
from serve.churn.schemas import (
    EffectAnswer,
    EffectsResponse,
    Outcome,
    OutcomesResponse,
    WithdrawalRequest,
    WithdrawalResponse,
)
from serve.framework import RequestContext
from serve.framework.decision import ServiceParts, unavailable
from serve.framework.review import key_of
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
        for outcome in outcomes:
            if outcome.author is not None:
                key_of(outcome.author, context, "author")
        entries = list(self._entries(outcomes, context.key_id or "-"))
        new = await self._threads.run(self._repository.insert_outcomes, entries)
        await self._record_leavers(entries)
        for entry in entries:
            self._meter.count(metrics.OUTCOMES, entry.kind, str(entry.value).lower())
        return OutcomesResponse(new=new, repeated=len(entries) - new, request_id=context.request_id)

    async def withdraw(
        self, request: WithdrawalRequest, context: RequestContext
    ) -> WithdrawalResponse:
        """Take back whether an intervention took place; the audit keeps both.

        Raises:
            UnknownInterventionError: there is none, or nothing was reported of it.
            Problem: 403 for a name that the key is not bound to.
        """
        key_of(request.author, context, "author")
        withdrawn = await self._threads.run(
            self._repository.withdraw_delivery,
            request.intervention_id,
            request.author,
            context.key_id or "-",
            self._clock.now(),
        )
        return WithdrawalResponse(
            intervention_id=request.intervention_id,
            delivered=withdrawn.value,
            request_id=context.request_id,
        )

    async def record_notices(self, churn: pa.Table) -> None:
        """Store for each notice that interventions before it, within the window, were left.

        Args:
            churn: rows with `customer_id` and `event_time`.

        Raises:
            RecordsUnavailableError: nothing is stored; the same rows can be sent again.
        """
        labels = await self._threads.run(self._record_notices, churn)
        await self._decision_store.record_labels(labels)

    async def effects(self, context: RequestContext) -> EffectsResponse:
        """The effect of each playbook, by intention to treat."""
        return await self._threads.run(self._measured, context.request_id)

    def _measured(self, request_id: str) -> EffectsResponse:
        past = self._repository.list_since(self._clock.now() - HISTORY_US)
        left, delivered = self._outcomes(past)
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
            request_id=request_id,
        )

    def measured_shares(self, past: Sequence[Intervention]) -> dict[str, MeasuredShare]:
        """By playbook with enough outcomes, the relative fall of the probability."""
        if not past:
            return {}
        left, _ = self._outcomes(past)
        log = log_of_interventions(past)
        return measured_shares(log, effects_of(log, left))

    async def _record_leavers(self, entries: Sequence[InterventionOutcome]) -> None:
        """Keep that customers left as labels of the decisions about them."""
        with unavailable("outcomes cannot be stored temporarily", RecordsUnavailableError):
            labels = await self._threads.run(leaver_labels, self._repository, entries)
            await self._decision_store.record_labels(labels)

    def _entries(self, outcomes: Sequence[Outcome], key_id: str) -> Iterator[InterventionOutcome]:
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
                        author=outcome.author,
                        key_id=key_id,
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

    def _record_notices(self, churn: pa.Table) -> list[Fact]:
        """Stores what notices say of interventions; returns the labels that they are."""
        outcomes = {}
        noticed: dict[str, int] = {}
        notices = []
        for row in churn.select(["customer_id", "event_time"]).to_pylist():
            at = to_micros(row["event_time"])
            notices.append((row["customer_id"], at))
            noticed[row["customer_id"]] = max(at, noticed.get(row["customer_id"], 0))
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
        self._repository.sharing(StandingRepository).note_notices(noticed)
        return notice_labels(notices, self._clock.now())


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
