"""Writes the Grafana dashboards of business figures: `python -m cluster.dashboards`.

A panel is a title, a unit and queries; where it stands follows from its place in the list.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "grafana"
_PROMETHEUS = {"type": "prometheus", "uid": "${datasource}"}
_WIDTH, _HEIGHT = 8, 8


@dataclass(frozen=True)
class Panel:
    """One picture: its title, Grafana's name of the unit, and queries by legend."""

    title: str
    unit: str
    queries: dict[str, str]


def _rate(metric: str, *by: str) -> str:
    return f"sum by ({', '.join(by)}) (rate(ray_{metric}_total[$__rate_interval]))"


def _total(metric: str) -> str:
    return f"sum(rate(ray_{metric}_total[$__rate_interval]))"


def _quantile(share: float, metric: str, by: str) -> str:
    rates = f"rate(ray_{metric}_bucket[$__rate_interval])"
    return f"histogram_quantile({share}, sum by (le, {by}) ({rates}))"


_DECISIONS, _REQUESTS = "forewarn_fraud_decisions", "forewarn_requests"
_FRAUD = (
    Panel("Payments decided", "ops", {"{{decision}}": _rate(_DECISIONS, "decision")}),
    Panel(
        "Share declined and reviewed",
        "percentunit",
        {
            "{{decision}}": f"{_rate(_DECISIONS, 'decision')} / ignoring(decision) group_left "
            f"sum(rate(ray_{_DECISIONS}_total[$__rate_interval]))"
        },
    ),
    Panel("Decided by", "ops", {"{{method}}": _rate(_DECISIONS, "method")}),
    Panel(
        "Rules that fired",
        "ops",
        {"{{rule}} ({{status}})": _rate("forewarn_fraud_rule_hits", "rule", "status")},
    ),
    Panel(
        "Fallbacks, by what was out", "ops", {"{{out}}": _rate("forewarn_fraud_fallbacks", "out")}
    ),
    Panel(
        "Fallbacks scored again",
        "ops",
        {"again": _total("forewarn_fraud_rescored")},
    ),
    Panel(
        "Time of an answer",
        "ms",
        {
            "p50 {{route}}": _quantile(0.5, "forewarn_request_ms", "route"),
            "p99 {{route}}": _quantile(0.99, "forewarn_request_ms", "route"),
        },
    ),
    Panel(
        "Time of a stage, p99",
        "ms",
        {"{{stage}}": _quantile(0.99, "forewarn_fraud_stage_ms", "stage")},
    ),
    Panel(
        "Answers by status", "ops", {"{{status}} {{route}}": _rate(_REQUESTS, "status", "route")}
    ),
    Panel("Labels received", "ops", {"{{outcome}}": _rate("forewarn_fraud_labels", "outcome")}),
    Panel("Retries", "ops", {"{{payment}}": _rate("forewarn_fraud_retries", "payment")}),
    Panel(
        "Loads of models and rules",
        "ops",
        {"{{part}} {{outcome}}": _rate("forewarn_fraud_reloads", "part", "outcome")},
    ),
)


