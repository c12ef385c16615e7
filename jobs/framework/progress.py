"""How a job shows its progress: bars, log lines or nothing."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

from tqdm import tqdm

Style = Literal["none", "bar", "log"]
_EVERY_SECONDS = 10.0
_STYLE: ContextVar[Style | None] = ContextVar("progress", default=None)


@dataclass(frozen=True, kw_only=True)
class JobOptions:
    """Options of every job."""

    progress: Literal["auto", "none", "bar", "log"] = "auto"
    """display of the progress, that of Ray Data and Ray Tune included: none, progress bars or log
    lines; auto: bars on a terminal, log lines elsewhere"""

    def check(self) -> None:
        """Refuse options, mappings and columns that cannot work, before Ray is imported.

        Reads no rows. A job with tables or limits of its own overrides it.

        Raises:
            ValueError: one that this repository defines; names the option or the file.
        """


def set_progress(style: Literal["auto", "none", "bar", "log"]) -> None:
    """Set the style for this process."""
    _STYLE.set(None if style == "auto" else style)


def progress_style() -> Style:
    """The style that is set; bars on a terminal and log lines elsewhere where none is."""
    return _STYLE.get() or ("bar" if sys.stderr.isatty() else "log")


@contextmanager
def progress(total: float, label: str, unit: str = "") -> Iterator[Callable[[float], None]]:
    """Show how much of `total` is done; yields a function that takes what was done since.

    Args:
        total: of all work, in `unit`.
        label: is done, in words.
        unit: of `total`.
    """
    style = progress_style() if total > 0 else "none"
    if style == "bar":
        with tqdm(total=total, desc=label, unit=unit) as bar:
            yield bar.update
    else:
        yield _Lines(total, label, unit).add if style == "log" else lambda _amount: None


class _Lines:
    """A line at most every ten seconds, and one at the end."""

    def __init__(self, total: float, label: str, unit: str) -> None:
        self._total, self._what, self._unit = total, label, unit
        self._done = 0.0
        self._last = time.monotonic()

    def add(self, amount: float) -> None:
        """Count `amount` as done."""
        self._done += amount
        now = time.monotonic()
        if now - self._last >= _EVERY_SECONDS or (amount and self._done >= self._total):
            self._last = now
            unit = f" {self._unit}" if self._unit else ""
            print(f"{self._what}: {self._done:,g} of {self._total:,g}{unit}", flush=True)
