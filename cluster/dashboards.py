"""Writes the Grafana dashboards of business figures: `python -m cluster.dashboards`.

`dashboards.yaml` has the panels of each system. The labels in a legend are what its query groups
by; where a panel stands follows from its place in the table.
"""

import json
import re
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent / "grafana"
_PROMETHEUS = {"type": "prometheus", "uid": "${datasource}"}
_WIDTH, _HEIGHT = 8, 8
_OF_ALL_SYSTEMS = ("requests", "request_ms")
_UNITS = {"_ms": "ms", "_posts": "short"}

SYSTEMS: dict[str, dict[str, dict[str, str]]] = yaml.safe_load(
    Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8")
)
"""Metrics by legend, by title of a panel, by system."""


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
    if metric.startswith("gauge "):
        return "short"
    return next((unit for end, unit in _UNITS.items() if metric.endswith(end)), "ops")


def _query(system: str, legend: str, metric: str) -> str:
    """What Prometheus is asked for a metric, grouped by the labels of its legend."""
    word, _, name = metric.rpartition(" ")
    series = f"ray_forewarn_{name if name in _OF_ALL_SYSTEMS else f'{system}_{name}'}"
    if word == "gauge":
        return f"max({series})"
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
