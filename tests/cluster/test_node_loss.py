"""A killed node costs time and nothing else: no row, no quality."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.node_loss import measure_features, measure_training

pytestmark = [
    pytest.mark.filterwarnings("default"),
    pytest.mark.timeout(900),
    pytest.mark.slow,
]

# a resumed fit draws other rows and dropouts after the kill: what another seed changes, too
AUC_TOLERANCE = 0.01
AP_TOLERANCE = 0.03


Show = Callable[[dict[str, float]], dict[str, float]]


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Show:
    """Prints figures for whoever runs the tests, and returns them."""

    def show(figures: dict[str, float]) -> dict[str, float]:
        with capsys.disabled():
            print(figures)
        return figures

    return show


def test_a_node_killed_amid_features_loses_and_doubles_no_row(tmp_path: Path, shown: Show) -> None:
    figures = shown(measure_features(tmp_path))
    assert figures["kill_node_rows"] > 5_000
    assert figures["kill_node_quarantined"] > 20
    for name in ("lost_rows", "doubled_rows", "other_values"):
        assert figures[f"kill_node_{name}"] == 0
    assert figures["kill_node_quarantine_differs"] == 0
    assert figures["kill_node_counts_differ"] == 0


def test_nodes_killed_amid_both_halves_leave_the_model_as_good(tmp_path: Path, shown: Show) -> None:
    figures = shown(measure_training(tmp_path))
    assert figures["kill_node_auc"] > 0.7
    assert abs(figures["kill_node_auc_change"]) <= AUC_TOLERANCE
    assert abs(figures["kill_node_ap_change"]) <= AP_TOLERANCE
