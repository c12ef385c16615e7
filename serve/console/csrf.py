"""Tokens that show that a form was made by the console, for this browser.

One of a session is computed from its secret, so it needs no place of its own and ends with the
session; one of the sign-in form is compared with a cookie that only same-site requests carry.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping

from serve.framework.problem import Problem

FIELD, HEADER = "csrf", "x-csrf-token"
_CONTEXT = b"forewarn console form"
_SAME_SITE = ("same-origin", "none")


def session_token(secret: str) -> str:
    """The token of all forms of a session."""
    return hmac.new(secret.encode("utf-8", "surrogatepass"), _CONTEXT, hashlib.sha256).hexdigest()


def new_form_token() -> str:
    """A token for the cookie and the form of a sign-in."""
    return secrets.token_hex(32)


def require_token(form: Mapping[str, str], headers: Mapping[str, str], expected: str) -> None:
    """Refuse a form without the token, compared in constant time.

    Raises:
        Problem: 403.
    """
    token = form.get(FIELD) or headers.get(HEADER) or ""
    if not expected or not hmac.compare_digest(token.encode(), expected.encode()):
        raise Problem(
            403,
            "forged",
            "This form is not of your present session. Load the page again, and "
            "send it from there. Nothing was changed.",
        )


def require_same_origin(headers: Mapping[str, str]) -> None:
    """Refuse what a browser says that another site has sent.

    Raises:
        Problem: 403.
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    is_foreign = site is not None and site not in _SAME_SITE
    if origin is not None and origin.partition("://")[2] != headers.get("host"):
        is_foreign = True
    if is_foreign:
        raise Problem(403, "foreign", "This form was sent by another site. Nothing was changed.")
