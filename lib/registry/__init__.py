"""Trained models as verified directories, and the registry that holds them.

An artifact is a directory with a manifest and weights in formats that execute nothing when
loaded. A registry keeps immutable versions and the aliases `champion` and `challenger`.
"""

from lib.registry.artifact import (
    Artifact,
    TrainingRecord,
    read_artifact,
    verify_artifact,
    write_artifact,
)
from lib.registry.errors import ArtifactError, RegistryError
from lib.registry.manifest import Manifest
from lib.registry.names import MANIFEST
from lib.registry.registry import Registry

__all__ = [
    "MANIFEST",
    "Artifact",
    "ArtifactError",
    "Manifest",
    "Registry",
    "RegistryError",
    "TrainingRecord",
    "read_artifact",
    "verify_artifact",
    "write_artifact",
]
