"""What a replica that answers on its event loop asks of the interpreter."""

import gc
import os
import sys
from functools import cache

_SECONDS = 0.0001
_YOUNG, _MIDDLE, _OLD = 10_000, 5, 200


def tune_interpreter() -> None:
    """Lets the event loop wait 0.1 ms for a busy thread, rather than 5, and seldom for garbage.

    Requests leave few cycles behind, so the collector may look for them less often. It looks
    through 50,000 objects at a time, as the rows of a large request are some hundred thousand.
    """
    sys.setswitchinterval(_SECONDS)
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)


@cache
def freeze_heap() -> None:
    """Takes what is alive, once a process, out of what the collector looks through.

    For a replica that has loaded its model: a full collection would hold the event loop for as
    long as some ten requests take. What is alive then is freed by reference counts alone.
    """
    gc.collect()
    gc.freeze()


@cache
def yield_to_decisions() -> None:
    """Lets processes that decide go first on the machine's cores: the lowest of `nice` (19)."""
    os.setpriority(os.PRIO_PROCESS, 0, 19)
