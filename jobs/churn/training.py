"""Training of the churn model, from rows to a published version."""

from dataclasses import asdict, replace

import numpy as np

from jobs.churn.fitting import fit_final, fit_folds
from jobs.churn.table_counts import table_lines, table_warnings
from jobs.churn.training_config import TrainConfig
from jobs.churn.training_set import RowsSource, rows_of
from jobs.framework.step_cache import StepCache
from jobs.framework.training import Training, align, decimals
from lib.calibration import fit_calibrator
from lib.churn.features import churn_features, untold
from lib.churn.health import fit_reference
from lib.churn.model import SYSTEM, evaluation
from lib.churn.model.baselines import baseline_scores
from lib.churn.model.fitting import Split, split_by_time
from lib.churn.model.model import ChurnModel
from lib.churn.model.report import Subject, training_report, warned
from lib.churn.snapshots import Snapshots
from lib.churn.target import Floats
from lib.contract import MatchCounts
from lib.monitoring import SCORE, ModelReference, RowBlock, remember
from lib.registry import SEEN_UNTIL, to_iso


def train_model(config: TrainConfig) -> str:
    """Train, report and publish; returns the folder or URI of the model."""
    training, config = Training.checked(SYSTEM, config)
    step = training.step
    source = rows_of(config)
    config = replace(config, model=config.model.suited(source.target))
    split = split_by_time(source.rows, source.target, config.test_share)
    step(
        f"{len(source.rows):,} rows: {len(split.train):,} to learn from, "
        f"{len(split.test):,} to test"
    )
    stages = StepCache(training.output, _inputs(config, source))
    judged, _ = _fitted(config, source, split.train, stages, "test")
    step("measuring on the test rows")
    findings = _findings(config, source, split, judged)
    step("fitting the model on all rows")
    model, probabilities = _fitted(config, source, source.rows.known(), stages, "final")
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
    ours = findings.measures[evaluation.OURS]
    kept = {name: ours[name] for name in evaluation.MEASURES if name != evaluation.REVENUE}
    version = training.save(
        model.save,
        stages,
        source.fingerprint,
        {"train": training.parameters, SEEN_UNTIL: to_iso(_seen_until(source))},
        {**kept, "ece": findings.calibration_error},
        _reference(source, split, probabilities),
    )
    lines = _closing_lines(config, source, findings, training.seconds)
    report = training_report(subject, findings)
    return training.finish(version, report, lines, source.quarantine or "none")


def _seen_until(source: RowsSource) -> int:
    """When the last outcome that was learnt from was known, microseconds UTC."""
    return int(source.rows.known().at_us.max()) + source.target.reach_us


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
        "learn_until": config.learn_until,
        "engine": [config.engine, config.boosting, config.num_workers, config.min_workers],
        "seed": config.seed,
    }


def _fitted(
    config: TrainConfig, source: RowsSource, rows: Snapshots, stages: StepCache, name: str
) -> tuple[ChurnModel, Floats]:
    """A model of some rows, and probabilities (rows,) by folds that did not see the customer."""
    kept = StepCache(stages.storage, {"part": name})
    log_odds = fit_folds(rows, config, kept)
    calibrator = fit_calibrator(log_odds, rows.labels)
    probabilities = calibrator.probabilities(log_odds)
    linear, trees = fit_final(rows, config, kept, name)
    has_values = ~np.isnan(rows.matrix).all(axis=0)
    usual = np.full(len(rows.names), np.nan)
    usual[has_values] = np.nanmedian(rows.matrix[:, has_values], axis=0)
    newest = rows.at_us == rows.at_us.max()
    model = ChurnModel(
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
    return model, np.asarray(probabilities, dtype=np.float64)


def _reference(source: RowsSource, split: Split, probabilities: Floats) -> ModelReference:
    """What monitoring compares with: all rows, and scores of the test rows by the last fit.

    Its scores are those of folds that did not see the customer: the model that was measured on the
    test has learnt from fewer rows, and answers otherwise than the one that is served. A training
    has a row of each customer at chosen moments, a service one for each request, so rows a day say
    nothing of the service's.

    Args:
        source: all rows.
        split: whose test rows are the newest of those with known outcomes.
        probabilities: of those with known outcomes, as of `_fitted`.
    """
    rows = source.rows
    scores = probabilities[rows.known().at_us >= split.first_test_us]
    blocks = [
        RowBlock(part.matrix, part.at_us, part.customers, part.labels, answers)
        for part, answers in (
            (rows.take(rows.at_us < split.first_test_us), None),
            (split.test, {SCORE: scores}),
        )
    ]
    return remember(
        SYSTEM, "customer_id", rows.names, blocks, volume_is_served=False, hours_are_chosen=True
    )


def _findings(
    config: TrainConfig, source: RowsSource, split: Split, model: ChurnModel
) -> evaluation.Evaluation:
    """What the model of the training rows is worth on the test rows."""
    scores = baseline_scores(split, config.seed)
    scores[evaluation.OURS] = model.log_odds(split.test.matrix)
    return evaluation.evaluate(
        split,
        source.target,
        scores,
        model.calibrator.probabilities(scores[evaluation.OURS]),
        model.contributions(split.test.matrix),
        config.capacity,
        model.threshold,
        config.seed,
        config.bootstrap,
    )


def _closing_lines(
    config: TrainConfig, source: RowsSource, findings: evaluation.Evaluation, seconds: float
) -> list[str]:
    """Methods on the test rows, what the test was, and what was read."""
    rows = [("method", "AUC", "AP", "recall", "precision", "revenue")]
    for name in evaluation.ordered(findings.measures):
        figures = findings.measures[name]
        rows.append((name, *(decimals(figures[key]) for key in evaluation.MEASURES)))
    early = warned(findings)
    flagged = early.get("flagged_60_days_before", float("nan"))
    return [
        *table_warnings(source.note),
        *align(rows, (26, 11)),
        f"test: {findings.rows:,} rows of {findings.customers:,} customers, "
        f"{findings.prevalence:.1%} leave; calibration error {findings.calibration_error:.4f}; "
        f"at a capacity of {config.capacity:.0%}; flagged 60 days before notice: {flagged:.0%} "
        f"of {early['leavers']} leavers; {seconds:.0f} s",
        *table_lines(source.note),
    ]
