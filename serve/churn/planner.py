"""Days planned, in a deployment of their own: a solver takes a core while scores wait."""

import pyarrow as pa

from lib.churn.interventions.daily import Economics, log_of, plan_day
from lib.churn.interventions.effects import MeasuredShare
from lib.churn.interventions.plan import Budget, shadow_prices
from lib.churn.interventions.playbooks import load_playbooks
from lib.churn.vocabulary import ChurnError
from serve.framework.offload import Payload


def solve_plan(payload: Payload) -> Payload:
    """A day solved: `log` as rows, what it comes to, or `refused` in words.

    Args:
        payload: `scores` and `history` (Arrow streams; the latter may be None), `names`,
            `playbooks` (YAML), `limits`, `economics`, `at_us`, `measured` (share by playbook),
            `salt`.
    """
    scores, history = table_from(payload["scores"]), payload["history"]
    names = tuple(payload["names"])
    try:
        limits, economics = Budget(**payload["limits"]), Economics(**payload["economics"])
    except ChurnError as error:
        return {"refused": str(error)}
    playbooks = load_playbooks(payload["playbooks"], names)
    measured = {name: MeasuredShare(**share) for name, share in payload["measured"].items()}
    day = plan_day(
        scores, names, playbooks, limits, economics, payload["at_us"],
        None if history is None else table_from(history), measured, salt=payload["salt"],
    )  # fmt: skip
    log = log_of(day, playbooks, payload["at_us"])
    return {
        "log": log.drop_columns(["planned_at"]).to_pylist(),
        "considered": scores.num_rows,
        "value": day.plan.value,
        "cost": day.plan.cost,
        "hours": day.plan.hours,
        "other_ways": day.other_ways,
        "effects": dict(day.shares),
        "prices": shadow_prices(
            day.candidates, limits, [playbook.id for playbook in playbooks.playbooks]
        ),
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
