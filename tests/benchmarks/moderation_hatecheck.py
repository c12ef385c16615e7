"""What a text model of hate has learnt: HateCheck by function, and gaps between identity terms.

Davidson's tweets train the moderation model by the job's own functions, with and without balanced
contexts, on a random three quarters; the rest tests. Templates and most terms here are known to
neither training nor reports. Each run looks at HateCheck's answers once for each model, unless
--skip-hatecheck is given; nothing may be tuned by them. English alone is measured.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from jobs.ingestion import mapping_for, read_whole
from jobs.moderation.train_worker import answers_about
from jobs.moderation.training import TrainingResult, trained_by
from jobs.moderation.training_config import TrainConfig
from lib.evaluation import Interval, bootstrap_interval
from lib.moderation.contracts import TEXT_CASES
from lib.moderation.identity.bias import PolicyBias, measure_bias
from lib.moderation.identity.functional_tests import CaseGroup, judge_cases
from lib.moderation.identity.templates import JudgedTemplates
from lib.moderation.identity.terms import IdentityTerm, load_terms, packaged_terms
from lib.moderation.model.identity_evaluation import policy_thresholds, text_scorer
from tests.benchmarks.moderating.tweets import HATE, OFFENSIVE, decided, three_class_f1
from tests.benchmarks.result import print_result

_FOLDER = Path(__file__).parent
_TEMPLATES = _FOLDER / "moderating/unseen_templates.yaml"
_UNLISTED = _FOLDER / "moderating/unlisted_terms.yaml"
_MAPPING = _FOLDER / "mappings/hatecheck_cases.yaml"
_AT_US = 1_400_000_000_000_000
_FACTORS = np.round(np.arange(0.6, 3.01, 0.1), 2)
_POLICIES = """version: 1
views_that_double: 1000
policies:
  - id: hate
    description: Attacks people for who they are.
    severity: 4
    version: 1
    costs: {wrong_removal: 8, missed_violation: 12, review: 0.5}
  - id: offensive
    description: Uses offensive words.
    severity: 2
    version: 1
    costs: {wrong_removal: 4, missed_violation: 3, review: 0.5}
"""


@dataclass(frozen=True)
class Measured:
    """What one model came to.

    Attributes:
        figures: for the result.
        lines: for people.
        classes: (n,) of the test tweets.
        decisions: (n,) classes by the model.
    """

    figures: dict[str, Any]
    lines: list[str]
    classes: NDArray[np.int64]
    decisions: NDArray[np.int64]


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="folder with davidson and hatecheck")
    parser.add_argument("--size", default="small", help="of the model, as of jobs.moderation.train")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tweets", type=int, default=0, help="as many, drawn; 0 takes all")
    parser.add_argument("--output", help="folder that keeps finished steps for another run")
    parser.add_argument("--skip-hatecheck", action="store_true")
    options = parser.parse_args()
    started = time.perf_counter()
    data = Path(options.data)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.output or temporary)
        rows = write_tweets(data, folder, options.tweets, options.seed)
        cases = None if options.skip_hatecheck else read_cases(data)
        measured = {}
        for name, with_contexts in (("without", False), ("with", True)):
            config = config_of(folder, name, options, with_contexts=with_contexts)
            measured[name] = measure(trained_by(config), cases, options.seed)
            print(f"{time.perf_counter() - started:7.0f} s  {name} balanced contexts", flush=True)
            print("\n".join(f"    {line}" for line in measured[name].lines), flush=True)
    change = f1_change(measured["with"], measured["without"], options.seed)
    print(
        f"weighted F1 with contexts less without: {change.value:+.4f} "
        f"({change.low:+.4f} to {change.high:+.4f})",
        flush=True,
    )
    print_result(
        rows,
        time.perf_counter() - started,
        without_contexts=measured["without"].figures,
        with_contexts=measured["with"].figures,
        weighted_f1_change=_rounded(change),
        hatecheck_cases=0 if cases is None else cases.num_rows,
        looks_at_hatecheck=0 if cases is None else 2,
        size=options.size,
        data=str(data),
    )


def write_tweets(data: Path, folder: Path, count: int, seed: int) -> int:
    """Tweets as posts and labels by the class of most annotators; returns how many."""
    table = pq.read_table(data / "davidson/labeled_data.parquet").to_pydict()
    rows = np.arange(len(table["tweet"]))
    if count:
        rows = np.sort(np.random.default_rng(seed).permutation(rows)[:count])
    classes = np.array(table["class"])[rows]
    names = [str(row) for row in rows.tolist()]
    at = pa.array(np.full(len(rows), _AT_US), pa.timestamp("us", "UTC"))
    texts = [table["tweet"][row] for row in rows.tolist()]
    posts = {
        "post_id": names,
        "author_id": ["unknown"] * len(rows),
        "event_time": at,
        "text": texts,
    }
    labels = {
        "post_id": names * 2,
        "policy": ["hate"] * len(rows) + ["offensive"] * len(rows),
        "violates": np.concatenate([classes == HATE, classes == OFFENSIVE]),
        "by": ["most annotators"] * (2 * len(rows)),
        "event_time": pa.concat_arrays([at, at]),
    }
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(posts), folder / "posts.parquet")
    pq.write_table(pa.table(labels), folder / "labels.parquet")
    (folder / "policies.yaml").write_text(_POLICIES)
    return len(rows)


def read_cases(data: Path) -> pa.Table:
    """HateCheck's texts with the answers that are expected."""
    path = str(data / "hatecheck/cases.parquet")
    return read_whole(mapping_for(TEXT_CASES, str(_MAPPING), path), path)


