"""A run of a system's monitoring, and what it leaves in a folder."""

import importlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any


class MonitoringRun:
    """Runs of `jobs.SYSTEM.monitor` that write to a folder.

    Args:
        folder: of the report and the figures.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def monitor(
        self, system: str, changes: dict[str, Any], now: int | None = None, **options: Any
    ) -> int:
        """Monitor with options and changes of them; returns the exit code."""
        job = importlib.import_module(f"jobs.{system}.monitor")
        usual = job.Options(
            output=str(self.folder / "report"),
            metrics=self.folder / "metrics.prom",
            progress="none",
            **options,
        )
        changed = replace(usual, **changes)
        changed.check()
        try:
            job.main(changed, now)
        except SystemExit as end:
            return int(str(end.code))
        return 0

    @property
    def report(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.folder / "report/report.json").read_text())
        return document
