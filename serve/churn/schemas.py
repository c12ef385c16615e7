"""Request and response bodies of the churn system."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    Field,
    FiniteFloat,
    StrictBool,
    TypeAdapter,
    create_model,
    model_validator,
)

from lib.churn.contracts import CONTRACTS
from lib.contract import Contract
from lib.contract.fields import Amount, Count, Id, Key, Moment, Note, PathId, optional
from serve.framework import response_fields as fields
from serve.framework.contract_models import model_for

MOST_ROWS, MOST_PLANNED, MOST_OUTCOMES = 20_000, 5_000, 1_000
Band = Literal["red", "amber", "green"]
CustomerId = Annotated[str, Field(description="Id of the customer.")]
Probability = Annotated[float, Field(description="Probability that the customer leaves, 0 to 1.")]
HealthScore = Annotated[float, Field(description="Health score, 0 (worst) to 100 (best).")]
ScoreBand = Annotated[Band, Field(description="Colour band of the score.")]


class _Events(fields.RequestBody):
    @model_validator(mode="after")
    def _some_rows(self) -> _Events:
        counts = [len(getattr(self, contract.name)) for contract in CONTRACTS]
        if not any(counts):
            names = ", ".join(contract.name for contract in CONTRACTS)
            raise ValueError(f"expected rows of {names}, or of several of them, got none")
        if sum(counts) > MOST_ROWS:
            raise ValueError(
                f"expected at most {MOST_ROWS} rows over all tables, got {sum(counts)}"
            )
        return self


def events_model(contracts: Sequence[Contract]) -> type[BaseModel]:
    """The body of events.

    Args:
        contracts: of the tables, that of customers with the attributes of the model in force.
    """
    tables: dict[str, Any] = {contract.name: _rows_of(contract) for contract in contracts}
    doc = "Events of customers, as rows of one or more tables."
    model: type[BaseModel] = create_model("Events", __base__=_Events, __doc__=doc, **tables)
    return model


def _rows_of(contract: Contract) -> tuple[Any, Any]:
    description = f"Rows of the table `{contract.name}`; default: no rows."
    field = Field(default=[], max_length=MOST_ROWS, description=description)
    return list[model_for(contract)], field  # type: ignore[misc]


class IngestCounts(BaseModel):
    """Counts of the rows of one table and of the events that they contain."""

    rows: int = Field(description="Number of rows received.")
    new: int = Field(
        description="Number of events stored for the first time. A ticket is one event when it "
        "is opened and another when it is closed."
    )
    repeated: int = Field(
        description="Number of duplicates of stored events with the same content, ignored."
    )
    contradicting: int = Field(
        description="Number of events whose id is stored with different content, ignored; the "
        "stored content stays."
    )


class EventsResponse(BaseModel):
    """Counts of the rows of all tables, and the rows that contradict stored events."""

    tables: dict[str, IngestCounts] = Field(description="Counts by name of the table.")
    contradictions: list[str] = Field(
        description="One message for each row that contradicts stored data, 20 at most. A "
        "contract that begins before the stored one ends is accepted; different content under a "
        "stored id is ignored."
    )
    unknown_customers: list[str] = Field(
        description="Ids of customers without a row in `customers`, 20 at most. Their events are "
        "stored, but they are not scored before such a row arrives."
    )
    request_id: fields.RequestId


class ScoreRequest(fields.RequestBody):
    """The customer to score, and the time of the score."""

    customer_id: PathId = Field(description="Id of the customer.")
    at: Moment | None = optional(
        "Time for which the score is computed, ISO 8601 with an offset; not before "
        "the customer's newest event. Default: the current time."
    )


class ReasonAnswer(BaseModel):
    """A reason that raises or lowers the probability that the customer leaves."""

    words: str = Field(description="The reason in English.")
    feature: str = Field(description="Name of the feature behind the reason.")
    group: str = Field(description="Group that the feature belongs to, such as `usage`.")
    effect: float = Field(
        description="Contribution to the log-odds of leaving: above 0 raises the probability, "
        "below 0 lowers it."
    )
    value: float | None = Field(description="Value of the feature; null if the value is missing.")
    usual: float = Field(description="Median of the feature in the training data.")


class HealthAnswer(BaseModel):
    """Health of a customer: a score, its colour band and its components."""

    score: HealthScore
    band: ScoreBand
    components: dict[str, float | None] = Field(
        description="Score of each component, 0 (worst) to 100 (best), relative to customers of "
        "the same segment; null if no data was received for it."
    )
    change_30d: float | None = Field(
        description="Change of the health score against its value at least 30 days earlier, in "
        "points; null if no earlier score exists."
    )


class ScoreResponse(BaseModel):
    """Probability that a customer leaves, its reasons, and the recommended action."""

    prediction_id: str = Field(description="Id of this score.")
    customer_id: CustomerId
    at: datetime = Field(description="Time for which the score was computed, ISO 8601 in UTC.")
    decision: Literal["MONITOR", "CONTACT", "ACT_NOW", "LEAVING"] = Field(
        description="Recommended action: do nothing for now, contact the customer, or act "
        "immediately; LEAVING if the customer has already given notice."
    )
    method: Literal["rule", "model", "fallback", "told"] = Field(
        description="What decided: a rule, the model, a fallback because the model or the profile "
        "store was unavailable, or `told` if the customer has given notice."
    )
    reason: fields.Reason
    rule_id: fields.RuleId
    chance: float | None = Field(
        description="Calibrated probability, 0 to 1, that the customer gives notice within "
        "`window_days`; null if no model answered or the customer has given notice."
    )
    window_days: int | None = Field(
        description="Length of the prediction window, in days; null if `chance` is null."
    )
    flagged: bool | None = Field(
        description="True if the probability reaches the contact threshold, which is sized to the "
        "team's capacity; null if `chance` is null."
    )
    health: HealthAnswer | None = Field(
        description="Health of the customer; null if no model answered."
    )
    reasons: list[ReasonAnswer] = Field(
        description="Reasons for the probability, the strongest first; empty if no model answered."
    )
    newest_event: datetime | None = Field(
        description="Time of the customer's newest event, ISO 8601 in UTC; null if there is none "
        "or the profile store was unavailable."
    )
    model_version: fields.ModelVersion
    rules_version: fields.RulesVersion
    latency_ms: fields.LatencyMs
    request_id: fields.RequestId


class OverrideResponse(fields.RowAnswer):
    """A health score that a person set for a customer."""

    score: float | None = Field(
        description="Health score that was set, 0 to 100; null if it withdraws an override."
    )
    band: Band | None = Field(description="Colour band of `score`; null if `score` is null.")
    author: str = Field(description="Name of the person who set the score.")
    reason: str = Field(description="Reason that the author gave.")
    created_at: fields.Time = Field(description="Time at which the score was set, ISO 8601 in UTC.")
    expires_at: fields.Time = Field(description="Time at which the override ends, ISO 8601 in UTC.")
    in_force: bool = Field(
        description="True if this override is active: the newest one, not withdrawn, not expired."
    )


class HealthPoint(fields.RowAnswer):
    """One stored score of a customer."""

    at: fields.Time = Field(description="Time of the score, ISO 8601 in UTC.")
    chance: Probability
    score: HealthScore
    band: ScoreBand


class InterventionAnswer(fields.RowAnswer):
    """A planned intervention for one customer. Money is in units of the settlement currency."""

    intervention_id: str = Field(description="Id of the intervention; outcomes refer to it.")
    customer_id: CustomerId
    playbook: str = Field(description="Id of the playbook to apply.")
    words: str | None = Field(
        description="Instruction of the playbook, in English; null in the list of a customer."
    )
    planned_at: fields.Time = Field(description="Time of the plan, ISO 8601 in UTC.")
    chance: float = Field(
        description="Probability that the customer leaves without an intervention, 0 to 1."
    )
    expected_fall: float = Field(
        description="Expected reduction of `chance` by the intervention, as a difference of "
        "probabilities."
    )
    value: float = Field(
        description="Expected value of the intervention minus its cost, in currency units."
    )
    cost: float = Field(description="Cost of the intervention, in currency units.")
    hours: float = Field(description="Working time of the intervention, in hours.")


class CustomerResponse(BaseModel):
    """Latest health of a customer, its history, overrides and interventions."""

    customer_id: CustomerId
    at: datetime = Field(description="Time of the newest score, ISO 8601 in UTC.")
    chance: Probability
    health: HealthAnswer = Field(description="Health that the model computed.")
    score_in_force: float = Field(
        description="Health score to show, 0 to 100: that of the active override, otherwise that "
        "of the model."
    )
    band_in_force: Band = Field(description="Colour band of `score_in_force`.")
    override: OverrideResponse | None = Field(
        description="The active override; null if there is none."
    )
    overrides: list[OverrideResponse] = Field(
        description="All overrides of the customer, the newest first."
    )
    reasons: list[ReasonAnswer] = Field(
        description="Reasons for the probability, the strongest first."
    )
    history: list[HealthPoint] = Field(description="Stored scores, the newest first, 100 at most.")
    interventions: list[InterventionAnswer] = Field(
        description="Planned interventions for the customer. Customers in the control group have "
        "none."
    )
    model_version: fields.ModelVersion
    request_id: fields.RequestId


class OverrideRequest(fields.RequestBody):
    """A health score that a person sets for a customer until an expiry time."""

    score: FiniteFloat | None = Field(
        ge=0,
        le=100,
        description="Health score, 0 (worst) to 100 (best); null withdraws the current override.",
    )
    author: Key = Field(description="Name of the person who sets the score.")
    reason: Note = Field(description="Reason for the override.")
    expires_at: Moment = Field(
        description="Time at which the override ends, ISO 8601 with an offset; in the future, at "
        "most 366 days ahead."
    )


class PlanRequest(fields.RequestBody):
    """Limits and candidates of a day's plan. Money is in units of the settlement currency."""

    plan_id: PathId | None = optional(
        "Id of the plan, chosen by the caller. The same request under its id gets the "
        "stored plan; a different request under a used id gets 409. Default: the request id."
    )
    at: Moment | None = optional(
        "Time for which the plan is made, ISO 8601 with an offset. Default: the "
        "current time if `customers` is given, otherwise the time of the nightly scores."
    )
    hours: Amount = Field(description="Working time that the team has, in hours.")
    budget: Amount = Field(description="Budget for all interventions, in currency units.")
    most: Count | None = optional("Maximum number of interventions. Default: no maximum.")
    customers: list[Id] | None = Field(
        None,
        min_length=1,
        max_length=MOST_PLANNED,
        description="Ids of the candidate customers. Default: all customers with a nightly score.",
    )


