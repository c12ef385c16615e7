"""Fields that answers of several systems share, described once for the OpenAPI documents."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

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
