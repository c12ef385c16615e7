"""Who asks: the session of a request, what its key allows, and its cookies."""

from __future__ import annotations

from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from lib.access.keys import Caller
from lib.console.actor import actor_text
from lib.console.sessions import Session
from lib.records.review import ReviewKey
from serve.console.csrf import session_token
from serve.framework.problem import Problem

PREFIX = "/console"
SESSION_COOKIE, FORM_COOKIE = "forewarn_session", "forewarn_form"
ADMIN = "admin"
_FORM_SECONDS = 3_600


@dataclass(frozen=True)
class Visit:
    """A request of somebody who is signed in.

    Attributes:
        request: as it came.
        session: theirs.
        caller: what their key allows now.
        csrf: token of their forms.
        form: fields that were posted.
    """

    request: Request
    session: Session
    caller: Caller
    csrf: str
    form: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Under which they act; "" before they have said it."""
        return self.session.reviewer or ""

    @property
    def actor(self) -> str:
        """As audits name them."""
        return actor_text(self.name, self.session.key_id)

    @property
    def review_key(self) -> ReviewKey:
        """The key under which they review."""
        return ReviewKey(self.session.key_id, bound=self.caller.reviewers is not None)

    @property
    def is_admin(self) -> bool:
        """Whether they may move models and end experiments."""
        return ADMIN in self.caller.scopes

    def may(self, system: str, role: str) -> bool:
        """Whether the key has a scope."""
        return f"{system}:{role}" in self.caller.scopes

    def systems(self, role: str, of: tuple[str, ...]) -> tuple[str, ...]:
        """Those of some systems for which the key has a scope."""
        return tuple(system for system in of if self.may(system, role))

    def require(self, scope: str) -> None:
        """Refuse what the key does not allow.

        Raises:
            Problem: 403.
        """
        if scope not in self.caller.scopes:
            raise Problem(
                403,
                "forbidden",
                f"Your key lacks the scope {scope}. Sign in with a key that has "
                "it, or ask for one. Nothing was changed.",
            )


def find_visit(request: Request, secret: str, session: Session, caller: Caller) -> Visit:
    """The visit of a session."""
    return Visit(request, session, caller, session_token(secret))


def set_session(response: Response, secret: str, https: bool) -> None:
    """Gives the browser its secret; it ends with the browser, and on the server before."""
    _set(response, SESSION_COOKIE, secret, https)
    _remove(response, FORM_COOKIE, https)


def end_session(response: Response, https: bool) -> None:
    """Takes it away."""
    _remove(response, SESSION_COOKIE, https)


def set_form_token(response: Response, token: str, https: bool) -> None:
    """Gives the browser the token of the sign-in form, for an hour."""
    _set(response, FORM_COOKIE, token, https, _FORM_SECONDS)


def _set(response: Response, name: str, value: str, https: bool, age: int | None = None) -> None:
    response.set_cookie(
        name, value, max_age=age, path=PREFIX, secure=https, httponly=True, samesite="strict"
    )


def _remove(response: Response, name: str, https: bool) -> None:
    response.delete_cookie(name, path=PREFIX, secure=https, httponly=True, samesite="strict")