class PlanResponse(BaseModel):
    """The plan of a day. Money is in units of the settlement currency."""

    plan_id: str = Field(description="Id of the plan.")
    planned_at: datetime = Field(description="Time for which the plan was made, ISO 8601 in UTC.")
    enabled: bool = Field(description="False if interventions are switched off; the plan is empty.")
    considered: int = Field(description="Number of candidate customers.")
    interventions: list[InterventionAnswer] = Field(
        description="Interventions to carry out, the most valuable first."
    )
    held_out: int = Field(
        description="Number of chosen customers in the control group, who get no intervention so "
        "that effects can be measured. Their ids are not returned, so that no one treats them by "
        "mistake."
    )
    hours: float = Field(
        description="Working time of all chosen interventions, in hours, control group included."
    )
    cost: float = Field(
        description="Cost of all chosen interventions, in currency units, control group included."
    )
    value: float = Field(
        description="Expected value of all chosen interventions minus their cost, in currency "
        "units."
    )
    other_ways: dict[str, float] = Field(
        description="Expected value of simpler selection methods under the same limits, in "
        "currency units, by name of the method."
    )
    effects: dict[str, float] = Field(
        description="Relative reduction of the probability, 0 to 1, by playbook, for the "
        "playbooks whose assumed effect was revised by outcomes."
    )
    prices: dict[str, float] = Field(
        {},
        description="Expected value that one more unit of a binding limit would add, in currency "
        "units: `hours`, `budget`, `most`, or `playbook ID` for the cap of a playbook. Limits that "
        "do not bind are left out.",
    )
    overridden: dict[str, float] = Field(
        {},
        description="Health score set by a person, by id of the customer, for candidates with an "
        "active override: the plan uses the probability of that score instead of the model's.",
    )
    not_considered: dict[str, str] = Field(
        description="Reason for each requested customer that was left out, by id of the customer."
    )
    model_version: fields.ModelVersion
    request_id: fields.RequestId


