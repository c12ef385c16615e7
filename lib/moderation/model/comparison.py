"""A fitted model beside simpler ways, on posts that taught nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.calibration import logit, sigmoid
from lib.contract import ContractError
from lib.evaluation import Interval, average_precision, bootstrap_interval
from lib.moderation.identity.report import IdentityFindings
from lib.moderation.model.evaluation import accuracy_at, calibration_errors
from lib.moderation.model.fusion import stacked_odds
from lib.moderation.model.inputs import Marks
from lib.moderation.model.model import ModerationModel
from lib.moderation.model.outputs import Floats, Ints, ModalityAnswer, Presence
from lib.moderation.policies import ACTIONS, Policies
from lib.moderation.post import MODALITIES
from lib.moderation.routing import REVIEW, Routing

OURS, WITHOUT_ATTRIBUTES = "ours", "ours without attributes"
_LEAST_OF_A_KIND = 3


@dataclass(frozen=True)
class FittedModel:
    """A model, what its modality models answer about the test posts, and what is known of these.

    Attributes:
        model: calibrated.
        policies: those of the model, in its order.
        answers: by modality, a row for each test post.
        presence: (n, modalities), as the model sees them.
        targets: (n, policies) shares of people who say that a post violates; NaN unknown.
        texts, authors, languages: of each post.
        reach: (n,) views.
        features: (n, attributes) where the model reads attributes.
    """

    model: ModerationModel
    policies: Policies
    answers: Mapping[str, ModalityAnswer]
    presence: Marks
    targets: Floats
    texts: Sequence[str]
    authors: NDArray[Any]
    languages: Sequence[str | None]
    reach: Floats
    features: Floats | None = None

    @property
    def log_odds(self) -> Floats:
        """Calibrated log-odds (n, policies)."""
        return self.model.fusion.answer(self.answers, self.presence, self.features)


@dataclass(frozen=True)
class Evaluation:
    """Figures of the test.

    Attributes:
        posts, authors: how many.
        methods: average precision by method, then policy; `mean` over policies.
        mean: of ours, with its interval over authors.
        errors: expected calibration error by policy.
        accuracy_at_80: of the surest 80% of posts, the share decided right.
        always_allow: accuracy of allowing everything.
        actions: share of posts by action of the routing.
        automatic: accuracy of the posts that routing does not send to people.
        identity: what the model makes of identity terms, and of texts from elsewhere.
    """

    posts: int
    authors: int
    methods: Mapping[str, Mapping[str, float]]
    mean: Interval
    errors: Mapping[str, float]
    accuracy_at_80: float
    always_allow: float
    actions: Mapping[str, float]
    automatic: float
    identity: IdentityFindings = field(default_factory=IdentityFindings)

    @property
    def metrics(self) -> dict[str, float]:
        """For the artifact's manifest."""
        metrics = {"mean_average_precision": self.mean.value, "accuracy_at_80": self.accuracy_at_80}
        metrics |= {f"ece_{name}": error for name, error in self.errors.items()}
        metrics |= self.identity.metrics
        return {name: value for name, value in metrics.items() if np.isfinite(value)}


def evaluate(fit: FittedModel, seed: int, repeats: int) -> Evaluation:
    """All figures.

    Raises:
        ContractError: no policy has test posts of both outcomes.
    """
    targets, log_odds = fit.targets, fit.log_odds
    policies = fit.model.policies
    scores = baseline_scores(fit) | {OURS: log_odds}
    if fit.features is not None:
        scores[WITHOUT_ATTRIBUTES] = fit.model.fusion.without_attributes(fit.answers, fit.presence)
    methods = {
        name: mean_precision(method_scores, targets, policies)
        for name, method_scores in scores.items()
    }
    if not np.isfinite(methods[OURS]["mean"]):
        raise ContractError(
            f"labels: expected test posts that violate a policy and some that do not, got none of "
            f"{', '.join(policies)} among {len(targets)} test posts; give more labels, or a larger "
            "--test-share"
        )
    routed = _routed(fit, log_odds)
    automatic = routed != REVIEW
    violates = (targets >= 0.5).any(axis=1)
    right = (routed > REVIEW) == violates
    return Evaluation(
        posts=len(targets),
        authors=len(np.unique(fit.authors)),
        methods=methods,
        mean=bootstrap_interval(
            lambda draw: overall_precision(log_odds[draw], targets[draw], policies),
            fit.authors,
            seed,
            repeats,
        ),
        errors=calibration_errors(log_odds, targets, policies),
        accuracy_at_80=accuracy_at(log_odds, targets, 0.8),
        always_allow=float((~violates).mean()),
        actions={name: float((routed == k).mean()) for k, name in enumerate(ACTIONS)},
        automatic=float(right[automatic].mean()) if automatic.any() else float("nan"),
    )


