"""Publish trained models to the registry, and store reports beside what a job writes."""

import hashlib
import tempfile
import time
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from lib.registry import (
    Conclusion,
    Evidence,
    Registry,
    conclusion_in,
    make_evidence,
    statement_in,
    verify_artifact,
)
from lib.report import Report, write_report
from lib.storage import Storage, open_storage, split_address

_ROOT, _CODE = Path(__file__).parents[1], ("lib", "jobs")


def code_version() -> str:
    """The project's version, or `unpackaged` where the tree alone travelled."""
    try:
        return version("forewarn")
    except PackageNotFoundError:
        return "unpackaged"


def code_digest() -> str:
    """SHA-256 of the sources of this project that train models, in hex."""
    total = hashlib.sha256()
    for folder in _CODE:
        for path in sorted((_ROOT / folder).rglob("*")):
            if path.suffix in {".py", ".yaml"}:
                total.update(f"{path.relative_to(_ROOT).as_posix()}\n".encode())
                total.update(path.read_bytes())
    return total.hexdigest()


def publish(
    registry: str,
    system: str,
    directory: Path,
    alias: str,
    by: str,
    evidence: Evidence | None = None,
) -> None:
    """Publish an artifact under its version, unless it is there, and let the alias name it.

    Args:
        registry: directory or URI.
        system: of the model.
        directory: the artifact.
        alias: `champion`, `challenger`, or `none`.
        by: who says so, for the history of the aliases.
        evidence: what it rests on.
    """
    model_registry = Registry(registry)
    name = verify_artifact(directory).manifest.version
    if name not in model_registry.versions(system):
        model_registry.publish(directory, system)
    if alias != "none":
        at = time.time_ns() // 1000
        model_registry.set_alias(system, alias, name, at=at, by=by, evidence=evidence)


def read_report(address: str) -> tuple[Evidence, Conclusion] | None:
    """The report of a file or URI as evidence, with its digest; None where there is no file.

    An HTML report speaks through the JSON beside it, of the same name.
    """
    folder, name = split_address(open_storage(address).address())
    storage = open_storage(folder)
    content = storage.read(name)
    if content is None:
        return None
    beside = storage.read(f"{name.removesuffix('.html')}.json") if name.endswith(".html") else None
    facts = content if beside is None else beside
    evidence = make_evidence(
        kind="report",
        name=open_storage(address).shown(),
        statement=statement_in(facts),
        sha256=hashlib.sha256(content).hexdigest(),
    )
    return evidence, conclusion_in(facts)


def store_report(report: Report, output: Storage) -> list[str]:
    """Write `report.html` and `report.json` to the output; their addresses."""
    with tempfile.TemporaryDirectory() as folder:
        paths = write_report(report, Path(folder))
        for path in paths:
            output.write(path.name, path.read_bytes())
    return [output.address(path.name) for path in paths]


def written_lines(
    model: str, version: str, published: str | None, reports: Iterable[str]
) -> list[str]:
    """Lines that say where a training wrote its model and its reports.

    Args:
        model: address of the artifact.
        version: of it.
        published: registry, version and alias; None where it was not published.
        reports: addresses.
    """
    return [
        f"model:       {model} ({version})",
        f"registry:    {published or 'not published'}",
        *(f"report:      {path}" for path in reports),
    ]
