"""Writes the Grafana dashboards of business figures: `python -m cluster.dashboards`.

A dashboard is a table: the title of each panel, and its metrics by legend. The labels in a legend
are what its query groups by; where a panel stands follows from its place in the table.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "grafana"
_PROMETHEUS = {"type": "prometheus", "uid": "${datasource}"}
_WIDTH, _HEIGHT = 8, 8
_OF_ALL_SYSTEMS = ("requests", "request_ms")
_UNITS = {"_ms": "ms", "_posts": "short"}

Panels = dict[str, dict[str, str]]
"""Metrics by legend, by title. A metric is counted per second unless a word stands before it:
a quantile of a histogram, or `share` for the share of its total."""

_RULES = {"{{rule}} ({{status}})": "rule_hits"}
_STATUS: Panels = {"Answers by status": {"{{status}} {{route}}": "requests"}}
_ANSWERS: Panels = {"Time of an answer, p99": {"{{route}}": "0.99 request_ms"}, **_STATUS}
_RELOADS = {"{{part}} {{outcome}}": "reloads"}

SYSTEMS: dict[str, Panels] = {
    "fraud": {
        "Payments decided": {"{{decision}}": "decisions"},
        "Share declined and reviewed": {"{{decision}}": "share decisions"},
        "Decided by": {"{{method}}": "decisions"},
        "Rules that fired": _RULES,
        "Fallbacks, by what was out": {"{{out}}": "fallbacks"},
        "Fallbacks scored again": {"again": "rescored"},
        "Time of an answer": {
            "p50 {{route}}": "0.5 request_ms",
            "p99 {{route}}": "0.99 request_ms",
        },
        "Time of a stage, p99": {"{{stage}}": "0.99 stage_ms"},
        **_STATUS,
        "Labels received": {"{{outcome}}": "labels"},
        "Retries": {"{{payment}}": "retries"},
        "Loads of models and rules": _RELOADS,
    },
    "maintenance": {
        "Predictions": {"{{decision}}": "decisions"},
        "Decided by": {"{{method}}": "decisions"},
        "Rules that fired": _RULES,
        "Readings, by what became of them": {"{{outcome}}": "readings"},
        "Faulty sensors": {"{{sensor}} {{fault}}": "sensor_faults"},
        "Fallbacks, by what was out": {"{{out}}": "fallbacks"},
        "Fallbacks predicted again": {"again": "rescored"},
        "Weeks planned": {"{{outcome}}": "schedules"},
        "Work orders closed": {"{{result}}": "orders"},
        **_ANSWERS,
        "Loads of models and rules": _RELOADS,
    },
    "churn": {
        "Customers scored": {"{{decision}}": "decisions"},
        "Decided by": {"{{method}}": "decisions"},
        "Health": {"{{band}}": "bands"},
        "Rules that fired": _RULES,
        "Rows received, by table and outcome": {
            "{{table}} {{outcome}}": "events",
            "contradicting": "contradictions",
        },
        "Customers chosen, by playbook and arm": {
            "{{playbook}} {{arm}}": "interventions",
            "days planned {{outcome}}": "plans",
        },
        "Outcomes of interventions": {"{{kind}} {{value}}": "outcomes"},
        "Health overridden": {"overrides": "overrides"},
        "Fallbacks, by what was out": {"{{out}}": "fallbacks", "scored again": "rescored"},
        **_ANSWERS,
        "Loads of models, rules and playbooks": _RELOADS,
    },
    "moderation": {
        "Posts decided": {"{{decision}}": "decisions"},
        "Decided by": {"{{method}}": "decisions"},
        "Policies that would have acted": {"{{policy}} {{action}}": "policies"},
        "Media that could not be used": {"{{modality}}: {{reason}}": "undecoded"},
        "Rules that fired": {**_RULES, "listed: {{kind}}": "hits"},
        "Fallbacks, by what was out": {
            "{{out}}": "fallbacks",
            "judged afterwards": "rescored",
            "asked again": "retries",
        },
        "Review: items leased and decided": {
            "leased": "claimed",
            "{{kind}}: {{outcome}}": "verdicts",
        },
        "Appeals": {"{{outcome}}": "appeals"},
        "Time of a stage, p99": {"{{stage}}": "0.99 stage_ms"},
        "Posts judged by one call of a model, p95": {"{{modality}}": "0.95 batch_posts"},
        **_ANSWERS,
        "Loads of models, rules, policies and lists": _RELOADS,
    },
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
        "panels": [
            _panel(system, number, title, metrics)
            for number, (title, metrics) in enumerate(SYSTEMS[system].items())
        ],
    }


def _panel(system: str, number: int, title: str, metrics: dict[str, str]) -> dict[str, Any]:
    row, column = divmod(number, 24 // _WIDTH)
    unit = _unit(next(iter(metrics.values())))
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": title,
        "datasource": _PROMETHEUS,
        "gridPos": {"h": _HEIGHT, "w": _WIDTH, "x": column * _WIDTH, "y": row * _HEIGHT},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "expr": _query(system, legend, metric),
                "legendFormat": legend,
            }
            for index, (legend, metric) in enumerate(metrics.items())
        ],
    }


def _unit(metric: str) -> str:
    """Grafana's name of the unit of a metric."""
    if metric.startswith("share "):
        return "percentunit"
    return next((unit for end, unit in _UNITS.items() if metric.endswith(end)), "ops")


def _query(system: str, legend: str, metric: str) -> str:
    """What Prometheus is asked for a metric, grouped by the labels of its legend."""
    word, _, name = metric.rpartition(" ")
    series = f"ray_forewarn_{name if name in _OF_ALL_SYSTEMS else f'{system}_{name}'}"
    total = f"(rate({series}_total[$__rate_interval]))"
    by = ", ".join(re.findall(r"{{(\w+)}}", legend))
    if word == "share":
        return f"sum by ({by}) {total} / ignoring({by}) group_left sum{total}"
    if word:
        rates = f"rate({series}_bucket[$__rate_interval])"
        return f"histogram_quantile({word}, sum by (le, {by}) ({rates}))"
    return f"sum by ({by}) {total}" if by else f"sum{total}"


def text(system: str) -> str:
    """The content of a system's file."""
    return json.dumps(dashboard(system), indent=1) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name in SYSTEMS:
        (FOLDER / f"{name}.json").write_text(text(name))
