"""What every benchmark prints last: one JSON object, with what it ran on."""

import json
import os
import platform
import resource
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def hardware() -> str:
    """Processor, cores that this process may use, and memory."""
    name = platform.processor() or platform.machine()
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            name = line.split(":", 1)[1].strip()
            break
    memory = next((line.split()[1] for line in _lines("/proc/meminfo")), "0")
    return f"{name}, {len(os.sched_getaffinity(0))} cores, {int(memory) / 2**20:.0f} GiB"


def version() -> str:
    """The project's version."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def peak_mb() -> float:
    """The most memory this process has had so far, in MB of 10**6 bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def print_result(rows_read: int, seconds: float, **values: Any) -> None:
    """Prints the benchmark's last line."""
    result = {
        **values,
        "hardware": hardware(),
        "version": version(),
        "rows_read": rows_read,
        "seconds": round(seconds, 3),
    }
    print(json.dumps(result))


def _lines(path: str) -> list[str]:
    file = Path(path)
    return file.read_text().splitlines() if file.exists() else []
