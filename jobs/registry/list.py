"""List the versions of a registry: `python -m jobs.registry.list --registry URI`."""

from dataclasses import dataclass

from jobs.framework.command import run_job
from jobs.framework.paths import InputPath
from jobs.framework.progress import JobOptions
from jobs.registry.console import format_table, format_time
from lib.registry import AliasChange, Registry


@dataclass(frozen=True)
class List(JobOptions):
    """List published models of all systems or of one, or the changes of their aliases."""

    registry: InputPath
    """Local directory or URI (file, s3, gs, ...) of the registry."""
    system: str | None = None
    """System to list, such as fraud; default: all systems."""
    history: bool = False
    """List the changes of the aliases instead of the versions."""


def versions(registry: Registry, systems: tuple[str, ...]) -> str:
    """One row per version, oldest first within its system."""
    rows = []
    for system in systems:
        aliases = registry.aliases(system)
        for version in registry.versions(system):
            manifest = registry.manifest(system, version)
            named = " ".join(sorted(alias for alias, at in aliases.items() if at == version))
            metrics = " ".join(f"{name}={value:.4g}" for name, value in manifest.metrics.items())
            created = format_time(manifest.created_at)
            features = f"{len(manifest.feature_names)} {manifest.feature_set_digest[:8]}"
            rows.append((system, version, named, created, features, metrics))
    return format_table(("system", "version", "alias", "created", "features", "metrics"), rows)


def changes(registry: Registry, systems: tuple[str, ...], newest: int | None = None) -> str:
    """One row per change of an alias, oldest first within its system, with what it rests on.

    Args:
        registry: of the models.
        systems: to list.
        newest: of each system so many of the newest changes; None lists all.
    """
    rows = [
        (format_time(c.at), system, c.alias, c.action, c.before or "-", c.after, c.by, _why(c))
        for system in systems
        for c in registry.history(system)[-(newest or 0) :]
    ]
    header = ("when", "system", "alias", "action", "from", "to", "by", "evidence or reason")
    return format_table(header, rows)


def outcome(registry: Registry, system: str) -> str:
    """The versions of a system after a change of an alias, and that change."""
    return "\n\n".join((versions(registry, (system,)), changes(registry, (system,), newest=1)))


def _why(change: AliasChange) -> str:
    """What a change rests on, in one line."""
    evidence = "" if change.evidence is None else change.evidence.text
    text = "; ".join(part for part in (evidence, change.reason) if part)
    return " ".join((text or "(none)").split())


def main(options: List) -> str:
    """Answer the table that was asked for."""
    registry = Registry(options.registry)
    systems = registry.systems() if options.system is None else (options.system,)
    return (changes if options.history else versions)(registry, systems)


if __name__ == "__main__":
    run_job(List, lambda options: print(main(options)))
