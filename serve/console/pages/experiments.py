"""Experiments: all of them, one with its arms and its money, and how to stop one."""

from __future__ import annotations

import asyncio

from starlette.responses import Response

from lib.console.experiments import ExperimentSummary, list_experiments, read_experiment
from lib.console.source import SystemSource
from lib.records import RecordsError, RecordsUnavailableError
from serve.console.console import Console
from serve.console.metrics import ACTIONS
from serve.console.service import SystemReader
from serve.console.session import ADMIN, Visit
from serve.framework.problem import Problem


async def list_all(console: Console, visit: Visit) -> Response:
    """Every experiment of the systems that the key may read."""
    names = visit.systems("read", tuple(console.service.systems))
    lists = await asyncio.gather(*(_listed(console.service.systems[name]) for name in names))
    by_system = dict(zip(names, lists, strict=True))
    return console.page(
        visit.request, "experiments.html", page="experiments", experiments=by_system
    )


async def experiment(console: Console, visit: Visit) -> Response:
    """One experiment."""
    system = console.system(visit, "read")
    page = await system.read(read_experiment, _id_of(visit, system))
    return console.page(visit.request, "experiment.html", page="experiments", experiment=page)


async def stop(console: Console, visit: Visit) -> Response:
    """Ends an experiment: from then on the champion decides for everybody."""
    visit.require(ADMIN)
    system, reason = console.system(visit, "read"), visit.form.get("reason", "")
    if not reason:
        raise Problem(422, "reason", "Say why, in a few words. Nothing was changed.")
    await system.read(_end, _id_of(visit, system), visit.actor, reason, console.service.now())
    console.service.meter.count(ACTIONS.name, "stop", "done")
    name = visit.request.path_params["name"]
    return console.redirect(f"/experiments/{system.source.system}/{name}", done="stopped")


def _end(source: SystemSource, experiment_id: str, by: str, reason: str, now: int) -> None:
    source.records.end(experiment_id, by=by, reason=reason, at=now)


async def _listed(system: SystemReader) -> list[ExperimentSummary] | None:
    """None where the records do not answer."""
    try:
        return await system.read(list_experiments)
    except (RecordsUnavailableError, RecordsError):
        return None


def _id_of(visit: Visit, system: SystemReader) -> str:
    return f"{system.source.system}/{visit.request.path_params['name']}"
