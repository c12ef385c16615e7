"""The options of the jobs that move an alias."""

import getpass
from dataclasses import dataclass, field

from jobs.framework.paths import InputPath
from jobs.framework.progress import JobOptions


@dataclass(frozen=True, kw_only=True)
class AliasOptions(JobOptions):
    """Which system's alias is moved, and by whom."""

    registry: InputPath
    """Local directory or URI (file, s3, gs, ...) of the registry."""
    system: str
    """The risk system, e.g. fraud."""
    by: str = field(default_factory=getpass.getuser)
    """Name of the person who decides, for the history of the aliases."""
    records: str | None = None
    """Database of the records: sqlite:///path or postgresql+psycopg://user@host/database; where
    --evidence names an experiment."""
