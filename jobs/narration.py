"""What a job says while it works."""

import time
from collections.abc import Callable


def narrator(started: float) -> Callable[[str], None]:
    """Prints each step with the seconds since `started`, a reading of the monotonic clock."""
    return lambda words: print(f"[{time.monotonic() - started:6.1f} s] {words}", flush=True)
