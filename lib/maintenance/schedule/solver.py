"""HiGHS on one program: arrays in, columns and a bound out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import highspy
import numpy as np

from lib.maintenance.schedule.milp import Program
from lib.maintenance.schedule.problem import Floats

_CHANGING = threading.Lock()
_THREADS: list[int] = []


@dataclass(frozen=True)
class Progress:
    """How far the solver is: best plan, bound, relative gap, seconds so far."""

    cost: float
    bound: float
    gap: float
    seconds: float


_COST_TOLERANCE = 1e-3
"""Between a plan's cost and the objective that the solver says it has, units of the currency."""
_LEAST_SECONDS = 1.0


@dataclass(frozen=True)
class Solved:
    """Columns of the best solution, None where there is none, and the bound."""

    values: Floats | None
    bound: float


def run(
    model: Program,
    jobs: int,
    gap: float,
    seconds: float,
    threads: int,
    seed: int,
    hint: Floats | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    slack_prices: Floats | None = None,
) -> Solved:
    """Solve; `slack_prices` lets every row be broken, at a price a unit, by columns at the end.

    HiGHS 1.16 may return the plan that it began with beside the objective of a better one. The
    plan is then solved for again without that beginning, in the time that is left.
    """
    began = time.perf_counter()
    _use_threads(threads)
    solver: Any = highspy.Highs()  # type: ignore[no-untyped-call]
    solver.setOptionValue("output_flag", False)
    for name, value in (
        ("time_limit", float(seconds)),
        ("mip_rel_gap", float(gap)),
        ("threads", int(threads)),
        ("random_seed", int(seed)),
    ):
        solver.setOptionValue(name, value)
    solver.passModel(_arrays(model, jobs, slack_prices))
    if hint is not None:
        solution = highspy.HighsSolution()
        solution.col_value = hint.tolist()
        solver.setSolution(solution)
    if on_progress is not None:
        _listen(solver, on_progress)
    solver.run()
    info = solver.getInfo()
    feasible = highspy.SolutionStatus.kSolutionStatusFeasible
    if info.primal_solution_status != int(feasible):
        return Solved(None, float("inf"))
    values = np.array(solver.getSolution().col_value)
    cost = float(solver.getLp().col_cost_ @ values)
    if hint is not None and cost > float(info.objective_function_value) + _COST_TOLERANCE:
        left = max(_LEAST_SECONDS, seconds - (time.perf_counter() - began))
        again = run(model, jobs, gap, left, threads, seed, None, on_progress, slack_prices)
        return Solved(values, again.bound) if again.values is None else again
    return Solved(values, float(info.mip_dual_bound))


def _use_threads(threads: int) -> None:
    """HiGHS keeps its threads for the whole process and refuses to solve with another number."""
    with _CHANGING:
        if _THREADS and _THREADS[-1] != threads:
            highspy.Highs.resetGlobalScheduler(True)
        _THREADS[:] = [threads]


def _listen(solver: Any, on_progress: Callable[[Progress], None]) -> None:
    def heard(event: Any) -> None:
        data = event.data_out
        on_progress(
            Progress(
                float(data.mip_primal_bound),
                float(data.mip_dual_bound),
                float(data.mip_gap),
                float(data.running_time),
            )
        )

    solver.cbMipLogging.subscribe(heard)


def _arrays(model: Program, jobs: int, slack_prices: Floats | None) -> Any:
    """Rows: one for each job (exactly one choice), then the program's own."""
    own = len(model.job)
    prices = np.empty(0) if slack_prices is None else slack_prices
    extra = len(prices)
    columns = [np.arange(own), *(r.columns for r in model.rows), own + np.arange(extra)]
    rows = [
        *(model.job, *(np.full(len(r.columns), jobs + k) for k, r in enumerate(model.rows))),
        jobs + np.arange(extra),
    ]
    values = [np.ones(own), *(r.values for r in model.rows), -np.ones(extra)]
    column, row, value = (np.concatenate(part) for part in (columns, rows, values))
    order = np.lexsort((row, column))
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = own + extra, jobs + len(model.rows)
    lp.col_cost_ = np.concatenate([model.cost, prices])
    lp.col_lower_ = np.zeros(own + extra)
    lp.col_upper_ = np.concatenate([np.ones(own), np.full(extra, highspy.kHighsInf)])
    bounds = np.array([r.bound for r in model.rows])
    lp.row_lower_ = np.concatenate([np.ones(jobs), np.full(len(bounds), -highspy.kHighsInf)])
    lp.row_upper_ = np.concatenate([np.ones(jobs), bounds])
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_ = np.searchsorted(column[order], np.arange(own + extra + 1))
    lp.a_matrix_.index_, lp.a_matrix_.value_ = row[order], value[order]
    integer, real = highspy.HighsVarType.kInteger, highspy.HighsVarType.kContinuous
    lp.integrality_ = [integer] * own + [real] * extra
    return lp
