"""The plan of a day from scores: who may get what, what is planned, and what is logged of it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lib.churn.interventions import plan as plans
from lib.churn.interventions.effects import MOST_SHARE, MeasuredShare
from lib.churn.interventions.expected_falls import assumed_falls, revised_falls
from lib.churn.interventions.playbooks import Playbooks
from lib.churn.model.scores import contributions_in, features_in
from lib.churn.target import Floats, Ints
from lib.churn.vocabulary import ChurnError
from lib.contract import TIME
from lib.feature import DAY

_MONTHS_A_YEAR = 12.0
HISTORY = pa.schema(
    [
        pa.field("customer_id", pa.string()),
        pa.field("playbook", pa.string()),
        pa.field("planned_at", TIME),
        pa.field("held_out", pa.bool_()),
    ]
)
"""What is read of earlier plans."""


@dataclass(frozen=True)
class Economics:
    """What a customer who stays is worth."""

    margin: float = 0.8
    """margin: share of the revenue that is profit, 0 to 1"""
    months: float = 12.0
    """months that a retained customer is assumed to stay"""

    def __post_init__(self) -> None:
        if not 0 < self.margin <= 1 or not self.months > 0:
            raise ChurnError(
                "margin: expected above 0 and at most 1, months: above 0, got "
                f"{self.margin} and {self.months}"
            )


@dataclass(frozen=True)
class DailyPlan:
    """A planned day.

    Attributes:
        candidates: who might have got what.
        plan: who was chosen for what, the holdout included.
        held_out: (customers,) of these, who is left alone.
        propensity: chance of each chosen customer to be treated.
        chances: (customers,) to leave untreated.
        uplift: (customers, playbooks) expected fall of the chance.
        shares: by playbook with outcomes, the mean share of the chance that goes, revised by them.
        other_ways: expected value of other ways to choose, in currency units.
    """

    candidates: plans.Candidates
    plan: plans.Plan
    held_out: NDArray[np.bool_]
    propensity: float
    probabilities: Floats
    uplift: Floats
    shares: Mapping[str, float]
    other_ways: dict[str, float]


def plan_day(
    scores: pa.Table,
    names: tuple[str, ...],
    playbooks: Playbooks,
    limits: plans.Budget,
    economics: Economics,
    at_us: int,
    history: pa.Table | None = None,
    measured: Mapping[str, MeasuredShare] | None = None,
    falls: Floats | None = None,
    salt: str = "churn",
    seed: int = 7,
) -> DailyPlan:
    """Who gets what on a day.

    Customers of the holdout are chosen like the others and then left alone: so those who are
    treated and those who are not differ by chance alone, and the effect can be seen.

    Args:
        scores: see `scores_table`.
        names: of its features.
        playbooks: what can be done.
        limits: of the day.
        economics: what staying is worth.
        at_us: the day, microseconds UTC.
        history: earlier plans, for cool-downs; columns of `HISTORY`.
        measured: by playbook, the share of the chance that outcomes show to go.
        falls: (customers, playbooks) of the chance, where an experiment tells them; NaN elsewhere.
        salt: names the experiment; see `is_held_out`.
        seed: of the random way that is shown beside the plan.
    """
    customers = tuple(scores["customer_id"].to_pylist())
    probabilities = scores["chance"].to_numpy()
    mrr = np.nan_to_num(scores["mrr"].fill_null(0.0).to_numpy())
    worth, yearly = mrr * economics.margin * economics.months, mrr * _MONTHS_A_YEAR
    qualified = playbooks.qualified(names, features_in(scores, names))
    open_to = qualified & ~_cooling(customers, playbooks, at_us, history)

    def candidates_with(uplift: Floats) -> plans.Candidates:
        return plans.candidates_of(customers, uplift, worth, yearly, open_to, playbooks)

    expected = _expected_falls(playbooks, names, scores, falls)
    shares: Mapping[str, float] = {}
    if measured:
        chosen = plans.plan_interventions(candidates_with(expected), limits).chosen
        expected, shares = revised_falls(playbooks, expected, probabilities, chosen, measured)
    candidates = candidates_with(expected)
    plan = plans.plan_interventions(candidates, limits)
    return DailyPlan(
        candidates=candidates,
        plan=plan,
        held_out=np.array([is_held_out(name, playbooks.holdout, salt) for name in customers]),
        propensity=1.0 - playbooks.holdout,
        probabilities=probabilities,
        uplift=expected,
        shares=shares,
        other_ways=_other_ways(candidates, limits, probabilities, seed),
    )


def _other_ways(
    candidates: plans.Candidates, limits: plans.Budget, probabilities: Floats, seed: int
) -> dict[str, float]:
    return {
        "do nothing": 0.0,
        "highest risk first": plans.highest_risk_first(candidates, limits, probabilities).value,
        "random": plans.random_plan(candidates, limits, seed).value,
    }


def _expected_falls(
    playbooks: Playbooks, names: tuple[str, ...], scores: pa.Table, falls: Floats | None
) -> Floats:
    """What experiments say where they say something, else what the playbooks assume."""
    probabilities = scores["chance"].to_numpy()
    assumed = assumed_falls(playbooks, names, probabilities, contributions_in(scores))
    if falls is None:
        return assumed
    return np.where(
        np.isnan(falls), assumed, np.minimum(falls, MOST_SHARE * probabilities[:, None])
    )


def is_held_out(customer_id: str, share: float, salt: str) -> bool:
    """Whether a customer belongs to the holdout: always the same answer for the same salt.

    Args:
        customer_id: who.
        share: of customers, 0 to 1.
        salt: another one draws another holdout; change it only to begin a new experiment.
    """
    digest = hashlib.sha256(f"{salt}\x00{customer_id}".encode()).digest()[:8]
    return int.from_bytes(digest, "big") / 2.0**64 < share


def _cooling(
    customers: Sequence[str], playbooks: Playbooks, at_us: int, history: pa.Table | None
) -> NDArray[np.bool_]:
    """Who got which playbook too short a time ago."""
    books = playbooks.playbooks
    is_cooling = np.zeros((len(customers), len(books)), dtype=np.bool_)
    if history is None or not history.num_rows:
        return is_cooling
    index = {name: number for number, name in enumerate(customers)}
    column = {playbook.id: number for number, playbook in enumerate(books)}
    times = history["planned_at"].cast(pa.int64()).to_pylist()
    rows = zip(
        history["customer_id"].to_pylist(), history["playbook"].to_pylist(), times, strict=True
    )
    for name, book, time in rows:
        if name in index and book in column and time <= at_us:
            days = books[column[book]].cool_down_days
            is_cooling[index[name], column[book]] |= at_us - time < days * DAY
    return is_cooling


def log_of(day: DailyPlan, playbooks: Playbooks, at_us: int) -> pa.Table:
    """The chosen customers as they are logged, the most valuable first.

    Returns:
        `customer_id`, `playbook`, `planned_at`, `held_out`, `propensity`, `chance` to leave
        untreated, `expected_fall` of it, `value` (currency units, cost taken off), `cost`, `hours`.
    """
    chosen = day.plan.chosen
    rows: Ints = np.flatnonzero(chosen != plans.NO_PLAYBOOK)
    books = chosen[rows]
    order = np.argsort(-day.candidates.value[rows, books], kind="stable")
    rows, books = rows[order], books[order]
    return pa.table(
        {
            "customer_id": pa.array([day.candidates.customers[k] for k in rows], pa.string()),
            "playbook": pa.array([playbooks.playbooks[k].id for k in books], pa.string()),
            "planned_at": pa.array(np.full(len(rows), at_us, dtype=np.int64)).cast(TIME),
            "held_out": pa.array(day.held_out[rows]),
            "propensity": pa.array(np.full(len(rows), day.propensity)),
            "chance": pa.array(day.probabilities[rows]),
            "expected_fall": pa.array(day.uplift[rows, books]),
            "value": pa.array(day.candidates.value[rows, books]),
            "cost": pa.array(day.candidates.cost[rows, books]),
            "hours": pa.array(day.candidates.hours[books]),
        }
    )
