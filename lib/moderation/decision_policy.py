"""From the verdict of rules and the routing of the model to a decision."""

from dataclasses import dataclass

from lib.moderation.policy_bundle import PolicyBundle
from lib.moderation.review.content import model_reason
from lib.moderation.routing import REMOVE, UNDECODED, Floats, Routed
from lib.rules import Verdict

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
    return DecisionResult("REVIEW", "fallback", f"the models are temporarily unavailable ({why})")


def pending(verdict: Verdict) -> DecisionResult:
    """While a video waits to be judged."""
    more = f"; {verdict.reason}" if verdict.action == "REVIEW" else ""
    return DecisionResult("PENDING", "pending", f"the video is being analysed{more}")


def _reason(policy: str | None, routed: Routed, probabilities: Floats, bundle: PolicyBundle) -> str:
    if policy == UNDECODED:
        return "part of the post could not be decoded, so a person reviews it"
    if policy is None:
        return "no policy requires review or removal"
    probability = float(probabilities[bundle.policies.ids.index(policy)])
    return model_reason(policy, probability, int(routed.actions[0]))
