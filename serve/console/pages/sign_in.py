"""Signing in with an API key, saying one's name, signing out."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from lib.access import AccessError
from lib.access.keyfile import require_reviewer
from lib.access.keys import Caller
from serve.console.console import Console, address, local_path
from serve.console.csrf import new_form_token, require_token
from serve.console.metrics import SIGN_INS
from serve.console.session import (
    ADMIN,
    FORM_COOKIE,
    PREFIX,
    SESSION_COOKIE,
    Visit,
    end_session,
    set_form_token,
    set_session,
)
from serve.console.sign_in import address_of
from serve.framework.problem import Problem

_KEY_ID = re.compile(r"fw_([0-9a-f]{12})_")
_LONGEST_KEY = 200
_WRONG = (
    "This is not a valid key. It looks like fw_, twelve characters, _ and a long secret; it may "
    "have been revoked or have expired."
)
_NO_PAGES = (
    "This key is valid, but none of its scopes opens a page here. Use one with SYSTEM:read or "
    "SYSTEM:review."
)
_ENTERING = ("read", "review")


class SignInPages:
    """Sign-in, name and sign-out.

    Args:
        console: that they lead to.
    """

    def __init__(self, console: Console) -> None:
        self._console, self._service = console, console.service

    async def form(self, request: Request) -> Response:
        """The form for a key."""
        return self._form(request, request.query_params.get("next", ""))

    async def enter(self, request: Request, form: dict[str, str]) -> Response:
        """Begins a session with the key of a form; answers 401 or 429 with the form otherwise."""
        require_token(form, {}, request.cookies.get(FORM_COOKIE, ""))
        key, target = form.get("key", "")[:_LONGEST_KEY], form.get("next", "")
        now = self._service.now()
        address, named = self._origins(request, key)
        if wait := self._service.throttle.wait_s(address, now):
            return self._slowed(request, target, wait)
        try:
            caller = self._service.keys.identify(key, now)
        except AccessError as error:
            wait = self._service.throttle.wait_s(named, now)
            self._service.throttle.failed([*address, *named], now)
            if wait:  # who shows the secret itself never waits for what others tried
                return self._slowed(request, target, wait)
            self._note(request, error.cause, error.key_id or "")
            return self._form(request, target, _WRONG, 401)
        if not self._opens_pages(caller):
            self._note(request, "no pages", caller.key_id)
            return self._form(request, target, _NO_PAGES, 403)
        self._service.throttle.succeeded(named)
        return await self._begin(request, caller, target, now)

    async def names(self, console: Console, visit: Visit) -> Response:
        """Asks who is there, where the key does not tell."""
        target = local_path(visit.request.query_params.get("next", ""))
        if visit.name:
            return RedirectResponse(target, 303)
        known = sorted(visit.caller.reviewers or ())
        return console.page(visit.request, "name.html", page="name", names=known, next=target)

    async def choose(self, _: Console, visit: Visit) -> Response:
        """Keeps the name; it stays for the session."""
        name = visit.form.get("name", "")
        try:
            require_reviewer(name)
        except ValueError as error:
            raise Problem(422, "name", f"Your name: {error}.") from None
        if visit.caller.reviewers is not None and name not in visit.caller.reviewers:
            raise Problem(403, "name", f"Your key is not bound to the name {name}.")
        service = self._service
        await service.sessions.run(service.session_repository.name, visit.session.id, name)
        return RedirectResponse(local_path(visit.form.get("next", "")), 303)

    async def leave(self, console: Console, visit: Visit) -> Response:
        """Ends the session."""
        service = self._service
        await service.sessions.run(
            service.session_repository.end, visit.session.id, "signed out", service.now()
        )
        self._note(visit.request, "signed out", visit.session.key_id)
        response = console.redirect("/sign-in", why="left")
        end_session(response, service.args.https)
        return response

    async def _begin(self, request: Request, caller: Caller, target: str, now: int) -> Response:
        service, sessions = self._service, self._service.session_repository
        if earlier := request.cookies.get(SESSION_COOKIE):
            await service.sessions.run(sessions.end_secret, earlier, "signed in again", now)
        names = sorted(caller.reviewers or ())
        only = names[0] if len(names) == 1 else None
        secret, _ = await service.sessions.run(sessions.begin, caller.key_id, only, now)
        self._note(request, "signed in", caller.key_id)
        path = local_path(target)
        path = path if only else address("/name", next=path)
        response = RedirectResponse(path, 303)
        set_session(response, secret, service.args.https)
        return response

    def _form(
        self, request: Request, target: str, problem: str = "", status: int = 200
    ) -> Response:
        token = request.cookies.get(FORM_COOKIE) or new_form_token()
        response = self._console.page(
            request, "sign_in.html", status, page="sign-in", token=token, problem=problem,
            next=local_path(target) if target else f"{PREFIX}/",
            why=request.query_params.get("why", ""),
        )  # fmt: skip
        set_form_token(response, token, self._service.args.https)
        return response

    def _opens_pages(self, caller: Caller) -> bool:
        scopes = {f"{name}:{role}" for name in self._service.systems for role in _ENTERING}
        return bool(caller.scopes & (scopes | {ADMIN}))

    def _origins(self, request: Request, key: str) -> tuple[list[str], list[str]]:
        """What an attempt counts for: the address, and the key that it names, if any."""
        client = "" if request.client is None else request.client.host
        address = address_of(request.headers, client, self._service.args.proxies)
        named = _KEY_ID.match(key)
        return [f"address {address}"], [] if named is None else [f"key {named[1]}"]

    def _slowed(self, request: Request, target: str, wait: int) -> Response:
        self._note(request, "slowed", "")
        problem = f"Too many attempts failed. Try again in {wait} seconds."
        response = self._form(request, target, problem, 429)
        response.headers["retry-after"] = str(wait)
        return response

    def _note(self, request: Request, outcome: str, key_id: str) -> None:
        context = request.scope["forewarn.context"]
        context.key_id = key_id
        context.log_fields["sign_in"] = outcome
        self._service.meter.count(SIGN_INS.name, outcome)
