"""Something that is done again and again beside a test, in a thread of its own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread


@contextmanager
def repeated(step: Callable[[], object], seconds: float) -> Iterator[None]:
    """Calls `step` every so many seconds while the block runs; ended with it.

    Args:
        step: what is done.
        seconds: between two calls.
    """
    is_over = Event()

    def repeat() -> None:
        while not is_over.wait(seconds):
            step()

    thread = Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
