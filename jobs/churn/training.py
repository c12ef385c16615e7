"""Training of the churn model, from rows to a published version."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from jobs.churn.fitting import fit_final, fit_folds
from jobs.churn.table_counts import table_lines, table_warnings
from jobs.churn.training_config import TrainConfig
from jobs.churn.training_set import RowsSource, rows_of
from jobs.cluster.admission import refuse_at_once
from jobs.framework.cluster import start_ray
from jobs.framework.step_cache import StepCache
from jobs.framework.step_printer import step_printer
from jobs.publishing import code_version, publish, store_report
from lib.calibration import fit_calibrator
from lib.churn.features import churn_features, untold
from lib.churn.health import fit_reference
from lib.churn.model import SYSTEM
from lib.churn.model.baselines import baseline_scores
from lib.churn.model.evaluation import (
    AP,
    AUC,
    OURS,
    PRECISION,
    RECALL,
    REVENUE,
    Evaluation,
    evaluate,
    ordered,
)
from lib.churn.model.fitting import Split, split_by_time
from lib.churn.model.model import ChurnModel
from lib.churn.model.report import Subject, training_report, warned
from lib.churn.snapshots import Snapshots
from lib.contract import MatchCounts
from lib.registry import MANIFEST, verify_artifact
from lib.storage import Storage, open_storage, redacted


def train_model(config: TrainConfig) -> str:
    """Train, report and publish; returns the folder or URI of the model."""
    config = config.settled()
    config.check()
    started = time.monotonic()
    step = step_printer(started)
    output = open_storage(config.output)
    if config.engine == "ray":
        start_ray()
        refuse_at_once(config.request)
    source = rows_of(config)
    config = replace(config, model=config.model.suited(source.target))
    split = split_by_time(source.rows, source.target, config.test_share)
    step(
        f"{len(source.rows):,} rows: {len(split.train):,} to learn from, "
        f"{len(split.test):,} to test"
    )
    stages = StepCache(output, _inputs(config, source))
    judged = _fitted(config, source, split.train, stages, "test")
    step("measuring on the test rows")
    findings = _findings(config, source, split, judged)
    step("fitting the model on all rows")
    model = _fitted(config, source, source.rows.known(), stages, "final")
    subject = Subject(
        source=config.source or source.address,
        simulated=config.simulated,
        split=split,
        model=model,
        contradictions=source.note["contradictions"],
        tables=source.note["tables"],
        matches=MatchCounts.by_table(source.note.get("matches", {})),
        untold=untold(source.base),
    )
    version = _save(config, source, model, findings, stages, output)
    written = [output.address("model"), *_report(subject, findings, output)]
    seconds = time.monotonic() - started
    print(_closing_lines(config, source, findings, version, written, seconds))
    return output.address("model")


def _inputs(config: TrainConfig, source: RowsSource) -> dict[str, object]:
    """What the intermediate results depend on."""
    return {
        "features": churn_features(source.base).digest,
        "rows": {
            name: source.note[name] for name in ("every_days", "warm_up_days", "target", "until")
        },
        "data": source.fingerprint,
        "model": asdict(config.model),
        "test_share": config.test_share,
        "engine": [config.engine, config.boosting, config.num_workers, config.min_workers],
        "seed": config.seed,
    }


def _fitted(
    config: TrainConfig, source: RowsSource, rows: Snapshots, stages: StepCache, name: str
) -> ChurnModel:
    """A model of some rows, calibrated on answers about customers that its folds did not see."""
    kept = StepCache(stages.storage, {"part": name})
    log_odds = fit_folds(source.base, rows, config, kept)
    calibrator = fit_calibrator(log_odds, rows.labels)
    probabilities = calibrator.probabilities(log_odds)
    linear, trees = fit_final(source.base, rows, config, kept, name)
    has_values = ~np.isnan(rows.matrix).all(axis=0)
    usual = np.full(len(rows.names), np.nan)
    usual[has_values] = np.nanmedian(rows.matrix[:, has_values], axis=0)
    newest = rows.at_us == rows.at_us.max()
    return ChurnModel(
        base=source.base,
        target=source.target,
        linear=linear,
        trees=trees,
        linear_share=config.model.linear_share,
        calibrator=calibrator,
        usual=usual,
        reference=fit_reference(rows.matrix[newest], rows.names, probabilities),
        capacity=config.capacity,
        threshold=float(np.quantile(probabilities, 1.0 - config.capacity)),
    )


def _findings(
    config: TrainConfig, source: RowsSource, split: Split, model: ChurnModel
) -> Evaluation:
    """What the model of the training rows is worth on the test rows."""
    scores = baseline_scores(split, config.seed)
    scores[OURS] = model.log_odds(split.test.matrix)
    return evaluate(
        split,
        source.target,
        scores,
        model.calibrator.probabilities(scores[OURS]),
        model.contributions(split.test.matrix),
        config.capacity,
        model.threshold,
        config.seed,
        config.bootstrap,
    )


def _report(subject: Subject, findings: Evaluation, output: Storage) -> list[str]:
    return store_report(training_report(subject, findings), output)


def _save(
    config: TrainConfig,
    source: RowsSource,
    model: ChurnModel,
    findings: Evaluation,
    stages: StepCache,
    output: Storage,
) -> str:
    """The artifact to OUTPUT/model and, if asked, to the registry; returns its version."""
    ours = findings.measures[OURS]
    kept = {name: ours[name] for name in (AUC, AP, RECALL, PRECISION)}
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "model"
        model.save(
            directory,
            created_at=stages.number("created_at", lambda: time.time_ns() // 1000),
            data_fingerprint=source.fingerprint,
            code_version=code_version(),
            parameters={"train": redacted(json.loads(json.dumps(asdict(config), default=str)))},
            metrics={**kept, "ece": findings.calibration_error},
        )
        output.delete("model")
        output.upload(directory, "model", last=MANIFEST)
        if config.registry is not None:
            publish(config.registry, SYSTEM, directory, config.alias, "jobs.churn.train")
        return verify_artifact(directory).manifest.version


def _closing_lines(
    config: TrainConfig,
    source: RowsSource,
    findings: Evaluation,
    version: str,
    written: Sequence[str],
    seconds: float,
) -> str:
    """A short table, and where everything lies."""
    heads = {AUC: "AUC", AP: "AP", RECALL: "recall", PRECISION: "precision", REVENUE: "revenue"}
    lines = [f"{'method':26}" + "".join(f"{head:>11}" for head in heads.values())]
    for name in ordered(findings.measures):
        values = [findings.measures[name][key] for key in heads]
        cells = ["-" if np.isnan(value) else f"{value:.3f}" for value in values]
        lines.append(f"{name:26}" + "".join(f"{cell:>11}" for cell in cells))
    early = warned(findings)
    where = f"{config.registry} ({version}, {config.alias})" if config.registry else "not published"
    return "\n".join(
        [
            *table_warnings(source.note),
            *lines,
            f"test: {findings.rows:,} rows of {findings.customers:,} customers, "
            f"{findings.prevalence:.1%} "
            f"leave; calibration error {findings.calibration_error:.4f}; at a capacity of "
            f"{config.capacity:.0%}; flagged 60 days before notice: "
            f"{early.get('flagged_60_days_before', float('nan')):.0%} "
            f"of {early['leavers']} leavers; "
            f"{seconds:.0f} s",
            *table_lines(source.note),
            f"model:       {written[0]} ({version})",
            f"registry:    {where}",
            *(f"report:      {path}" for path in written[1:]),
            f"quarantine:  {source.quarantine or 'none'}",
        ]
    )
