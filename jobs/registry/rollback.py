"""Return an alias to its version before: `python -m jobs.registry.rollback --registry URI ...`."""

import time
from dataclasses import dataclass
from typing import Literal

from jobs.framework.command import run_job
from jobs.registry.alias_options import AliasOptions
from jobs.registry.list import outcome
from lib.registry import Registry


@dataclass(frozen=True, kw_only=True)
class Rollback(AliasOptions):
    """Undo the last promotion; run it again to undo the one before.

    Services follow within seconds. The change, who made it and the reason are kept in the history
    of the aliases (`jobs.registry.list --history`).
    """

    alias: Literal["champion", "challenger"] = "champion"
    """Alias that is moved back to its previous version."""


def main(options: Rollback, now: int) -> str:
    """Roll the alias back and answer the versions and the change.

    Args:
        options: what to roll back.
        now: microseconds since 1970 UTC.
    """
    registry = Registry(options.registry)
    registry.rollback(options.system, options.alias, at=now, by=options.by, reason=options.reason)
    return outcome(registry, options.system)


if __name__ == "__main__":
    run_job(Rollback, lambda options: print(main(options, time.time_ns() // 1000)))
