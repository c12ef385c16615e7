"""The closed loop by `wrk`, where it is installed: a generator in C that leaves the server more."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

_SCRIPT = Path(__file__).with_name("payments.lua")
_RESULT = "RESULT "


class Wrk:
    """Sends payments over as many connections as are wanted.

    Args:
        url: of the endpoint.
        bodies: file with the rest of a payment's JSON on each line, after its id and time.
        token: API key.
        mark: begins the ids of payments.
        first: number of the first payment.
    """

    def __init__(self, url: str, bodies: Path, token: str, mark: str, first: int) -> None:
        self._arguments = [str(_SCRIPT), url, "--", str(bodies), token, mark]
        self._next = first

    def closed(self, connections: int, seconds: float) -> dict[str, float]:
        """Each connection sends as soon as it may; returns the summary that `Tally` gives."""
        command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s"]
        command += [*self._arguments, str(self._next)]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        line = next(line for line in output.splitlines() if line.startswith(_RESULT))
        measured: dict[str, float] = json.loads(line.removeprefix(_RESULT))
        duration = measured.pop("seconds")
        self._next += int(measured["requests"]) + connections  # what was sent and not answered
        answered = measured["requests"] - measured["errors"]
        return {**measured, "rps": round(answered / duration, 1), "refused": 0}


def is_installed() -> bool:
    """Whether `wrk` can be run."""
    return shutil.which("wrk") is not None
