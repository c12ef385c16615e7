"""Training of the fraud model, from rows to a published version."""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial

import numpy as np

from jobs.framework.step_cache import StepCache
from jobs.framework.training import Training, align
from jobs.fraud.fitting import FinalFit, Step, fit_folds
from jobs.fraud.label_counts import label_figures, label_warnings
from jobs.fraud.training_config import TrainConfig
from jobs.fraud.training_set import Source, find_source, load_payments, load_rule_columns
from lib.calibration import fit_calibrator, sigmoid
from lib.contract import ContractError
from lib.contract.end_of_data import end_of_data
from lib.fraud.model.baselines import baseline_scores, rule_answers
from lib.fraud.model.evaluation import intervals, make_test_rows, measure
from lib.fraud.model.fitting import fold_data, settled, stack, weighed_sample
from lib.fraud.model.inputs import Floats
from lib.fraud.model.model import SYSTEM, Ensemble, largest_difference
from lib.fraud.model.outcome import measure_outcome
from lib.fraud.model.payments import Payments
from lib.fraud.model.policy import fit_policy
from lib.fraud.model.report import OURS, Findings, build_report, outcome_facts
from lib.fraud.model.time_split import Plan, plan_slices
from lib.monitoring import SCORE, ModelReference, RowBlock, remember
from lib.registry import SEEN_UNTIL, to_iso

_SAMPLE = 20_000
_BASELINES = "baselines"
_KEPT_MEASURES = ("auc", "ap", "precision_at_1000", "cp_100", "recall_at_fpr_1_8")


def train_model(config: TrainConfig) -> str:
    """Train, report and publish; returns the folder or URI of the model."""
    config = config.settled()
    training = Training.start(SYSTEM, config)
    step, source = training.step, find_source(config)
    step("reading features")
    payments = load_payments(source)
    end = end_of_data(payments.event_time)
    if end.far_rows:
        step(f"{end.far_rows:,} {end.text}")
    first, known_until = int(payments.event_time[0]), payments.known_until()
    plan = plan_slices(first, end.last_us, config.slices, known_until)
    _refuse_empty_slices(payments, plan, source)
    stages = StepCache(training.output, _inputs(config, source))
    ensemble = _fit(config, source, payments, plan, stages, step)
    step("measuring on the test days")
    findings = _findings(config, source, payments, plan, ensemble, stages)
    reference = _reference(payments, plan, findings)
    version = _save(training, source, findings, stages, reference)
    lines = _closing_lines(source, findings, training.seconds)
    quarantine = source.quarantine or "none (features were given)"
    return training.finish(version, build_report(findings), lines, quarantine)


def _inputs(config: TrainConfig, source: Source) -> dict[str, object]:
    """What the intermediate results depend on."""
    return {
        "features": source.features.digest,
        "data": source.fingerprint,
        "model": asdict(config.model),
        "slices": asdict(config.slices),
        "engine": [config.engine, config.boosting, config.num_workers, config.min_workers],
    }


def _refuse_empty_slices(payments: Payments, plan: Plan, source: Source) -> None:
    """Each slice needs frauds and good payments both, as known at its time."""
    for name in ("train", "calibrate", "test"):
        span = getattr(plan, name)
        labels = payments.within(span).labels(span.as_of)
        frauds = int(labels.sum())
        if frauds in {0, len(labels)}:
            warnings = (text.removeprefix("warning: ") for text in label_warnings(source.labels))
            raise ContractError(
                f"{''.join(f'{warning}; ' for warning in warnings)}"
                f"{name} slice of {span.days:.1f} days: {frauds} known frauds among {len(labels)} "
                "payments; at least one fraud and one good payment are needed: check that labels "
                "cover these days, that their identifiers are those of payments and that their "
                f"observed_at is right, or change --slices.{name}"
            )


def _fit(
    config: TrainConfig,
    source: Source,
    payments: Payments,
    plan: Plan,
    stages: StepCache,
    step: Callable[[str], None],
) -> Ensemble:
    """Folds, meta-learner, final halves, calibration and policy."""
    step(f"fitting {len(plan.folds)} time-forward folds of both halves ({config.engine})")
    half_life = config.recency_half_life_days
    folds = [fold_data(payments, fold, half_life) for fold in plan.folds]
    baselines = {_BASELINES: partial(_baseline_call, config, payments, plan)}
    beside = baselines if config.baselines else None
    scores = fit_folds(folds, config.model, config, stages, beside)
    meta = stack(folds, scores)
    settings = settled(config.model, scores)
    step(f"fitting the model: {settings.trees.trees} trees, {settings.network.epochs} epochs")
    train = weighed_sample(payments, plan.train, half_life)
    trees, networks = FinalFit(train, source.features.names, settings, config, stages).halves()
    step("calibrating and setting thresholds")
    later = payments.within(plan.calibrate)
    labels = later.labels(plan.calibrate.as_of)
    raw = meta.log_odds(trees.log_odds(later.matrix), networks.log_odds(later.matrix))
    calibrator = fit_calibrator(raw, labels)
    policy = fit_policy(
        calibrator.probabilities(raw), labels, later.amount_minor, plan.calibrate.days, config.costs
    )
    features = source.features
    return Ensemble(
        features.names,
        features.digest,
        trees,
        networks,
        meta,
        calibrator,
        policy,
        source.computed,
    )


