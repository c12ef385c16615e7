"""Days planned, in a deployment of their own: a solver takes a core while scores wait."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import pyarrow as pa

from lib.churn.interventions import Budget, load_playbooks
from lib.churn.interventions.daily import Economics, log_of, plan_day
from lib.churn.vocabulary import ChurnError

from ..framework.bounded_executor import BoundedExecutor
from ..framework.runtime_tuning import tune_interpreter

Payload = dict[str, Any]


def planned(payload: Mapping[str, Any]) -> Payload:
    """A day solved: `log` as rows, what it comes to, or `refused` in words.

    Args:
        payload: `scores` and `history` (Arrow streams; the latter may be None), `names`,
            `playbooks` (YAML), `limits`, `economics`, `at_us`, `effects` by playbook, `salt`.
    """
    scores, history = table_from(payload["scores"]), payload["history"]
    names = tuple(payload["names"])
    try:
        limits, economics = Budget(**payload["limits"]), Economics(**payload["economics"])
    except ChurnError as error:
        return {"refused": str(error)}
    playbooks = load_playbooks(payload["playbooks"], names)
    day = plan_day(
        scores, names, playbooks, limits, economics, payload["at_us"],
        None if history is None else table_from(history), payload["effects"], salt=payload["salt"],
    )  # fmt: skip
    log = log_of(day, playbooks, payload["at_us"])
    return {
        "log": log.drop_columns(["planned_at"]).to_pylist(),
        "considered": scores.num_rows,
        "value": day.plan.value,
        "cost": day.plan.cost,
        "hours": day.plan.hours,
        "other_ways": day.other_ways,
        "holdout": playbooks.holdout,
        "words": {playbook.id: playbook.words for playbook in playbooks.playbooks},
    }


def bytes_of(table: pa.Table) -> bytes:
    """A table as an Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def table_from(stream: bytes) -> pa.Table:
    """The table of an Arrow stream."""
    with pa.ipc.open_stream(stream) as reader:
        return reader.read_all()


class Planning(Protocol):
    """Where days are solved: here, or in another deployment."""

    async def solve(self, payload: Payload) -> Payload:
        """See `planned`."""
        ...


class PlannerHere:
    """Solves in a thread of this process, one at a time, however many callers gave up."""

    def __init__(self) -> None:
        self._solving = BoundedExecutor("planner", 1)

    async def solve(self, payload: Payload) -> Payload:
        """See `planned`."""
        return await self._solving.run(planned, payload)


class Planner(PlannerHere):
    """One replica of the deployment."""

    def __init__(self) -> None:
        tune_interpreter()
        super().__init__()


class PlannerElsewhere:
    """The deployment, asked through Ray.

    Args:
        handle: of the deployment of `Planner`.
    """

    def __init__(self, handle: Any) -> None:
        self._solve = handle.solve

    async def solve(self, payload: Payload) -> Payload:
        """See `planned`."""
        solution: Payload = await self._solve.remote(payload)
        return solution
