"""Work of a demonstration side by side, in as many lanes as there are cores to use."""

import queue
import threading
from collections.abc import Callable, Sequence

Work = Callable[[], None]


def run_in_lanes(works: Sequence[Work], lanes: int) -> None:
    """Runs works in their order, each in the first lane that is free; returns when all are done.

    Whatever one of them raises is raised at once, while the others may still run in threads that
    do not keep the program from ending.

    Args:
        works: that do not need each other, or wait for each other by themselves.
        lanes: how many run at once.
    """
    waiting: queue.SimpleQueue[Work] = queue.SimpleQueue()
    ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
    for work in works:
        waiting.put(work)
    for _ in range(min(lanes, len(works))):
        threading.Thread(target=_run_lane, args=(waiting, ended), daemon=True).start()
    for _ in works:
        if (error := ended.get()) is not None:
            raise error


def _run_lane(
    waiting: "queue.SimpleQueue[Work]", ended: "queue.SimpleQueue[BaseException | None]"
) -> None:
    while True:
        try:
            work = waiting.get_nowait()
        except queue.Empty:
            return
        try:
            work()
        except BaseException as error:
            ended.put(error)
            return
        ended.put(None)
