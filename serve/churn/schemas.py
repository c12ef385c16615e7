"""What callers of the churn system send and get."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    StrictBool,
    TypeAdapter,
    create_model,
    model_validator,
)

from lib.churn.contracts import CONTRACTS
from lib.contract.fields import Amount, Id, Key, Moment, Note, PathId, Whole
from serve.framework.contract_models import model_for

MOST_ROWS, MOST_PLANNED, MOST_OUTCOMES = 20_000, 5_000, 1_000
Band = Literal["red", "amber", "green"]


class _Sent(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Events(_Sent):
    @model_validator(mode="after")
    def _some_rows(self) -> _Events:
        counts = [len(getattr(self, contract.name)) for contract in CONTRACTS]
        if not any(counts):
            names = ", ".join(contract.name for contract in CONTRACTS)
            raise ValueError(f"expected rows of {names}; got none")
        if sum(counts) > MOST_ROWS:
            raise ValueError(f"expected at most {MOST_ROWS} rows in all, got {sum(counts)}")
        return self


if TYPE_CHECKING:
    Events = _Events
else:
    Events = create_model(
        "Events",
        __base__=_Events,
        __doc__="News of customers: rows of any of the contracts.",
        **{
            contract.name: (list[model_for(contract)], Field(default=[], max_length=MOST_ROWS))
            for contract in CONTRACTS
        },
    )


class IngestCounts(BaseModel):
    """What became of the rows of one table."""

    rows: int
    new: int = Field(description="happenings that were not known; a ticket is one or two")
    repeated: int = Field(description="happenings that were told before, with the same content")
    contradicting: int = Field(
        description="happenings that were told before with other content; the first ones stay"
    )


class EventsResponse(BaseModel):
    """What became of all rows."""

    tables: dict[str, IngestCounts]
    contradictions: list[str] = Field(
        description="rows that contradict what was known: a contract that begins before another "
        "ends is taken in, other content under a known id is not"
    )
    unknown_customers: list[str] = Field(
        description="customers of whom no row of `customers` was told yet: not scored before"
    )
    request_id: str


class ScoreRequest(_Sent):
    """Which customer, and as of when."""

    customer_id: PathId
    at: Moment | None = Field(None, description="default: now; not before the newest event")


class ReasonAnswer(BaseModel):
    """What raises (above 0) or lowers the chance to leave."""

    words: str
    feature: str
    group: str
    effect: float = Field(description="added to the log-odds")
    value: float | None
    usual: float


class HealthAnswer(BaseModel):
    """How a customer is."""

    score: float = Field(description="0 to 100, 100 the best")
    band: Band
    components: dict[str, float | None] = Field(description="0 to 100; null: nothing is told")
    change_30d: float | None = Field(description="of the score, against 30 days before; or null")


class ScoreResponse(BaseModel):
    """How likely a customer leaves, and what to do."""

    prediction_id: str
    customer_id: str
    at: datetime
    decision: Literal["MONITOR", "CONTACT", "ACT_NOW", "LEAVING"]
    method: Literal["rule", "model", "fallback", "told"]
    reason: str
    rule_id: str | None
    chance: float | None = Field(description="to give notice within `window_days`, calibrated")
    window_days: int | None
    flagged: bool | None = Field(description="among the riskiest that the team can look after")
    health: HealthAnswer | None
    reasons: list[ReasonAnswer]
    newest_event: datetime | None
    model_version: str | None
    rules_version: str
    latency_ms: float
    request_id: str


class OverrideResponse(BaseModel):
    """What a person knows better."""

    score: float | None
    band: Band | None
    author: str
    reason: str
    created_at: datetime
    expires_at: datetime
    in_force: bool


class HealthPoint(BaseModel):
    """A kept score."""

    at: datetime
    chance: float
    score: float
    band: Band


class InterventionAnswer(BaseModel):
    """A customer who is to be looked after. Money in currency units."""

    intervention_id: str
    customer_id: str
    playbook: str
    words: str | None
    planned_at: datetime
    chance: float = Field(description="to leave, if nothing is done")
    expected_fall: float = Field(description="of that chance")
    value: float = Field(description="expected, cost taken off")
    cost: float
    hours: float


class CustomerResponse(BaseModel):
    """A customer's health as it was last reckoned, its history, and what people say."""

    customer_id: str
    at: datetime = Field(description="of the newest score")
    chance: float
    health: HealthAnswer
    score_in_force: float = Field(description="the override's while one is in force")
    band_in_force: Band
    override: OverrideResponse | None = Field(description="the one in force")
    overrides: list[OverrideResponse]
    reasons: list[ReasonAnswer]
    history: list[HealthPoint] = Field(description="the newest first")
    interventions: list[InterventionAnswer]
    model_version: str | None
    request_id: str


