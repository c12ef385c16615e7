"""What a post was decided by: rules, hits, models and the decision."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, Field

from lib.moderation.decision_policy import DecisionResult
from lib.moderation.model.outputs import Floats, Presence
from lib.moderation.policies import ACTIONS
from lib.moderation.policy_bundle import PolicyBundle
from lib.moderation.post import MODALITIES
from lib.moderation.prepared_post import PreparedPost
from lib.moderation.review.content import post_content
from lib.moderation.review.items import Doubt
from lib.moderation.routing import Routed
from lib.moderation.text_matching.lists import Hit
from lib.rules import Verdict

_SEVERITY_OF_THE_UNSEEN = 3
Action = Literal["ALLOW", "REVIEW", "REMOVE"]


class PolicyAnswer(BaseModel):
    """Result of one policy for a post."""

    probability: float = Field(
        description="Calibrated probability that the post violates the policy, 0 to 1."
    )
    action: Action = Field(description="Action that this policy alone would take.")


class HitAnswer(BaseModel):
    """A match of a word list or of a list of known media."""

    kind: Literal["word", "hash"] = Field(
        description="Kind of the list: words of texts, or hashes of known media."
    )
    entry: str = Field(
        description="Entry of the word list that matched, or the medium that matched a known one: "
        "`images.N` or `video`."
    )
    policy: str | None = Field(
        description="Id of the policy that the entry belongs to; null if it belongs to none."
    )
    start: int | None = Field(
        description="Index of the first matching character of the text, from 0; null for media."
    )
    end: int | None = Field(
        description="Index after the last matching character of the text; null for media."
    )
    text: str | None = Field(description="Text that matched, as in the post; null for media.")
    distance: int | None = Field(
        description="Number of bits in which the hashes differ, 0 for an exact match; null for "
        "words."
    )


@dataclass(frozen=True)
class ModerationResult:
    """Everything that a post was judged by.

    Attributes:
        prepared: the post.
        bundle: what it was held against.
        words: hits of word lists.
        verdict: of the rules.
        probabilities: (policies,) by the models, in the order of the policies; None where none ran.
        routed: what they come to.
        model_version: whose they are.
        choice: the decision.
        history: features of the author that the rules saw.
        stages_ms: times by stage.
    """

    prepared: PreparedPost
    bundle: PolicyBundle
    words: tuple[Hit, ...]
    verdict: Verdict
    probabilities: Floats | None
    routed: Routed | None
    model_version: str | None
    choice: DecisionResult
    history: Mapping[str, float] = field(default_factory=dict)
    stages_ms: Mapping[str, float] = field(default_factory=dict)

    @property
    def policies(self) -> dict[str, PolicyAnswer]:
        """What each policy makes of the post; empty where no model ran."""
        if self.probabilities is None or self.routed is None:
            return {}
        return {
            name: PolicyAnswer(probability=float(probability), action=ACTIONS[int(code)])
            for name, probability, code in zip(
                self.bundle.policies.ids, self.probabilities, self.routed.by_policy[0], strict=True
            )
        }

    @property
    def hits(self) -> list[HitAnswer]:
        """Hits of words, by their place, then of media."""
        word_hits = [
            HitAnswer(
                kind="word", entry=hit.entry, policy=hit.policy, start=hit.start, end=hit.end,
                text=hit.text, distance=None,
            )
            for hit in self.words
        ]  # fmt: skip
        media = [
            HitAnswer(
                kind="hash", entry=media_key, policy=near.known.policy, start=None, end=None,
                text=None, distance=near.distance,
            )
            for media_key, near in self.prepared.hashes.items()
        ]  # fmt: skip
        return word_hits + media

    @property
    def presence(self) -> dict[str, str]:
        """`present`, `absent` or `failed` by modality."""
        marks = self.prepared.inputs.presence
        return {
            name: Presence(mark).name.lower() for name, mark in zip(MODALITIES, marks, strict=True)
        }

    @property
    def broken(self) -> dict[str, float]:
        """The policies that a person has to decide about, to the chance that each is broken.

        Those that asked for review or removal, and those of hits; where only broken media or a
        rule did, all of them.
        """
        probabilities = {name: policy.probability for name, policy in self.policies.items()}
        named = {name for name, policy in self.policies.items() if policy.action != "ALLOW"}
        named |= {hit.policy for hit in self.hits if hit.policy is not None}
        names = [name for name in self.bundle.policies.ids if name in named or not named]
        return {name: probabilities.get(name, 0.5) for name in names}

    def doubt(self) -> Doubt:
        """The post as the review queue takes it."""
        post, broken = self.prepared.post, self.broken
        severities = [self.bundle.policies.named(name).severity for name in broken]
        unseen = bool(self.prepared.undecoded)
        return Doubt(
            post_id=post.post_id,
            policies=broken,
            severity=max([*severities, *([_SEVERITY_OF_THE_UNSEEN] if unseen else [])]),
            reach=post.reach,
            policy_version=self.bundle.version,
            model_version=self.model_version,
            shown=self.shown(),
            language=post.language,
        )

    def shown(self) -> dict[str, Any]:
        """What reviewers see of the post."""
        return post_content(
            self.prepared.post.text,
            self.prepared.post.reports,
            self.choice.reason,
            media=self.prepared.kept,
            undecoded=[failure.model_dump() for failure in self.prepared.undecoded],
            hits=[hit.model_dump() for hit in self.hits],
            rule_id=self.verdict.rule_id,
        )