_MAINTENANCE = (
    Panel(
        "Predictions",
        "ops",
        {"{{decision}}": _rate("forewarn_maintenance_decisions", "decision")},
    ),
    Panel("Decided by", "ops", {"{{method}}": _rate("forewarn_maintenance_decisions", "method")}),
    Panel(
        "Rules that fired",
        "ops",
        {"{{rule}} ({{status}})": _rate("forewarn_maintenance_rule_hits", "rule", "status")},
    ),
    Panel(
        "Readings, by what became of them",
        "ops",
        {"{{outcome}}": _rate("forewarn_maintenance_readings", "outcome")},
    ),
    Panel(
        "Faulty sensors",
        "ops",
        {"{{sensor}} {{fault}}": _rate("forewarn_maintenance_sensor_faults", "sensor", "fault")},
    ),
    Panel(
        "Fallbacks, by what was out",
        "ops",
        {"{{out}}": _rate("forewarn_maintenance_fallbacks", "out")},
    ),
    Panel(
        "Fallbacks predicted again",
        "ops",
        {"again": _total("forewarn_maintenance_rescored")},
    ),
    Panel(
        "Weeks planned", "ops", {"{{outcome}}": _rate("forewarn_maintenance_schedules", "outcome")}
    ),
    Panel(
        "Work orders closed", "ops", {"{{result}}": _rate("forewarn_maintenance_orders", "result")}
    ),
    Panel(
        "Time of an answer, p99",
        "ms",
        {"{{route}}": _quantile(0.99, "forewarn_request_ms", "route")},
    ),
    Panel(
        "Answers by status", "ops", {"{{status}} {{route}}": _rate(_REQUESTS, "status", "route")}
    ),
    Panel(
        "Loads of models and rules",
        "ops",
        {"{{part}} {{outcome}}": _rate("forewarn_maintenance_reloads", "part", "outcome")},
    ),
)
_CHURN = (
    Panel(
        "Customers scored", "ops", {"{{decision}}": _rate("forewarn_churn_decisions", "decision")}
    ),
    Panel("Decided by", "ops", {"{{method}}": _rate("forewarn_churn_decisions", "method")}),
    Panel("Health", "ops", {"{{band}}": _rate("forewarn_churn_bands", "band")}),
    Panel(
        "Rules that fired",
        "ops",
        {"{{rule}} ({{status}})": _rate("forewarn_churn_rule_hits", "rule", "status")},
    ),
    Panel(
        "Rows received, by table and outcome",
        "ops",
        {
            "{{table}} {{outcome}}": _rate("forewarn_churn_events", "table", "outcome"),
            "contradicting": _total("forewarn_churn_contradictions"),
        },
    ),
    Panel(
        "Customers chosen, by playbook and arm",
        "ops",
        {
            "{{playbook}} {{arm}}": _rate("forewarn_churn_interventions", "playbook", "arm"),
            "days planned {{outcome}}": _rate("forewarn_churn_plans", "outcome"),
        },
    ),
    Panel(
        "Outcomes of interventions",
        "ops",
        {"{{kind}} {{value}}": _rate("forewarn_churn_outcomes", "kind", "value")},
    ),
    Panel("Health overridden", "ops", {"overrides": _total("forewarn_churn_overrides")}),
    Panel(
        "Fallbacks, by what was out",
        "ops",
        {
            "{{out}}": _rate("forewarn_churn_fallbacks", "out"),
            "scored again": _total("forewarn_churn_rescored"),
        },
    ),
    Panel(
        "Time of an answer, p99",
        "ms",
        {"{{route}}": _quantile(0.99, "forewarn_request_ms", "route")},
    ),
    Panel(
        "Answers by status", "ops", {"{{status}} {{route}}": _rate(_REQUESTS, "status", "route")}
    ),
    Panel(
        "Loads of models, rules and playbooks",
        "ops",
        {"{{part}} {{outcome}}": _rate("forewarn_churn_reloads", "part", "outcome")},
    ),
)
_MODERATION = (
    Panel(
        "Posts decided", "ops", {"{{decision}}": _rate("forewarn_moderation_decisions", "decision")}
    ),
    Panel("Decided by", "ops", {"{{method}}": _rate("forewarn_moderation_decisions", "method")}),
    Panel(
        "Policies that would have acted",
        "ops",
        {"{{policy}} {{action}}": _rate("forewarn_moderation_policies", "policy", "action")},
    ),
    Panel(
        "Media that could not be used",
        "ops",
        {"{{modality}}: {{reason}}": _rate("forewarn_moderation_undecoded", "modality", "reason")},
    ),
    Panel(
        "Rules that fired",
        "ops",
        {
            "{{rule}} ({{status}})": _rate("forewarn_moderation_rule_hits", "rule", "status"),
            "listed: {{kind}}": _rate("forewarn_moderation_hits", "kind"),
        },
    ),
    Panel(
        "Fallbacks, by what was out",
        "ops",
        {
            "{{out}}": _rate("forewarn_moderation_fallbacks", "out"),
            "judged afterwards": _total("forewarn_moderation_rescored"),
            "asked again": _total("forewarn_moderation_retries"),
        },
    ),
    Panel(
        "Review: items leased and decided",
        "ops",
        {
            "leased": _total("forewarn_moderation_claimed"),
            "{{kind}}: {{outcome}}": _rate("forewarn_moderation_verdicts", "kind", "outcome"),
        },
    ),
    Panel("Appeals", "ops", {"{{outcome}}": _rate("forewarn_moderation_appeals", "outcome")}),
    Panel(
        "Time of a stage, p99",
        "ms",
        {"{{stage}}": _quantile(0.99, "forewarn_moderation_stage_ms", "stage")},
    ),
    Panel(
        "Posts judged by one call of a model, p95",
        "short",
        {"{{modality}}": _quantile(0.95, "forewarn_moderation_batch_posts", "modality")},
    ),
    Panel(
        "Time of an answer, p99",
        "ms",
        {"{{route}}": _quantile(0.99, "forewarn_request_ms", "route")},
    ),
    Panel(
        "Answers by status", "ops", {"{{status}} {{route}}": _rate(_REQUESTS, "status", "route")}
    ),
    Panel(
        "Loads of models, rules, policies and lists",
        "ops",
        {"{{part}} {{outcome}}": _rate("forewarn_moderation_reloads", "part", "outcome")},
    ),
)
SYSTEMS = {
    "fraud": _FRAUD,
    "maintenance": _MAINTENANCE,
    "churn": _CHURN,
    "moderation": _MODERATION,
}


def dashboard(system: str) -> dict[str, Any]:
    """What Grafana imports, of one of `SYSTEMS`."""
    return {
        "uid": f"forewarn-{system}",
        "title": f"Forewarn: {system}",
        "tags": ["forewarn"],
        "schemaVersion": 39,
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "30s",
        "templating": {
            "list": [{"name": "datasource", "type": "datasource", "query": "prometheus"}]
        },
        "panels": [_panel(number, panel) for number, panel in enumerate(SYSTEMS[system])],
    }


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    row, column = divmod(number, 24 // _WIDTH)
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "datasource": _PROMETHEUS,
        "gridPos": {"h": _HEIGHT, "w": _WIDTH, "x": column * _WIDTH, "y": row * _HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + index), "expr": query, "legendFormat": legend}
            for index, (legend, query) in enumerate(panel.queries.items())
        ],
    }


def text(system: str) -> str:
    """The content of a system's file."""
    return json.dumps(dashboard(system), indent=1) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name in SYSTEMS:
        (FOLDER / f"{name}.json").write_text(text(name))