class OverrideRequest(_Sent):
    """Who says what, why, and until when."""

    score: FiniteFloat | None = Field(
        ge=0, le=100, description="null withdraws what was said before"
    )
    author: Key
    reason: Note
    expires_at: Moment


class PlanRequest(_Sent):
    """Limits of a day. Money in currency units."""

    plan_id: PathId | None = Field(
        None,
        description="the same request again gets the same plan, another one 409; default: a new id",
    )
    at: Moment | None = Field(None, description="default: now, or the moment of the nightly scores")
    hours: Amount = Field(description="of the team")
    budget: Amount
    most: Whole | None = Field(None, description="interventions at most")
    customers: list[Id] | None = Field(
        None,
        min_length=1,
        max_length=MOST_PLANNED,
        description="who is considered; default: everyone in the nightly scores",
    )


class PlanResponse(BaseModel):
    """A planned day. Money in currency units."""

    plan_id: str
    planned_at: datetime
    enabled: bool = Field(description="false: all interventions are switched off")
    considered: int
    interventions: list[InterventionAnswer] = Field(description="the most valuable first")
    held_out: int = Field(
        description="chosen and left alone, so that effects show; not named, so that nobody "
        "treats them by mistake"
    )
    hours: float = Field(description="of all who were chosen, the holdout included")
    cost: float
    value: float
    other_ways: dict[str, float] = Field(description="expected value of other ways to choose")
    effects: dict[str, float] = Field(
        description="share of the chance that goes, by playbook, where outcomes revised it"
    )
    not_considered: dict[str, str] = Field(description="customers left out, and why")
    model_version: str | None
    request_id: str


class Outcome(_Sent):
    """What became of one intervention."""

    intervention_id: Key
    delivered: StrictBool | None = Field(None, description="whether it took place")
    left: StrictBool | None = Field(None, description="whether the customer gave notice")
    observed_at: Moment
    note: Note | None = None

    @model_validator(mode="after")
    def _something(self) -> Outcome:
        if self.delivered is None and self.left is None:
            raise ValueError("expected delivered or left, got neither")
        return self


class OutcomesResponse(BaseModel):
    """What became of the outcomes."""

    new: int
    repeated: int
    request_id: str


class EffectAnswer(BaseModel):
    """What a playbook changed: the fall of the chance to leave, over all who were chosen for it."""

    fall: float
    low: float = Field(description="95% interval")
    high: float
    shown: bool = Field(description="whether the interval excludes no effect")
    treated: int
    held_out: int
    delivered_share: float | None = Field(description="of the treated whose delivery was told")
    detectable: float = Field(description="smallest fall that such numbers show in 4 of 5 cases")
    power: float = Field(description="chance to show the fall that was expected")


class EffectsResponse(BaseModel):
    """What interventions changed so far."""

    effects: dict[str, EffectAnswer]
    chosen: int
    known: int = Field(description="of the chosen, whose outcome is known")
    window_days: int
    words: str
    request_id: str


EVENTS: TypeAdapter[Any] = TypeAdapter(Events)
SCORE: TypeAdapter[ScoreRequest] = TypeAdapter(ScoreRequest)
