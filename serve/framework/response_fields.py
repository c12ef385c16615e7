"""What bodies of several systems share: strict requests, answers of stored rows, their fields."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from serve.framework.validation import to_datetime


class RequestBody(BaseModel):
    """A body, or a part of one, that callers send: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class RowAnswer(BaseModel):
    """An answer, or a part of one, that is made of a stored row."""

    @classmethod
    def of(cls, row: object, **others: Any) -> Self:
        """The answer of a row.

        Args:
            row: has the other fields as attributes of the same names.
            others: fields that the row does not have, or not so.
        """
        names = cls.model_fields.keys() - others.keys()
        return cls(**{name: getattr(row, name) for name in names}, **others)


def _time_of_row(value: Any) -> Any:
    return to_datetime(value) if isinstance(value, int) else value


Time = Annotated[datetime, BeforeValidator(_time_of_row)]
"""A time in an answer, ISO 8601 in UTC; rows hold microseconds since 1970 UTC."""

RequestId = Annotated[
    str,
    Field(
        description="Id of this request: the X-Request-ID header that was sent, or a new id. "
        "Quote it when you report a problem."
    ),
]
LatencyMs = Annotated[
    float, Field(description="Time between receipt of the request and the answer, in milliseconds.")
]
ModelVersion = Annotated[
    str | None,
    Field(description="Version of the model that computed the scores; null if no model was used."),
]
RulesVersion = Annotated[str, Field(description="Version of the rules that were evaluated.")]
Reason = Annotated[str, Field(description="Reason for the decision, as one English sentence.")]
RuleId = Annotated[
    str | None, Field(description="Id of the rule that decided; null if no rule decided.")
]
