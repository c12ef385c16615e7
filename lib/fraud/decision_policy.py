"""From a verdict and a model score to an answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lib.fraud.model.scoring import ModelScore
from lib.rules import Verdict

_APPROVED = "no rule matched and the score is below the review threshold"
_STOPPED = "the combined score is above the threshold"
_OUT = {
    "history": "the customer's history is temporarily unavailable",
    "model": "the model is temporarily unavailable",
}


@dataclass(frozen=True, slots=True)
class DecisionResult:
    """A decision and its grounds.

    Attributes:
        decision: APPROVE, REVIEW or DECLINE.
        method: rule, model or fallback.
        reason: one sentence.
        reasons: code, words, feature, value, contribution each.
    """

    decision: str
    method: str
    reason: str
    reasons: tuple[Mapping[str, Any], ...]


def decide(
    verdict: Verdict, model_score: ModelScore | None, complete: bool, amount_minor: int, cap: float
) -> DecisionResult:
    """Rules first, then the model; without history or model, rules and the cap on the amount.

    Args:
        verdict: of the rules that could be evaluated.
        model_score: of the model, None while it is out.
        complete: whether history was known.
        amount_minor: minor units.
        cap: largest amount that a fallback approves, minor units.
    """
    if complete and verdict.action is not None:
        return DecisionResult(verdict.action, "rule", verdict.reason, _rule_reasons(verdict))
    if complete and model_score is not None:
        reason = _APPROVED if model_score.decision == "APPROVE" else _STOPPED
        if model_score.reasons:
            reason = model_score.reasons[0]["words"]
        return DecisionResult(model_score.decision, "model", reason, model_score.reasons)
    return _fallback(verdict, "model" if complete else "history", amount_minor, cap)


def _fallback(verdict: Verdict, out: str, amount_minor: int, cap: float) -> DecisionResult:
    text = _OUT[out]
    grounds: dict[str, Any] = {"code": f"{out.upper()}_UNAVAILABLE", "words": text}
    if verdict.action is not None:
        reasons = (*_rule_reasons(verdict), _reason(**grounds))
        return DecisionResult(verdict.action, "fallback", verdict.reason, reasons)
    over = amount_minor > cap
    size = "above" if over else "up to"
    reason = f"{text}; amounts {size} the cap are {'reviewed' if over else 'approved'} meanwhile"
    code = "AMOUNT_ABOVE_CAP" if over else "AMOUNT_WITHIN_CAP"
    capped = _reason(code=code, words=f"Amount {size} the cap of a fallback", feature="amount")
    return DecisionResult(
        "REVIEW" if over else "APPROVE", "fallback", reason, (_reason(**grounds), capped)
    )


def _rule_reasons(verdict: Verdict) -> tuple[Mapping[str, Any], ...]:
    code, confidence = str(verdict.rule_id).upper(), verdict.confidence
    return (_reason(code=code, words=verdict.reason, contribution=confidence),)


def _reason(
    code: str, words: str, feature: str | None = None, contribution: float | None = None
) -> Mapping[str, Any]:
    return {
        "code": code,
        "words": words,
        "feature": feature,
        "value": None,
        "contribution": contribution,
    }
