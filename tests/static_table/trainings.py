"""Trainings of tables, as commands."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.framework.command import run_job
from jobs.static_table.train import TrainConfig
from jobs.static_table.train import main as train


@dataclass(frozen=True)
class FinishedTraining:
    """What a training left: its folder, its table, its lines, the figures of its report."""

    folder: Path
    table: Path
    printed: str
    facts: dict[str, Any]

    @property
    def model(self) -> Path:
        return self.folder / "model"


def run_training(system: str, table: Path, folder: Path, *more: str) -> FinishedTraining:
    """Train with few samples for the intervals."""
    arguments = [f"--system={system}", f"--static={table}", f"--output={folder}", "--bootstrap=40"]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        run_job(TrainConfig, train, [*arguments, *more])
    facts = json.loads((folder / "report.json").read_text())
    return FinishedTraining(folder, table, printed.getvalue(), facts)
