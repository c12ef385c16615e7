"""Files as public data sets have them become models of payments by mapping files alone."""

import csv
import json
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jobs.fraud import features, train
from jobs.fraud.features import FeaturesConfig
from jobs.fraud.training_config import TrainConfig
from jobs.rules.backtest import Config as BacktestConfig
from jobs.rules.backtest import main as backtest
from lib.registry import Registry
from lib.storage import open_dataset, open_storage
from tests.fraud.public_layouts import (
    PAYSIM_LARGEST,
    PAYSIM_ROWS,
    TABFORMER_ROWS,
    write_paysim,
    write_tabformer,
)
from tests.layout_files import LAYOUT_MARKS, adds_up, outcome

pytestmark = LAYOUT_MARKS


def computed(folder: Path, name: str) -> dict[str, Any]:
    """What `jobs.fraud.features` notes about payments and labels of one file."""
    data, mapping = str(folder / f"{name}.csv"), str(folder / name)
    features.main(
        FeaturesConfig(
            transactions=data,
            labels=data,
            mapping_transactions=f"{mapping}_transactions.yaml",
            mapping_labels=f"{mapping}_labels.yaml",
            output=str(folder / "features"),
        )
    )
    return json.loads((folder / "features/features.json").read_text())


def rows(folder: Path) -> list[dict[str, Any]]:
    table = open_dataset(open_storage(str(folder / "features")), "data").to_table()
    return table.sort_by("event_time").to_pylist()


def trained(folder: Path) -> dict[str, Any]:
    """The report of a model that was published."""
    train.main(
        TrainConfig(
            features=str(folder / "features"),
            output=str(folder / "model"),
            registry=str(folder / "registry"),
            quick=True,
            engine="process",
            baselines=False,
        )
    )
    assert Registry(str(folder / "registry")).versions("fraud")
    return json.loads((folder / "model/report.json").read_text())


def test_steps_in_hours_without_ids_and_labels_beside_payments(tmp_path, capsys):
    write_paysim(tmp_path)
    note = computed(tmp_path, "paysim")
    assert outcome(note["transactions"]) == outcome(note["labels"]) == (PAYSIM_ROWS, 0, 0, 0)
    assert adds_up(note["transactions"], note["rows"])
    assert note["labels"]["matches"]["unmatched"] == note["labels"]["before_payment"] == 0
    assert note["amounts"] == {"digits": 2, "largest_minor": 10**10}

    lines = (tmp_path / "paysim.csv").read_text().splitlines()[1:]
    payments = {row["transaction_id"]: row for row in rows(tmp_path)}
    assert set(payments) == {str(number) for number in range(2, PAYSIM_ROWS + 2)}
    for number, line in enumerate(lines, 2):
        step, kind, amount, payer, _, _, payee, _, _, is_fraud, _ = line.split(",")
        row = payments[str(number)]
        assert (row["user_id"], row["merchant_id"]) == (payer, payee)
        assert row["amount_minor"] == round(float(amount) * 100)
        assert row["event_time"].timestamp() == 1_704_067_200 + int(step) * 3600
        assert (row["fraud_from"] is not None) == (is_fraud == "1")
        assert row["payment_method"] == "cash" or not kind.startswith("CASH")
    assert max(row["amount"] for row in payments.values()) == PAYSIM_LARGEST

    report = trained(tmp_path)
    assert report["measures"]["ensemble"]["auc"] > 0.9
    assert report["currency_digits"] == 2
    capsys.readouterr()
    backtest(BacktestConfig(data=str(tmp_path / "features"), output=tmp_path / "backtest"))
    assert f"{PAYSIM_ROWS:,} payments on 32 days" in capsys.readouterr().out


def test_cards_of_users_with_signed_shops_dollars_refunds_and_words_for_flags(tmp_path, capsys):
    write_tabformer(tmp_path)
    with (tmp_path / "tabformer.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    note = computed(tmp_path, "tabformer")
    printed = " ".join(capsys.readouterr().out.split())
    payments, labels = note["transactions"], note["labels"]
    # the night in which clocks go back has this hour twice
    night = [line for line in lines if (line["Month"], line["Day"]) == ("11", "3")]
    twice = [line for line in night if line["Time"].startswith("01:")]
    refunds = sum(line["Amount"].startswith("$-") for line in lines if line not in twice)
    assert refunds > 100
    assert outcome(payments)[0] == outcome(labels)[0] == TABFORMER_ROWS
    assert adds_up(payments, note["rows"])
    clocks = "local time happened twice in America/Los_Angeles (clock change)"
    assert payments["reasons"]["amount_minor: below 0 minor units"] == refunds
    assert payments["reasons"].keys() <= {
        "amount_minor: below 0 minor units",
        f"event_time: {clocks}",
    }
    assert payments["reasons"][f"event_time: {clocks}"] == len(twice) > 0
    assert labels["reasons"] == {f"observed_at: {clocks}": len(twice)}
    assert f"{refunds} amount_minor: below 0 minor units" in printed
    # labels of refunds are of no payment
    assert labels["matches"]["unmatched"] == refunds

    rows_by_id = {int(row["transaction_id"]): row for row in rows(tmp_path)}
    assert any(line["Merchant Name"].startswith("-") for line in lines)
    for number, line in enumerate(lines, 2):
        if number not in rows_by_id:
            continue
        row = rows_by_id[number]
        assert row["user_id"] == f"{line['User']}-{line['Card']}"
        assert row["merchant_id"] == line["Merchant Name"]
        assert row["amount_minor"] == round(float(line["Amount"].lstrip("$")) * 100)
        assert (row["fraud_from"] is not None) == (line["Is Fraud?"] == "Yes")
        assert (row["declined_from"] is not None) == (line["Errors?"] != "")
        local = row["event_time"].astimezone(ZoneInfo("America/Los_Angeles"))
        assert f"{local:%H:%M}" == line["Time"]

    report = trained(tmp_path)
    assert report["measures"]["ensemble"]["auc"] > 0.9