class Outcome(fields.RequestBody):
    """The outcome of an intervention: whether it took place and whether the customer left."""

    intervention_id: Key = Field(description="Id of the intervention, as in the plan.")
    delivered: StrictBool | None = optional(
        "True if the intervention took place, false if it did not; null if unknown."
    )
    left: StrictBool | None = optional(
        "True if the customer gave notice, false if not; null if unknown."
    )
    observed_at: Moment = Field(
        description="Time at which the outcome became known, ISO 8601 with an offset."
    )
    note: Note | None = optional("Note of the person who reports the outcome.")
    author: Key | None = optional(
        "Name of the person who reports the outcome, kept in the audit log. A key that "
        "is bound to other names gets 403."
    )

    @model_validator(mode="after")
    def _something(self) -> Outcome:
        if self.delivered is None and self.left is None:
            raise ValueError("expected delivered or left, got neither")
        return self


class OutcomesResponse(BaseModel):
    """Counts of the stored outcomes. An outcome with both fields counts twice."""

    new: int = Field(description="Number of outcomes stored for the first time.")
    repeated: int = Field(description="Number of outcomes that had been stored before, ignored.")
    request_id: fields.RequestId


class WithdrawalRequest(fields.RequestBody):
    """The intervention whose delivery is taken back, and the person who does so."""

    intervention_id: Key = Field(description="Id of the intervention, as in the plan.")
    author: Key = Field(
        description="Name of the person, kept in the audit log. A key that is bound to other "
        "names gets 403."
    )


