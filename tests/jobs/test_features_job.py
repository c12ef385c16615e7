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


def test_one_task_writes_what_shuffles_write(sources, feature_table, output, tmp_path):
    single = run(sources, tmp_path / "whole", partitions=1)
    assert set(single.column_names) == set(feature_table.column_names)
    for name in single.column_names:
        first, second = (table.column(name).combine_chunks() for table in (single, feature_table))
        if name in FRAUD.names:
            np.testing.assert_array_equal(first.to_numpy(), second.to_numpy(), err_msg=name)
        else:
            assert first.equals(second), name
    notes = [
        json.loads((folder / "features.json").read_text())
        for folder in (output, tmp_path / "whole")
    ]
    for part in ("rows", "transactions", "labels"):
        assert notes[0][part] == notes[1][part]


@pytest.fixture(scope="module")
def lines(sources, tmp_path_factory) -> tuple[str, str]:
    """Payments whose amounts come in two lines each, and the mapping that adds them up."""
    folder = tmp_path_factory.mktemp("lines")
    table = pq.read_table(sources / "transactions" / "a.parquet").slice(0, 400)
    position = table.column_names.index("amount_minor")
    for number in (1, 2):
        amounts = [(amount + number - 1) // 2 for amount in table["amount_minor"].to_pylist()]
        part = table.set_column(position, "amount_minor", [amounts])
        pq.write_table(part, folder / f"{number}.parquet")
    ids = ("transaction_id", "event_time", "received_at", "user_id", "merchant_id", "device_id")
    mapping = (
        "contract: transactions\n"
        "aggregate: {by: [transaction_id], distinct: none, sum: [amount_minor]}\n"
        "columns:\n"
        + "".join(f"  {name}: {{from: {name}}}\n" for name in ids)
        + "  amount_minor: {from: amount_minor, unit: minor}\n"
        "  currency: {value: EUR}\n"
        "  payment_method: {from: payment_method}\n"
    )
    (folder / "_mapping.yaml").write_text(mapping)
    return str(folder), str(folder / "_mapping.yaml")


@pytest.mark.parametrize("partitions", [1, 2])
def test_lines_of_a_payment_are_added_up(lines, sources, simulated, tmp_path, partitions):
    folder, mapping = lines
    options = {"transactions": f"{folder}/1.parquet", "mapping_transactions": mapping}
    half = run(sources, tmp_path / "half", partitions=partitions, **options)
    options["transactions"] = folder
    both = run(sources, tmp_path / "whole", partitions=partitions, **options)
    note = json.loads((tmp_path / "whole" / "features.json").read_text())
    assert (note["rows"], note["transactions"]["merged"]) == (400, 400)
    columns = ("transaction_id", "amount_minor")
    amounts = dict(zip(*(simulated.transactions[c].to_pylist() for c in columns), strict=True))
    ids = both["transaction_id"].to_pylist()
    assert half["transaction_id"].to_pylist() == ids
    assert both["amount_minor"].to_pylist() == [amounts[name] for name in ids]


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


@pytest.mark.parametrize("partitions", [1, 2])
def test_an_empty_data_set_says_so(sources, tmp_path, partitions):
    table = pq.read_table(sources / "transactions" / "a.parquet").slice(0, 0)
    pq.write_table(table, tmp_path / "empty.parquet")
    options = {"transactions": str(tmp_path / "empty.parquet"), "partitions": partitions}
    with pytest.raises(ContractError, match="holds no rows; no payment passed"):
        run(sources, tmp_path / "out", **options)


@pytest.mark.parametrize("partitions", [1, 2])
@pytest.mark.parametrize("added_up", [False, True])
def test_payments_of_which_none_passes_are_said_to_be_so(
    lines, sources, tmp_path, partitions, added_up
):
    table = pq.read_table(sources / "transactions" / "a.parquet").slice(0, 60)
    position = table.column_names.index("amount_minor")
    pq.write_table(table.set_column(position, "amount_minor", [[-1] * 60]), tmp_path / "p.parquet")
    options = {"transactions": str(tmp_path / "p.parquet"), "partitions": partitions}
    if added_up:
        options["mapping_transactions"] = lines[1]
    with pytest.raises(ContractError, match=r"60 of 60 rows were set aside.*no payment passed"):
        run(sources, tmp_path / "out", **options)
    assert not (tmp_path / "out" / "data").exists()


@pytest.mark.parametrize("partitions", [1, 2])
def test_files_without_a_row_take_nothing_from_the_others(sources, tmp_path, partitions):
    payments = pq.read_table(sources / "transactions" / "a.parquet").slice(0, 100)
    labels = pq.read_table(sources / "labels.parquet")
    options = {"partitions": partitions}
    for name, table in (("transactions", payments), ("labels", labels)):
        options[name] = str(tmp_path / name)
        (tmp_path / name).mkdir()
        for number, rows in enumerate((table.slice(0, 0), table, table.slice(0, 0))):
            pq.write_table(rows, tmp_path / name / f"{number}.parquet")
    assert run(sources, tmp_path / "out", **options).num_rows == 100
    note = json.loads((tmp_path / "out" / "features.json").read_text())
    assert note["labels"]["rows_in"] == labels.num_rows
    assert note["transactions"]["empty_files"] == 2


@pytest.mark.parametrize("partitions", [1, 2])
def test_labels_without_a_row_make_no_payment_known_as_fraud(sources, tmp_path, partitions):
    labels = pq.read_table(sources / "labels.parquet").slice(0, 0)
    pq.write_table(labels, tmp_path / "labels.parquet")
    options = {"labels": str(tmp_path / "labels.parquet"), "partitions": partitions}
    table = run(sources, tmp_path / "out", **options)
    assert table["fraud_from"].null_count == table.num_rows > 0
    note = json.loads((tmp_path / "out" / "features.json").read_text())
    assert (note["labels"]["rows_in"], note["labels"]["known_frauds"]) == (0, 0)
