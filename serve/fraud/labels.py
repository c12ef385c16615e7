"""What became known about payments: kept for ever, counted in the profiles once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence

from lib.feature import StoreError
from lib.fraud.payment_event import PaymentEventCodec
from lib.records import Decision, Fact, RecordsUnavailableError
from serve.framework import Problem, RequestContext
from serve.framework.decision import ServiceParts
from serve.framework.profiles import ProfileRepository
from serve.framework.validation import to_micros
from serve.fraud import metrics
from serve.fraud.metrics import SYSTEM
from serve.fraud.schemas import Label, LabelsResponse

_KINDS = ("fraud", "declined")
_AT_A_TIME = 8


class LabelIngestor:
    """Takes labels in.

    Args:
        parts: of the application.
        profiles: lets them count.
        codec: reads the payments that they are about.
    """

    def __init__(
        self, parts: ServiceParts, profiles: ProfileRepository, codec: PaymentEventCodec
    ) -> None:
        self._decision_store, self._profiles = parts.decision_store, profiles
        self._codec = codec
        self._meter, self._clock = parts.meter, parts.clock

    async def ingest(self, labels: Sequence[Label], context: RequestContext) -> LabelsResponse:
        """Keeps labels and lets them count; the same ones again change nothing.

        Raises:
            Problem: 422 for a time ahead of now; 503 while the database or the profile store is
                out: the same labels can then be sent again.
        """
        now = self._clock.now()
        facts = [
            fact for index, label in enumerate(labels) for fact in self._facts(label, index, now)
        ]
        try:
            outcome = await self._decision_store.record_labels(facts)
            missing = await self._count_in_profiles({label.transaction_id for label in labels})
        except (RecordsUnavailableError, StoreError) as error:
            context.log_fields["out"] = type(error).__name__
            raise Problem.unavailable(
                "labels cannot be stored temporarily; send the same request again"
            ) from error
        answer = LabelsResponse(
            received=len(labels),
            stored=outcome.stored,
            repeated=outcome.repeated,
            unknown=sum(fact.subject_id in missing for fact in facts),
            request_id=context.request_id,
        )
        for name in ("stored", "repeated", "unknown"):
            if amount := getattr(answer, name):
                self._meter.count(metrics.LABELS, name, amount=amount)
        context.log_fields.update(labels=len(labels), stored=outcome.stored)
        return answer

    async def replay(self, decision: Decision) -> None:
        """Lets every fact about a payment count that does not count yet.

        Raises:
            StoreError: the profile store is out.
            RecordsUnavailableError: the database is out.
        """
        facts = await self._decision_store.labels_as_stored(decision.subject_id)
        event = self._codec.from_json(decision.request)
        for kind in _KINDS:
            start = kind == "declined" and decision.decision == "DECLINE"
            for revision, turn in enumerate(_turns(facts, kind, start), 1):
                await self._profiles.record_label(
                    event, kind, turn.observed_at, turn.value, revision
                )

    async def _count_in_profiles(self, subjects: Iterable[str]) -> set[str]:
        """Lets labels count; returns the payments that are not known here."""
        waiting, missing = deque(subjects), set[str]()

        async def count_subjects() -> None:
            while waiting:
                subject = waiting.popleft()
                decision = await self._decision_store.find(subject)
                if decision is None:
                    missing.add(subject)
                else:
                    await self.replay(decision)

        await asyncio.gather(*(count_subjects() for _ in range(min(_AT_A_TIME, len(waiting)))))
        return missing

    def _facts(self, label: Label, index: int, now: int) -> Iterable[Fact]:
        observed_at = to_micros(label.observed_at)
        if observed_at > now + self._clock.ahead:
            message = "expected a time that is not in the future; check the clock and the offset"
            raise Problem.of_field(f"{index}.observed_at", message)
        for kind, value in zip(_KINDS, (label.is_fraud, label.declined), strict=True):
            if value is not None:
                yield Fact(
                    system=SYSTEM,
                    subject_id=label.transaction_id,
                    kind=kind,
                    value=value,
                    observed_at=observed_at,
                    source=label.source,
                    received_at=now,
                )


def _turns(facts: Sequence[Fact], kind: str, start: bool) -> list[Fact]:
    """The facts that changed what stood, in the order in which they were stored.

    No replica's clock moves a fact before another that was stored, so the list only grows, and the
    place of a turn in it can name it for ever.

    Args:
        facts: about one payment, as they were stored.
        kind: which of them.
        start: what counted before the first.
    """
    turns: list[Fact] = []
    standing = start
    latest = -1
    for fact in (fact for fact in facts if fact.kind == kind):
        if fact.observed_at >= latest:
            latest = fact.observed_at
            if fact.value != standing:
                standing = fact.value
                turns.append(fact)
    return turns
