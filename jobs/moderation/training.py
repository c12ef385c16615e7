"""Training of the moderation model, from rows to a published version."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from jobs.cluster.admission import refuse_at_once
from jobs.framework.cluster import start_ray
from jobs.framework.step_cache import StepCache
from jobs.framework.step_printer import step_printer
from jobs.moderation.dataset import PreparedDataset, quarantine_of
from jobs.moderation.evaluation import Evaluation, evaluate, ordered
from jobs.moderation.fitting import FittedModel, fit_final, modalities_to_fit
from jobs.moderation.model_size import read_size_option
from jobs.moderation.sources import table_lines
from jobs.moderation.training_config import TrainConfig
from jobs.moderation.training_report import Subject, training_report
from jobs.moderation.training_set import rows_of
from jobs.publishing import code_version, publish, store_report
from lib.moderation.model import SYSTEM
from lib.moderation.model.model_config import ModelConfig
from lib.moderation.model.splits import PARTS, PostSplit, split_authors, split_posts
from lib.registry import MANIFEST, verify_artifact
from lib.storage import Storage, open_storage, redacted


@dataclass(frozen=True)
class TrainingResult:
    """What a training came to."""

    prepared: PreparedDataset
    parting: PostSplit
    fit: FittedModel
    findings: Evaluation
    stages: StepCache


def train_model(config: TrainConfig) -> str:
    """Train, report and publish; returns the folder or URI of the model."""
    started = time.monotonic()
    output = open_storage(config.output)
    trained = trained_by(config, started)
    version = save(config, trained, output)
    written = [output.address("model"), *write_training_report(config, trained, output)]
    print(_closing_lines(config, trained, version, written, time.monotonic() - started))
    return output.address("model")


def trained_by(config: TrainConfig, started: float) -> TrainingResult:
    """Rows, parts, fits and figures; what is finished already is not done again.

    Raises:
        ContractError: an option or the data cannot be meant.
        ResourceError: the workers can never be had.
    """
    config.check()
    step, size = step_printer(started), read_size_option(config.size)
    if config.engine == "ray":
        start_ray()
        refuse_at_once(config.request)
    prepared = rows_of(config, size)
    prepared = replace(prepared, posts=split_authors(prepared.posts, config.split))
    parting = split_posts(
        prepared.posts["author_id"].to_pylist(), prepared.at_us, prepared.labelled,
        config.test_share, config.test_authors, config.seed, config.split,
    )  # fmt: skip
    counts = ", ".join(f"{count:,} {name}" for name, count in parting.counts.items())
    step(f"{len(prepared):,} posts: {counts}")
    stages = StepCache(open_storage(config.output), inputs_of(config, prepared, size))
    step(f"fitting {', '.join(modalities_to_fit(prepared, parting))} and fusion")
    fit = fit_final(prepared, parting, size, config, stages.storage)
    step("measuring on the test posts")
    findings = evaluate(prepared, fit, config.seed, config.bootstrap)
    return TrainingResult(prepared, parting, fit, findings, stages)


def inputs_of(
    config: TrainConfig, prepared: PreparedDataset, size: ModelConfig
) -> dict[str, object]:
    """What the intermediate results depend on."""
    return {
        "data": prepared.fingerprint,
        "policies": prepared.policies.digest,
        "size": size.to_json(),
        "test": [config.test_share, config.test_authors, config.split],
        "parts": list(PARTS),
        "engine": [config.engine, config.num_workers, config.min_workers],
        "seed": config.seed,
    }


def save(config: TrainConfig, trained: TrainingResult, output: Storage) -> str:
    """The artifact to OUTPUT/model and, if asked, to the registry; returns its version."""
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "model"
        trained.fit.model.save(
            directory,
            created_at=trained.stages.number("created_at", lambda: time.time_ns() // 1000),
            data_fingerprint=trained.prepared.fingerprint,
            code_version=code_version(),
            parameters={"train": redacted(json.loads(json.dumps(asdict(config), default=str)))},
            metrics=trained.findings.metrics,
        )
        output.delete("model")
        output.upload(directory, "model", last=MANIFEST)
        if config.registry is not None:
            publish(config.registry, SYSTEM, directory, config.alias, "jobs.moderation.train")
        return verify_artifact(directory).manifest.version


def write_training_report(
    config: TrainConfig, trained: TrainingResult, output: Storage
) -> list[str]:
    """report.html and report.json in OUTPUT; returns where they are."""
    subject = Subject(
        source=config.source or trained.prepared.folder,
        simulated=config.simulated,
        prepared=trained.prepared,
        parting=trained.parting,
        fit=trained.fit,
        seed=config.seed,
    )
    return store_report(training_report(subject, trained.findings), output)


def _closing_lines(
    config: TrainConfig,
    trained: TrainingResult,
    version: str,
    written: Sequence[str],
    seconds: float,
) -> str:
    """A short table, and where everything lies."""
    findings = trained.findings
    heads = [*findings.errors, "mean"]
    lines = [f"{'average precision':26}" + "".join(f"{head[:11]:>12}" for head in heads)]
    for name in ordered(findings.methods):
        values = [findings.methods[name].get(head, np.nan) for head in heads]
        cells = ["-" if np.isnan(value) else f"{value:.3f}" for value in values]
        lines.append(f"{name:26}" + "".join(f"{cell:>12}" for cell in cells))
    where = f"{config.registry} ({version}, {config.alias})" if config.registry else "not published"
    errors = ", ".join(f"{name} {error:.3f}" for name, error in findings.errors.items())
    tables = table_lines(trained.prepared.note["tables"]) if config.rows is None else []
    return "\n".join(
        [
            *tables,
            *lines,
            f"test: {findings.posts:,} posts of {findings.authors:,} authors; mean "
            f"{findings.mean.value:.3f} ({findings.mean.low:.3f} to {findings.mean.high:.3f}); "
            f"{findings.actions['REVIEW']:.0%} to people, {findings.automatic:.1%} of the rest "
            "right "
            f"(always allow: {findings.always_allow:.1%}); {seconds:.0f} s",
            f"calibration error: {errors}",
            f"model:       {written[0]} ({version})",
            f"registry:    {where}",
            *(f"report:      {path}" for path in written[1:]),
            f"quarantine:  {quarantine_of(trained.prepared).address()}",
        ]
    )