def config_of(
    folder: Path, name: str, options: argparse.Namespace, *, with_contexts: bool
) -> TrainConfig:
    """Options of the training, by the product's defaults but for the split."""
    return TrainConfig(
        posts=str(folder / "posts.parquet"),
        labels=str(folder / "labels.parquet"),
        policies=str(folder / "policies.yaml"),
        output=str(folder / name),
        size=options.size,
        seed=options.seed,
        split="random",
        engine="process",
        cpus_per_worker=options.threads,
        identity_contexts=with_contexts,
    )


def measure(trained: TrainingResult, cases: pa.Table | None, seed: int) -> Measured:
    """Figures of a trained model."""
    decisions, factor = class_decisions(trained)
    classes = classes_of(trained.fit.targets)
    f1 = three_class_f1(decisions, classes)["weighted_f1"]
    methods = trained.findings.methods["ours"]
    figures: dict[str, Any] = {
        "average_precision_hate": methods["hate"],
        "average_precision_offensive": methods["offensive"],
        "ece": dict(trained.findings.errors),
        "weighted_f1": f1,
        "hate_factor": factor,
        "test_tweets": len(trained.fit.targets),
    }
    lines = [
        f"AP of hate {methods['hate']:.3f}, of offensive {methods['offensive']:.3f}; weighted F1 "
        f"{f1:.4f}"
    ]
    listed = packaged_terms()
    unlisted = load_terms(_UNLISTED.read_text(encoding="utf-8"), _UNLISTED.name)
    report_bias = {own.policy: own for own in trained.findings.identity.bias}
    for name, bias in {
        "templates_of_the_report": report_bias,
        "unseen_templates_unlisted_terms": gaps(trained, unlisted, seed),
        "unseen_templates_all_terms": gaps(trained, [*listed, *unlisted], seed),
    }.items():
        figures[name] = {policy: gap_figures(own) for policy, own in bias.items()}
        lines += [f"{name} {policy}: {gap_line(own)}" for policy, own in bias.items()]
    if cases is not None:
        hatecheck, hatecheck_lines = on_hatecheck(trained, cases)
        figures["hatecheck"] = hatecheck
        lines += hatecheck_lines
    return Measured(figures, lines, classes, decisions)


def class_decisions(trained: TrainingResult) -> tuple[NDArray[np.int64], float]:
    """Classes (n,) of the test tweets; how much hate counts is chosen on posts of fusion."""
    rows = trained.split.rows("fusion")
    answers = answers_about(trained.stages.storage, ["text"], rows)
    validation = trained.fit.model.fusion.answer(answers, trained.dataset.presence[rows])
    labels = classes_of(trained.dataset.targets[rows])
    factor = max(
        _FACTORS,
        key=lambda weight: three_class_f1(decided(validation, weight), labels)["weighted_f1"],
    )
    return decided(trained.fit.log_odds, float(factor)), float(factor)


