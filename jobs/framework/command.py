"""A job from its command line to its exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from jobs.framework.faults import message_for_user, one_traceback
from jobs.framework.options import read_options
from jobs.framework.paths import check_paths
from jobs.framework.progress import JobOptions, set_progress

Options = TypeVar("Options")


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
