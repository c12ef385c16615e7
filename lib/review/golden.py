"""Items with known answers among the others, and what they say about a reviewer."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy.stats import binomtest

from lib.evaluation import Interval
from lib.records.review import GoldenAnswer, GoldenItem, ReviewItem
from lib.review.salt import opaque_id, share_of
from lib.review.settings import ReviewSettings


@dataclass(frozen=True, slots=True)
class GoldenMixer:
    """Decides by a reviewer's name and the item's number which items are golden.

    A golden item takes its neighbour's times and model version, so that nothing tells it apart.
    """

    settings: ReviewSettings

    def draws(self, reviewer: str, slot: int) -> bool:
        """Whether the reviewer's item number `slot`, from 0, is golden."""
        share = self.settings.golden_share
        return share_of(self.settings.draw_salt, "golden", reviewer, str(slot)) < share

    def item(
        self, unseen: Sequence[GoldenItem], like: ReviewItem, reviewer: str, slot: int
    ) -> ReviewItem:
        """One of the subjects, chosen by chance, as an item for this reviewer alone."""
        draw = share_of(self.settings.draw_salt, "golden choice", reviewer, str(slot))
        golden = unseen[int(draw * len(unseen))]
        name = opaque_id(self.settings.draw_salt, "golden", golden.id, reviewer)
        return ReviewItem(
            id=name, case_id=name, system=golden.system,
            subject_id=golden.subject_id, kind="golden", rule="golden_share",
            policies=golden.policies, severity=golden.severity, reach=golden.reach,
            priority=like.priority, created_at=like.created_at, due_at=like.due_at,
            rank_us=like.rank_us, policy_version=golden.policy_version,
            model_version=like.model_version, language=golden.language, skill=golden.skill,
            shown=golden.shown, for_reviewer=reviewer, known=golden.known,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Of one reviewer about one policy: right answers of so many, with Wilson's 95% interval."""

    answers: int
    right: int
    share: Interval


def accuracies(answers: Sequence[GoldenAnswer]) -> Mapping[tuple[str, str], Accuracy]:
    """How often each (reviewer, policy) was right on golden items.

    Interval: Wilson, Probable inference, JASA 22 (1927).
    """
    totals: Counter[tuple[str, str]] = Counter()
    right: Counter[tuple[str, str]] = Counter()
    for answer in answers:
        for policy, violates in answer.known.items():
            totals[answer.reviewer, policy] += 1
            right[answer.reviewer, policy] += answer.verdicts[policy] == violates
    return {key: _accuracy(count, right[key]) for key, count in sorted(totals.items())}


def _accuracy(answers: int, right: int) -> Accuracy:
    ends = binomtest(right, answers).proportion_ci(0.95, method="wilson")
    return Accuracy(answers, right, Interval(right / answers, float(ends.low), float(ends.high)))
