"""Let an alias name a version: `python -m jobs.registry.promote --registry URI ...`."""

import getpass
import time
from dataclasses import dataclass, field
from typing import Literal

from jobs.framework.command import run_job
from jobs.framework.paths import InputPath
from jobs.framework.progress import JobOptions
from jobs.registry.list import versions
from lib.registry import Registry


@dataclass(frozen=True)
class Promote(JobOptions):
    """Make a published version the champion or the challenger of its system."""

    registry: InputPath
    """Local directory or URI (file, s3, gs, ...) of the registry."""
    system: str
    """The risk system, e.g. fraud."""
    version: str
    """A published version, or `challenger` for the one that is challenger now."""
    alias: Literal["champion", "challenger"] = "challenger"
    """What the version becomes."""
    by: str = field(default_factory=getpass.getuser)
    """Who decided it, for the history."""


def main(options: Promote, now: int) -> str:
    """Set the alias and answer the versions.

    Args:
        options: what to promote.
        now: microseconds since 1970 UTC.
    """
    registry = Registry(options.registry)
    registry.set_alias(options.system, options.alias, options.version, at=now, by=options.by)
    return versions(registry, (options.system,))


if __name__ == "__main__":
    run_job(Promote, lambda options: print(main(options, time.time_ns() // 1000)))
