"""Health over time, and what people know better."""

from collections.abc import Mapping, Sequence
from typing import Any

from lib.churn.health import band_of
from lib.churn.health_repository import HealthEntry, HealthRepository, Override, entry_of
from lib.churn.intervention_repository import InterventionRepository
from lib.churn.overrides import ExpiryError, is_in_force, set_override, standing_override
from lib.concurrency.bounded_executor import BoundedExecutor
from lib.feature import DAY
from lib.records import RecordsUnavailableError
from serve.churn import metrics
from serve.churn.schemas import (
    CustomerResponse,
    HealthAnswer,
    HealthPoint,
    InterventionAnswer,
    OverrideRequest,
    OverrideResponse,
    ReasonAnswer,
)
from serve.framework import Problem, RequestContext
from serve.framework.decision import ServiceParts
from serve.framework.review import key_of
from serve.framework.validation import to_datetime, to_micros

_MONTH_US = 30 * DAY
_SHOWN = 100
_AT_ONCE = 4


class HealthHistory:
    """Keeps and shows what scores said of customers.

    Args:
        parts: of the application.
        repository: history and overrides.
        interventions: what was planned for customers.
    """

    def __init__(
        self,
        parts: ServiceParts,
        repository: HealthRepository,
        interventions: InterventionRepository,
    ) -> None:
        self.repository, self._interventions = repository, interventions
        self._meter, self._background, self._clock = parts.meter, parts.background, parts.clock
        self._threads = BoundedExecutor("health", _AT_ONCE)

    async def record(self, row: Mapping[str, Any], version: str | None) -> HealthAnswer:
        """Keeps a row of scores, and says how the customer is beside a month before."""
        entry = entry_of(row, to_micros(row["as_of"]), version, self._clock.now())
        try:
            past = await self._threads.run(self.repository.list_entries, entry.customer_id)
            await self._threads.run(self.repository.insert_entries, [entry])
        except RecordsUnavailableError:
            # the score is in the journal all the same; its place in the history waits
            self._background.submit(
                lambda: self._threads.run(self.repository.insert_entries, [entry])
            )
            past = []
        self._meter.count(metrics.BANDS, entry.band)
        return health_answer(entry, past)

    async def get(self, customer_id: str, context: RequestContext) -> CustomerResponse:
        """How a customer was when it was last scored.

        Raises:
            Problem: 404 of one that was never scored.
        """
        past = await self._threads.run(self.repository.list_entries, customer_id)
        overrides = await self._threads.run(self.repository.list_overrides, customer_id)
        chosen = await self._threads.run(self._interventions.list_of_customer, customer_id)
        if not past:
            raise Problem.not_found(
                f"customer {customer_id!r} was never scored; send it to /churn/score, or have the "
                "nightly job store its scores (jobs.churn.score --records)",
            )
        now, newest = self._clock.now(), past[0]
        holds = standing_override(overrides, now)
        score = newest.score if holds is None or holds.score is None else holds.score
        return CustomerResponse(
            customer_id=customer_id,
            at=to_datetime(newest.at),
            chance=newest.chance,
            health=health_answer(newest, past),
            score_in_force=score,
            band_in_force=band_of(score),  # type: ignore[arg-type]
            override=None if holds is None else _override_answer(holds, now, True),
            overrides=[
                _override_answer(override, now, override is holds) for override in overrides
            ],
            reasons=[ReasonAnswer.model_validate(dict(reason)) for reason in newest.reasons],
            history=[HealthPoint.of(entry) for entry in past[:_SHOWN]],
            # who is held out is not told: it would be treated by mistake
            interventions=[
                InterventionAnswer.of(row, intervention_id=row.id, words=None)
                for row in chosen
                if not row.held_out
            ],
            model_version=newest.model_version,
            request_id=context.request_id,
        )

    async def override(
        self, customer_id: str, request: OverrideRequest, context: RequestContext
    ) -> OverrideResponse:
        """Keeps what a person knows better.

        Raises:
            Problem: 422 for an expiry that is past or more than a year away.
        """
        key_of(request.author, context, "author")
        now = self._clock.now()
        try:
            override = await self._threads.run(
                lambda: set_override(
                    self.repository,
                    customer_id,
                    request.score,
                    author=request.author,
                    key_id=context.key_id or "-",
                    reason=request.reason,
                    now=now,
                    until=to_micros(request.expires_at),
                )
            )
        except ExpiryError as error:
            text = f"{error}, got {request.expires_at.isoformat()}"
            raise Problem.of_field("expires_at", text) from None
        self._meter.count(metrics.OVERRIDES)
        return _override_answer(override, now, override.score is not None)


def health_answer(entry: HealthEntry, past: Sequence[HealthEntry]) -> HealthAnswer:
    """How a customer is, and how its score changed."""
    before = next(
        (past_entry for past_entry in past if past_entry.at <= entry.at - _MONTH_US), None
    )
    return HealthAnswer(
        score=entry.score,
        band=entry.band,  # type: ignore[arg-type]
        components=dict(entry.components),  # type: ignore[arg-type]
        change_30d=None if before is None else entry.score - before.score,
    )


def _override_answer(override: Override, now: int, newest: bool) -> OverrideResponse:
    return OverrideResponse.of(
        override,
        band=None if override.score is None else band_of(override.score),
        in_force=newest and is_in_force(override, now),
    )
