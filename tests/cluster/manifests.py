"""Kubernetes manifests of the repository, and what KubeRay's schemas say of one."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import jsonschema
import yaml

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "cluster/kubernetes"
SCHEMAS = Path(__file__).parent / "crd"


def manifest(name: str) -> dict[str, Any]:
    """The document of a file in `cluster/kubernetes`."""
    document: dict[str, Any] = yaml.safe_load((KUBERNETES / f"{name}.yaml").read_text())
    return document


def complaints(name: str, document: dict[str, Any]) -> list[str]:
    """What the schema of a kind (`rayjob`) says against a document."""
    text = gzip.decompress((SCHEMAS / f"{name}s.v1.schema.json.gz").read_bytes())
    schema = _strict(json.loads(text))
    schema["properties"]["metadata"] = {"type": "object"}
    validator = jsonschema.Draft202012Validator(schema)
    return [error.message for error in validator.iter_errors(document)]


def _strict(schema: Any) -> Any:
    """A schema that takes no field it does not name: Kubernetes would drop it without a word."""
    if isinstance(schema, list):
        return [_strict(element) for element in schema]
    if not isinstance(schema, dict):
        return schema
    strict_schema = {key: _strict(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and "additionalProperties" not in schema:
        strict_schema["additionalProperties"] = False
    return strict_schema