def _findings(
    config: TrainConfig,
    source: Source,
    payments: Payments,
    plan: Plan,
    ensemble: Ensemble,
    stages: StepCache,
) -> Findings:
    """Everything the report shows, on the test days."""
    test = payments.within(plan.test)
    rows = make_test_rows(payments, test, plan.test.as_of)
    log_odds = ensemble.log_odds(test.matrix)
    rules = rule_answers(load_rule_columns(source, plan.test))
    scores: dict[str, Floats] = {"rules alone": rules.scores}
    if config.baselines:
        scores |= stages.arrays(_BASELINES, dict)
    scores["trees alone"] = ensemble.trees.log_odds(test.matrix)
    scores["network alone"] = ensemble.networks.log_odds(test.matrix)
    scores[OURS] = log_odds
    probabilities = ensemble.calibrator.probabilities(log_odds)
    decided = ensemble.policy.decisions(probabilities)
    policies = {
        "approve all": np.zeros_like(decided),
        "rules alone": rules.decisions,
        OURS: decided,
        "rules, then the ensemble": np.maximum(decided, rules.decisions),
    }
    outcomes = {
        name: measure_outcome(
            decisions, rows.labels, rows.amount_minor, plan.test.days, config.costs
        )
        for name, decisions in policies.items()
    }
    return Findings(
        source=config.source or source.address,
        simulated=config.simulated,
        labels=label_figures(source.labels),
        scale=source.scale,
        plan=plan,
        payments=payments,
        rows=rows,
        scores=scores,
        probabilities=probabilities,
        before=sigmoid(log_odds),
        measures={name: measure(rows, method_scores) for name, method_scores in scores.items()},
        intervals=intervals(rows, log_odds, config.seed, config.bootstrap),
        outcomes=outcomes,
        costs=config.costs,
        ensemble=ensemble,
        importance=_importance(ensemble),
        served_difference=largest_difference(ensemble, ensemble.scorer(), test.matrix[:_SAMPLE]),
    )


def _baseline_call(config: TrainConfig, payments: Payments, plan: Plan) -> Step:
    """Scores of the baselines fitted on the model's own training rows."""
    train, matrix = payments.sample(plan.train), payments.within(plan.test).matrix
    most_good = 30_000 if config.quick else 200_000
    threads = config.threads if config.engine == "process" else config.request.cpus
    return baseline_scores, train, matrix, config.seed, threads, most_good


def _importance(ensemble: Ensemble) -> dict[str, float]:
    """Share of the gain by feature, over all boosters."""
    gains: dict[str, float] = {}
    for booster in ensemble.trees.boosters:
        booster.feature_names = None
        for key, gain in booster.get_score(importance_type="total_gain").items():
            gains[key] = gains.get(key, 0.0) + float(gain)
    total = sum(gains.values()) or 1.0
    return {name: gains.get(f"f{at}", 0.0) / total for at, name in enumerate(ensemble.names)}


def _reference(payments: Payments, plan: Plan, findings: Findings) -> ModelReference:
    """What monitoring compares with: all days up to the test's end, scores of the test days."""
    ends = np.searchsorted(payments.event_time, [plan.test.start, plan.test.end])
    first, last = (int(end) for end in ends)
    labels = payments.labels(plan.test.as_of).astype(np.float64)
    blocks = [
        RowBlock(
            payments.matrix[rows],
            payments.event_time[rows],
            payments.user[rows],
            labels[rows],
            scores,
        )
        for rows, scores in (
            (slice(0, first), None),
            (slice(first, last), {SCORE: findings.probabilities}),
        )
    ]
    names = findings.ensemble.names
    return remember(SYSTEM, "user_id", names, blocks, volume_is_served=True)


def _save(
    training: Training,
    source: Source,
    findings: Findings,
    stages: StepCache,
    reference: ModelReference,
) -> str:
    """The artifact and its figures; returns the version."""
    ours = findings.measures[OURS]
    metrics = {name: ours[name] for name in _KEPT_MEASURES if name in ours}
    kept = outcome_facts(findings.outcomes[OURS])
    names = ("loss_reduction", "false_positive_rate", "reviews_per_day", "alerts_per_day")
    metrics |= {name: kept[name] for name in names}
    save = findings.ensemble.save
    parameters = training.parameters | {SEEN_UNTIL: to_iso(findings.plan.test.start)}
    parameters.pop("features_of")  # a folder that may be gone; the artifact has what it said
    return training.save(save, stages, source.fingerprint, parameters, metrics, reference)


def _closing_lines(source: Source, findings: Findings, seconds: float) -> list[str]:
    """Methods on the test days, and what the test was."""
    rows: list[tuple[str, ...]] = [("method", "AUC", "AP", "P@1000", "CP@100", "recall 1.8%")]
    for name in [*(name for name in findings.measures if name != OURS), OURS]:
        measures = findings.measures[name]
        rows.append((name, *(f"{measures.get(key, np.nan):.3f}" for key in _KEPT_MEASURES)))
    return [
        *label_warnings(source.labels),
        *align(rows, (22, 8, 8, 8, 8, 13)),
        f"test: {len(findings.rows.labels):,} payments, {int(findings.rows.labels.sum()):,} "
        f"frauds; served form differs by {findings.served_difference:.1e}; {seconds:.0f} s",
    ]
