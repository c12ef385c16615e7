"""A small fraud model on disk, and one registry of each kind."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from pyarrow import fs
from safetensors.numpy import save

from lib.registry import Manifest, Registry, TrainingRecord, write_artifact

NOVEMBER = 1_795_428_900_000_000  # 2026-11-23T10:15:00Z in microseconds


@dataclass(frozen=True)
class FeatureSet:
    names: tuple[str, ...] = ("amount", "hour_of_day", "is_weekend")
    digest: str = "ab" * 32


RECORD = TrainingRecord(
    NOVEMBER, "handbook-2018-07", "0.1.0", {"max_depth": 6}, {"average_precision": 0.7}
)
WriteModel = Callable[..., Manifest]


@pytest.fixture
def write_model() -> WriteModel:
    def write(directory: Path, **changes: object) -> Manifest:
        fields: dict[str, object] = {
            "system": "fraud",
            "feature_set_digest": FeatureSet().digest,
            "feature_names": FeatureSet().names,
            "files": {
                "network.safetensors": save({"weight": np.arange(6, dtype=np.float32)}),
                "policy.json": b'{"review": 0.4}',
            },
            "thresholds": {"review": 0.4, "decline": 0.9},
        }
        about = {name: changes.pop(name) for name in list(changes) if name not in fields}
        return write_artifact(directory, replace(RECORD, **about), **(fields | changes))

    return write


@pytest.fixture(params=["local path", "file uri", "fsspec memory", "pyarrow mock"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Registry:
    root = tmp_path / "registry"
    match request.param:
        case "local path":
            return Registry(root)
        case "file uri":
            return Registry(root.as_uri())
        case "fsspec memory":
            return Registry(f"memory://{uuid.uuid4().hex}/models")
        case _:
            filesystem, path = fs.FileSystem.from_uri("mock:///models")
            return Registry(path, filesystem=filesystem)
