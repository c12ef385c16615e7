"""Request and response bodies of the fraud system."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    JsonValue,
    TypeAdapter,
    create_model,
    model_validator,
)

from lib.contract.fields import Id, Moment, PathId, identifier_of, optional
from lib.feature.attributes import Attribute
from lib.fraud.amounts import AmountScale
from lib.fraud.contracts import LONGEST_PAYMENT_METHOD_BYTES
from serve.framework import response_fields as fields
from serve.framework.attribute_models import attributes_model
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
PaymentId = Annotated[str, Field(description="Id of the payment.")]


class Payment(fields.RequestBody):
    """A payment to score."""

    transaction_id: PathId = Field(
        description="Id of the payment, chosen by the caller. The same payment sent again under "
        "its id gets the stored answer; a different payment under a used id gets 409."
    )
    event_time: Moment = Field(
        description="Time at which the payment was made, ISO 8601 with an offset.",
        examples=["2026-01-31T12:00:00Z"],
    )
    user_id: Id = Field(description="Id of the user who pays.")
    merchant_id: Id = Field(description="Id of the merchant who is paid.")
    device_id: Id | None = optional("Id of the device that the user paid with; null if unknown.")
    amount: Amount = Field(
        description="Amount in units of the settlement currency, as text or as a number, with at "
        "most the currency's number of decimals: 12.34 EUR, 1500 JPY, 1.234 KWD.",
        examples=["12.34"],
    )
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = Field(
        description="ISO 4217 code of the currency in which the payment was made.",
        examples=["EUR"],
    )
    payment_method: _Method = Field(
        description="Payment method, such as `card`. A method that the model was not trained on "
        "is accepted and counted in the metrics."
    )
    latitude: Latitude | None = optional(
        "Latitude at which the payment was made, in degrees (WGS 84), -90 to 90; "
        "null if unknown. Requires `longitude`."
    )
    longitude: Longitude | None = optional(
        "Longitude at which the payment was made, in degrees (WGS 84), -180 to 180; "
        "null if unknown. Requires `latitude`."
    )

    @model_validator(mode="after")
    def _place_is_whole(self) -> Payment:
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("latitude and longitude: expected both or neither")
        return self


def to_event(
    payment: Payment, scale: AmountScale, attributes: Sequence[Attribute] = ()
) -> dict[str, Any]:
    """The event: microseconds UTC, minor units, NaN where there is no number.

    Args:
        payment: of the request.
        scale: what an amount is.
        attributes: that the event has beside the fields of every payment.
    """
    event = {
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
    if attributes:
        sent = payment.attributes  # type: ignore[attr-defined]
        for attribute in attributes:
            value = None if sent is None else getattr(sent, attribute.name)
            is_text = attribute.type == "category"
            event[attribute.name] = value if is_text else _number_or_nan(value)
    return event


def _number_or_nan(value: float | None) -> float:
    return math.nan if value is None else float(value)


class ReasonAnswer(BaseModel):
    """One reason for the decision or, in a fallback, one input of the decision."""

    code: str = Field(description="Stable code of the reason, such as MERCHANT_FRAUD.")
    words: str = Field(description="Meaning of the code, in English.")
    feature: str | None = optional("Name of the feature behind the reason; null if there is none.")
    value: float | None = optional("Value of the feature; null if the value is missing.")
    contribution: float | None = optional(
        "Contribution of the feature to the score in log-odds, positive towards "
        "fraud; for a rule, the confidence of the rule; null if there is neither."
    )


class ScoreResponse(BaseModel):
    """The decision about a payment. A retried request returns the stored answer byte for byte."""

    transaction_id: PaymentId
    decision: Literal["APPROVE", "REVIEW", "DECLINE"] = Field(
        description="Decision about the payment: approve it, have a person review it, or decline "
        "it."
    )
    fraud_score: float | None = Field(
        description="Calibrated probability of fraud, 0 to 1; null if no model answered."
    )
    reason: fields.Reason
    reasons: list[ReasonAnswer] = Field(
        description="Reasons for the decision, the strongest first; may be empty if approved."
    )
    method: Literal["rule", "model", "fallback"] = Field(
        description="What decided: a rule, the model, or a fallback because the model or the "
        "profile store was unavailable."
    )
    rule_id: fields.RuleId
    model_version: fields.ModelVersion
    latency_ms: fields.LatencyMs
    request_id: fields.RequestId


class Label(fields.RequestBody):
    """What became known about a payment: whether it was fraud, was declined, or both."""

    transaction_id: PathId = Field(description="Id of the payment.")
    is_fraud: bool | None = Field(
        None,
        strict=True,
        description="True if the payment was fraud, false if it was legitimate; null if unknown.",
    )
    declined: bool | None = Field(
        None,
        strict=True,
        description="True if the payment was declined, false if it was executed; null if unknown.",
    )
    observed_at: Moment = Field(
        description="Time at which the label became known to the sender, ISO 8601 with an offset."
    )
    source: _Source = Field(
        description="Origin of the label: 1 to 64 bytes of text.", examples=["chargeback", "review"]
    )

    @model_validator(mode="after")
    def _says_something(self) -> Label:
        if self.is_fraud is None and self.declined is None:
            raise ValueError("expected is_fraud, declined or both, got neither")
        return self


class LabelsResponse(BaseModel):
    """Counts of the labels of a request. A label with both fields counts as two facts."""

    received: int = Field(description="Number of labels in the request.")
    stored: int = Field(description="Number of facts that were stored for the first time.")
    repeated: int = Field(
        description="Number of facts that had been stored before; they changed nothing."
    )
    unknown: int = Field(
        description="Number of facts about payments that this service has not scored; they are "
        "stored, too."
    )
    request_id: fields.RequestId


class LabelFact(fields.RowAnswer):
    """One stored fact about a payment."""

    kind: Literal["fraud", "declined"] = Field(description="What the fact states.")
    value: bool = Field(description="True if the payment was fraud, or was declined.")
    observed_at: fields.Time = Field(
        description="Time at which the fact became known to the sender, ISO 8601 in UTC."
    )
    source: str = Field(description="Origin of the fact, such as `chargeback`.")


class TransactionResponse(fields.RowAnswer):
    """The recorded decision about a payment, its inputs, and the labels received since."""

    transaction_id: PaymentId
    event_time: fields.Time = Field(
        description="Time at which the payment was made, ISO 8601 in UTC."
    )
    decided_at: fields.Time = Field(description="Time of the decision, ISO 8601 in UTC.")
    answer: dict[str, JsonValue] = Field(
        description="Body of the answer to `/score_transaction`, as it was sent."
    )
    payment: dict[str, JsonValue] = Field(
        description="Body of the request to `/score_transaction`, as it was received."
    )
    features: dict[str, float | None] = Field(
        description="Value of each feature at the time of the decision, by name of the feature; "
        "null if the value was missing."
    )
    rule_hits: list[str] = Field(description="Ids of the rules that matched.")
    shadow_hits: list[str] = Field(
        description="Ids of the shadow rules that matched; shadow rules are recorded and do not "
        "decide."
    )
    model_version: fields.ModelVersion
    rules_version: str | None = Field(
        description="Version of the rules that were evaluated; null if it was not recorded."
    )
    feature_set_digest: str | None = Field(
        description="Digest that identifies the declared features; null if it was not recorded."
    )
    rescored: dict[str, JsonValue] | None = Field(
        description="Answer of the model that was computed later for a payment that a fallback "
        "had decided; null if there is none."
    )
    labels: list[LabelFact] = Field(description="Facts that became known about the payment.")


def payment_model(scale: AmountScale, attributes: Sequence[Attribute] = ()) -> type[Payment]:
    """The model of payments whose amounts are on a scale.

    Args:
        scale: what an amount is.
        attributes: that a payment may have.
    """
    amount = Payment.model_fields["amount"]
    field = Field(description=amount.description, examples=amount.examples)
    more: dict[str, Any] = {"amount": (amount_of(scale), field)}
    if attributes:
        description = "Attributes that the model was trained with; each may be left out."
        kind = attributes_model("PaymentAttributes", "payment", attributes) | None
        more["attributes"] = (kind, Field(default=None, description=description))
    return create_model("Payment", __base__=Payment, __doc__=Payment.__doc__, **more)


def payment_adapter(
    scale: AmountScale, attributes: Sequence[Attribute] = ()
) -> TypeAdapter[Payment]:
    """Reads payments; see `payment_model`."""
    return TypeAdapter(payment_model(scale, attributes))


Labels = Annotated[list[Label], Field(min_length=1, max_length=MOST_LABELS)]
LABEL: TypeAdapter[Label] = TypeAdapter(Label)
LABELS: TypeAdapter[list[Label]] = TypeAdapter(Labels)