class WithdrawalResponse(BaseModel):
    """A report of a delivery that was taken back."""

    intervention_id: str = Field(description="Id of the intervention.")
    delivered: bool = Field(description="What had been reported.")
    request_id: fields.RequestId


class SwitchRequest(fields.RequestBody):
    """The person who stops or resumes all interventions, and the reason."""

    author: Key = Field(
        description="Name of the person, kept in the audit log. A key that is bound to other "
        "names gets 403."
    )
    reason: Note = Field(description="Reason, kept in the audit log.")


class SwitchResponse(BaseModel):
    """Whether all interventions are stopped."""

    stopped: bool = Field(
        description="True if all interventions are stopped: plans are empty until they are resumed."
    )
    since: datetime | None = Field(
        description="Time of the stop, ISO 8601 in UTC; null if interventions are not stopped."
    )
    author: str | None = Field(
        description="Name of the person who stopped them; null if they are not stopped."
    )
    reason: str | None = Field(
        description="Reason of the stop; null if interventions are not stopped."
    )
    open_contacts: int = Field(
        description="Number of contacts planned in the last 30 days for which no delivery was "
        "reported; contacts that are planned already are not removed from their plans."
    )
    request_id: fields.RequestId


class EffectAnswer(fields.RowAnswer):
    """Estimated effect of a playbook: the treated customers against the control group.

    The estimate is by intention to treat: it covers all customers chosen for the playbook.
    """

    fall: float = Field(
        description="Reduction of the probability that a customer leaves, as a difference of "
        "probabilities; below 0 if the probability rose."
    )
    low: float = Field(description="Lower bound of the 95% confidence interval of `fall`.")
    high: float = Field(description="Upper bound of the 95% confidence interval of `fall`.")
    shown: bool = Field(
        description="True if the effect is significant: the 95% confidence interval excludes 0."
    )
    treated: int = Field(description="Number of treated customers.")
    held_out: int = Field(description="Number of customers in the control group.")
    delivered_share: float | None = Field(
        description="Share of interventions that took place, 0 to 1, among those with a reported "
        "delivery; null if none was reported."
    )
    detectable: float = Field(
        description="Smallest reduction that these group sizes detect with 80% power."
    )
    power: float = Field(
        description="Probability, 0 to 1, that these group sizes detect the expected reduction."
    )


class EffectsResponse(BaseModel):
    """Measured effects of the interventions of the last three years."""

    effects: dict[str, EffectAnswer] = Field(
        description="Effect by playbook, for playbooks with enough outcomes."
    )
    chosen: int = Field(description="Number of chosen customers, the control group included.")
    known: int = Field(description="Number of chosen customers whose outcome is known.")
    window_days: int = Field(
        description="Days after the plan within which a notice counts against the intervention."
    )
    words: str = Field(description="Summary of the effects, in English.")
    request_id: fields.RequestId


ManyOutcomes = Annotated[list[Outcome], Field(min_length=1, max_length=MOST_OUTCOMES)]
SCORE: TypeAdapter[ScoreRequest] = TypeAdapter(ScoreRequest)
PLAN: TypeAdapter[PlanRequest] = TypeAdapter(PlanRequest)
OUTCOME: TypeAdapter[Outcome] = TypeAdapter(Outcome)
OUTCOMES: TypeAdapter[list[Outcome]] = TypeAdapter(ManyOutcomes)
