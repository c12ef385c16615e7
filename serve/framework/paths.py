"""Paths of requests: identifiers in them may hold a slash, sent as `%2F`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import unquote

from pydantic import BeforeValidator

from lib.contract.fields import Key, PathId
from lib.contract.scalar import CONTROL_CHARACTERS
from serve.framework.problem import Problem

SLASH = "percent-encoded; a `/` in it as `%2F`"
"""What the documentation says of an identifier in a path."""

_SLASH_IN_SEGMENT = "\x1f"  # a control character, so no identifier holds it
_CONTROL = re.compile(CONTROL_CHARACTERS)


def routed_path(scope: Mapping[str, Any]) -> str:
    """The decoded path in which a slash inside a segment (`%2F`) is not a separator.

    Servers that do not pass the raw path give the decoded one, where both slashes are alike.

    Raises:
        Problem: 404 for a path with control characters; no identifier holds any.
    """
    path: str = scope["path"]
    if not path.isascii() or not path.isprintable():
        _refuse_control_characters(path)
    raw: bytes = scope.get("raw_path") or b""
    if b"%2" not in raw:
        return path
    text = raw.decode("latin-1").partition("?")[0]
    if unquote(text) != path:  # a proxy changed one of the two
        return path
    segments = text.split("/")
    return "/".join(unquote(segment).replace("/", _SLASH_IN_SEGMENT) for segment in segments)


def _refuse_control_characters(path: str) -> None:
    if _CONTROL.search(path):
        raise Problem(404, "not-found", "nothing is served here: the path has control characters")


def _with_slashes(value: Any) -> Any:
    return value.replace(_SLASH_IN_SEGMENT, "/") if isinstance(value, str) else value


PathIdParam = Annotated[PathId, BeforeValidator(_with_slashes)]
"""A path parameter that is an identifier of a caller's."""

PathKeyParam = Annotated[Key, BeforeValidator(_with_slashes)]
"""A path parameter that is a name of the service's."""
