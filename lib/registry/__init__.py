"""Trained models as verified directories, and the registry that holds them.

An artifact is a directory with a manifest and weights in formats that execute nothing when
loaded. A registry keeps immutable versions and the aliases `champion` and `challenger`.
"""

from lib.registry.aliases import AliasChange
from lib.registry.artifact import (
    Artifact,
    TrainingRecord,
    find_parameter,
    read_artifact,
    read_parameter,
    verify_artifact,
    write_artifact,
)
from lib.registry.errors import AliasMovedError, ArtifactError, RegistryError
from lib.registry.evidence import Conclusion, Evidence, conclusion_in, make_evidence, statement_in
from lib.registry.manifest import SEEN_UNTIL, Manifest
from lib.registry.names import MANIFEST, from_iso, to_iso
from lib.registry.registry import Registry

__all__ = [
    "MANIFEST",
    "SEEN_UNTIL",
    "AliasChange",
    "AliasMovedError",
    "Artifact",
    "ArtifactError",
    "Conclusion",
    "Evidence",
    "Manifest",
    "Registry",
    "RegistryError",
    "TrainingRecord",
    "conclusion_in",
    "find_parameter",
    "from_iso",
    "make_evidence",
    "read_artifact",
    "read_parameter",
    "statement_in",
    "to_iso",
    "verify_artifact",
    "write_artifact",
]
