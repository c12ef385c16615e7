"""The plan of a day: who gets which intervention, within hours and budget, solved exactly."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import csr_array, vstack

from lib.churn.interventions.playbooks import Playbooks
from lib.churn.target import Floats, Ints
from lib.churn.vocabulary import ChurnError

NO_PLAYBOOK = -1
_GAP = 1e-9
_LEAST_PRICE = 1e-9


@dataclass(frozen=True)
class Budget:
    """What a plan may use.

    Raises:
        ChurnError: a limit below 0, named.
    """

    hours: float
    """working time of the team, in hours"""
    budget: float
    """budget, in units of the settlement currency"""
    most: int | None = None
    """maximum number of interventions of all kinds; None: no maximum"""

    def __post_init__(self) -> None:
        for name in ("hours", "budget", "most"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise ChurnError(f"{name}: expected 0 or more, got {value}")


@dataclass(frozen=True)
class Candidates:
    """Customers who may get something.

    Attributes:
        customers: ids.
        value: (customers, playbooks) expected gain less cost, currency units; where a playbook is
            not open to a customer (it does not qualify, is in a cool-down or held out), -inf.
        cost: (customers, playbooks) currency units.
        hours: (playbooks,) of the team.
        most: (playbooks,) in one plan; inf: no limit.
    """

    customers: tuple[str, ...]
    value: Floats
    cost: Floats
    hours: Floats
    most: Floats


@dataclass(frozen=True)
class Plan:
    """A plan.

    Attributes:
        chosen: (customers,) place of the playbook; `NO_PLAYBOOK` for none.
        value: expected, of all that is chosen.
        cost, hours: used.
    """

    chosen: Ints
    value: float
    cost: float
    hours: float


def candidates_of(
    customers: tuple[str, ...],
    uplift: Floats,
    value_of_staying: Floats,
    yearly_revenue: Floats,
    open_to: NDArray[np.bool_],
    playbooks: Playbooks,
) -> Candidates:
    """Candidates from what interventions change.

    Args:
        customers: ids.
        uplift: (customers, playbooks) fall of the chance to leave; below 0 where it rises.
        value_of_staying: (customers,) what each is worth if it stays, currency units.
        yearly_revenue: (customers,) currency units.
        open_to: (customers, playbooks) who may get what.
        playbooks: costs and hours.
    """
    books = playbooks.playbooks
    share = np.array([playbook.cost_share_of_year for playbook in books])
    cost = np.array([playbook.cost for playbook in books]) + yearly_revenue[:, None] * share
    value = np.where(open_to, uplift * value_of_staying[:, None] - cost, -np.inf)
    most = np.array(
        [np.inf if playbook.most is None else float(playbook.most) for playbook in books]
    )
    return Candidates(
        customers, value, cost, np.array([playbook.hours for playbook in books]), most
    )


def plan_interventions(candidates: Candidates, limits: Budget) -> Plan:
    """The plan of most value; doing nothing is always one.

    A multiple-choice knapsack with several limits, as a mixed-integer program solved to optimality
    by HiGHS (through SciPy). Choices that lose are never made.
    """
    customers, books = np.nonzero(candidates.value > 0)
    chosen = np.full(len(candidates.customers), NO_PLAYBOOK, dtype=np.int64)
    if len(customers):
        value = candidates.value[customers, books]
        solution = milp(
            -value,
            integrality=np.ones(len(customers)),
            bounds=Bounds(0, 1),
            constraints=_constraints(candidates, limits, customers, books),
            options={"mip_rel_gap": _GAP},
        )
        if solution.x is None:
            raise RuntimeError(f"no plan was found, though nothing is one: {solution.message}")
        selection = solution.x > 0.5
        chosen[customers[selection]] = books[selection]
    return plan_of(candidates, chosen)


def _constraints(
    candidates: Candidates, limits: Budget, customers: Ints, books: Ints
) -> list[LinearConstraint]:
    count, columns = len(customers), np.arange(len(customers))
    people, row_indices = np.unique(customers, return_inverse=True)
    once = csr_array((np.ones(count), (row_indices, columns)), shape=(len(people), count))
    rows = [candidates.hours[books], candidates.cost[customers, books], np.ones(count)]
    ends = [limits.hours, limits.budget, np.inf if limits.most is None else float(limits.most)]
    for book, most in enumerate(candidates.most.tolist()):
        if np.isfinite(most):
            rows.append((books == book).astype(float))
            ends.append(most)
    return [
        LinearConstraint(once, -np.inf, 1.0),
        LinearConstraint(np.vstack(rows), -np.inf, np.array(ends)),
    ]


def shadow_prices(
    candidates: Candidates, limits: Budget, playbook_ids: Sequence[str]
) -> dict[str, float]:
    """What one more unit of each limit would bring, about: of the plan that may be divided.

    Args:
        candidates: who may get what.
        limits: of the plan.
        playbook_ids: ids of the playbooks.

    Returns:
        By name of a limit that binds, currency units of expected value for one more hour (`hours`),
        currency unit (`budget`), intervention (`most`), or intervention of a playbook that is
        capped (`playbook ID`).
    """
    customers, books = np.nonzero(candidates.value > 0.0)
    if not len(customers):
        return {}
    once, shared = _constraints(candidates, limits, customers, books)
    ends = np.atleast_1d(shared.ub)
    finite = np.isfinite(ends)
    capped = np.flatnonzero(np.isfinite(candidates.most)).tolist()
    names = ("hours", "budget", "most", *(f"playbook {playbook_ids[book]}" for book in capped))
    solution = linprog(
        -candidates.value[customers, books],
        A_ub=vstack([once.A, csr_array(shared.A[finite])]),
        b_ub=np.concatenate([np.ones(once.A.shape[0]), ends[finite]]),
        bounds=(0.0, 1.0),
        method="highs",
    )
    if solution.x is None:
        return {}
    prices = -solution.ineqlin.marginals[once.A.shape[0] :]
    listed = [name for name, is_finite in zip(names, finite.tolist(), strict=True) if is_finite]
    return {
        name: float(price)
        for name, price in zip(listed, prices, strict=True)
        if price > _LEAST_PRICE
    }


def plan_of(candidates: Candidates, chosen: Ints) -> Plan:
    """What a choice comes to."""
    customers = np.flatnonzero(chosen != NO_PLAYBOOK)
    books = chosen[customers]
    return Plan(
        chosen,
        float(candidates.value[customers, books].sum()),
        float(candidates.cost[customers, books].sum()),
        float(candidates.hours[books].sum()),
    )


def highest_risk_first(candidates: Candidates, limits: Budget, probabilities: Floats) -> Plan:
    """What teams do: the riskiest customer first, with its best playbook, while there is room."""
    return _in_turn(candidates, limits, np.argsort(-probabilities, kind="stable"))


def random_plan(candidates: Candidates, limits: Budget, seed: int) -> Plan:
    """Customers in random order, with a random open playbook, while there is room."""
    draw = np.random.default_rng(seed)
    shuffled = np.where(np.isfinite(candidates.value), draw.random(candidates.value.shape), -np.inf)
    order = draw.permutation(len(candidates.customers))
    return _in_turn(candidates, limits, order, shuffled)


def _in_turn(
    candidates: Candidates, limits: Budget, order: Ints, liking: Floats | None = None
) -> Plan:
    liking = candidates.value if liking is None else liking
    chosen = np.full(len(candidates.customers), NO_PLAYBOOK, dtype=np.int64)
    hours, budget, left = limits.hours, limits.budget, candidates.most.copy()
    room = np.inf if limits.most is None else float(limits.most)
    for customer in order.tolist():
        for book in np.argsort(-liking[customer], kind="stable").tolist():
            cost, time = candidates.cost[customer, book], candidates.hours[book]
            fits = cost <= budget and time <= hours and left[book] >= 1 and room >= 1
            if np.isfinite(liking[customer, book]) and fits:
                chosen[customer] = book
                budget, hours, room = budget - cost, hours - time, room - 1
                left[book] -= 1
                break
    return plan_of(candidates, chosen)
