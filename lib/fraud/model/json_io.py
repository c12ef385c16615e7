"""The JSON part of an artifact."""

import json
from pathlib import Path
from typing import Any


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; anything else is refused with ValueError naming the file."""
    stored = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(stored, dict):
        raise ValueError(f"{path}: expected a JSON object, got {type(stored).__name__}")
    return stored


def to_json(content: dict[str, Any]) -> bytes:
    """Indented JSON; NaN and infinity are refused with ValueError."""
    return json.dumps(content, indent=2, sort_keys=True, allow_nan=False).encode() + b"\n"
