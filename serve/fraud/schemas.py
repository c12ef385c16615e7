"""What callers of the fraud system send and get."""

from __future__ import annotations

import math
import re
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    TypeAdapter,
    create_model,
    model_validator,
)

from lib.contract.fields import Id, Moment, PathId, identifier_of
from lib.fraud.amounts import AmountScale
from lib.fraud.contracts import LONGEST_PAYMENT_METHOD_BYTES
from serve.framework.validation import to_micros

MOST_LABELS = 1000
_DECIMAL = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")
_Method = identifier_of(LONGEST_PAYMENT_METHOD_BYTES)
_Source = identifier_of(64)


def _plain_decimal(value: Any) -> Any:
    if isinstance(value, str) and not _DECIMAL.fullmatch(value):
        raise ValueError('expected a decimal such as "12.34"')
    return value


def amount_of(scale: AmountScale) -> Any:
    """The type of an amount: as many decimals as the currency has, up to its largest amount."""
    largest = Decimal(scale.largest_minor).scaleb(-scale.digits)
    return Annotated[
        Decimal,
        BeforeValidator(_plain_decimal),
        Field(ge=0, le=largest, decimal_places=scale.digits),
    ]


Amount = Annotated[Decimal, BeforeValidator(_plain_decimal), Field(ge=0)]
Latitude = Annotated[float, Field(ge=-90, le=90, strict=True)]
Longitude = Annotated[float, Field(ge=-180, le=180, strict=True)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)


class Payment(_Strict):
    """One payment to score."""

    transaction_id: PathId = Field(
        description="names the payment; a retry sends the same payment, another one gets 409"
    )
    event_time: Moment = Field(
        description="when it was made, ISO 8601 with an offset",
        examples=["2026-01-31T12:00:00Z"],
    )
    user_id: Id = Field(description="who pays")
    merchant_id: Id = Field(description="who is paid")
    device_id: Id | None = Field(None, description="the device that paid, where one is known")
    amount: Amount = Field(
        description="units of the settlement currency with at most its decimals, such as 12.34 of "
        "EUR, 1500 of JPY, 1.234 of KWD; text or number",
        examples=["12.34"],
    )
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = Field(
        description="ISO 4217 code that the payment was made in", examples=["EUR"]
    )
    payment_method: _Method = Field(
        description="how it is paid; an unknown one is accepted and counted"
    )
    latitude: Latitude | None = Field(None, description="where it is made, degrees WGS 84")
    longitude: Longitude | None = Field(None, description="degrees WGS 84")

    @model_validator(mode="after")
    def _place_is_whole(self) -> Payment:
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("latitude and longitude: expected both or neither")
        return self


def to_event(payment: Payment, scale: AmountScale) -> dict[str, Any]:
    """The event: microseconds UTC, minor units, NaN where there is no place."""
    return {
        "event_time": to_micros(payment.event_time),
        "transaction_id": payment.transaction_id,
        "user_id": payment.user_id,
        "merchant_id": payment.merchant_id,
        "device_id": payment.device_id,
        "amount_minor": int(payment.amount * scale.minor_per_unit),
        "currency": payment.currency,
        "payment_method": payment.payment_method,
        "latitude": math.nan if payment.latitude is None else payment.latitude,
        "longitude": math.nan if payment.longitude is None else payment.longitude,
    }


class ReasonAnswer(BaseModel):
    """Why a payment was not approved, or what a fallback went by."""

    code: str = Field(description="stable code, e.g. MERCHANT_FRAUD")
    words: str = Field(description="the code in plain English")
    feature: str | None = Field(None, description="the feature it speaks of")
    value: float | None = Field(None, description="the feature's value; null where missing")
    contribution: float | None = Field(
        None, description="log-odds that the feature added; a rule's confidence for a rule"
    )


class ScoreResponse(BaseModel):
    """The decision about a payment. A retry gets the first one, to the letter."""

    transaction_id: str
    decision: Literal["APPROVE", "REVIEW", "DECLINE"]
    fraud_score: float | None = Field(
        description="calibrated probability of fraud, 0..1; null while no model answers"
    )
    reason: str = Field(description="one sentence")
    reasons: list[ReasonAnswer]
    method: Literal["rule", "model", "fallback"]
    rule_id: str | None = Field(description="the rule that decided, if one did")
    model_version: str | None
    latency_ms: float = Field(description="time in this service, milliseconds")
    request_id: str


class Label(_Strict):
    """What became known about a payment."""

    transaction_id: PathId
    is_fraud: bool | None = Field(None, strict=True, description="true: fraud; false: it is not")
    declined: bool | None = Field(
        None, strict=True, description="true: the payment did not go through; false: it did"
    )
    observed_at: Moment = Field(description="when it became known, ISO 8601 with an offset")
    source: _Source = Field(description="who says so", examples=["chargeback", "review"])

    @model_validator(mode="after")
    def _says_something(self) -> Label:
        if self.is_fraud is None and self.declined is None:
            raise ValueError("expected is_fraud, declined or both")
        return self


class LabelsResponse(BaseModel):
    """What was done with a batch of labels; one label may state two facts."""

    received: int = Field(description="labels in the request")
    stored: int = Field(description="facts that were new")
    repeated: int = Field(description="facts that were known; they changed nothing")
    unknown: int = Field(description="facts about payments never scored here; kept all the same")
    request_id: str


class LabelFact(BaseModel):
    """One fact as it is kept."""

    kind: Literal["fraud", "declined"]
    value: bool
    observed_at: datetime
    source: str


class TransactionResponse(BaseModel):
    """What was decided about a payment, on what, and what became known since."""

    transaction_id: str
    event_time: datetime
    decided_at: datetime
    answer: dict[str, JsonValue] = Field(description="as it was answered")
    payment: dict[str, JsonValue] = Field(description="as it was asked")
    features: dict[str, float | None] = Field(description="as the decision saw them")
    rule_hits: list[str]
    shadow_hits: list[str]
    model_version: str | None
    rules_version: str | None
    feature_set_digest: str | None
    rescored: dict[str, JsonValue] | None = Field(
        description="the model's answer to a payment that a fallback had decided"
    )
    labels: list[LabelFact]


def payment_adapter(scale: AmountScale) -> TypeAdapter[Payment]:
    """Reads payments whose amounts are on `scale`."""
    amount = Payment.model_fields["amount"]
    field = Field(description=amount.description, examples=amount.examples)
    return TypeAdapter(create_model("Payment", __base__=Payment, amount=(amount_of(scale), field)))


Labels = Annotated[list[Label], Field(min_length=1, max_length=MOST_LABELS)]
LABEL: TypeAdapter[Label] = TypeAdapter(Label)
LABELS: TypeAdapter[list[Label]] = TypeAdapter(Labels)
