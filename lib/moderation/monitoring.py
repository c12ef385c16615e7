"""Precision and recall of each policy by what people found, and how far they agree."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lib.business.outcomes import Flags, Floats
from lib.moderation.identity.flag_rates import flag_rates_by_term
from lib.moderation.identity.terms import IdentityTerm, packaged_terms
from lib.moderation.outcomes import verdicts_of
from lib.moderation.policies import ACTIONS
from lib.monitoring.review_performance import (
    PolicyQuality,
    ReviewedRows,
    combined_inclusion,
    policy_quality,
)
from lib.monitoring.system_figures import (
    DecidedWindow,
    FigureTable,
    interval_text,
    realised_figure,
)
from lib.records.json_codec import read_json
from lib.records.review import OpinionPair, QueueReason
from lib.report import Cell
from lib.review.agreement import Agreement, agreement_by_policy

_RANDOM = "random"
_REVIEW = "REVIEW"


@dataclass(frozen=True)
class ReviewEvidence:
    """What the review queue knows of a window.

    Attributes:
        reasons: why posts came to be reviewed; None where the queue cannot be read. Without one
            about any post of the window only what decisions sent to people counts.
        pairs: independent opinions about one post.
    """

    reasons: Iterable[QueueReason] | None = None
    pairs: Sequence[OpinionPair] = ()


@dataclass(frozen=True)
class ReviewFigures:
    """See `lib.monitoring.system_figures.SystemFigures`.

    A post that the service sent to people about a policy is reviewed for certain, one that was
    drawn at random with the probability of the draw, both as far as reviews are in by now. Posts
    that were drawn because a model was unsure, or that came by an appeal, speak for no others.

    Attributes:
        policies: their ids.
        evidence: of the queue, from and until microseconds since 1970 UTC.
        seed: of intervals.
        terms: identity terms whose flag rates are compared.
    """

    policies: tuple[str, ...]
    evidence: Callable[[int, int], ReviewEvidence]
    seed: int = 7
    terms: Sequence[IdentityTerm] = field(default_factory=packaged_terms)

    def __call__(self, window: DecidedWindow) -> list[FigureTable]:
        """Quality by policy, agreement, then flag rates by identity term."""
        evidence = self.evidence(window.since, window.as_of)
        reviewed = _Reviewed.of(window, self.policies, evidence.reasons)
        flagged = _flagged(window.decisions, self.policies)
        return [
            self._quality(reviewed),
            self._agreement(evidence.pairs),
            flag_rates_by_term(
                _texts(window.decisions), flagged, reviewed.entity, self.policies, self.terms
            ),
        ]

    def _quality(self, reviewed: "_Reviewed") -> FigureTable:
        rows: list[tuple[Cell, ...]] = []
        figures, notes = [], list(reviewed.notes())
        for column, policy in enumerate(self.policies):
            own = reviewed.rows(column)
            if not len(own.entity):
                notes.append(f"policy {policy}: no reviewed post speaks for others")
                continue
            quality = policy_quality(own, seed=self.seed)
            rows.append(_quality_row(policy, own, quality))
            figures += [
                realised_figure(
                    f"{name} {policy}", interval, quality.rows, len(np.unique(own.entity)),
                    float(own.violates.sum()), reviewed.share_in(column),
                )
                for name, interval in (("precision", quality.precision), ("recall", quality.recall))
            ]  # fmt: skip
        return FigureTable(
            "Precision and recall by policy, from reviews",
            ("policy", "precision", "recall", "reviewed", "worth", "flagged", "violate"),
            tuple(rows),
            "each review weighs as many posts as it speaks for; worth: reviews of equal weight "
            "that would say as much; in brackets 95% limits over authors",
            tuple(figures),
            tuple(notes),
        )

    def _agreement(self, pairs: Sequence[OpinionPair]) -> FigureTable:
        sampled = [pair for pair in pairs if pair.rule == "sample"]
        agreements = agreement_by_policy(sampled, self.seed)
        return FigureTable(
            "Agreement of two reviewers, on posts that were drawn at random for a second opinion",
            ("policy", "posts", "equal answers", "kappa"),
            tuple(_agreement_row(name, own) for name, own in agreements.items()),
            "kappa (Cohen): 1 is full agreement, 0 what chance gives; in brackets 95% limits",
            tuple(
                realised_figure(f"agreement {name}", own.kappa, own.pairs, own.pairs, float("nan"))
                for name, own in agreements.items()
            ),
            () if sampled else ("no post was decided by two reviewers apart, so how far they agree "
                                "is not known",),
        )  # fmt: skip


def _quality_row(policy: str, rows: ReviewedRows, quality: PolicyQuality) -> tuple[Cell, ...]:
    return (
        policy, interval_text(quality.precision), interval_text(quality.recall), quality.rows,
        f"{quality.effective:.0f}", int(rows.flagged.sum()), int(rows.violates.sum()),
    )  # fmt: skip


def _agreement_row(policy: str, own: Agreement) -> tuple[Cell, ...]:
    return policy, own.pairs, f"{own.equal:.1%}", interval_text(own.kappa)


@dataclass(frozen=True)
class _Reviewed:
    """Posts (n,) and policies (k,) with how each pair came to be reviewed.

    Attributes:
        entity: (n,) codes of authors.
        flagged: (n, k) whether the model acted.
        violates: (n, k) 1 or 0 by people; NaN where nobody has said so far.
        sent: (n, k) whether the service sent it to people about the policy.
        propensity: (n, k) probability with which it was drawn at random, 0 where it was not.
        knows_queue: whether a queue that these posts were in was read.
    """

    entity: Any
    flagged: Flags
    violates: Floats
    sent: Flags
    propensity: Floats
    knows_queue: bool

    @classmethod
    def of(
        cls,
        window: DecidedWindow,
        policies: tuple[str, ...],
        reasons: Iterable[QueueReason] | None,
    ) -> "_Reviewed":
        posts = window.decisions
        subjects = posts["subject_id"]
        flagged = _flagged(posts, policies)
        sent, propensity = np.zeros_like(flagged), np.zeros(flagged.shape)
        knows_queue = False
        rows = {name: row for row, name in enumerate(subjects.to_pylist())}
        columns = {name: at for at, name in enumerate(policies)}
        for reason in reasons or ():
            row = rows.get(reason.subject_id)
            if row is None:
                continue
            knows_queue = True
            about = [columns[name] for name in reason.policies if name in columns]
            if reason.selected is None:
                sent[row, about] = True
            elif reason.selected == _RANDOM and reason.propensity:
                propensity[row, about] = reason.propensity
        if not knows_queue:
            sent = flagged & np.asarray(pc.equal(posts["decision"], _REVIEW))[:, None]
        violates, _ = verdicts_of(subjects, window.labels, policies, window.as_of)
        authors = pc.coalesce(posts["entity_id"], posts["subject_id"]).combine_chunks()
        return cls(
            entity=authors.dictionary_encode().indices.to_numpy().astype(np.int64),
            flagged=flagged,
            violates=violates,
            sent=sent,
            propensity=propensity,
            knows_queue=knows_queue,
        )

    def share_in(self, column: int) -> float:
        """Share with a review of the posts in the queue that speak for others about a policy."""
        drawn = self.propensity[:, column] > 0
        return _share(self._is_known[:, column], self.sent[:, column] | drawn)

    def rows(self, column: int) -> ReviewedRows:
        """Those about a policy that speak for others."""
        sent, drawn = self.sent[:, column], self.propensity[:, column]
        known = self._is_known[:, column]
        in_time = (_share(known, sent), _share(known, drawn > 0))
        by_service = np.where(sent, in_time[0], 0.0)
        inclusion = combined_inclusion(by_service, drawn * in_time[1])
        chosen = np.flatnonzero(known & (inclusion > 0))
        return ReviewedRows(
            self.entity[chosen],
            self.flagged[chosen, column],
            self.violates[chosen, column] > 0.5,
            inclusion[chosen],
        )

    def notes(self) -> list[str]:
        """What the figures do not speak for."""
        if not self.knows_queue:
            return ["why posts were reviewed is in the records of their queue (--records), of "
                    "which none were given, so precision and recall speak of posts sent to people "
                    "alone"]  # fmt: skip
        if not (self.propensity > 0).any():
            return ["no post was drawn at random for review (jobs.moderation.select), so precision "
                    "and recall speak of posts sent to people alone"]  # fmt: skip
        return []

    @property
    def _is_known(self) -> Flags:
        return ~np.isnan(self.violates)


def _share(known: Flags, among: Flags) -> float:
    return float(known[among].mean()) if among.any() else 0.0


def _flagged(posts: pa.Table, policies: tuple[str, ...]) -> Flags:
    """(n, k) whether a policy alone would have acted; of rules, the policy that they named."""
    flagged = np.zeros((posts.num_rows, len(policies)), dtype=np.bool_)
    columns = {name: at for at, name in enumerate(policies)}
    pairs = zip(posts["answer"].to_pylist(), posts["decision"].to_pylist(), strict=True)
    for row, (text, decision) in enumerate(pairs):
        answer = read_json(text or "{}")
        own = answer.get("policies") or {answer.get("policy"): {"action": decision}}
        for name, part in own.items():
            if name in columns and part.get("action") in ACTIONS[1:]:
                flagged[row, columns[name]] = True
    return flagged


def _texts(posts: pa.Table) -> list[str]:
    """Texts of posts as the records keep them, "" where there is none."""
    return [read_json(text or "{}").get("text") or "" for text in posts["request"].to_pylist()]
