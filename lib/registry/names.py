"""The names an artifact and a registry accept: nothing that could leave its directory."""

import re
from datetime import UTC, datetime, timedelta

ALIASES = ("champion", "challenger")
MANIFEST = "manifest.json"
WEIGHT_SUFFIXES = (".json", ".onnx", ".safetensors", ".txt", ".ubj", ".yaml")
"""Formats that hold numbers and text only: loading one executes nothing."""

SYSTEM_PATTERN = re.compile(r"[a-z][a-z0-9_]{0,63}")
VERSION_PATTERN = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")
FILE_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def file_name_fault(name: str) -> str | None:
    """Say why `name` cannot be a weight file of an artifact, or None if it can."""
    if not FILE_PATTERN.fullmatch(name):
        return "expected a plain name of letters, digits, '.', '_' and '-', without a folder"
    if name == MANIFEST:
        return "the manifest is written by the artifact itself"
    if not name.endswith(WEIGHT_SUFFIXES):
        return f"expected one of {', '.join(WEIGHT_SUFFIXES)} (formats that execute nothing)"
    return None


def version_name(created_at: int, digest: str) -> str:
    """Name a version by its time and content, e.g. `20261123T101500Z-0f3a9c21`.

    Args:
        created_at: microseconds since 1970 UTC.
        digest: SHA-256 of the manifest without its version, in hex.
    """
    moment = _EPOCH + timedelta(microseconds=created_at)
    return f"{moment:%Y%m%dT%H%M%SZ}-{digest[:8]}"


def to_iso(microseconds: int) -> str:
    """Write microseconds since 1970 UTC as ISO 8601 with six decimals and a Z."""
    moment = _EPOCH + timedelta(microseconds=microseconds)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def from_iso(text: str) -> int:
    """Read ISO 8601 with a time zone as microseconds since 1970 UTC.

    Raises:
        ValueError: the text is no ISO 8601 time or names no time zone.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"expected a time with its zone, such as 2026-11-23T10:15:00Z, got {text}")
    return (moment - _EPOCH) // timedelta(microseconds=1)
