"""Runs a benchmark in a process of its own, so that none leaves the next one anything."""

import json
import subprocess
import sys
from typing import Any

from tests.benchmarks.result import ROOT


def run(name: str, options: tuple[str, ...]) -> dict[str, Any] | None:
    """One benchmark's JSON object; None if it failed or printed none."""
    command = [sys.executable, "-m", f"tests.benchmarks.{name}", *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        last = ""
        for line in process.stdout or ():
            print(line, end="", flush=True)
            last = line if line.strip() else last
    if process.returncode != 0:
        return None
    try:
        result: dict[str, Any] = json.loads(last)
    except json.JSONDecodeError:
        return None
    return result
