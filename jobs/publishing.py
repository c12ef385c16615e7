"""Publish trained models to the registry, and store reports beside what a job writes."""

import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from lib.registry import Registry, verify_artifact
from lib.report import Report, write_report
from lib.storage import Storage


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
    model_registry = Registry(registry)
    name = verify_artifact(directory).manifest.version
    if name not in model_registry.versions(system):
        model_registry.publish(directory, system)
    if alias != "none":
        model_registry.set_alias(system, alias, name, at=time.time_ns() // 1000, by=by)


def store_report(report: Report, output: Storage) -> list[str]:
    """Write `report.html` and `report.json` to the output; their addresses."""
    with tempfile.TemporaryDirectory() as folder:
        paths = write_report(report, Path(folder))
        for path in paths:
            output.write(path.name, path.read_bytes())
    return [output.address(path.name) for path in paths]
