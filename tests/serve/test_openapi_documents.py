"""The OpenAPI documents describe every endpoint, parameter, answer and field in a sentence."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import MagicMock

import pytest

from lib.fraud.amounts import AmountScale
from lib.records.systems import SYSTEMS
from serve.churn.routes import build_gateway as churn
from serve.framework import Gateway
from serve.fraud.routes import build_gateway as fraud
from serve.maintenance.routes import build_gateway as maintenance
from serve.moderation.routes import build_gateway as moderation

GATEWAYS: dict[str, Callable[[Any], Gateway]] = {
    "fraud": fraud,
    "maintenance": maintenance,
    "churn": churn,
    "moderation": moderation,
}
SENTENCE = re.compile(r"[A-Z0-9`].*\.", re.DOTALL)
DIALECT = re.compile(
    r"(?<!`)\b(told|tells?|happenings?|news|in force|said|nobody|whoever|reckoned|is out)\b"
)


def descriptions(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Where each description of a document stands, and its text, "" where there is none."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            name = f"{method.upper()} {path}"
            yield name, operation.get("description", "")
            for parameter in operation.get("parameters", []):
                yield f"{name} {parameter['name']}", parameter.get("description", "")
            for status, answer in operation["responses"].items():
                yield f"{name} {status}", answer.get("description", "")
    for name, schema in document["components"]["schemas"].items():
        for field, content in schema.get("properties", {}).items():
            yield f"{name}.{field}", content.get("description", "")


def test_every_system_is_described() -> None:
    assert set(GATEWAYS) == set(SYSTEMS)


@pytest.fixture(scope="module", params=GATEWAYS)
def document(request: pytest.FixtureRequest) -> dict[str, Any]:
    service = MagicMock()
    service.args.scale = AmountScale()
    app: Any = GATEWAYS[request.param](service).app
    content: dict[str, Any] = app.openapi()
    return content


def test_every_description_is_a_sentence(document: dict[str, Any]) -> None:
    texts = dict(descriptions(document))
    assert len(texts) > 50
    assert {name: text for name, text in texts.items() if not SENTENCE.fullmatch(text)} == {}


def test_descriptions_speak_plainly(document: dict[str, Any]) -> None:
    assert {n: text for n, text in descriptions(document) if DIALECT.search(text)} == {}


def test_every_endpoint_has_a_summary_of_its_own(document: dict[str, Any]) -> None:
    summaries = [
        operation["summary"] for path in document["paths"].values() for operation in path.values()
    ]
    assert all(re.fullmatch(r"[A-Z].*[^.]", summary) for summary in summaries)
    assert len(set(summaries)) == len(summaries)
