"""Trained models into the registry."""

import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from lib.registry import Registry, verify_artifact


def code_version() -> str:
    """The project's version, or `unpackaged` where the tree alone travelled."""
    try:
        return version("forewarn")
    except PackageNotFoundError:
        return "unpackaged"


def publish(registry: str, system: str, directory: Path, alias: str, by: str) -> None:
    """Publish an artifact under its version, unless it is there, and let the alias name it.

    Args:
        registry: directory or URI.
        system: of the model.
        directory: the artifact.
        alias: `champion`, `challenger`, or `none`.
        by: who says so, for the registry's log.
    """
    place = Registry(registry)
    name = verify_artifact(directory).manifest.version
    if name not in place.versions(system):
        place.publish(directory, system)
    if alias != "none":
        place.set_alias(system, alias, name, at=time.time_ns() // 1000, by=by)
