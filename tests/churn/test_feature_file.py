"""Feature files of customers: the same values in files and profiles, and faults with their line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.churn import features as features_job
from jobs.churn.training_config import TrainConfig
from lib.churn.features import added_features, churn_features, group_of, untold
from lib.churn.profiles import online_features
from lib.churn.reasons import reasons_of, words_for
from lib.churn.vocabulary import CustomerVocabulary, parse_vocabulary
from lib.contract import ContractError
from lib.feature import ProfileStore
from lib.feature.attributes import Attribute
from lib.feature.feature_file import FeatureFileError
from tests.churn.attribute_tables import ATTRIBUTES, base_of, with_attributes, write_attributes
from tests.churn.changed_customers import write_accounts
from tests.churn.replayed_customers import (
    config_of,
    require_no_future,
    require_parity,
    require_same_in_partitions,
)
from tests.churn.tables import BASE, at, features, table, world
from tests.conftest import on_two_cores

pytestmark = on_two_cores(minutes=5)
FILE = """
features:
- {name: failed_payments_ever, unit: payments, key: [customer_id], aggregate: sum, of: failed,
   window: ever, hidden: true}
- {name: payments_ever_own, unit: payments, key: [customer_id], aggregate: sum, of: paid,
   window: ever, hidden: true}
- {name: failed_share, unit: share, words: share of payments that failed, formula: share,
   inputs: [failed_payments_ever, payments_ever_own]}
- {name: invoice_before, unit: currency units, key: [customer_id], aggregate: latest, of: amount,
   horizon: 200d}
- {name: seats_against_invoice, unit: currency units, expression: invoice_before / (seats + 1)}
- {name: addons_per_seat, unit: add-ons, expression: addons / seats}
groups:
  support:
  - {name: tickets_14d, unit: tickets, key: [customer_id], aggregate: sum, of: opened, window: 14d,
     hop: 1d}
  - {name: resolution_mean_60d, unit: hours, key: [customer_id], aggregate: mean,
     of: resolution_hours, window: 60d, hop: 1d}
  engagement:
  - {name: users_3d, unit: users, words: people who were there lately, key: [customer_id],
     aggregate: distinct, of: user_id, window: 3d, hop: 6h}
  - {name: minutes_since_closing, unit: minutes, key: [customer_id], aggregate: minutes_since,
     only: closed, horizon: 90d, empty: 200000}
  - {name: score_before, unit: points, key: [customer_id], aggregate: latest, of: score,
     record: survey, horizon: ever}
