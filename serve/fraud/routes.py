"""The endpoints of the fraud application."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from pydantic import TypeAdapter

from serve.framework import Gateway, Problem, RequestContext, Route, Router, new_gateway, parse_body
from serve.framework.review import REFUSALS
from serve.framework.review_routes import review_routes
from serve.framework.routes import CONFLICT, ENCODED, MISSING, PathIdParam
from serve.fraud.schemas import (
    LABEL,
    LABELS,
    Label,
    LabelFact,
    Labels,
    LabelsResponse,
    ScoreResponse,
    TransactionResponse,
    payment_model,
)
from serve.fraud.service import FraudService


def build_gateway(service: FraudService, names_request: bool = True) -> Gateway:
    """The gateway of a service; see `new_gateway`."""
    summary = "Decides whether payments are approved, reviewed or declined."
    routes = (*_routes(service), *review_routes("fraud", service.review))
    return new_gateway("fraud", summary, service, routes, names_request, REFUSALS)


def _routes(service: FraudService) -> list[Route]:
    router, args = Router("fraud", "fraud"), service.args
    payment = payment_model(args.scale, service.features.attributes)
    payment_type = TypeAdapter(payment)

    @router.direct(
        "/score_transaction", "score", "Score a payment", payment, ScoreResponse, responses=CONFLICT
    )
    async def score_transaction(body: bytes, context: RequestContext) -> bytes:
        """Decide whether a payment is approved, reviewed or declined.

        The same payment sent again gets the stored answer byte for byte; a different payment under
        a used `transaction_id` gets 409. Ids are compared byte for byte: normalise the case and
        the Unicode form (NFC) of `user_id`, `merchant_id` and `device_id` before you send them;
        otherwise one user counts as several.
        """
        return await service.decider.score(parse_body(payment_type, body), context)

    limits = {"body_bytes": args.labels_body_bytes, "deadline_ms": args.labels_deadline_ms}

    @router.direct("/labels", "label", "Send labels", Label | Labels, LabelsResponse, **limits)
    async def labels(body: bytes, context: RequestContext) -> bytes:
        """Store what became known about payments: chargebacks, outcomes of reviews, refusals.

        The body is one label or a list of labels. Labels that are sent again change nothing.
        """
        stated = await service.parsing.parse_list(LABEL, LABELS, body)
        return (await service.labels.ingest(stated, context)).model_dump_json().encode()

    @router.get("/transactions/{transaction_id}", "read", "Get a decision", MISSING)
    async def transaction(
        transaction_id: Annotated[PathIdParam, Path(description=f"Id of the payment, {ENCODED}.")],
    ) -> TransactionResponse:
        """Return the decision about a payment, its features, rules and model, and its labels."""
        return await _transaction(service, transaction_id)

    return router.routes


async def _transaction(service: FraudService, transaction_id: str) -> TransactionResponse:
    decision = await service.decision_store.find(transaction_id)
    if decision is None:
        text = f"transaction_id: no decision about {transaction_id!r} is recorded"
        raise Problem.not_found(text)
    labels = await service.decision_store.labels(transaction_id)
    rescored = await service.decision_store.rescored(transaction_id)
    values = decision.features.items()
    return TransactionResponse.of(
        decision,
        transaction_id=decision.subject_id,
        payment=decision.request,
        features={name: None if value != value else value for name, value in values},  # noqa: PLR0124
        rescored=None if rescored is None else rescored.answer,
        labels=[LabelFact.of(fact) for fact in labels],
    )
