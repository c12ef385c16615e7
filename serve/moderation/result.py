"""What is made of a post: rules and models put together into one decision and its answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lib.moderation.model.outputs import Floats, Presence
from lib.moderation.policies import ACTIONS
from lib.moderation.post import MODALITIES
from lib.moderation.review.queue import Doubt
from lib.moderation.routing import REMOVE, REVIEW, UNDECODED, Routed
from lib.moderation.text_matching.lists import Hit
from lib.rules import Verdict
from serve.moderation.active_policies import PolicyBundle
from serve.moderation.post_preparation import PreparedPost
from serve.moderation.schemas import HitAnswer, PolicyAnswer

_SEVERITY_OF_THE_UNSEEN = 3
_RULE = "a rule decides"


@dataclass(frozen=True)
class DecisionResult:
    """A decision.

    Attributes:
        decision: ALLOW, REVIEW, REMOVE or PENDING.
        method: rule, model, fallback or pending.
        reason: in words.
        policy: that decided, if one did.
    """

    decision: str
    method: str
    reason: str
    policy: str | None = None


@dataclass(frozen=True)
class ModerationResult:
    """Everything that a post was judged by.

    Attributes:
        seen: the post.
        bundle: what it was held against.
        words: hits of word lists.
        verdict: of the rules.
        chances: (policies,) by the models, in the order of the policies; None where none ran.
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
        return {
            "text": self.prepared.post.text,
            "media": dict(self.prepared.kept),
            "undecoded": [failure.model_dump() for failure in self.prepared.undecoded],
            "hits": [hit.model_dump() for hit in self.hits],
            "reports": self.prepared.post.reports,
            "reason": self.choice.reason,
            "rule_id": self.verdict.rule_id,
        }


def from_rule(verdict: Verdict) -> DecisionResult | None:
    """The decision of a rule that needs no model; None where models are to be asked."""
    if verdict.action in ("REMOVE", "ALLOW"):
        return DecisionResult(verdict.action, "rule", verdict.reason or _RULE)
    return None


def from_model(
    verdict: Verdict, routed: Routed, probabilities: Floats, bundle: PolicyBundle
) -> DecisionResult:
    """What models come to, unless a rule asks for review and they do not remove the post."""
    action, policy = routed.words(0, bundle.policies)
    if verdict.action == "REVIEW" and int(routed.actions[0]) != REMOVE:
        return DecisionResult("REVIEW", "rule", verdict.reason or _RULE)
    return DecisionResult(action, "model", _reason(policy, routed, probabilities, bundle), policy)


def without_model(verdict: Verdict, why: str) -> DecisionResult:
    """The careful decision while a model is out: a person looks, if it is not back before."""
    if verdict.action == "REVIEW":
        return DecisionResult("REVIEW", "fallback", verdict.reason or _RULE)
    return DecisionResult("REVIEW", "fallback", f"the models are unavailable for a moment ({why})")


def pending(verdict: Verdict) -> DecisionResult:
    """While a video waits to be judged."""
    more = f"; {verdict.reason}" if verdict.action == "REVIEW" else ""
    return DecisionResult("PENDING", "pending", f"the video is being judged{more}")


def _reason(policy: str | None, routed: Routed, probabilities: Floats, bundle: PolicyBundle) -> str:
    if policy == UNDECODED:
        return "part of the post could not be decoded, so a person looks at it"
    if policy is None:
        return "no policy asks for more than to allow it"
    probability = float(probabilities[bundle.policies.ids.index(policy)])
    does = {REVIEW: "a person should look", REMOVE: "it is removed"}[int(routed.actions[0])]
    return f"{policy}: broken with a chance of {probability:.1%}; at these costs {does}"
