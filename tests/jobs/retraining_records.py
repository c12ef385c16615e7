"""A champion, the options of a retraining, and the records that it reads and writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from lib.records import Fact, Records
from lib.registry import Registry
from lib.retraining.repository import Retraining, RetrainingRepository
from tests.records.conftest import empty_records


def train_champion(
    train: Callable[[Any], object], kind: type[Any], options: Mapping[str, Any], folder: Path
) -> Path:
    """Train a first model, the champion of a new registry; the registry's folder.

    Args:
        train: the job.
        kind: of its options.
        options: of the job, without output and registry.
        folder: for both.
    """
    registry = folder / "registry"
    train(kind(**options, output=str(folder / "out"), registry=str(registry), alias="champion"))
    return registry


def retraining(kind: type[Any], options: Mapping[str, Any], registry: Path, folder: Path) -> Any:
    """Options of a retraining, whose records are there: empty ones, or those of a first run.

    Args:
        kind: of the options.
        options: without output, registry and records.
        registry: with a champion.
        folder: for output and records.
    """
    output, file = str(folder / "retrain"), folder / "records.db"
    records = f"sqlite:///{file}" if file.exists() else empty_records(folder)
    return kind(**options, output=output, registry=str(registry), records=records)


def retrained(
    retrain: Any,
    options: Mapping[str, Any],
    registry: Path,
    folders: pytest.TempPathFactory,
) -> tuple[Any, Mapping[str, Any]]:
    """The options of a retraining, made as by `retraining`, and its result.

    Args:
        retrain: the job, a module with `RetrainConfig` and `main`.
        options: without output, registry and records.
        registry: with a champion.
        folders: makes one for output and records.
    """
    config = retraining(retrain.RetrainConfig, options, registry, folders.mktemp("retrained"))
    return config, retrain.main(config)


def published_challenger(system: str, config: Any, result: Mapping[str, Any]) -> Registry:
    """The registry whose challenger is the model that a retraining published; fails without."""
    assert result["won"], result["decision"]
    registry = Registry(str(config.registry))
    assert registry.resolve(system, "challenger") == result["version"]
    return registry


def add_fact(
    url: str, system: str, subject: str, kind: str, at: int, *, value: bool, received_after: int = 0
) -> None:
    """Something becomes known, and is received so many microseconds later."""
    fact = Fact(
        system=system, subject_id=subject, kind=kind, value=value, observed_at=at, source="test",
        received_at=at + received_after,
    )  # fmt: skip
    with Records(url) as records:
        records.record_labels([fact])


def kept_retrainings(url: str, system: str) -> list[Retraining]:
    """The newest first."""
    with RetrainingRepository(url) as repository:
        return repository.list_of(system)
