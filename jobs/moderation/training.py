"""Training of the moderation model, from rows to a published version."""

from dataclasses import dataclass, replace

import numpy as np

from jobs.framework.attributes import attribute_fault
from jobs.framework.options import shared_options
from jobs.framework.step_cache import StepCache
from jobs.framework.training import Training, align, decimals
from jobs.model_source import model_directory
from jobs.moderation.dataset import PreparedDataset, find_rows, quarantine_of, split_dataset
from jobs.moderation.fitting import fit_final, modalities_to_fit
from jobs.moderation.preprocess import PreprocessConfig
from jobs.moderation.preprocessing import write_rows
from jobs.moderation.sources import TABLES, table_lines
from jobs.moderation.training_config import TrainConfig
from lib.calibration import sigmoid
from lib.feature.attributes import AttributeFaultError
from lib.moderation.identity.report import context_costs
from lib.moderation.model import SYSTEM
from lib.moderation.model.comparison import OURS, Evaluation, FittedModel, evaluate, ordered
from lib.moderation.model.identity_evaluation import IdentityMeasures
from lib.moderation.model.model import open_artifact, read_attributes_of
from lib.moderation.model.model_config import ModelConfig
from lib.moderation.model.report import Subject, training_report
from lib.moderation.model.splits import PARTS, PostSplit
from lib.monitoring import ANSWER, REQUEST, SCORE, ModelReference, RowBlock, remember
from lib.registry import SEEN_UNTIL, to_iso
from lib.report import Report
from lib.storage import open_storage


@dataclass(frozen=True)
class TrainingResult:
    """What a training came to."""

    config: TrainConfig
    training: Training
    dataset: PreparedDataset
    split: PostSplit
    fit: FittedModel
    findings: Evaluation
    stages: StepCache

    @property
    def seen_until(self) -> int:
        """Posts from then on taught nothing, microseconds UTC; where times part none, after all."""
        if self.config.split in {"author-time", "time"}:
            return self.split.test_from_us
        return int(self.dataset.at_us[self.dataset.labelled].max()) + 1

    def save(self, training: Training) -> str:
        """Save the model as the options of a training say; returns its version."""
        return training.save(
            self.fit.model.save,
            self.stages,
            self.dataset.fingerprint,
            {"train": training.parameters, SEEN_UNTIL: to_iso(self.seen_until)},
            self.findings.metrics,
            self.reference(),
        )

    def reference(self) -> ModelReference:
        """What monitoring compares with: scores of test posts, their languages and media.

        Scores are the highest and those by policy. Features are those of attributes, of which a
        model may have none; a training's posts are not as many a day as a service's.
        """
        rows, fit = self.split.rows("test"), self.fit
        scores = sigmoid(fit.log_odds)
        violates = np.where(
            np.isnan(fit.targets).all(axis=1), np.nan, (fit.targets >= 0.5).any(axis=1)
        )
        by_policy = {f"score {name}": scores[:, k] for k, name in enumerate(fit.model.policies)}
        languages = self.dataset.posts["language"].take(rows).to_numpy()
        names = [each.feature_name for each in fit.model.fusion.attributes]
        block = RowBlock(
            np.empty((len(rows), 0)) if fit.features is None else fit.features,
            self.dataset.at_us[rows],
            fit.authors,
            violates.astype(np.float64),
            {SCORE: scores.max(axis=1), **by_policy},
            texts={"language": languages, "media": self.dataset.media_kinds(rows)},
            columns={
                "language": f"{REQUEST}language",
                "media": f"{REQUEST}media",
                **{f"score {k}": f"{ANSWER}policies.{k}.probability" for k in fit.model.policies},
            },
        )
        return remember(SYSTEM, "author_id", names, [block], volume_is_served=False)


def train_model(config: TrainConfig) -> str:
    """Train, report and publish; returns the folder or URI of the model."""
    trained = trained_by(config)
    lines = _closing_lines(config, trained, trained.training.seconds)
    report = build_report(config, trained)
    quarantine = quarantine_of(trained.dataset).address()
    return trained.training.finish(trained.save(trained.training), report, lines, quarantine)


