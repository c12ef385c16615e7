"""What the tests of served attributes share: a training's folders and attributes that are wrong."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

BadAttributes = list[tuple[dict[str, Any], str]]


@dataclass(frozen=True)
class Trained:
    """A published model and what it was trained on.

    Attributes:
        options: of jobs that read the tables.
        output: of the training.
        registry: its directory.
    """

    options: dict[str, str]
    output: Path
    registry: Path


def bad_attributes(path: str, category: str, number: str, flag: str) -> BadAttributes:
    """Attributes that are refused, each with the field that the refusal names.

    Args:
        path: in a request, where attributes are.
        category, number, flag: attributes of these types; the number is 0 or more.
    """
    wrong: tuple[tuple[str, Any], ...] = (
        (f"{category}s", "south"),
        (number, -1.0),
        (number, "many"),
        (flag, "yes"),
        (category, 7),
        (category, ""),
    )
    return [({name: value}, f"{path}.{name}") for name, value in wrong]


async def typed_fields(
    client: httpx.AsyncClient, system: str, model: str, **types: str
) -> dict[str, Any]:
    """The fields of a model of an API page, once those that may be null have these types."""
    document = (await client.get(f"/{system}/openapi.json")).json()
    fields: dict[str, Any] = document["components"]["schemas"][model]["properties"]
    assert {name: fields[name]["anyOf"][0]["type"] for name in types} == types
    return fields


async def refusal_of(service: Any, version: str) -> str:
    """Why a service that keeps its model does not load a version of other attributes."""
    before = service.model_slot.version
    await service.reconfigure({"model": version})
    slot = service.model_slot
    assert slot.version == before is not None
    assert "start the service again" in slot.error
    return str(slot.error)


def require_words(words: dict[str, str], starts: dict[str, str]) -> None:
    """Refuse words of features that do not start as given, and words that name none of these."""
    named = words.keys() & starts.keys()
    assert named
    assert all(words[name].startswith(starts[name]) for name in named)
