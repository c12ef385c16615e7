"""The features job on a real local Ray: any file format, any partitioning, the same features."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from jobs.fraud.features import FeaturesConfig, write_features
from jobs.fraud.training_config import TrainConfig
from jobs.fraud.training_set import find_source
from lib.contract import ContractError
from lib.feature import compute
from lib.fraud.contracts import join_labels
from lib.fraud.features import FRAUD
from lib.fraud.simulation import SimulationConfig, simulate

pytestmark = [
    pytest.mark.filterwarnings("default"),
    pytest.mark.usefixtures("ray_on_two_cores"),
]


@pytest.fixture(scope="module")
def simulated():
    return simulate(SimulationConfig(users=120, days=45), seed=11)


@pytest.fixture(scope="module")
def sources(simulated, tmp_path_factory) -> Path:
    """Two files of payments: the second repeats 50 rows, as a resumed export would, two are bad."""
    folder = tmp_path_factory.mktemp("sources")
    half = simulated.transactions.num_rows // 2
    second = simulated.transactions.slice(half - 50)
    amounts = second["amount_minor"].to_numpy().copy()
    amounts[[100, 200]] = -5
    position = second.column_names.index("amount_minor")
    (folder / "transactions").mkdir()
    pq.write_table(simulated.transactions.slice(0, half), folder / "transactions" / "a.parquet")
    pq.write_table(
        second.set_column(position, "amount_minor", [amounts]),
        folder / "transactions" / "b.parquet",
    )
    pq.write_table(simulated.labels, folder / "labels.parquet")
    return folder


SOURCES = {"transactions": "transactions", "labels": "labels.parquet"}


def run(sources: Path, output: Path, **options) -> pa.Table:
    arguments = {name: str(sources / path) for name, path in SOURCES.items()}
    data = write_features(FeaturesConfig(**(arguments | options), output=str(output)))
    return ds.dataset(data).to_table().sort_by("transaction_id")


@pytest.fixture(scope="module")
def output(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("output")


@pytest.fixture(scope="module")
def feature_table(sources, output) -> pa.Table:
    return run(sources, output, partitions=3)


def test_the_job_equals_the_table_computed_at_once(feature_table):
    plain = feature_table.select([c for c in feature_table.column_names if c not in FRAUD.names])
    expected = compute(FRAUD, plain)
    for name in FRAUD.names:
        np.testing.assert_array_equal(
            feature_table[name].to_numpy(), expected[name].to_numpy(), name
        )


def test_every_row_is_accounted_for(simulated, feature_table, output):
    note = json.loads((output / "features.json").read_text())
    counts = note["transactions"]
    assert counts["rows_in"] == simulated.transactions.num_rows + 50
    assert counts["rows_in"] == note["rows"] + counts["repeats"] + counts["quarantined"]
    assert note["rows"] == feature_table.num_rows
    assert counts["repeats"] >= 50


def test_bad_rows_are_in_the_quarantine_with_their_reason(feature_table, output):
    kept = [pq.read_table(path) for path in (output / "quarantine/transactions").glob("*.parquet")]
    rows = pa.concat_tables(kept)
    assert rows["amount_minor"].to_pylist() == [-5, -5]
    assert all("amount_minor" in reason for reason in rows["quarantine_reason"].to_pylist())


def test_labels_of_another_file_are_joined(simulated, feature_table):
    joined = join_labels(
        feature_table.drop_columns(["fraud_from", "fraud_until"]), simulated.labels
    ).table
    assert feature_table["fraud_from"].to_pylist() == joined["fraud_from"].to_pylist()
    assert feature_table["fraud_from"].null_count < feature_table.num_rows


def test_the_same_inputs_are_not_computed_again(sources, feature_table, output, capsys):
    assert run(sources, output).num_rows == feature_table.num_rows
    assert "there already" in capsys.readouterr().out


def test_a_csv_file_in_other_words_is_read_by_its_mapping(sources, tmp_path):
    table = pq.read_table(sources / "transactions" / "a.parquet").slice(0, 300)
    payments = pa.table(
        {
            "Id": table["transaction_id"],
            "When": table["event_time"].cast(pa.timestamp("us")),
            "Card": table["user_id"],
            "Shop": table["merchant_id"],
            "Sum": [f"{amount / 100:.2f}" for amount in table["amount_minor"].to_pylist()],
        }
    )
    pacsv.write_csv(payments, tmp_path / "theirs.csv")
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text(
        "contract: transactions\n"
        "columns:\n"
        "  transaction_id: {from: Id}\n"
        "  event_time: {from: When, timezone: UTC}\n"
        "  user_id: {from: Card}\n"
        "  merchant_id: {from: Shop}\n"
        "  amount_minor: {from: Sum, unit: major, currency_digits: 2}\n"
        "  currency: {value: EUR}\n"
        "  payment_method: {value: card_present}\n"
    )
    features = run(
        sources,
        tmp_path / "out",
        transactions=str(tmp_path / "theirs.csv"),
        mapping_transactions=str(mapping),
        labels=None,
    )
    ours = dict(
        zip(table["transaction_id"].to_pylist(), table["amount_minor"].to_pylist(), strict=True)
    )
    assert features["amount_minor"].to_pylist() == [
        ours[i] for i in features["transaction_id"].to_pylist()
    ]


def test_a_bucket_gets_the_same_features_and_their_note_last(sources, feature_table, tmp_path):
    output = f"fsspec+file://{tmp_path}/out"
    arguments = {name: f"fsspec+file://{sources}/{path}" for name, path in SOURCES.items()}
    write_features(FeaturesConfig(**arguments, output=output, partitions=1))
    there = ds.dataset(tmp_path / "out/data").to_table().sort_by("transaction_id")
    assert there.select(feature_table.column_names).to_pandas().equals(feature_table.to_pandas())
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"data", "quarantine", "features.json"}
    note = (tmp_path / "out/features.json").stat().st_mtime_ns
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert max(path.stat().st_mtime_ns for path in files) == note


def test_features_that_are_not_finished_are_not_trained_on(feature_table, output, tmp_path):
    shutil.copytree(output / "data", tmp_path / "data")
    (tmp_path / "work").mkdir()
    with pytest.raises(ContractError, match=r"is not finished: jobs\.fraud\.features"):
        find_source(TrainConfig(output="out", features=str(tmp_path)))


def test_a_missing_column_stops_at_once_and_is_named(sources, tmp_path):
    table = pq.read_table(sources / "transactions" / "a.parquet").drop_columns(["merchant_id"])
    pq.write_table(table, tmp_path / "short.parquet")
    with pytest.raises(ContractError, match="merchant_id"):
        run(sources, tmp_path / "out", transactions=str(tmp_path / "short.parquet"))
    assert not (tmp_path / "out" / "data").exists()


def test_an_empty_data_set_says_so(sources, tmp_path):
    table = pq.read_table(sources / "transactions" / "a.parquet").slice(0, 0)
    pq.write_table(table, tmp_path / "empty.parquet")
    with pytest.raises(ContractError, match=r"empty|no payment"):
        run(sources, tmp_path / "out", transactions=str(tmp_path / "empty.parquet"))
