"""What a system says of its retraining: its labels, its training, its comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from lib.registry import Manifest
from lib.retraining.comparison import Comparison

Config_contra = TypeVar("Config_contra", contravariant=True)


@dataclass(frozen=True)
class NewLabels:
    """What became known, as it was at a time.

    Attributes:
        new: labels since the last retraining that did not fail.
        total: labels in all.
        marks: up to where labels were read, by source, for the next time.
        tables: options of the training to the addresses of tables that hold all labels.
        digest: of these tables, SHA-256 in hex.
    """

    new: int
    total: int
    marks: Mapping[str, int]
    tables: Mapping[str, str]
    digest: str


@dataclass(frozen=True)
class Champion:
    """The model that a challenger must beat, on this machine.

    Attributes:
        manifest: of the model.
        directory: its artifact.
    """

    manifest: Manifest
    directory: Path

    @property
    def seen_until(self) -> int:
        """Rows of that time or later taught it nothing, microseconds since 1970 UTC."""
        return self.manifest.seen_until


@dataclass(frozen=True)
class TrainedModel:
    """What a training came to, with its artifact in OUTPUT/model.

    Attributes:
        context: what the system's comparison needs: the options, and what it cannot read again.
    """

    context: Any = field(default=None, repr=False)


class RetrainedSystem(Protocol[Config_contra]):
    """What a system says of its retraining.

    Attributes:
        name: of the system.
        measure: name of its measure, higher is better.
    """

    name: str
    measure: str

    def read_labels(self, config: Config_contra, marks: Mapping[str, int], as_of: int) -> NewLabels:
        """What was known at `as_of` (microseconds since 1970 UTC); `marks` are of the last time."""
        ...

    def train(self, config: Config_contra, labels: NewLabels, champion: Champion) -> TrainedModel:
        """Train by the system's own training, without publishing."""
        ...

    def compare(self, trained: TrainedModel, challenger: Path, champion: Champion) -> Comparison:
        """Both models on the recent rows that neither saw."""
        ...
