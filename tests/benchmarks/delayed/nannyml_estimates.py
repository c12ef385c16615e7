"""What NannyML says of the same windows, from a Python environment that has it."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

PROGRAM = Path(__file__).parent / "nannyml_program.py"


@dataclass(frozen=True)
class ScoredFiles:
    """Scores and labels as Parquet files, one for each set of rows.

    Attributes:
        folder: where they are written.
    """

    folder: Path

    def write(self, name: str, score: np.ndarray, label: np.ndarray) -> str:
        """The path of a file with the columns score and label."""
        path = self.folder / f"{name}.parquet"
        if not path.exists():
            pq.write_table(pa.table({"score": score, "label": label}), path)
        return str(path)


@dataclass(frozen=True)
class NannyML:
    """Its version, and its estimate of the AUC of each window; none where it is not installed."""

    version: str
    auc: tuple[float, ...]


def estimate(
    python: Path | None, tasks: Sequence[dict[str, str]], folder: Path, timeout: float
) -> NannyML:
    """Ask NannyML in a process of its own.

    Args:
        python: interpreter of an environment that has NannyML; None: "not installed".
        tasks: of `nannyml_program`.
        folder: for the list of tasks.
        timeout: seconds.
    """
    if python is None or not python.exists():
        return NannyML("not installed", ())
    path = folder / "tasks.json"
    path.write_text(json.dumps(list(tasks)))
    done = subprocess.run(
        [str(python), str(PROGRAM), str(path)],
        stdout=subprocess.PIPE,
        text=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode != 0:
        return NannyML("not installed", ())
    answer = json.loads(done.stdout.splitlines()[-1])
    return NannyML(answer["version"], tuple(each["roc_auc"] for each in answer["answers"]))
