"""Names of refused fields for the access log: those that the API declares, never a caller's own."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from serve.framework.problem import FieldError

OTHER = "other"
"""Stands for a name that the API does not declare, as it may hold anything."""
_MOST = 20


def declared_names(document: Any) -> frozenset[str]:
    """Names of all properties and parameters of an OpenAPI document."""
    return frozenset(_names(document)) | {"body"}


def log_names(errors: Sequence[FieldError], declared: Collection[str]) -> list[str]:
    """Paths of the fields at fault without repeats, sorted; positions in lists are left out.

    >>> log_names([FieldError("labels.3.observed_at", "")], {"labels", "observed_at"})
    ['labels.observed_at']
    """
    paths = set()
    for error in errors[:_MOST]:
        parts = [part for part in error.field.split(".") if not part.isdecimal()]
        paths.add(".".join(part if part in declared else OTHER for part in parts) or OTHER)
    return sorted(paths)


def _names(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        properties = node.get("properties")
        if isinstance(properties, dict):
            yield from properties
        if isinstance(node.get("in"), str) and isinstance(node.get("name"), str):
            yield node["name"]
        for value in node.values():
            yield from _names(value)
    elif isinstance(node, list):
        for value in node:
            yield from _names(value)
