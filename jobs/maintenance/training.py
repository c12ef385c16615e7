"""Training of the maintenance model, from rows to a published version."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from jobs.framework.step_cache import StepCache
from jobs.framework.training import Training, align
from jobs.maintenance.fitting import fit_final, fit_folds, fit_replicates
from jobs.maintenance.telemetry import far_lines
from jobs.maintenance.training_config import TrainConfig
from jobs.maintenance.training_set import RowsSource, rows_of
from lib.contract import ContractError
from lib.maintenance.failures import FailureCounts
from lib.maintenance.machine_kind import kind_text
from lib.maintenance.model.evaluation import (
    BRIER,
    CONCORDANCE,
    FALSE_ALARMS,
    METHODS,
    OURS,
    WARNED,
    AnsweredRows,
    Evaluation,
    evaluate,
)
from lib.maintenance.model.fitting import (
    HalfPlan,
    OutOfFoldStats,
    gathered,
    learn_from_folds,
    mode_names,
    reach,
    require_machines,
    usual_values,
)
from lib.maintenance.model.model import SYSTEM, SurvivalModel
from lib.maintenance.model.report import Subject, metrics, training_report
from lib.maintenance.model.rows import TrainingRows
from lib.maintenance.model.settings import time_grid
from lib.monitoring import SCORE, ModelReference, RowBlock, remember
from lib.registry import SEEN_UNTIL, to_iso
from lib.survival.outcomes import SurvivalError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def train_model(config: TrainConfig) -> str:
    """Train, report and publish; returns the folder or URI of the model."""
    training, config = Training.checked(SYSTEM, config)
    step = training.step
    source = rows_of(config)
    require_machines(source.rows, config.model.folds)
    step(f"{len(source.rows):,} rows of {len(np.unique(source.rows.machines)):,} machines")
    stages = StepCache(training.output, _inputs(config, source))
    split_us = _split(source.rows, config.test_share) if config.split == "time" else None
    with _unseen_failures_named(source.failures):
        judgement = _evaluation(config, source, split_us, stages, step)
    step(f"fitting the model on all rows, and {config.model.replicates} replicates")
    model = _model(config, source, judgement, stages)
    subject = Subject(
        source=config.source or source.address,
        simulated=config.simulated,
        split=None if split_us is None else _moment(split_us),
        train=judgement.train,
        test=judgement.test,
        model=model,
        settings=config.model,
        costs=config.costs,
        faults=source.note.get("sensor_faults", {}),
        failures=source.failures,
    )
    parameters = {
        "kind": kind_text(model.features),
        "train": training.parameters,
        SEEN_UNTIL: to_iso(source.rows.seen_until),
    }
    findings = judgement.findings
    version = training.save(
        model.save,
        stages,
        source.fingerprint,
        parameters,
        metrics(findings),
        _reference(source, model, judgement, split_us),
    )
    lines = _closing_lines(source, subject, findings, training.seconds)
    report = training_report(subject, findings)
    return training.finish(version, report, lines, source.quarantine or "none")


@dataclass(frozen=True)
class _Evaluation:
    """What folds by machine taught, before and after the split."""

    train: TrainingRows
    test: TrainingRows
    horizon: float
    learnt: OutOfFoldStats
    findings: Evaluation


@contextmanager
def _unseen_failures_named(failures: FailureCounts) -> Iterator[None]:
    """An error of fitting counts the failures that no row sees as well."""
    try:
        yield
    except SurvivalError as error:
        if not failures.unseen:
            raise
        raise SurvivalError("\n".join([str(error), *failures.lines()])) from error


def _evaluation(
    config: TrainConfig,
    source: RowsSource,
    split_us: int | None,
    stages: StepCache,
    step: Callable[[str], None],
) -> _Evaluation:
    """Folds by machine: the blend from rows before the split, all figures from rows after it."""
    train = test = source.rows
    if split_us is not None:
        train, test = train.until(split_us), test.take(test.at_us >= split_us)
    horizon = reach(train, config.model)
    step(f"fitting {config.model.folds} folds by machine ({config.engine})")
    parts, row_indices = fit_folds(source.features, train, test, horizon, config, stages)
    of_train = gathered(
        [part[0] for part in parts], [indices[0] for indices in row_indices], len(train)
    )
    of_test = gathered(
        [part[1] for part in parts], [indices[1] for indices in row_indices], len(test)
    )
    learnt = learn_from_folds(train, of_train["Cox"], of_train["deep"], horizon, config.model)
    step("measuring on the test rows")
    findings = evaluate(
        AnsweredRows(train, of_train),
        AnsweredRows(test, of_test),
        learnt, horizon, config.model, config.costs, config.seed, config.bootstrap,
    )  # fmt: skip
    return _Evaluation(train, test, horizon, learnt, findings)


def _model(
    config: TrainConfig, source: RowsSource, judgement: _Evaluation, stages: StepCache
) -> SurvivalModel:
    """The model that is served: on all rows, with what the folds taught."""
    rows, features, horizon = source.rows, source.features, judgement.horizon
    modes = mode_names(rows)
    usual, spread = usual_values(rows.rows, features.codes)
    plan = HalfPlan(features, modes, horizon, config.model)
    return SurvivalModel(
        features=features,
        main_half=fit_final(plan, rows, config, stages),
        replicates=fit_replicates(plan, rows, config),
        weight=judgement.learnt.weight,
        grid=time_grid(horizon),
        modes=modes,
        likely=judgement.learnt.likely,
        alarm_hours=config.model.alarm_hours,
        alarm_threshold=judgement.findings.threshold,
        usual=usual,
        spread=spread,
    )


def _reference(
    source: RowsSource, model: SurvivalModel, judgement: _Evaluation, split_us: int | None
) -> ModelReference:
    """What monitoring compares with: all rows, and scores of those after the split.

    The score of a decision is the probability of a failure within seven days. Its distribution is
    that of the model that is served, which knows the machines that it decides about: folds that
    did not see a machine state other probabilities of it. Calibration is by these folds. A
    training's rows are not as many a day as a service's.
    """
    test, folds = judgement.test, judgement.findings.curves
    is_known = judgement.horizon >= _SCORED_HOURS
    happened = test.watched.failed & (test.watched.time <= _SCORED_HOURS)
    unknown = ~happened & (test.watched.time < _SCORED_HOURS)
    labels = np.where(unknown, np.nan, happened.astype(np.float64))
    served, unseen = (
        1.0 - curves.at(_SCORED_HOURS)[:, 0] if is_known else np.full(len(test), np.nan)
        for curves in (model.curves(test.rows), folds)
    )
    scores = {SCORE: served}
    blocks = [RowBlock(test.rows, test.at_us, test.machines, labels, scores, unseen_scores=unseen)]
    if split_us is not None:
        earlier = source.rows.take(source.rows.at_us < split_us)
        blocks.insert(0, RowBlock(earlier.rows, earlier.at_us, earlier.machines))
    names = source.features.names
    return remember(
        SYSTEM, "machine_id", names, blocks, volume_is_served=False, hours_are_chosen=True
    )


_SCORED_HOURS = 168.0


def _inputs(config: TrainConfig, source: RowsSource) -> dict[str, object]:
    """What the intermediate results depend on."""
    return {
        "features": source.features.digest,
        "data": source.fingerprint,
        "model": asdict(config.model),
        "test_share": config.test_share,
        "split": config.split,
        "learn_until": config.learn_until,
        "engine": [config.engine, config.num_workers, config.min_workers],
        "seed": config.seed,
    }


def _split(rows: TrainingRows, share: float) -> int:
    """Midnight UTC after which the last `share` of the rows' time lies."""
    first, last = int(rows.at_us.min()), int(rows.at_us.max())
    day = 86_400_000_000
    split = -(-(first + round((1.0 - share) * (last - first))) // day) * day
    if not first < split <= last:
        raise ContractError(
            f"rows reach from {_moment(first)} to {_moment(last)}: too short to be split into "
            "days to learn from and days to be measured on; give readings of more days, or say "
            "--split machines, which measures on machines instead"
        )
    return split


def _moment(time_us: int) -> str:
    return (_EPOCH + timedelta(microseconds=time_us)).strftime("%Y-%m-%d %H:%M UTC")


def _closing_lines(
    source: RowsSource, subject: Subject, findings: Evaluation, seconds: float
) -> list[str]:
    """Methods on the test rows, what the test was, and what was read."""
    columns: list[tuple[str, str, Callable[[float], str]]] = [
        ("C-td", CONCORDANCE, "{:.3f}".format),
        ("IBS", BRIER, "{:.4f}".format),
        ("warned", WARNED, "{:.0%}".format),
        ("false alarms", FALSE_ALARMS, "{:.2f}".format),
    ]
    rows = [("method", *(head for head, _, _ in columns))]
    for name in METHODS:
        figures = findings.measures[name]
        rows.append((name, *(text(figures.get(key, np.nan)) for _, key, text in columns)))
    ours, idle = findings.money[OURS].cost, findings.money["run to failure"].cost
    return [
        *align(rows, (20, 14)),
        f"test: {len(subject.test):,} rows {subject.tested}, "
        f"{findings.warned_of} failures to announce; blend {subject.model.weight:.2f}; "
        f"replayed cost a machine-year {ours.value:,.0f}, run to failure {idle.value:,.0f}; "
        f"{seconds:.0f} s",
        *(source.failures.lines() if source.failures.unseen else ()),
        *far_lines(source.note),
    ]
