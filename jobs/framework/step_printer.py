"""What a job says while it works."""

import time
from collections.abc import Callable

from jobs.framework.progress import progress_style


def step_printer(started: float) -> Callable[[str], None]:
    """Prints each step with the seconds since `started`, a reading of the monotonic clock.

    Nothing is printed under `--progress none`.
    """

    def step(text: str) -> None:
        if progress_style() != "none":
            print(f"[{time.monotonic() - started:6.1f} s] {text}", flush=True)

    return step
