"""The endpoints of the fraud application."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path

from lib.records import Decision, RecordsUnavailableError
from serve.framework import Gateway, Problem, RequestContext, Route, Router, new_gateway, parse_body
from serve.framework.routes import CONFLICT, MISSING, SLASH, PathIdParam
from serve.framework.validation import to_datetime
from serve.fraud.schemas import (
    LABEL,
    LABELS,
    Label,
    LabelFact,
    Labels,
    LabelsResponse,
    Payment,
    ScoreResponse,
    TransactionResponse,
    payment_adapter,
)
from serve.fraud.service import FraudService


def build_gateway(service: FraudService, names_request: bool = True) -> Gateway:
    """The gateway of a service; see `new_gateway`."""
    summary = "Is this payment fraud?"
    return new_gateway("fraud", summary, service, _routes(service), names_request)


def _routes(service: FraudService) -> list[Route]:
    router, args = Router("fraud"), service.args
    payment_type = payment_adapter(args.scale)

    @router.direct("/score_transaction", "fraud:score", Payment, ScoreResponse, CONFLICT)
    async def score_transaction(body: bytes, context: RequestContext) -> bytes:
        """Decide a payment in milliseconds.

        The same payment again gets the first answer byte for byte; another payment under a known
        transaction_id gets 409. Ids are compared byte for byte: normalise case and Unicode (NFC)
        of user_id, merchant_id and device_id before you send them, or one payer counts as several.
        """
        return await service.decider.score(parse_body(payment_type, body), context)

    @router.direct(
        "/labels",
        "fraud:label",
        Label | Labels,
        LabelsResponse,
        body_bytes=args.labels_body_bytes,
        deadline_ms=args.labels_deadline_ms,
    )
    async def labels(body: bytes, context: RequestContext) -> bytes:
        """Tell what became known: a chargeback, a review's outcome, a refusal by the issuer."""
        stated = await service.parsing.parse_list(LABEL, LABELS, body)
        return (await service.labels.ingest(stated, context)).model_dump_json().encode()

    @router.route("GET", "/transactions/{transaction_id}", "fraud:read", MISSING)
    async def transaction(
        transaction_id: Annotated[PathIdParam, Path(description=SLASH)],
    ) -> TransactionResponse:
        """What was decided about a payment, on which features, rules and model."""
        return await _transaction(service, transaction_id)

    return router.routes


async def _transaction(service: FraudService, transaction_id: str) -> TransactionResponse:
    try:
        decision = await service.decision_store.find(transaction_id)
        if decision is None:
            raise Problem(404, "not-found", f"no decision about {transaction_id!r}")
        labels = await service.decision_store.labels(transaction_id)
        rescored = await service.decision_store.rescored(transaction_id)
    except RecordsUnavailableError as error:
        text = "the records cannot be read at the moment"
        raise Problem(503, "unavailable", text, retry_after=1) from error
    facts = [
        LabelFact(
            kind=fact.kind,
            value=fact.value,
            observed_at=to_datetime(fact.observed_at),
            source=fact.source,
        )
        for fact in labels
    ]
    again = None if rescored is None or rescored.answer is None else dict(rescored.answer)
    return _transaction_answer(decision, facts, again)


def _transaction_answer(
    decision: Decision, labels: list[LabelFact], rescored: dict[str, Any] | None
) -> TransactionResponse:
    features = decision.features.items()
    return TransactionResponse(
        transaction_id=decision.subject_id,
        event_time=to_datetime(decision.event_time),
        decided_at=to_datetime(decision.decided_at),
        answer=dict(decision.answer),  # type: ignore[arg-type]
        payment=dict(decision.request),  # type: ignore[arg-type]
        features={name: None if value != value else value for name, value in features},  # noqa: PLR0124
        rule_hits=list(decision.rule_hits),
        shadow_hits=list(decision.shadow_hits),
        model_version=decision.model_version,
        rules_version=decision.rules_version,
        feature_set_digest=decision.feature_set_digest,
        rescored=rescored,
        labels=labels,
    )
