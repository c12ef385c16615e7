"""What KubeRay takes, field by field, by the schemas of its custom resources."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import jsonschema

_SCHEMAS = Path(__file__).parent / "crd"


def strict(schema: Any) -> Any:
    """A schema that takes no field it does not name: Kubernetes would drop it without a word."""
    if isinstance(schema, list):
        return [strict(element) for element in schema]
    if not isinstance(schema, dict):
        return schema
    strict_schema = {key: strict(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and "additionalProperties" not in schema:
        strict_schema["additionalProperties"] = False
    return strict_schema


def complaints(name: str, document: dict[str, Any]) -> list[str]:
    """What the operator would refuse in a document.

    Args:
        name: of the resource, e.g. `rayjob`.
        document: the manifest.
    """
    schema = strict(
        json.loads(gzip.decompress((_SCHEMAS / f"{name}s.v1.schema.json.gz").read_bytes()))
    )
    schema["properties"]["metadata"] = {"type": "object"}
    return [
        error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(document)
    ]
