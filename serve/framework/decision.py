"""What all systems do alike where they decide, and what the parts of an application share."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lib.concurrency.background_tasks import BackgroundTasks
from lib.rules import Verdict
from serve.framework.asgi import RequestContext
from serve.framework.decision_store import DecisionStore
from serve.framework.experiment import ExperimentRunner
from serve.framework.metrics import Metrics
from serve.framework.problem import Problem
from serve.framework.reloadable import ActiveRules
from serve.framework.trial import Read, Score, Trial
from serve.framework.validation import Clock


@dataclass(frozen=True, slots=True)
class ServiceParts:
    """What the parts of an application share.

    Attributes:
        system: its name.
        clock: the present, and the bounds of callers' times.
        active_rules: rules in force.
        decision_store: where decisions go.
        meter: counts and times.
        background: runs what may follow an answer.
        experiments: the experiment that runs, if one does.
    """

    system: str
    clock: Clock
    active_rules: ActiveRules
    decision_store: DecisionStore
    meter: Metrics
    background: BackgroundTasks
    experiments: ExperimentRunner


class Decider:
    """What decides in an application: a system's own adds how.

    Args:
        parts: of the application.
        digest: of the features that rules and model read.
    """

    def __init__(self, parts: ServiceParts, digest: str) -> None:
        self._system, self._digest = parts.system, digest
        self._clock, self._active_rules = parts.clock, parts.active_rules
        self._decision_store, self._background = parts.decision_store, parts.background
        self._meter, self._experiments = parts.meter, parts.experiments
        name = f"forewarn_{parts.system}"
        self._decisions, self._fallbacks = f"{name}_decisions", f"{name}_fallbacks"
        self._rule_hits = f"{name}_rule_hits"

    def _trial_of(self, entities: Mapping[str, Any], read: Read[Score]) -> Trial[Score] | None:
        """A trial of a subject; None where no experiment is about it.

        Args:
            entities: of the decision, names to ids.
            read: turns the challenger's answer into a score.
        """
        active = self._experiments.active
        if active is None or active.stored.is_past(self._clock.now()):
            return None
        return active.begin(entities, read)

    def _record(
        self,
        context: RequestContext,
        answer: Mapping[str, Any],
        verdict: Verdict,
        features: Mapping[str, Any],
        unavailable: str,
        **columns: Any,
    ) -> None:
        """Keeps a decision, counts it, and adds it to the log line of its request.

        Args:
            context: of the request.
            answer: the body that is sent, with `decision`, `method`, `rule_id`, `model_version`,
                `request_id` and `latency_ms`.
            verdict: of the rules.
            features: that rules and model read.
            unavailable: what did not answer, if the decision is a fallback's.
            columns: of `Decision`, those that differ between systems.
        """
        row = {
            "system": self._system,
            "decided_at": self._clock.now(),
            "decision": answer["decision"],
            "method": answer["method"],
            "rule_id": answer["rule_id"],
            "rule_hits": verdict.hits,
            "shadow_hits": verdict.shadow_hits,
            "model_version": answer["model_version"],
            "rules_version": self._active_rules.current.version,
            "feature_set_digest": self._digest,
            "features": features if isinstance(features, dict) else dict(features),
            "request_id": answer["request_id"],
            "latency_ms": answer["latency_ms"],
            "answer": answer,
        }
        row.update(columns)
        self._decision_store.append(row)
        self._count(context.log_fields, answer["decision"], answer["method"], verdict, unavailable)

    def _count(
        self,
        log_fields: dict[str, Any],
        decision: str,
        method: str,
        verdict: Verdict,
        unavailable: str,
    ) -> None:
        log_fields["decision"], log_fields["by"] = decision, method
        self._meter.count(self._decisions, decision, method)
        if method == "fallback":
            log_fields["out"] = unavailable
            self._meter.count(self._fallbacks, unavailable)
        for rule in verdict.hits:
            self._meter.count(self._rule_hits, rule, "active")
        for rule in verdict.shadow_hits:
            self._meter.count(self._rule_hits, rule, "shadow")


@contextmanager
def unavailable(what: str, *errors: type[Exception]) -> Iterator[None]:
    """Turns errors of dependencies into a 503 that says what is unavailable.

    Raises:
        Problem: 503 where one of `errors` is raised within.
    """
    try:
        yield
    except errors as error:
        raise Problem.unavailable(f"{what}; send the same request again") from error
