"""The record of a decision, and what is counted of it: the same in every system."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lib.records.models import Row
from lib.rules import Verdict
from serve.framework.metrics import Metrics


class DecisionCounter:
    """Counts decisions, fallbacks and hits of rules.

    Args:
        metrics: has the counters `forewarn_<system>_decisions`, `_fallbacks` and `_rule_hits`.
        system: whose decisions these are.
    """

    def __init__(self, metrics: Metrics, system: str) -> None:
        self._metrics = metrics
        self._decisions = f"forewarn_{system}_decisions"
        self._fallbacks = f"forewarn_{system}_fallbacks"
        self._rule_hits = f"forewarn_{system}_rule_hits"

    def count(
        self,
        log_fields: dict[str, Any],
        decision: str,
        method: str,
        verdict: Verdict,
        unavailable: str,
    ) -> None:
        """Counts a decision, and adds it to the log line of its request.

        Args:
            log_fields: of the request.
            decision: that was answered.
            method: who decided.
            verdict: of the rules.
            unavailable: what did not answer, if the decision is a fallback's.
        """
        log_fields["decision"], log_fields["by"] = decision, method
        self._metrics.count(self._decisions, decision, method)
        if method == "fallback":
            log_fields["out"] = unavailable
            self._metrics.count(self._fallbacks, unavailable)
        for rule in verdict.hits:
            self._metrics.count(self._rule_hits, rule, "active")
        for rule in verdict.shadow_hits:
            self._metrics.count(self._rule_hits, rule, "shadow")


def decision_row(
    answer: Mapping[str, Any], verdict: Verdict, features: Mapping[str, Any], **columns: Any
) -> Row:
    """The columns of `Decision` for an answer; `DecisionStore.append` refuses others.

    Args:
        answer: the body that is sent, with `decision`, `method`, `rule_id`, `model_version`,
            `request_id` and `latency_ms`.
        verdict: of the rules.
        features: that rules and model read.
        columns: the columns that differ between systems.
    """
    return {
        **columns,
        "decision": answer["decision"],
        "method": answer["method"],
        "rule_id": answer["rule_id"],
        "rule_hits": verdict.hits,
        "shadow_hits": verdict.shadow_hits,
        "model_version": answer["model_version"],
        "features": features if isinstance(features, dict) else dict(features),
        "request_id": answer["request_id"],
        "latency_ms": answer["latency_ms"],
        "answer": answer,
    }
