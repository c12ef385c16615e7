"""Panels and alerts ask only for what the service counts, by the labels that it has."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.dashboards import FOLDER, SYSTEMS, dashboard, text
from serve.churn import numbers as churn
from serve.fraud import numbers as fraud
from serve.maintenance import numbers as maintenance
from serve.moderation import numbers as moderation

PROMETHEUS = Path(__file__).parents[2] / "cluster/prometheus"
COUNTED = (
    *fraud.INSTRUMENTS,
    *maintenance.INSTRUMENTS,
    *churn.INSTRUMENTS,
    *moderation.INSTRUMENTS,
)
KNOWN = {one.name: one for one in COUNTED}
PANELS = [panel for system in SYSTEMS for panel in dashboard(system)["panels"]]
GROUPS = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
ALERTS = [rule for group in GROUPS for rule in group["rules"]]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]
QUERIES += [alert["expr"] for alert in ALERTS]


def metrics_of(query: str) -> set[tuple[str, str]]:
    return set(re.findall(r"ray_(forewarn_\w+?)_(total|bucket)\b", query))


def labels_of(query: str) -> set[str]:
    grouped = re.findall(r"by \(([^)]*)\)", query)
    return {label.strip() for one in grouped for label in one.split(",")} - {"le"}


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_asks_for_what_is_counted(query: str) -> None:
    found = metrics_of(query)
    assert found
    for name, kind in found:
        assert bool(KNOWN[name].buckets) == (kind == "bucket")
    known = {label for name, _ in found for label in KNOWN[name].tags}
    assert labels_of(query) <= known


def test_every_count_is_on_a_panel_or_in_an_alert() -> None:
    shown = {name for query in QUERIES for name, _ in metrics_of(query)}
    assert set(KNOWN) - shown == {"forewarn_fraud_unknown_payment_methods"}


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_file_is_what_the_panels_make(system: str) -> None:
    assert (FOLDER / f"{system}.json").read_text() == text(system)


@pytest.mark.parametrize("system", SYSTEMS)
def test_panels_do_not_overlap_and_have_all_that_grafana_needs(system: str) -> None:
    found: dict[str, Any] = json.loads((FOLDER / f"{system}.json").read_text())
    assert found["title"]
    places = {(one["gridPos"]["x"], one["gridPos"]["y"]) for one in found["panels"]}
    assert len(places) == len(found["panels"]) == len({one["id"] for one in found["panels"]})
    for panel in found["panels"]:
        assert {"type", "title", "datasource", "gridPos", "targets"} <= set(panel)
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24


def test_alerts_say_what_to_do_and_are_read_with_the_scrape_config() -> None:
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    assert all((PROMETHEUS / name).exists() for name in config["rule_files"])
    assert all(alert["annotations"]["summary"] and alert["labels"] for alert in ALERTS)
