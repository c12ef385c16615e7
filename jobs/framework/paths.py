"""Files and folders that options name: where relative ones lie, and whether inputs are there."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from lib.contract import ContractError

_PACKAGE = "_ray_pkg_"
_SUBMITTED = "RAY_JOB_CONFIG_JSON_ENV_VAR"


class PathRole(Enum):
    """What a job does with a path."""

    INPUT = "input"
    OUTPUT = "output"


InputPath = Annotated[str, PathRole.INPUT]
"""An option that names a file, a folder or a URI that is read."""
OutputPath = Annotated[str, PathRole.OUTPUT]
"""An option that names a folder or a URI that is written to."""
LocalInput = Annotated[Path, PathRole.INPUT]
"""An option that names a local file that is read."""
LocalOutput = Annotated[Path, PathRole.OUTPUT]
"""An option that names a local folder that is written to."""


def paths_of(options: object) -> Iterator[tuple[str, PathRole, str]]:
    """Option (`--name`), role and value of every path that is given."""
    hints = get_type_hints(type(options), include_extras=True)
    for field in fields(options):  # type: ignore[arg-type]
        role, value = _role(hints[field.name]), getattr(options, field.name)
        if role is None or value is None:
            continue
        for path in value if isinstance(value, tuple) else (value,):
            yield f"--{field.name.replace('_', '-')}", role, str(path)


def _role(hint: Any) -> PathRole | None:
    """The role in an annotation, also within a union or a tuple."""
    if get_origin(hint) is Annotated:
        return next((role for role in get_args(hint)[1:] if isinstance(role, PathRole)), None)
    return next((role for role in map(_role, get_args(hint)) if role is not None), None)


def check_paths(
    options: object, folder: Path | None = None, environment: Mapping[str, str] = os.environ
) -> list[str]:
    """Refuse inputs that are not there and outputs that would be lost, before anything is read.

    A job that `ray job submit` started runs on the cluster in a folder that Ray unpacked for it:
    a relative path means something else there than where the command was typed.

    Args:
        options: of the job; its paths are annotated with their role.
        folder: where the job runs; default: the current one.
        environment: of the process.

    Returns:
        Warnings, each one line.

    Raises:
        ContractError: names the option, the absolute path and what to do.
    """
    if not is_dataclass(options):
        return []
    base = Path.cwd() if folder is None else folder
    unpacked = any(part.startswith(_PACKAGE) for part in base.parts)
    submitted = unpacked or _SUBMITTED in environment
    warnings = []
    for option, role, value in paths_of(options):
        if "://" in value:
            continue
        path = base / value
        relative = not Path(value).is_absolute()
        if role is PathRole.OUTPUT and relative and unpacked:
            raise ContractError(
                f"{option} {value}: relative to {base}, the folder that Ray unpacked for this job "
                "and deletes after it; give an absolute path that all machines reach, or a URI"
            )
        if role is PathRole.INPUT and not path.exists():
            raise ContractError(_absent(option, value, base, unpacked=unpacked and relative))
        if relative and submitted and not (role is PathRole.INPUT and unpacked):
            warnings.append(
                f"warning: {option} {value} means {path} on the machine that runs this job; "
                "give an absolute path or a URI"
            )
    return warnings


def make_output(folder: Path) -> None:
    """Make a local folder that a job writes to.

    Raises:
        ContractError: it is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise ContractError(f"'{folder}' is a file; give a folder")
    folder.mkdir(parents=True, exist_ok=True)


def _absent(option: str, value: str, base: Path, *, unpacked: bool) -> str:
    if not unpacked:
        suffix = "" if Path(value).is_absolute() else f" in {base}"
        return f"{option}: there is no file or folder {value}{suffix}"
    return (
        f"{option}: there is no file or folder {value} in {base}, the folder that Ray unpacked for "
        "this job; what .gitignore names or lies outside of --working-dir does not travel: give "
        "an absolute path that all machines reach, or a URI"
    )
