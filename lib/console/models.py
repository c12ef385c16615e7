"""Models: versions with their measures, what an alias named when and why, and what may be moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from lib.console.source import SystemSource
from lib.experiment.models import StoredExperiment
from lib.monitoring.repository import RecordedIncident
from lib.registry import AliasChange, ArtifactError, Manifest
from lib.registry.names import ALIASES

_NEWEST = 12


@dataclass(frozen=True)
class ModelVersion:
    """A published version.

    Attributes:
        version: its name.
        aliases: that name it.
        manifest: what it says of itself; None where that is damaged.
        fault: why there is none.
    """

    version: str
    aliases: tuple[str, ...]
    manifest: Manifest | None
    fault: str = ""

    @property
    def seen_until(self) -> int | None:
        """When its training rows end, microseconds since 1970 UTC; None where it does not say."""
        try:
            return None if self.manifest is None else self.manifest.seen_until
        except ArtifactError:
            return None


@dataclass(frozen=True)
class ModelsOfSystem:
    """The models of a system.

    Attributes:
        system: its name.
        champion, challenger: versions; None before the first.
        versions: the newest first, no more than twelve and those that an alias names.
        version_count: published in all.
        measures: names of the measures that the champion, or else the newest version, has.
        changes: of aliases, the newest first.
        incidents: that are open, the latest first.
    """

    system: str
    champion: str | None
    challenger: str | None
    versions: tuple[ModelVersion, ...]
    version_count: int
    measures: tuple[str, ...]
    changes: tuple[AliasChange, ...]
    incidents: tuple[RecordedIncident, ...]


@dataclass(frozen=True, slots=True)
class Measure:
    """A number of a version beside the champion's.

    Attributes:
        name: of the measure or threshold.
        value: of the version; None where it has none.
        champion: the champion's, likewise.
    """

    name: str
    value: float | None
    champion: float | None


@dataclass(frozen=True)
class ModelPage:
    """All that the page of a version shows.

    Attributes:
        system: of the model.
        model: the version.
        champion, challenger: versions at present.
        measures, thresholds: beside the champion's.
        returns_to: by alias that names this version, the version that a rollback returns to.
        experiments: judged ones whose challenger this is: what a promotion may rest on.
        changes: of aliases that concern it, the newest first.
    """

    system: str
    model: ModelVersion
    champion: str | None
    challenger: str | None
    measures: tuple[Measure, ...]
    thresholds: tuple[Measure, ...]
    returns_to: dict[str, str]
    experiments: tuple[StoredExperiment, ...]
    changes: tuple[AliasChange, ...]


def read_models(source: SystemSource) -> ModelsOfSystem:
    """Read the versions of a system, what its aliases name, and its open incidents."""
    registry, system = source.registry, source.system
    named, names = registry.aliases(system), registry.versions(system)
    shown = sorted({*names[-_NEWEST:], *(set(named.values()) & set(names))}, reverse=True)
    versions = tuple(_version(source, name, named) for name in shown)
    incidents = source.records.open_incidents(system)
    return ModelsOfSystem(
        system=system,
        champion=named.get("champion"),
        challenger=named.get("challenger"),
        versions=versions,
        version_count=len(names),
        measures=_measure_names(versions),
        changes=tuple(reversed(registry.history(system))),
        incidents=tuple(sorted(incidents, key=lambda incident: -incident.opened_at)),
    )


def read_model(source: SystemSource, version: str) -> ModelPage:
    """Read a version beside the champion.

    Raises:
        RegistryError: there is no such version.
    """
    registry, system = source.registry, source.system
    version = registry.resolve(system, version)
    named = registry.aliases(system)
    model, champion = _version(source, version, named), named.get("champion")
    other = None if champion is None else _version(source, champion, named).manifest
    own = model.manifest
    return ModelPage(
        system=system,
        model=model,
        champion=champion,
        challenger=named.get("challenger"),
        measures=_beside(*(_numbers(each, "metrics") for each in (own, other))),
        thresholds=_beside(*(_numbers(each, "thresholds") for each in (own, other))),
        returns_to={
            alias: before
            for alias in model.aliases
            if (before := registry.earlier(system, alias)) is not None
        },
        experiments=tuple(_judged(source, version)),
        changes=tuple(
            change
            for change in reversed(registry.history(system))
            if version in (change.before, change.after)
        ),
    )


def _version(source: SystemSource, version: str, named: dict[str, str]) -> ModelVersion:
    aliases = tuple(alias for alias in ALIASES if named.get(alias) == version)
    try:
        return ModelVersion(version, aliases, source.manifest(version))
    except ArtifactError as error:
        return ModelVersion(version, aliases, None, str(error))


def _measure_names(versions: Sequence[ModelVersion]) -> tuple[str, ...]:
    readable = [version for version in versions if version.manifest is not None]
    leading = [version for version in readable if "champion" in version.aliases] or readable
    manifest = leading[0].manifest if leading else None
    return () if manifest is None else tuple(manifest.metrics)


def _numbers(manifest: Manifest | None, name: Literal["metrics", "thresholds"]) -> dict[str, float]:
    return {} if manifest is None else getattr(manifest, name)


def _beside(own: Mapping[str, float], champion: Mapping[str, float]) -> tuple[Measure, ...]:
    names = dict.fromkeys([*own, *champion])
    return tuple(Measure(name, own.get(name), champion.get(name)) for name in names)


def _judged(source: SystemSource, version: str) -> list[StoredExperiment]:
    """Experiments with a verdict that compared this version with a champion."""
    records = source.records
    return [
        stored
        for stored in records.list_of_system(source.system)
        if stored.declaration.challenger == version
        and any(change.action == "judged" for change in records.changes(stored.id))
    ]
