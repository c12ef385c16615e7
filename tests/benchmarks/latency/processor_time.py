"""Processor time of a server and all processes that it started."""

from __future__ import annotations

from collections.abc import Mapping

import psutil

_SHOWN = 3


class ProcessorTime:
    """Processor seconds of a process and its descendants from now on, by the name of each.

    What a process spent that ended meanwhile is lost.

    Args:
        pid: of the process.
    """

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._before = _seconds(self._root)

    def spent(self) -> dict[str, float]:
        """Seconds by the name of a process."""
        totals: dict[str, float] = {}
        for pid, (name, seconds) in _seconds(self._root).items():
            _, before = self._before.get(pid, ("", 0.0))
            totals[name] = totals.get(name, 0.0) + seconds - before
        return totals


def per_request(spent: Mapping[str, float], requests: int) -> dict[str, float]:
    """Milliseconds for each request by process, the greatest first; `total` is of all."""
    shares = {name: round(seconds * 1e3 / requests, 4) for name, seconds in spent.items()}
    ranked = sorted(shares.items(), key=lambda share: -share[1])
    return {"total": round(sum(shares.values()), 4), **dict(ranked[:_SHOWN])}


def _seconds(root: psutil.Process) -> dict[int, tuple[str, float]]:
    """Name and seconds by the id of a process."""
    seconds: dict[int, tuple[str, float]] = {}
    for process in [root, *root.children(recursive=True)]:
        try:
            times, command = process.cpu_times(), process.cmdline()
        except psutil.Error:
            continue
        name = _name(command or [process.name()])
        seconds[process.pid] = name, times.user + times.system
    return seconds


def _name(command: list[str]) -> str:
    """The program, the module that Python runs, or the actor of Ray without what it does now."""
    if "-m" in command[:-1]:
        return command[command.index("-m") + 1]
    if command[0].startswith("ray::"):
        return command[0].partition(".")[0]
    return command[0].rpartition("/")[2]