def ordered(methods: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Names of the methods: ours, then the others from the best to the worst."""

    def rank(name: str) -> tuple[bool, float, str]:
        mean = methods[name]["mean"]
        return name != OURS, -mean if np.isfinite(mean) else 1.0, name

    return sorted(methods, key=rank)


def mean_precision(scores: Floats, targets: Floats, policies: Sequence[str]) -> dict[str, float]:
    """Average precision by policy, NaN where outcomes are of one kind, and `mean` over policies."""
    precisions = {}
    for p, name in enumerate(policies):
        is_known = ~np.isnan(targets[:, p])
        flags = targets[is_known, p] >= 0.5
        enough = min(flags.sum(), (~flags).sum()) >= _LEAST_OF_A_KIND
        precisions[name] = average_precision(flags, scores[is_known, p]) if enough else float("nan")
    some = [precision for precision in precisions.values() if np.isfinite(precision)]
    return precisions | {"mean": float(np.mean(some)) if some else float("nan")}


def baseline_scores(fit: FittedModel) -> dict[str, Floats]:
    """Log-odds (n, policies) of simpler ways; the usual rate where a post lacks the modality."""
    model, shape = fit.model, fit.targets.shape
    baselines: dict[str, Floats] = {"always allow": np.zeros(shape)}
    if model.text is not None and model.text.ngrams is not None:
        is_present = fit.presence[:, MODALITIES.index("text")] == Presence.PRESENT
        scores = np.zeros(shape)
        texts = [fit.texts[row] for row in np.flatnonzero(is_present).tolist()]
        scores[is_present] = model.text.ngrams.log_odds(texts)
        baselines["word n-grams alone"] = _filled(scores, is_present)
    singles = model.fusion.guard.singles_of(stacked_odds(fit.answers, shape))
    for index, name in enumerate(MODALITIES):
        if name in fit.answers:
            is_present = fit.presence[:, index] == Presence.PRESENT
            baselines[f"{name} alone"] = _filled(singles[index], is_present)
    alone = [scores for name, scores in baselines.items() if name.endswith(" alone")]
    baselines["the worst of all alone"] = np.max(alone, axis=0)
    return baselines


def _filled(log_odds: Floats, is_present: Any) -> Floats:
    if not is_present.any():
        return np.zeros_like(log_odds)
    usual = logit(np.clip(sigmoid(log_odds[is_present]).mean(axis=0), 1e-6, 1 - 1e-6))
    return np.where(is_present[:, None], log_odds, usual)


def overall_precision(scores: Floats, targets: Floats, policies: Sequence[str]) -> float:
    """Mean of `mean_precision`, on a draw of posts.

    Raises:
        ValueError: no policy has both outcomes.
    """
    mean = mean_precision(scores, targets, policies)["mean"]
    if not np.isfinite(mean):
        raise ValueError("no policy has both outcomes")
    return mean


def _routed(fit: FittedModel, log_odds: Floats) -> Ints:
    failed = (fit.presence == Presence.FAILED).any(axis=1)
    routed = Routing(fit.policies).route(sigmoid(log_odds), fit.reach, failed, fit.languages)
    return np.asarray(routed.actions, dtype=np.int64)