def trained_by(config: TrainConfig) -> TrainingResult:
    """Rows, parts, fits and figures; what is finished already is not done again.

    Raises:
        ContractError: an option or the data cannot be meant.
        ResourceError: the workers can never be had.
    """
    config.check()
    size = config.read_size()
    training = Training.start(SYSTEM, config)
    step = training.step
    dataset, split = split_dataset(_as_read(rows_of(config, size), config), config)
    try:
        dataset.samples(split)
    except AttributeFaultError as error:
        raise attribute_fault(config.mapping_posts, error) from error
    counts = ", ".join(f"{count:,} {name}" for name, count in split.counts.items())
    step(f"{len(dataset):,} posts: {counts}")
    stages = StepCache(training.output, inputs_of(config, dataset, size))
    step(f"fitting {', '.join(modalities_to_fit(dataset, split))} and fusion")
    fit = fit_final(dataset, split, size, config, stages.storage)
    step("measuring on the test posts")
    findings = evaluate(fit, config.seed, config.bootstrap)
    identity = measures_of(config).findings(fit)
    if config.identity_cost and identity.contexts:
        step("training a second model without balanced contexts")
        without = trained_by(_without_contexts(config)).findings
        costs = context_costs(
            findings.methods[OURS], identity.bias, without.methods[OURS], without.identity.bias
        )
        identity = replace(identity, costs=costs)
    findings = replace(findings, identity=identity)
    return TrainingResult(config, training, dataset, split, fit, findings, stages)


def _without_contexts(config: TrainConfig) -> TrainConfig:
    """Options of the same training on the same rows, without balanced contexts."""
    storage = open_storage(config.output)
    tables = dict.fromkeys((*TABLES, *(f"mapping_{name}" for name in TABLES)))
    return replace(
        config,
        **tables,
        rows=config.rows or storage.address("rows"),
        output=storage.address("without_contexts"),
        identity_contexts=False,
        identity_cost=False,
        functional_tests=None,
        other_labels=None,
    )


def measures_of(config: TrainConfig) -> IdentityMeasures:
    """What the options say that the model is measured by, with their tables."""
    return IdentityMeasures(
        config.read_terms(),
        config.read_templates(),
        config.read_cases(),
        config.identity_gap_limit,
        config.seed,
        config.bootstrap,
    )


def rows_of(config: TrainConfig, size: ModelConfig) -> PreparedDataset:
    """The rows that a training is given, computed first where tables are given instead.

    Raises:
        ContractError: neither or both are given, or a table cannot be read.
    """
    config.check()
    if config.rows is not None:
        return find_rows(config.rows, size)
    output = open_storage(config.output).address("rows")
    write_rows(shared_options(PreprocessConfig, config, output=output))
    return find_rows(output, size)


def _as_read(dataset: PreparedDataset, config: TrainConfig) -> PreparedDataset:
    """The posts with the attributes of the model that the options name, if they name one."""
    if config.attributes_of is None:
        return dataset
    with model_directory(SYSTEM, config.attributes_of, None, "") as folder:
        attributes = read_attributes_of(open_artifact(folder))
    return dataset.reading(attributes)


def inputs_of(
    config: TrainConfig, dataset: PreparedDataset, size: ModelConfig
) -> dict[str, object]:
    """What the intermediate results depend on."""
    return {
        "data": dataset.fingerprint,
        "policies": dataset.policies.digest,
        "size": size.to_json(),
        "test": [config.test_share, config.test_authors, config.split],
        "parts": list(PARTS),
        "engine": [config.engine, config.num_workers, config.min_workers],
        "seed": config.seed,
        **({} if config.attributes_of is None else {"attributes": dataset.attribute_entries}),
    }


def build_report(config: TrainConfig, trained: TrainingResult) -> Report:
    """The report of a training."""
    subject = Subject(
        source=config.source or trained.dataset.folder,
        simulated=config.simulated,
        note=trained.dataset.note,
        split=trained.split,
        fit=trained.fit,
        seed=config.seed,
    )
    return training_report(subject, trained.findings)


def _closing_lines(config: TrainConfig, trained: TrainingResult, seconds: float) -> list[str]:
    """Methods on the test posts, and what the test was."""
    findings = trained.findings
    heads = [*findings.errors, "mean"]
    rows = [("average precision", *(head[:11] for head in heads))]
    for name in ordered(findings.methods):
        rows.append((name, *(decimals(findings.methods[name].get(head, np.nan)) for head in heads)))
    errors = ", ".join(f"{name} {error:.3f}" for name, error in findings.errors.items())
    return [
        *(table_lines(trained.dataset.note["tables"]) if config.rows is None else []),
        *align(rows, (26, 12)),
        f"test: {findings.posts:,} posts of {findings.authors:,} authors; mean "
        f"{findings.mean.value:.3f} ({findings.mean.low:.3f} to {findings.mean.high:.3f}); "
        f"{findings.actions['REVIEW']:.0%} to people, {findings.automatic:.1%} of the rest "
        f"right (always allow: {findings.always_allow:.1%}); {seconds:.0f} s",
        f"calibration error: {errors}",
        *findings.identity.warnings(),
    ]
