"""A training from its options to a published version with a report and closing lines."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from jobs.cluster.admission import refuse_at_once
from jobs.framework.cluster import start_ray
from jobs.framework.progress import progress_style
from jobs.framework.step_cache import StepCache
from jobs.framework.training_options import TrainingOptions
from jobs.publishing import code_version, publish, store_report, written_lines
from lib.monitoring import REFERENCE_FILE, ModelReference
from lib.registry import MANIFEST, TrainingRecord, verify_artifact
from lib.report import Report
from lib.storage import Storage, open_storage, redacted

Options = TypeVar("Options", bound=TrainingOptions)


@dataclass(frozen=True)
class Training:
    """A training of one system: its steps are printed, cached, saved, published and reported.

    Args:
        system: whose model is trained.
        options: of the job.
        started: reading of the monotonic clock.
    """

    system: str
    options: TrainingOptions
    started: float

    @classmethod
    def start(cls, system: str, options: TrainingOptions) -> Training:
        """Begin: on Ray, workers that can never be had are refused before anything is read."""
        started = time.monotonic()
        if options.engine == "ray":
            start_ray()
            refuse_at_once(options.request)
        return cls(system, options, started)

    @classmethod
    def checked(cls, system: str, options: Options) -> tuple[Training, Options]:
        """As `start`, once the options are checked; with those that `quick` stands for."""
        settled = options.settled()
        settled.check()
        return cls.start(system, settled), settled

    @property
    def output(self) -> Storage:
        """Where everything is written."""
        return open_storage(self.options.output)

    def step(self, text: str) -> None:
        """Print a step with the seconds since the start; nothing under `--progress none`."""
        if progress_style() != "none":
            print(f"[{self.seconds:6.1f} s] {text}", flush=True)

    @property
    def parameters(self) -> dict[str, Any]:
        """The options for a manifest, without credentials."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self.options), default=str))
        return dict(redacted(plain))

    def save(
        self,
        save: Callable[[Path, TrainingRecord], object],
        cache: StepCache,
        fingerprint: str,
        parameters: Mapping[str, Any],
        metrics: Mapping[str, float],
        reference: ModelReference | None = None,
    ) -> str:
        """Write the artifact to OUTPUT/model and, if asked, to the registry; returns its version.

        A repeated run writes the same version.

        Args:
            save: writes the model to a folder, with its record.
            cache: of the steps, which keeps when the model was made.
            fingerprint: of the data.
            parameters: for the manifest.
            metrics: for the manifest.
            reference: what the model remembers of its rows, for monitoring.
        """
        files = {} if reference is None else {REFERENCE_FILE: reference.to_json()}
        output, options = self.output, self.options
        with tempfile.TemporaryDirectory() as folder:
            directory = Path(folder) / "model"
            created_at = cache.number("created_at", lambda: time.time_ns() // 1000)
            about = fingerprint, code_version(), parameters, metrics, files
            save(directory, TrainingRecord(created_at, *about))
            output.delete("model")
            output.upload(directory, "model", last=MANIFEST)
            if options.registry is not None:
                by = f"jobs.{self.system}.train"
                publish(options.registry, self.system, directory, options.alias, by)
            return verify_artifact(directory).manifest.version

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self.started

    def finish(self, version: str, report: Report, lines: Iterable[str], quarantine: str) -> str:
        """Write the report and print the closing lines; returns the address of the model.

        Args:
            version: of the model.
            report: about it.
            lines: that come first.
            quarantine: where rows lie that were set aside, or that there are none.
        """
        output, options = self.output, self.options
        reports = store_report(report, output)
        model = output.address("model")
        where = f"{options.registry} ({version}, {options.alias})" if options.registry else None
        written = written_lines(model, version, where, reports)
        print("\n".join([*lines, *written, f"quarantine:  {quarantine}"]))
        return model


def align(rows: Iterable[Sequence[str]], widths: Sequence[int]) -> list[str]:
    """Rows of cells as lines: the first cell to the left, the others to the right.

    Args:
        rows: of cells; the first row is the header.
        widths: of the columns; the last one counts for all further columns too.
    """
    lines = []
    for name, *cells in rows:
        padded = (
            f"{cell:>{widths[min(column, len(widths) - 1)]}}"
            for column, cell in enumerate(cells, start=1)
        )
        lines.append(f"{name:{widths[0]}}" + "".join(padded))
    return lines


def decimals(value: float, digits: int = 3) -> str:
    """A figure, or `-` where there is none."""
    return "-" if np.isnan(value) else f"{value:.{digits}f}"
