"""Training on a randomised experiment, from its rows to effects by customer with a report."""

import json
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from jobs.churn.train_uplift import TrainUpliftConfig
from jobs.data_fingerprint import fingerprint_of
from jobs.framework.progress import progress_style
from jobs.framework.training import align
from jobs.publishing import code_version, store_report
from jobs.static_table.sources import QUARANTINE, read_rows, row_line
from lib.registry import MANIFEST, TrainingRecord
from lib.static_table.attributes import freeze_attributes, unsuitable
from lib.storage import open_storage, redacted
from lib.uplift.contracts import OUTCOME
from lib.uplift.evaluation import OURS, UpliftEvaluation, evaluate_uplift, pooled
from lib.uplift.experiment import Experiment
from lib.uplift.learners import fit_uplift
from lib.uplift.model import ExperimentModel
from lib.uplift.report import Subject, method_rows, uplift_report, verdict

_WIDTHS = (24, 26, 26, 24)


def train_uplift(config: TrainUpliftConfig) -> str:
    """Train and report; returns the folder or URI of the model."""
    started, output = time.monotonic(), open_storage(config.output)

    def step(text: str) -> None:
        if progress_style() != "none":
            print(f"[{time.monotonic() - started:6.1f} s] {text}", flush=True)

    step("reading the experiment")
    mapping = config.read_mapping()
    output.delete(QUARANTINE)
    table, rows = read_rows(mapping.mapping, config.experiment, output.address(QUARANTINE))
    left_out = unsuitable(table, mapping)
    inputs = freeze_attributes(table, mapping, left_out)
    experiment = Experiment(table, inputs.encode(table), config.control, config.unwanted)
    comparisons = dict(experiment.comparisons())
    evaluations: dict[str, UpliftEvaluation] = {}
    models = {}
    for name, customers in comparisons.items():
        step(f"{name}: measuring on {len(customers):,} customers that taught nothing")
        evaluations[name] = evaluate_uplift(customers, config.seed, config.bootstrap)
        step(f"{name}: fitting on all of them")
        models[name] = fit_uplift(customers, config.seed)
    model = ExperimentModel(
        inputs=inputs,
        arms=models,
        suffices={name: evaluation.suffices for name, evaluation in evaluations.items()},
        control=config.control,
        is_unwanted=config.unwanted,
        mapping_text=mapping.text,
    )
    version = _save(config, model, evaluations)
    subject = Subject(
        config.source or config.experiment, mapping.source_of(OUTCOME), config.control,
        config.unwanted, comparisons, evaluations, left_out, rows,
    )  # fmt: skip
    reports = store_report(uplift_report(subject), output)
    address = output.address("model")
    print(
        "\n".join(
            [
                *_closing_lines(evaluations, config.unwanted),
                row_line(table.num_rows, rows),
                *(f"left out: {name}: {why}" for name, why in left_out.items()),
                f"model:       {address} ({version}); {time.monotonic() - started:.0f} s",
                *(f"report:      {path}" for path in reports),
                f"quarantine:  {output.address(QUARANTINE) if rows.quarantined else 'none'}",
            ]
        )
    )
    return address


def _closing_lines(evaluations: dict[str, UpliftEvaluation], is_unwanted: bool) -> list[str]:
    lines: list[str] = []
    for name, evaluation in evaluations.items():
        lines.append(verdict(name, evaluation, is_unwanted))
        lines += align(method_rows(evaluation.methods), _WIDTHS)
    if len(evaluations) > 1:
        lines.append("in the mean over the interventions:")
        lines += align(method_rows(pooled(list(evaluations.values()))), _WIDTHS)
    return lines


def _save(
    config: TrainUpliftConfig, model: ExperimentModel, evaluations: dict[str, UpliftEvaluation]
) -> str:
    """Write OUTPUT/model; returns its version."""
    output = open_storage(config.output)
    measures = {
        f"qini of {name}": evaluation.methods[OURS].qini.value
        for name, evaluation in evaluations.items()
    }
    parameters = {"train": redacted(json.loads(json.dumps(asdict(config), default=str)))}
    files = [config.experiment, str(config.mapping_experiment)]
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "model"
        record = TrainingRecord(
            time.time_ns() // 1000, fingerprint_of(files), code_version(), parameters, measures
        )
        version = model.save(directory, record).version
        output.delete("model")
        output.upload(directory, "model", last=MANIFEST)
        return version
