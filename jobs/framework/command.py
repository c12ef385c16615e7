"""A job from its command line to its exit code, its errors in the words of whoever runs it."""

import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from jobs.framework.options import read_options
from jobs.framework.paths import check_paths
from jobs.framework.progress import JobOptions, set_progress

Options = TypeVar("Options")
Cause = TypeVar("Cause", bound=BaseException)
_OURS = ("lib.", "jobs.")
_ADVICE = "\nFailed to apply UDF transform"


def run_job(
    kind: type[Options],
    main: Callable[[Options], object],
    arguments: Sequence[str] | None = None,
) -> None:
    """Read the options, check them and their files, and run the job.

    What the user can mend ends the program with one message and code 1; a bug with one traceback,
    also where a task of Ray met it.

    Args:
        kind: dataclass of the options.
        main: the job.
        arguments: of the command line; None takes those of the program.
    """
    try:
        options = read_options(kind, arguments)
        for warning in check_paths(options):
            print(warning, file=sys.stderr, flush=True)
        if isinstance(options, JobOptions):
            set_progress(options.progress)
            options.check()
        main(options)
    except Exception as error:
        raise SystemExit(_last_words(error)) from None


def _last_words(error: Exception) -> str:
    message = message_for_user(error)
    if message is not None:
        return f"error: {message}"
    return f"{one_traceback(error)}\nerror: this is a bug; report it with the lines above"


def message_for_user(error: BaseException) -> str | None:
    """The message of an error that its user can mend; None for a bug.

    Such are the exceptions that this repository defines, values that its code refuses by a `raise`,
    and files that the system refuses; whether met here or in a task, an actor or a worker of Ray.
    """
    for current, text in _unwrapped(error, ""):
        if _is_of_ray(current):
            continue
        if isinstance(current, OSError) or type(current).__module__.startswith(_OURS):
            return _without_advice(current)
        if type(current) is ValueError and _raised_by_us(text or _formatted(current)):
            return _without_advice(current)
    return None


def _without_advice(error: BaseException) -> str:
    """The message without the lines on retries that Ray Data adds to it."""
    return str(error).partition(_ADVICE)[0].rstrip()


def one_traceback(error: BaseException) -> str:
    """The traceback of a bug, once: that of the task where it arose, or of this process."""
    remote = [text for _, text in _unwrapped(error, "") if text]
    return remote[-1] if remote else _formatted(error)


def cause_in(error: BaseException, *kinds: type[BaseException]) -> bool:
    """Whether the error, or one that it wraps or was raised from, is of one of the kinds."""
    return any(isinstance(current, kinds) for current, _ in _unwrapped(error, ""))


def cause_of(error: BaseException, kind: type[Cause]) -> Cause | None:
    """The error, or the first that it wraps or was raised from, of a kind; None without one."""
    return next((each for each, _ in _unwrapped(error, "") if isinstance(each, kind)), None)


def _unwrapped(error: BaseException, text: str) -> Iterator[tuple[BaseException, str]]:
    """An error and what it wraps or was raised from, outermost first.

    With each comes the traceback that a task of Ray sent along as text, "" where it arose here.
    """
    yield error, text
    sent = str(vars(error).get("traceback_str", "") or vars(error).get("_traceback_str", ""))
    for inner in _inside(error):
        yield from _unwrapped(inner, sent or text)
    if error.__cause__ is not None:
        yield from _unwrapped(error.__cause__, text)


def _inside(error: BaseException) -> list[BaseException]:
    """What an exception of Ray Core, Ray Data, Ray Train or Ray Tune wraps."""
    content = vars(error)
    wrapped = [content.get(name) for name in ("cause", "_base_exc")]
    failures = content.get("worker_failures")
    wrapped += list(failures.values()) if isinstance(failures, dict) else []
    return [wrapped_error for wrapped_error in wrapped if isinstance(wrapped_error, BaseException)]


def _is_of_ray(error: BaseException) -> bool:
    return any(kind.__module__.startswith("ray.") for kind in type(error).__mro__)


def _formatted(error: BaseException) -> str:
    return "".join(traceback.format_exception(error, chain=False))


def _raised_by_us(text: str) -> bool:
    """Whether a traceback ends in a `raise` of ours, and not in a library given a bad value."""
    lines = text.splitlines()
    indices = [index for index, line in enumerate(lines) if line.startswith('  File "')]
    if not indices or indices[-1] + 1 >= len(lines):
        return False
    ours = any(f"/{folder}" in lines[indices[-1]] for folder in ("lib/", "jobs/"))
    installed = "site-packages" in lines[indices[-1]] or "/lib/python" in lines[indices[-1]]
    return ours and not installed and lines[indices[-1] + 1].lstrip().startswith("raise ")
