"""The options of the jobs that move an alias."""

import getpass
from dataclasses import dataclass, field

from jobs.framework.paths import InputPath
from jobs.framework.progress import JobOptions


def _user() -> str:
    """Name of the user; "" in a container that gives it none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


@dataclass(frozen=True, kw_only=True)
class AliasOptions(JobOptions):
    """Which system's alias is moved, and by whom."""

    registry: InputPath
    """Local directory or URI (file, s3, gs, ...) of the registry."""
    system: str
    """The risk system, e.g. fraud."""
    by: str = field(default_factory=_user)
    """Name of the person who decides, for the history of the aliases."""
    reason: str | None = None
    """Why, in words, for the history of the aliases."""
    records: str | None = None
    """Database of the records: sqlite:///path or postgresql+psycopg://user@host/database; where
    --evidence names an experiment."""
