"""Training on a table without times, from its rows to a model with a report."""

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa

from jobs.data_fingerprint import fingerprint_of
from jobs.framework.progress import progress_style
from jobs.framework.tables import table_lines
from jobs.framework.training import align
from jobs.publishing import code_version, publish, store_report, written_lines
from jobs.static_table.sources import QUARANTINE, read_rows, row_line
from jobs.static_table.train import TrainConfig
from lib.registry import MANIFEST, TrainingRecord, verify_artifact
from lib.static_table.attributes import unsuitable
from lib.static_table.evaluation import OURS
from lib.static_table.model import artifact_system
from lib.static_table.report import (
    WARNING,
    Subject,
    ahead_words,
    leak_lines,
    method_rows,
    training_report,
)
from lib.static_table.settings import CANDIDATES
from lib.static_table.table_mapping import INFERRED, TableMapping, infer_table_mapping
from lib.static_table.training import table_signals, train_table, training_rows
from lib.storage import open_storage, redacted

_SHOWN = 8


def train_model(config: TrainConfig) -> str:
    """Train, report and publish; returns the folder or URI of the model."""
    started = time.monotonic()
    step = _steps(started)
    output = open_storage(config.output)
    mapping = config.read_mapping()
    if mapping is None:
        step("inferring what the columns are")
        mapping = infer_table_mapping(config.static, config.label_column, config.id_column)
    step("reading the table")
    output.delete(QUARANTINE)
    table, summary = read_rows(mapping.mapping, config.static, output.address(QUARANTINE))
    left_out = unsuitable(table, mapping)
    if mapping.is_inferred:
        mapping, left_out = _without_leaks(config, table, mapping.without(left_out)), {}
        output.write(INFERRED, mapping.text.encode())
    rows = training_rows(table, mapping, left_out, config.split, config.seed)
    candidates = CANDIDATES if config.trees == "auto" else {config.trees: CANDIDATES[config.trees]}
    trained = train_table(
        config.system, rows, mapping, candidates, config.seed, config.bootstrap, step
    )
    subject = Subject(config.source or config.static, mapping, left_out, summary, trained)
    version = _save(config, subject)
    step("writing the report")
    reports = store_report(training_report(subject), output)
    model, system = output.address("model"), artifact_system(config.system)
    where = f"{config.registry} ({system} {version}, {config.alias})" if config.registry else None
    lines = _closing_lines(subject, time.monotonic() - started)
    lines += written_lines(model, version, where, reports)
    lines += [f"mapping:     {output.address(INFERRED)}"] if mapping.is_inferred else []
    lines.append(f"quarantine:  {output.address(QUARANTINE) if summary.quarantined else 'none'}")
    print("\n".join(lines))
    return model


def _without_leaks(config: TrainConfig, table: pa.Table, mapping: TableMapping) -> TableMapping:
    """An inferred mapping without the attributes that tell the label: nobody declared them."""
    rows = training_rows(table, mapping, {}, config.split, config.seed)
    signals = table_signals(rows, mapping)
    leaks = {signal.name: signal.leak for signal in signals if signal.leak}
    return mapping.without(leaks, are_leaks=True)


def _steps(started: float) -> Callable[[str], None]:
    def step(text: str) -> None:
        if progress_style() != "none":
            print(f"[{time.monotonic() - started:6.1f} s] {text}", flush=True)

    return step


def _save(config: TrainConfig, subject: Subject) -> str:
    """Write OUTPUT/model, and publish it if asked; returns its version."""
    output = open_storage(config.output)
    measures = subject.trained.evaluation.measures[OURS]
    files = [config.static] + ([config.mapping_static] if config.mapping_static else [])
    parameters = {"train": redacted(json.loads(json.dumps(asdict(config), default=str)))}
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "model"
        created_at = time.time_ns() // 1000
        record = TrainingRecord(
            created_at, fingerprint_of(files), code_version(), parameters, measures
        )
        subject.trained.model.save(directory, record)
        output.delete("model")
        output.upload(directory, "model", last=MANIFEST)
        if config.registry is not None:
            system = artifact_system(config.system)
            publish(config.registry, system, directory, config.alias, "jobs.static_table.train")
        return verify_artifact(directory).manifest.version


def _closing_lines(subject: Subject, seconds: float) -> list[str]:
    """Leaks first, then methods, attributes, rows, and what the split does not say."""
    trained = subject.trained
    measured = trained.evaluation
    unsure = [f"unsure: {doubt}" for doubt in subject.mapping.unsure]
    lines = leak_lines(subject)
    lines += align(method_rows(measured), (34, 9))
    lines += [
        f"test: {measured.rows:,} rows, {measured.prevalence:.1%} true; AUC {measured.auc.low:.3f} "
        f"to {measured.auc.high:.3f}, AP {measured.ap.low:.3f} to {measured.ap.high:.3f} (95%); "
        f"calibration error by chance {measured.calibration_by_chance:.3f}; {seconds:.0f} s",
        ahead_words(measured),
        f"split: {trained.rows.split.words}",
        f"warning: {WARNING}",
    ]
    important = list(measured.importance.items())[:_SHOWN]
    lines.append("important: " + ", ".join(f"{name} {share:.0%}" for name, share in important))
    lines.append(f"attributes: {', '.join(_inputs(subject))}")
    lines += [f"left out: {name}: {why}" for name, why in subject.left_out.items()]
    good = subject.trained.rows.table.num_rows
    return [
        *lines,
        *unsure,
        row_line(good, subject.summary),
        *table_lines({"rows": asdict(subject.summary)}, 12),
    ]


def _inputs(subject: Subject) -> list[str]:
    return [f"{a.name} ({a.type})" for a in subject.trained.model.inputs.attributes]
