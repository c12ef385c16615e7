"""The HTTP face of the fraud application."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Body, FastAPI, Path, Request
from pydantic import Field
from starlette.responses import Response

from lib.records import Decision, RecordsUnavailableError
from serve.framework import Gateway, Problem, RequestContext, Route, new_app, parse_body
from serve.framework.app_factory import CONFLICT, ERRORS, MISSING, call_of
from serve.framework.paths import SLASH, PathIdParam
from serve.framework.timestamps import to_datetime
from serve.fraud.schemas import (
    LABEL,
    LABELS,
    MOST_LABELS,
    Label,
    LabelFact,
    LabelsResponse,
    Payment,
    ScoreResponse,
    TransactionResponse,
    payment_adapter,
)
from serve.fraud.service import FraudService

PREFIX = "/fraud"
SCORE, LABEL_SCOPE, READ = "fraud:score", "fraud:label", "fraud:read"


def build_gateway(service: FraudService, names_request: bool = True) -> Gateway:
    """The gateway of a service, which starts and ends with the application's lifespan.

    Args:
        service: what answers.
        names_request: see `Gateway`.
    """
    app, parse = _app(service), service.parsing.parse
    payment = payment_adapter(service.args.scale)

    async def score(body: bytes, call: RequestContext) -> bytes:
        return await service.decider.score(parse_body(payment, body), call)

    async def label(body: bytes, call: RequestContext) -> bytes:
        several = body.lstrip()[:1] == b"["
        labels = await parse(LABELS, body) if several else [await parse(LABEL, body)]
        return (await service.labels.ingest(labels, call)).model_dump_json().encode()

    doors = (
        Route("POST", "/score_transaction", SCORE, score),
        Route(
            "POST",
            "/labels",
            LABEL_SCOPE,
            label,
            service.args.labels_body_bytes,
            service.args.labels_deadline_ms,
        ),
        Route("GET", "/transactions/", READ),
    )
    return Gateway(
        app=app,
        prefix=PREFIX,
        doors=doors,
        keys=service.keys,
        log=service.log,
        meter=service.meter,
        limits=service.args.limits,
        names_request=names_request,
        readiness=service.readiness,
    )


def _app(service: FraudService) -> FastAPI:
    app = new_app(
        "Forewarn: fraud", "1", "Is this payment fraud?", service.readiness, service.lifespan
    )

    @app.post(
        "/score_transaction",
        response_model=ScoreResponse,
        responses=ERRORS | CONFLICT,
        tags=["fraud"],
    )
    async def score_transaction(payment: Payment, request: Request) -> Response:
        """Decide a payment in milliseconds.

        The same payment again gets the first answer byte for byte; another payment under a known
        transaction_id gets 409. Ids are compared byte for byte: normalise case and Unicode (NFC)
        of user_id, merchant_id and device_id before you send them, or one payer counts as several.
        """
        body = await service.decider.score(payment, call_of(request))
        return Response(body, media_type="application/json")

    @app.post("/labels", responses=ERRORS, tags=["fraud"])
    async def labels(
        stated: Annotated[
            Label | Annotated[list[Label], Field(min_length=1, max_length=MOST_LABELS)], Body()
        ],
        request: Request,
    ) -> LabelsResponse:
        """Tell what became known: a chargeback, a review's outcome, a refusal by the issuer."""
        several = stated if isinstance(stated, list) else [stated]
        return await service.labels.ingest(several, call_of(request))

    @app.get("/transactions/{transaction_id}", responses=ERRORS | MISSING, tags=["fraud"])
    async def transaction(
        transaction_id: Annotated[PathIdParam, Path(description=SLASH)],
    ) -> TransactionResponse:
        """What was decided about a payment, on which features, rules and model."""
        return await _transaction(service, transaction_id)

    return app


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
