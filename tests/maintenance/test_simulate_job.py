"""The simulated fleet's files are read by its own mapping file and keep their contracts."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from jobs.framework.command import run_job
from jobs.maintenance.simulate import Simulate, main
from lib.contract import load_mapping, read_checked
from lib.maintenance.contracts import CONTRACTS, ERRORS, FAILURES, MACHINES, MAINTENANCE
from lib.maintenance.features import evaluate
from lib.maintenance.offline import histories
from lib.maintenance.simulation.config import FleetConfig
from lib.maintenance.simulation.readings import hour_us

SMALL = ["--machines", "12", "--plants", "3", "--weeks", "6", "--seed", "3"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    output = tmp_path_factory.mktemp("fleet")
    run_job(Simulate, main, [*SMALL, "--output", str(output), "--policy", "run_to_failure"])
    return output


def test_every_row_keeps_its_contract(folder):
    mapping = load_mapping(folder / "telemetry.yaml", CONTRACTS)
    checked = read_checked(mapping, folder / "telemetry")
    assert checked.quarantined.num_rows == 0
    assert checked.good.num_rows > 0.9 * 12 * 6 * 168
    for contract in (MACHINES, MAINTENANCE, FAILURES, ERRORS):
        table = pq.read_table(folder / f"{contract.name}.parquet")
        assert contract.check(table).good.num_rows == table.num_rows


def test_features_are_computed_of_these_files(folder):
    mapping = load_mapping(folder / "telemetry.yaml", CONTRACTS)
    features = FleetConfig().features
    machine_histories = list(
        histories(
            features,
            read_checked(mapping, folder / "telemetry").good,
            *(
                pq.read_table(folder / f"{n}.parquet")
                for n in ("errors", "maintenance", "machines")
            ),
        )
    )
    assert len(machine_histories) == 12
    at = hour_us(FleetConfig(), 6 * 168)
    rows = np.concatenate([evaluate(features, history, [at]) for history in machine_histories])
    means = rows[:, features.names.index("temperature_mean_c_24h")]
    assert ((means > 20) & (means < 140)).mean() > 0.9


def test_the_same_seed_gives_the_same_files(folder, tmp_path):
    run_job(Simulate, main, [*SMALL, "--output", str(tmp_path), "--policy", "run_to_failure"])
    for path in sorted(folder.rglob("*.parquet")):
        other = tmp_path / path.relative_to(folder)
        assert pq.read_table(other).equals(pq.read_table(path)), path.name


def test_what_cannot_be_is_refused_in_a_line(tmp_path):
    (tmp_path / "file").touch()
    for wrong, message in (
        (["--machines", "0"], "machines: expected 1 to 100000, got 0"),
        (["--weeks", "0"], "weeks: expected 1 or more, got 0"),
        (["--share-of-life", "0"], "--share-of-life: expected above 0"),
    ):
        with pytest.raises(SystemExit, match=f"^error: .*{message}"):
            run_job(Simulate, main, ["--output", str(tmp_path / "out"), *wrong])
    with pytest.raises(SystemExit, match="is a file; give a folder"):
        run_job(Simulate, main, [*SMALL, "--output", str(tmp_path / "file")])
