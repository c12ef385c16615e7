"""The modules that `python -m` runs, with the options of each."""

import dataclasses
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from jobs.framework.options import dataclasses_of

JOBS = Path(__file__).parents[2] / "jobs"


def entry_names() -> list[str]:
    """All modules of jobs with a `run_job` at their end."""
    files = (path for path in JOBS.rglob("*.py") if "\n    run_job(" in path.read_text())
    return sorted(".".join(path.relative_to(JOBS.parent).with_suffix("").parts) for path in files)


def options_of(module: ModuleType) -> list[type]:
    """The dataclass that a job's command line fills, or one for each of its commands."""
    text = inspect.getsource(module)
    name = text.rpartition("run_job(")[2].partition(",")[0]
    return dataclasses_of(getattr(module, name))


def entries() -> Iterator[tuple[str, type]]:
    """Name and options of every job, and of every command of one."""
    for name in entry_names():
        for kind in options_of(importlib.import_module(name)):
            yield name, kind


def option_names(kind: type, prefix: str = "") -> Iterator[str]:
    """`--names` of a job's options, nested ones too."""
    for field in dataclasses.fields(kind):
        name = prefix + field.name.replace("_", "-")
        yield f"--{name}"
        default = field.default_factory
        if default is not dataclasses.MISSING and dataclasses.is_dataclass(default):
            yield from option_names(default, f"{name}.")
