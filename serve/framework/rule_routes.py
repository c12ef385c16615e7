"""The endpoints of rules, alike in every system: read, check, publish, change a status, go back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import Path
from starlette.responses import Response

from lib.console.actor import actor_text
from lib.rules import RuleError
from lib.rules.repository import RulesMovedError, RuleStep, UnknownRulesError
from serve.framework.asgi import RequestContext
from serve.framework.context import Context
from serve.framework.problem import FieldError, Problem
from serve.framework.review import key_of
from serve.framework.routes import ADMIN, ENCODED, MISSING, PathKeyParam, Responses, Route, Router
from serve.framework.rule_schemas import (
    ActivateRequest,
    ProblemAnswer,
    PublishRequest,
    RuleAnswer,
    RuleChangeAnswer,
    RuleEntryAnswer,
    RulesChangedResponse,
    RulesResponse,
    RulesStep,
    RuleVersionResponse,
    StatusRequest,
    ValidateRequest,
    ValidateResponse,
)
from serve.framework.rule_service import RuleService

RULE_REFUSALS: Mapping[type[Exception], tuple[int, str]] = {
    UnknownRulesError: (404, "not-found"),
    RulesMovedError: (409, "conflict"),
}
"""What rules refuse, as callers see it."""
MOVED: Responses = {409: {"description": "Another version is active by now."}}
_BODY_BYTES = 128 * 1024
_LISTED = 100
_CHANGING: dict[str, Any] = {
    "scope": "read",
    "further_scope": ADMIN,
    "body_bytes": _BODY_BYTES,
    "responses": MISSING | MOVED,
}
_NumberParam = Annotated[int, Path(ge=1, le=1_000_000_000, description="A stored version.")]
_RuleIdParam = Annotated[PathKeyParam, Path(description=f"Id of a rule, {ENCODED}.")]


def rule_routes(system: str, service: RuleService) -> list[Route]:
    """All endpoints of a system's rules."""
    return [*_reading_routes(system, service), *_changing_routes(system, service)]


def _reading_routes(system: str, service: RuleService) -> list[Route]:
    router = Router("rules", system)

    @router.get("/rules", "read", "Get the rules")
    async def rules(context: Context) -> RulesResponse:
        """Return the rules of this replica, the stored versions, and the audit of their changes."""
        return await _rules(system, service, context)

    @router.get("/rules/versions/{number}", "read", "Get a version of the rules", MISSING)
    async def version(number: _NumberParam, context: Context) -> RuleVersionResponse:
        """Return a stored version with its text."""
        stored = await service.ask(service.repository.find_rules, system, number)
        return RuleVersionResponse.of(stored, request_id=context.request_id)

    checking = _CHANGING | {"responses": {}, "response": ValidateResponse}

    @router.post("/rules/validate", summary="Check rules", **checking)
    async def validate(request: ValidateRequest, context: Context) -> Response:
        """Check a text as the next version; nothing is stored."""
        return await service.ask(_checked, service, request.text, context.request_id)

    return router.routes


def _changing_routes(system: str, service: RuleService) -> list[Route]:
    router = Router("rules", system)

    @router.post("/rules/versions", summary="Publish rules", **_CHANGING)
    async def publish(request: PublishRequest, context: Context) -> RulesChangedResponse:
        """Store a text as the next version and make it active, in all replicas within seconds.

        A text with a fault is stored nowhere: 422 lists the faults with their lines.
        """
        step = _step(service, request, context)
        return await _change(service, context, service.book.publish, request.text, step)

    @router.post("/rules/{rule_id}/status", summary="Change a rule's status", **_CHANGING)
    async def status(
        rule_id: _RuleIdParam, request: StatusRequest, context: Context
    ) -> RulesChangedResponse:
        """Put a rule into shadow, activate it, or switch it off, as the next version."""
        step = _step(service, request, context)
        set_status = service.book.set_status
        return await _change(service, context, set_status, rule_id, request.status, step)

    @router.post("/rules/activate", summary="Restore rules", **_CHANGING)
    async def activate(request: ActivateRequest, context: Context) -> RulesChangedResponse:
        """Make an earlier version active again, or the rules of the service's file."""
        step = _step(service, request, context)
        return await _change(service, context, service.book.activate, request.version, step)

    return router.routes


async def _rules(system: str, service: RuleService, context: RequestContext) -> RulesResponse:
    repository, active = service.repository, service.active
    number = await service.ask(repository.active_rules, system)
    entries = await service.ask(repository.list_rules, system, _LISTED)
    changes = await service.ask(repository.list_rule_changes, system, _LISTED)
    declaration = await service.ask(repository.find_rule_declaration, system)
    return RulesResponse(
        active=number,
        revision=active.current.version,
        origin=active.written.origin,
        error=active.error,
        text=active.written.text,
        rules=RuleAnswer.all_of(active.current.all_rules.rules),
        next_version=await service.ask(service.book.next_version, declaration),
        readable_fields=dict(declaration.fields),
        actions=list(declaration.actions),
        versions=[RuleEntryAnswer.of(entry) for entry in entries],
        changes=[RuleChangeAnswer.of(change) for change in changes],
        request_id=context.request_id,
    )


def _checked(service: RuleService, text: str, request_id: str) -> Response:
    """An answer with any number of problems, written in the thread that finds them."""
    checks = service.book.check(text)
    answer = ValidateResponse(
        valid=checks.rules is not None,
        problems=ProblemAnswer.all_of(checks.problems),
        next_version=checks.next_version,
        request_id=request_id,
    )
    return Response(answer.model_dump_json(), media_type="application/json")


async def _change(
    service: RuleService, context: RequestContext, change: Callable[..., Any], *args: Any
) -> RulesChangedResponse:
    """Does it, and lets this replica follow at once.

    Raises:
        Problem: 422 with the faults of a text.
    """
    try:
        await service.ask(change, *args)
    except RuleError as error:
        raise Problem.of_fields([
            FieldError("text" if fault.line is None else f"text.{fault.line}", fault.message)
            for fault in error.problems
        ]) from None  # fmt: skip
    await service.poll()
    return RulesChangedResponse(
        active=service.number,
        revision=service.active.current.version,
        request_id=context.request_id,
    )


def _step(service: RuleService, request: RulesStep, context: RequestContext) -> RuleStep:
    """Who changes rules, and why.

    Raises:
        Problem: 403 for a name that the key may not act under.
    """
    key_of(request.by, context, "by")
    return RuleStep(
        by=actor_text(request.by, context.key_id),
        reason=request.reason,
        at=service.now(),
        present=request.present,
    )