def f1_change(own: Measured, other: Measured, seed: int) -> Interval:
    """Weighted F1 of one model less that of another on the same tweets, drawn with replacement."""

    def change(rows: NDArray[np.int64]) -> float:
        labels = own.classes[rows]
        values = [
            f1_score(labels, model.decisions[rows], average="weighted") for model in (own, other)
        ]
        return float(values[0] - values[1])

    return bootstrap_interval(change, np.arange(len(own.classes)), seed)


def classes_of(targets: NDArray[np.float64]) -> NDArray[np.int64]:
    """Classes (n,) of targets (n, 2): hate, offensive or neither."""
    return np.where(targets[:, 0] >= 0.5, HATE, np.where(targets[:, 1] >= 0.5, OFFENSIVE, 2))


def gaps(trained: TrainingResult, terms: list[IdentityTerm], seed: int) -> dict[str, PolicyBias]:
    """Gaps on templates that neither training nor report knows."""
    model = trained.fit.model
    templates = JudgedTemplates.read(_TEMPLATES.read_text(encoding="utf-8"), _TEMPLATES.name)
    measured = measure_bias(text_scorer(model), policy_thresholds(model), terms, templates, seed)
    return {own.policy: own for own in measured}


def gap_figures(own: PolicyBias) -> dict[str, Any]:
    """Of one policy."""
    gap = own.false_positive_gap
    return {
        "terms": len(own.terms),
        "false_positive_gap": gap.value,
        "low": gap.low,
        "high": gap.high,
        "held_out_gap": own.held_out_gap.value,
        "mean_false_positive_rate": own.mean_false_positives,
        "highest": {term.name: term.false_positives.value for term in own.terms[:5]},
        "false_negative_gap": own.false_negative_gap.value,
        "mean_false_negative_rate": float(
            np.mean([term.false_negatives.value for term in own.terms])
        ),
        "mean_subgroup_auc": own.mean_subgroup_auc,
    }


def gap_line(own: PolicyBias) -> str:
    """The same in words."""
    gap = own.false_positive_gap
    worst = ", ".join(f"{term.name} {term.false_positives.value:.2f}" for term in own.terms[:3])
    return (
        f"gap {gap.value:.2f} ({gap.low:.2f} to {gap.high:.2f}) between {len(own.terms)} terms; "
        f"flagged {own.mean_false_positives:.3f} of harmless sentences, most of {worst}; AUC "
        f"within terms {own.mean_subgroup_auc:.3f}"
    )


def on_hatecheck(trained: TrainingResult, cases: pa.Table) -> tuple[dict[str, Any], list[str]]:
    """AUC over all cases and by function."""
    model = trained.fit.model
    result = judge_cases(cases, text_scorer(model), policy_thresholds(model), "HateCheck")
    (overall,) = result.overall
    by_auc = sorted(result.functions, key=lambda own: own.auc.value)
    figures = {
        "auc": _rounded(overall.auc),
        "functions": {own.name: _figures(own) for own in by_auc},
        "violating_cases_found_by_identity": {
            own.name: own.accuracy.value for own in result.identities
        },
        "worst_function": by_auc[0].name,
    }
    lines = [
        f"HateCheck: AUC {overall.auc.value:.3f} ({overall.auc.low:.3f} to {overall.auc.high:.3f}) "
        f"of {overall.cases:,} cases; worst {by_auc[0].name} {by_auc[0].auc.value:.2f}"
    ]
    lines += [
        f"  {own.name:24} AUC {own.auc.value:.2f}, right {own.accuracy.value:.2f}" for own in by_auc
    ]
    return figures, lines


def _figures(own: CaseGroup) -> dict[str, Any]:
    return {"cases": own.cases, "auc": own.auc.value, "right": own.accuracy.value}


def _rounded(interval: Interval) -> list[float]:
    return [round(value, 4) for value in (interval.value, interval.low, interval.high)]


if __name__ == "__main__":
    main()