"""
PLAIN = """features:
- {name: tickets_14d, unit: tickets, key: [customer_id], aggregate: sum, of: opened, window: 14d}
"""
OWN = replace(BASE, feature_file=PLAIN)


def own_world() -> tuple[dict[str, pa.Table], CustomerVocabulary]:
    _, plain = world(60, 260)
    leavers = plain["churn"]["customer_id"].combine_chunks()
    tables = {**plain, "customers": with_attributes(plain["customers"], leavers)}
    return tables, replace(base_of(tables, ATTRIBUTES), feature_file=FILE)


def test_profiles_give_the_values_of_files_to_the_bit(profile_store: ProfileStore) -> None:
    tables, base = own_world()
    offline, declared = require_parity(tables, base, profile_store), churn_features(base)
    file = added_features(base)
    assert file is not None
    assert declared.names[-len(file.names) :] == file.names
    for name in file.names:
        values = offline[:, declared.names.index(name)]
        assert len(np.unique(values[np.isfinite(values)])) > 1, name


def test_nothing_later_than_the_moment_changes_a_feature() -> None:
    tables, base = own_world()
    require_no_future(tables, base)


def test_a_mean_is_of_the_rows_that_have_a_value() -> None:
    text = (
        "features: [{name: late, unit: days, key: [customer_id], aggregate: mean, of: late_days, "
        "window: 90d}]"
    )
    due = {"due_at": at(2, 1), "amount_minor": 100}
    paid = table(
        "payments",
        {"event_time": at(2, 4), "invoice_id": "a", **due},
        {"event_time": at(2, 2), "invoice_id": "b", **due},
        {"event_time": at(2, 5), "invoice_id": "c", "amount_minor": 100},
    )
    base = replace(BASE, feature_file=text)
    assert features(at(3, 1), base, payments=paid)["late"] == 2.0


def test_features_of_tables_that_are_not_told_are_missing() -> None:
    _, base = own_world()
    lost = untold(replace(base, tables=("usage", "invoices")))
    assert {"failed_share", "tickets_14d", "resolution_mean_60d", "score_before"} <= set(lost)
    assert not {"invoice_before", "users_3d", "addons_per_seat"} & set(lost)


ENTRY = {"name": "x", "unit": "u", "key": "[customer_id]", "aggregate": "sum", "of": "opened"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"of": "opend"}, "of: unknown column 'opend'; did you mean 'opened'"),
        ({"of": "leaving"}, "of: unknown column 'leaving'"),
        ({"of": "issued_day"}, "unknown column 'issued_day'"),
        ({"key": "[customer]"}, "key: unknown column 'customer'; did you mean 'customer_id'"),
        ({"key": "[customer_id, user_id]"}, "key: expected customer_id, got 'user_id'"),
        ({"aggregate": "count", "of": None}, "events are of several tables, got 'count' of all"),
        ({"aggregate": "rate", "of": None, "fact": "left"}, "fact: unknown fact 'left'"),
        ({"aggregate": "mean", "of": "credited"}, "not known which events have 'credited'"),
        ({"name": "tenure_days"}, "a feature 'tenure_days' is declared already"),
        ({"name": "label"}, "'label' is a column of the events"),
        ({"name": "used"}, "'used' is a column of the events"),
        ({"name": "x_code"}, "names that end in _code are those of categories"),
        (
            {"aggregate": "latest", "of": "amount", "record": "invoice"}
            | {"window": None, "horizon": "9d"},
            "of: a record remembers whole numbers; 'amount' is made of them",
        ),
        (
            {"key": None, "aggregate": None, "of": None, "window": None}
            | {"column": "user_id", "categories": "[a, b]"},
            "column: expected customer_id, got 'user_id'",
        ),
    ],
)
def test_what_cannot_be_computed_of_customers_is_refused(change, message) -> None:
    entry = {k: v for k, v in (ENTRY | {"window": "9d"} | change).items() if v is not None}
    text = "features:\n- {" + ", ".join(f"{k}: {v}" for k, v in entry.items()) + "}"
    with pytest.raises(FeatureFileError, match=message) as raised:
        added_features(replace(BASE, feature_file=text), "own.yaml")
    assert str(raised.value).startswith("own.yaml:2: ")


def test_a_base_with_a_feature_file_comes_back_and_says_what_differs() -> None:
    assert parse_vocabulary(OWN.to_yaml()) == OWN
    assert "feature_file" not in BASE.to_yaml()
    assert OWN.difference(OWN) == ""
    assert OWN.difference(BASE) == "feature file: tickets_14d against none"
    other = replace(OWN, feature_file=PLAIN.replace("window: 14d", "window: 15d"))
    assert OWN.extension_difference(other) == "feature file: tickets_14d, declared otherwise"
    assert len({churn_features(base).digest for base in (BASE, OWN, other)}) == 3
    assert len({online_features(base).name for base in (BASE, OWN, other)}) == 3
    renamed = replace(OWN, feature_file=PLAIN.replace("unit: tickets", "unit: cases"))
    assert online_features(renamed).name == online_features(OWN).name


def test_reasons_have_the_words_and_groups_of_the_file() -> None:
    base = replace(BASE, attributes=(Attribute("addons", "number"),), feature_file=FILE)
    names = churn_features(base).names
    row, usual, adds = np.ones(len(names)), np.ones(len(names)), np.zeros(len(names))
    for number, name in enumerate(("failed_share", "users_3d", "tickets_14d")):
        adds[names.index(name)] = 3.0 - number
    reasons = reasons_of(names, row, adds, usual, base)
    assert [(reason.group, reason.words) for reason in reasons] == [
        ("contract", "share of payments that failed: 1, usually 1; raises the risk"),
        ("engagement", "people who were there lately: 1, usually 1; raises the risk"),
        ("support", "tickets in the last 14 days: 1, usually 1; raises the risk"),
    ]
    assert group_of(base)["tickets_14d"] == "support"
    assert "tickets_14d" not in group_of()
    assert words_for("users_3d", base) == "people who were there lately"


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("file")
    (folder / "own.yaml").write_text(FILE)
    named = write_attributes(write_accounts(folder / "plain", days=300), folder / "own")
    return named | {"feature_file": str(folder / "own.yaml")}


def test_jobs_compute_a_feature_file_over_partitions(
    options: dict[str, str], tmp_path: Path
) -> None:
    note = require_same_in_partitions(options, tmp_path)
    base = parse_vocabulary(note["base"])
    assert base.feature_file == FILE
    assert note["features"][-2:] == ["minutes_since_closing", "score_before"]
    inputs = config_of(options, tmp_path / "3", feature_file=None)
    data = features_job.write_features(inputs)
    assert "score_before" not in pq.read_table(data).column_names


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (FILE.replace("of: failed", "of: faild"), r"own.yaml:3: .*'faild'; did you mean 'failed'"),
        (FILE.replace("addons / seats", "adons / seats"), r"own.yaml:\d+: .*'addons'"),
        ("", "own.yaml: expected a list 'features', got an empty file"),
    ],
)
def test_a_bad_file_is_refused_before_anything_is_read(
    options: dict[str, str], tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "own.yaml").write_text(text)
    config = config_of(options, tmp_path / "out", feature_file=str(tmp_path / "own.yaml"))
    with pytest.raises(ContractError, match=message):
        config.check()


def test_rows_that_are_computed_take_no_feature_file(
    options: dict[str, str], tmp_path: Path
) -> None:
    config = TrainConfig(
        features=str(tmp_path), feature_file=options["feature_file"], output=str(tmp_path / "out")
    )
    with pytest.raises(ContractError, match="--feature-file belongs to --customers"):
        config.check()
