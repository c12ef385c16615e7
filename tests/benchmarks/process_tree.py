"""What a job and all processes that it starts take: time, memory, and files that pass memory by."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.benchmarks.result import ROOT

_EVERY_SECONDS = 0.5
_SPILLS = ("ray_spilled_objects", "ray_shuffle_disk_")


@dataclass
class Usage:
    """Of one run of a job.

    Attributes:
        seconds: from its start to its end.
        cpu_seconds: of the job and those of its processes that ended, as far as they were seen.
        peak_mb: most memory that all its processes held at once, pages that they share once.
        spilled_mb: bytes of all files in which Ray kept rows, those deleted since included.
        most_spilled_mb: bytes of those that were there at once.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_mb: float = 0.0
    spilled_mb: float = 0.0
    most_spilled_mb: float = 0.0
    _files: dict[str, int] = field(default_factory=dict, repr=False)
    _cpu: dict[int, float] = field(default_factory=dict, repr=False)

    def look(self, process: psutil.Process, temporary: Path) -> None:
        """Note what the processes hold and which files are there now."""
        private, shared = 0, 0
        with suppress(psutil.Error):
            for member in (process, *process.children(recursive=True)):
                with suppress(psutil.Error):
                    memory, cpu = member.memory_info(), member.cpu_times()
                    private += memory.rss - memory.shared
                    shared = max(shared, memory.shared)
                    self._cpu[member.pid] = cpu.user + cpu.system
        self.peak_mb = max(self.peak_mb, (private + shared) / 1e6)
        self.cpu_seconds = sum(self._cpu.values())
        files = dict(_spilled_files(temporary))
        for name, size in files.items():
            self._files[name] = max(size, self._files.get(name, 0))
        self.spilled_mb = sum(self._files.values()) / 1e6
        self.most_spilled_mb = max(self.most_spilled_mb, sum(files.values()) / 1e6)


def run_job(module: str, options: Sequence[str], temporary: Path) -> Usage:
    """Run `python -m MODULE OPTIONS` and watch it.

    Args:
        module: of the job.
        options: of its command line.
        temporary: an empty folder of a short name, where Ray and the job keep what is temporary.

    Raises:
        RuntimeError: the job failed; its output stands above.
    """
    temporary.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "TMPDIR": str(temporary), "RAY_TMPDIR": str(temporary)}
    command = [sys.executable, "-m", module, *options]
    usage, started = Usage(), time.perf_counter()
    with subprocess.Popen(command, cwd=ROOT, env=environment) as job:
        ended = threading.Event()
        watcher = threading.Thread(target=_watch, args=(usage, job.pid, temporary, ended))
        watcher.start()
        job.wait()
        ended.set()
        watcher.join()
    usage.seconds = time.perf_counter() - started
    if job.returncode:
        raise RuntimeError(f"{module} ended with code {job.returncode}")
    return usage


def _watch(usage: Usage, pid: int, temporary: Path, ended: threading.Event) -> None:
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        while not ended.wait(_EVERY_SECONDS):
            usage.look(process, temporary)


def _spilled_files(temporary: Path) -> Iterator[tuple[str, int]]:
    """Files in which Ray keeps rows outside memory, and their sizes."""
    for folder, _, names in os.walk(temporary):
        if any(part.startswith(_SPILLS) for part in Path(folder).parts):
            for name in names:
                path = Path(folder) / name
                with suppress(OSError):
                    yield str(path).removesuffix(".tmp"), path.stat().st_size
