"""Steps of a pipeline: jobs that run in this process, each with its own log and exit code."""

import gc
import os
import re
import runpy
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import field
from importlib.util import find_spec
from pathlib import Path

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from jobs.framework.paths import make_output
from lib.contract import ContractError
from lib.declaration import entry_of, load_declaration, read_yaml_text, repeated

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_LAST_LINES = 15
_STRICT = ConfigDict(extra="forbid")


class PipelineError(RuntimeError):
    """A step ended with another code than 0."""


@dataclass(frozen=True, config=_STRICT)
class PipelineStep:
    """A job of a pipeline.

    Args:
        name: of the step and of its log.
        job: module below `jobs`, such as `fraud.train`.
        options: of its command line.
        seconds: how long it usually runs; 0: not known.
    """

    name: str
    job: str
    options: list[str] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True, config=_STRICT)
class Pipeline:
    """Steps in the order in which they run."""

    steps: list[PipelineStep]


def read_steps(file: Path, start_at: str = "") -> list[PipelineStep]:
    """The steps of a YAML file, from the step `start_at` on.

    Raises:
        ValueError: the file cannot be read, a name is no name or stands twice, or there is no such
            job or step.
    """
    steps = load_declaration(read_yaml_text(file), Pipeline, str(file)).steps
    for step in steps:
        if not _NAME.fullmatch(step.name):
            raise ContractError(f"{file}: name: expected letters and digits, got {step.name!r}")
        if not _is_job(step.job):
            raise ContractError(f"{file}: step {step.name}: there is no job {step.job!r}")
    if (twice := repeated(step.name for step in steps)) is not None:
        raise ContractError(f"{file}: two steps are named {twice!r}")
    if not start_at:
        return steps
    first = entry_of({step.name: step for step in steps}, start_at, "--start-at", ContractError)
    return steps[steps.index(first) :]


def _is_job(job: str) -> bool:
    """Whether `jobs` has a module of that name that runs as a program."""
    try:
        spec = find_spec(f"jobs.{job}")
    except (ImportError, ValueError):
        return False
    origin = None if spec is None else spec.origin
    return origin is not None and "\n    run_job(" in Path(origin).read_text(encoding="utf-8")


def run_steps(steps: Sequence[PipelineStep], logs: Path) -> None:
    """Runs steps in this process and prints when each begins and how it ended.

    Args:
        steps: in order.
        logs: folder for what each prints.

    Raises:
        PipelineError: one ended with another code than 0; later ones did not run.
    """
    make_output(logs)
    for step in steps:
        log, started = logs / f"{step.name}.log", time.monotonic()
        usually = f", usually {step.seconds:.0f} s" if step.seconds else ""
        print(f"{step.name}: started{usually}; log {log}", flush=True)
        with _output_to(log):
            code = _exit_code(step)
        print(f"{step.name}: exit {code} after {time.monotonic() - started:.1f} s", flush=True)
        if code != 0:
            raise PipelineError(
                f"step {step.name} ended with {code}; its log is {log}\n{_last_lines(log)}"
            )
        gc.collect()


def _exit_code(step: PipelineStep) -> int:
    """The exit code of a job that runs here as `python -m` runs it."""
    module, arguments = f"jobs.{step.job}", sys.argv
    sys.argv = [module, *step.options]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except Exception:
        traceback.print_exc()
        return 1
    finally:
        sys.argv = arguments
    return 0


def _last_lines(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-_LAST_LINES:])


@contextmanager
def _output_to(log: Path) -> Iterator[None]:
    """Lets a file take all that is printed meanwhile, by libraries in C and by loggers too."""
    streams = (sys.stdout, sys.stderr)
    kept = {stream: os.dup(stream.fileno()) for stream in streams}
    try:
        with log.open("ab") as file:
            for stream in streams:
                stream.flush()
                os.dup2(file.fileno(), stream.fileno())
        yield
    finally:
        for stream, descriptor in kept.items():
            stream.flush()
            os.dup2(descriptor, stream.fileno())
            os.close(descriptor)
