"""Models: versions, measures, incidents; promotion and rollback with what they rest on."""

from __future__ import annotations

from typing import Literal, cast

from starlette.responses import Response

from lib.console.models import read_model, read_models
from lib.console.source import SystemSource
from lib.registry.names import ALIASES
from lib.retraining.promotion import Promotion, move_alias
from serve.console.console import Console
from serve.console.fields import read_reason, require_reason
from serve.console.metrics import ACTIONS
from serve.console.session import ADMIN, Visit
from serve.framework.problem import Problem


async def list_versions(console: Console, visit: Visit) -> Response:
    """The versions of a system."""
    return await console.system_page(visit, "models.html", "models", models=read_models)


async def version(console: Console, visit: Visit) -> Response:
    """A version beside the champion, and what may be done with it."""
    system = console.system(visit, "read")
    model = await system.read(read_model, visit.request.path_params["version"])
    return console.page(visit.request, "model.html", page="models", model=model)


async def promote(console: Console, visit: Visit) -> Response:
    """Lets an alias name the version."""
    visit.require(ADMIN)
    system, version_name = console.system(visit, "read"), visit.request.path_params["version"]
    alias = _alias(visit)
    await system.read(_promote, visit, version_name, alias, console.service.now())
    console.service.meter.count(ACTIONS.name, "promote", "done")
    path = f"/models/{system.source.system}/{version_name}"
    return console.redirect(path, done=f"promoted-{alias}")


async def rollback(console: Console, visit: Visit) -> Response:
    """Returns an alias to the version before."""
    visit.require(ADMIN)
    system, version_name = console.system(visit, "read"), visit.request.path_params["version"]
    after = await system.read(_rollback, visit, version_name, console.service.now())
    console.service.meter.count(ACTIONS.name, "rollback", "done")
    return console.redirect(f"/models/{system.source.system}/{after}", done="rolled-back")


def _promote(source: SystemSource, visit: Visit, version_name: str, alias: str, now: int) -> None:
    reason, experiment = read_reason(visit), visit.form.get("evidence", "")
    if alias == "champion" and not experiment and reason is None:
        raise Problem(
            422, "evidence", "A new champion rests on a judged experiment, or on a reason in "
            "words: choose or write one. Nothing was changed."
        )  # fmt: skip
    judged = source.records.judged(source.system, experiment) if experiment else None
    present = visit.form.get("present") or None
    promotion = Promotion(
        system=source.system,
        alias=alias,
        version=source.registry.resolve(source.system, version_name),
        move={"at": now, "by": visit.actor, "reason": reason, "present": present},
        evidence=None if judged is None else judged.evidence,
        conclusion=None if judged is None else judged.conclusion,
    )
    move_alias(source.registry, promotion)
    if judged is not None:
        source.records.note_promotion(judged.id, alias, promotion.version, at=now, by=visit.actor)


def _rollback(source: SystemSource, visit: Visit, version_name: str, now: int) -> str:
    reason = require_reason(visit)
    return source.registry.rollback(
        source.system, _alias(visit), at=now, by=visit.actor, reason=reason, present=version_name
    )


def _alias(visit: Visit) -> Literal["champion", "challenger"]:
    alias = visit.form.get("alias", "")
    if alias not in ALIASES:
        raise Problem(422, "alias", f"Choose {' or '.join(ALIASES)}. Nothing was changed.")
    return cast('Literal["champion", "challenger"]', alias)
