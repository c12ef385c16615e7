"""Runs a solver in this process or in a deployment of its own: it takes a core for seconds."""

from collections.abc import Callable
from typing import Any, Protocol

from lib.concurrency.bounded_executor import BoundedExecutor
from serve.framework.runtime_tuning import tune_interpreter

Payload = dict[str, Any]
Solve = Callable[[Payload], Payload]


class Solver(Protocol):
    """Where plans are solved: in this process, or in another deployment."""

    async def solve(self, payload: Payload) -> Payload:
        """The plan of a payload; both are those of the system's `solve_plan`."""
        ...


class LocalSolver:
    """Solves in a thread of this process, one plan at a time, however many callers gave up.

    Args:
        solve_plan: blocks until the plan is solved.
    """

    def __init__(self, solve_plan: Solve) -> None:
        self._solve_plan = solve_plan
        self._thread = BoundedExecutor("planner", 1)

    async def solve(self, payload: Payload) -> Payload:
        """See `Solver`."""
        return await self._thread.run(self._solve_plan, payload)


class SolverDeployment(LocalSolver):
    """One replica of a deployment that solves plans; see `LocalSolver`."""

    def __init__(self, solve_plan: Solve) -> None:
        tune_interpreter()
        super().__init__(solve_plan)


class RemoteSolver:
    """The deployment, called through Ray.

    Args:
        handle: of the deployment of a `SolverDeployment`.
    """

    def __init__(self, handle: Any) -> None:
        self._solve = handle.solve

    async def solve(self, payload: Payload) -> Payload:
        """See `Solver`."""
        solution: Payload = await self._solve.remote(payload)
        return solution
