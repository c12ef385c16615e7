"""Two tables that were trained on once."""

from __future__ import annotations

import pytest

from tests.static_table.tables import CUSTOMERS_YAML, customers, machines, write_csv
from tests.static_table.trainings import FinishedTraining, run_training


@pytest.fixture(scope="package")
def trained_customers(tmp_path_factory: pytest.TempPathFactory) -> FinishedTraining:
    """1,500 customers, read by a mapping file."""
    folder = tmp_path_factory.mktemp("customers")
    table = write_csv(folder / "telco.csv", customers(1500, 1)[0])
    mapping = folder / "telco.yaml"
    mapping.write_text(CUSTOMERS_YAML)
    return run_training("churn", table, folder / "out", f"--mapping-static={mapping}")


@pytest.fixture(scope="package")
def trained_machines(tmp_path_factory: pytest.TempPathFactory) -> FinishedTraining:
    """4,000 machines, without a mapping file."""
    folder = tmp_path_factory.mktemp("machines")
    table = write_csv(folder / "mills.csv", machines(4000, 1))
    return run_training("maintenance", table, folder / "out")
