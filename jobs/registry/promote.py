"""Let an alias name a version: `python -m jobs.registry.promote --registry URI ...`."""

import time
from dataclasses import dataclass
from typing import Literal

from jobs.framework.command import run_job
from jobs.registry.alias_options import AliasOptions
from jobs.registry.list import versions
from lib.registry import Registry


@dataclass(frozen=True, kw_only=True)
class Promote(AliasOptions):
    """Make a published version the champion or the challenger of its system."""

    version: str
    """A published version, or `challenger` for the one that is challenger now."""
    alias: Literal["champion", "challenger"] = "challenger"
    """Alias that the version gets."""


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
