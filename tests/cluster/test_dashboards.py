"""Panels and alerts ask only for what the service counts, by the labels that it has."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.dashboards import FOLDER, SYSTEMS, dashboard, text
from lib.monitoring.exposition import METRICS, MonitorMetric
from lib.records.systems import SYSTEMS as RECORDED
from serve.churn import metrics as churn
from serve.framework import Metric
from serve.fraud import metrics as fraud
from serve.maintenance import metrics as maintenance
from serve.moderation import metrics as moderation

PROMETHEUS = Path(__file__).parents[2] / "cluster/prometheus"
COUNTED = (
    *fraud.INSTRUMENTS,
    *maintenance.INSTRUMENTS,
    *churn.INSTRUMENTS,
    *moderation.INSTRUMENTS,
)
KNOWN: dict[str, Metric | MonitorMetric] = {metric.name: metric for metric in (*COUNTED, *METRICS)}
PANELS = [panel for system in SYSTEMS for panel in dashboard(system)["panels"]]
GROUPS = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
ALERTS = [rule for group in GROUPS for rule in group["rules"]]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]
QUERIES += [alert["expr"] for alert in ALERTS]


def metrics_of(query: str) -> set[tuple[str, str]]:
    """Names with their kind: a total, a bucket, or a gauge; those of a job have no prefix."""
    names = re.findall(r"\b(?:ray_)?(forewarn_\w+)\b", query)
    ends = [re.fullmatch(r"(\w+?)(?:_(total|bucket))?", name) for name in names]
    return {(end[1], end[2] or "gauge") for end in ends if end is not None}


def kind_of(metric: Metric | MonitorMetric) -> str:
    if isinstance(metric, MonitorMetric) or metric.is_gauge:
        return "gauge"
    return "bucket" if metric.buckets else "total"


def labels_with(metric: Metric | MonitorMetric) -> tuple[str, ...]:
    return metric.labels if isinstance(metric, MonitorMetric) else metric.tags


def labels_of(query: str) -> set[str]:
    grouped = re.findall(r"by \(([^)]*)\)", query)
    return {label.strip() for labels in grouped for label in labels.split(",")} - {"le"}


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_asks_for_what_is_counted(query: str) -> None:
    metrics = metrics_of(query)
    assert metrics
    for name, kind in metrics:
        assert kind == kind_of(KNOWN[name])
    tags = {label for name, _ in metrics for label in labels_with(KNOWN[name])}
    assert labels_of(query) <= tags


def test_every_count_is_on_a_panel_or_in_an_alert() -> None:
    panel_metrics = {name for query in QUERIES for name, _ in metrics_of(query)}
    counted = {metric.name for metric in COUNTED}
    assert counted - panel_metrics == {
        "forewarn_churn_attributes",
        "forewarn_fraud_attributes",
        "forewarn_maintenance_attributes",
        "forewarn_moderation_attributes",
        "forewarn_fraud_unknown_payment_methods",
    }


def test_every_system_has_a_dashboard_and_an_alert_for_its_incidents() -> None:
    assert set(SYSTEMS) == set(RECORDED)
    alerted = {name for alert in ALERTS for name, _ in metrics_of(alert["expr"])}
    assert {f"forewarn_{system}_incidents_open" for system in RECORDED} <= alerted


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_file_is_what_the_panels_make(system: str) -> None:
    assert (FOLDER / f"{system}.json").read_text() == text(system)


@pytest.mark.parametrize("system", SYSTEMS)
def test_panels_do_not_overlap_and_have_all_that_grafana_needs(system: str) -> None:
    document: dict[str, Any] = json.loads((FOLDER / f"{system}.json").read_text())
    assert document["title"]
    positions = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in document["panels"]}
    assert (
        len(positions)
        == len(document["panels"])
        == len({panel["id"] for panel in document["panels"]})
    )
    for panel in document["panels"]:
        assert {"type", "title", "datasource", "gridPos", "targets"} <= set(panel)
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24


def test_alerts_say_what_to_do_and_are_read_with_the_scrape_config() -> None:
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    assert all((PROMETHEUS / name).exists() for name in config["rule_files"])
    assert all(alert["annotations"]["summary"] and alert["labels"] for alert in ALERTS)
