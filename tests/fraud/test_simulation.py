"""The simulated platform is plausible, repeatable, and each fraud leaves its mark."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import average_precision_score
from xgboost import XGBClassifier

from jobs.framework.command import run_job
from jobs.fraud import simulate as simulate_job
from lib.contract import TIME, ContractError, parse_mapping, utc_us
from lib.feature import compute
from lib.fraud.contracts import CONTRACTS, LABELS, TRANSACTIONS, join_labels
from lib.fraud.features import FRAUD
from lib.fraud.rules import RULES_FILE, rule_fields
from lib.fraud.simulation import SCENARIOS, SimulationConfig, scenario_examples, simulate
from lib.fraud.simulation.cities import great_circle_km
from lib.fraud.simulation.data_faults import FAULTS
from lib.rules import load_rules

CONFIG = SimulationConfig(users=1_000, days=40)
NOW_US = utc_us(2025, 6, 1)


@pytest.fixture(scope="module")
def simulated():
    return simulate(CONFIG, seed=3)


@pytest.fixture(scope="module")
def payments(simulated):
    """The payments with the name of their scenario, "" for an honest one."""
    table = simulated.transactions
    row = pc.index_in(table["transaction_id"], value_set=simulated.truth["transaction_id"])
    scenario = pc.fill_null(simulated.truth["scenario"].take(row), "")
    return table.append_column("scenario", scenario)


def of(payments: pa.Table, scenario: str) -> pa.Table:
    return payments.filter(pc.equal(payments["scenario"], scenario))


def micros(table: pa.Table, name: str = "event_time") -> np.ndarray:
    return table[name].cast(pa.int64()).to_numpy()


def test_every_row_keeps_the_contracts(simulated):
    checked = TRANSACTIONS.check(simulated.transactions)
    assert (checked.reasons, checked.repeats) == ({}, 0)
    assert checked.good.num_rows == simulated.transactions.num_rows
    assert LABELS.check(simulated.labels).good.num_rows == simulated.labels.num_rows


def test_the_same_seed_gives_the_same_tables_and_another_seed_others(simulated):
    again, other = simulate(CONFIG, seed=3), simulate(CONFIG, seed=4)
    assert again.transactions.equals(simulated.transactions)
    assert again.labels.equals(simulated.labels)
    assert again.truth.equals(simulated.truth)
    assert not other.transactions.equals(simulated.transactions)


def test_time_is_ordered_and_stays_within_the_history(simulated):
    times = micros(simulated.transactions)
    assert np.all(np.diff(times) >= 0)
    assert CONFIG.start_us <= times[0]
    assert times[-1] < CONFIG.end_us


def test_fraud_is_as_rare_as_asked_for_and_of_every_kind(simulated):
    share = simulated.truth.num_rows / simulated.transactions.num_rows
    assert 0.005 <= share <= 0.011
    counts = Counter(simulated.truth["scenario"].to_pylist())
    assert set(counts) == set(SCENARIOS)
    assert min(counts.values()) > 0.05 * simulated.truth.num_rows


def test_without_fraud_there_is_none():
    simulation = simulate(SimulationConfig(users=100, days=10, fraud_share=0.0), seed=1)
    assert simulation.truth.num_rows == 0


def test_customers_live_on_both_sides_of_the_antimeridian(simulated):
    longitude = simulated.transactions["longitude"].drop_null().to_numpy()
    assert longitude.max() > 175.0
    assert longitude.min() < -170.0


def test_devices_and_places_are_missing_for_some(simulated):
    for name, low, high in (("device_id", 0.2, 0.8), ("latitude", 0.05, 0.5)):
        share = simulated.transactions[name].null_count / simulated.transactions.num_rows
        assert low < share < high


def speeds(table: pa.Table) -> np.ndarray:
    """Speed in km/h from each payment with a place to the user's next one five minutes later."""
    table = table.filter(pc.is_valid(table["latitude"])).sort_by(
        [("user_id", "ascending"), ("event_time", "ascending")]
    )
    latitude, longitude = table["latitude"].to_numpy(), table["longitude"].to_numpy()
    distance = great_circle_km(latitude[:-1], longitude[:-1], latitude[1:], longitude[1:])
    hours = np.maximum(np.diff(micros(table)) / 3.6e9, 5.0 / 60.0)
    users = table["user_id"].to_numpy()
    return (distance / hours)[users[1:] == users[:-1]]


def test_honest_customers_hardly_ever_travel_impossibly(payments):
    assert 0.0 < np.mean(speeds(of(payments, "")) > 800.0) < 0.005


def test_a_stolen_card_pays_where_its_owner_cannot_be(payments):
    stolen = of(payments, "stolen_card")
    honest = of(payments, "")
    near = honest.filter(pc.is_in(honest["user_id"], value_set=stolen["user_id"].combine_chunks()))
    both = pa.concat_tables([near, stolen])
    thefts = len(set(stolen["user_id"].to_pylist()))
    assert np.sum(speeds(both) > 800.0) > 0.7 * thefts


def test_a_compromised_merchant_has_many_frauds(payments):
    leaked = of(payments, "compromised_merchant")
    merchants = leaked["merchant_id"].unique()
    honest = of(payments, "")
    there = pc.sum(pc.is_in(honest["merchant_id"], value_set=merchants)).as_py()
    assert len(merchants) < 40
    assert leaked.num_rows / (there + leaked.num_rows) > 0.05


def test_a_ring_shares_one_device_between_many_users(payments):
    ring = of(payments, "device_ring")
    users = ring.group_by("device_id").aggregate([("user_id", "count_distinct")])
    assert pc.quantile(users["user_id_count_distinct"], q=0.5)[0].as_py() >= 7
    honest = of(payments, "").filter(pc.is_valid(of(payments, "")["device_id"]))
    owners = honest.group_by("device_id").aggregate([("user_id", "count_distinct")])
    assert pc.max(owners["user_id_count_distinct"]).as_py() <= 3


def test_a_takeover_is_a_burst_from_an_unknown_device(payments):
    takeovers = of(payments, "account_takeover")
    honest = of(payments, "")["device_id"].combine_chunks()
    assert not pc.any(pc.is_in(takeovers["device_id"], value_set=honest)).as_py()
    bursts = takeovers.group_by("device_id").aggregate(
        [("event_time", "min"), ("event_time", "max"), ("event_time", "count")]
    )
    lasts = micros(bursts, "event_time_max") - micros(bursts, "event_time_min")
    assert lasts.max() <= 3_600_000_000
    assert np.median(bursts["event_time_count"].to_numpy()) >= 6


def test_card_testing_is_tiny_and_mostly_refused(payments):
    testing = of(payments, "card_testing")
    tiny = testing.filter(pc.less(testing["amount_minor"], 600))
    assert tiny.num_rows > 0.6 * testing.num_rows
    assert tiny["declined_from"].null_count < 0.3 * tiny.num_rows
    assert of(payments, "")["declined_from"].null_count > 0.98 * of(payments, "").num_rows


def test_labels_come_after_the_payment_and_mostly_after_days(simulated):
    joined = join_labels(simulated.transactions, simulated.labels)
    assert joined.matches.unmatched == 0
    table = joined.table.filter(pc.is_valid(joined.table["fraud_from"]))
    days = (micros(table, "fraud_from") - micros(table)) / 86.4e9
    assert days.min() > 0.0
    assert 2.5 < np.median(days) < 6.0


def test_some_frauds_are_never_reported_and_some_labels_are_wrong(simulated):
    frauds = simulated.truth["transaction_id"].combine_chunks()
    labelled = pc.unique(simulated.labels["transaction_id"])
    reported = pc.sum(pc.is_in(frauds, value_set=labelled)).as_py() / len(frauds)
    assert 0.85 < reported < 0.98
    wrong = pc.sum(pc.invert(pc.is_in(labelled, value_set=frauds))).as_py()
    assert wrong > 0
    assert 0 < join_labels(simulated.transactions, simulated.labels).withdrawn < wrong


def test_the_amount_alone_gives_little_away(payments):
    fraud = pc.not_equal(payments["scenario"], "").to_numpy()
    amount = payments["amount_minor"].to_numpy().reshape(-1, 1)
    early = np.arange(fraud.size) < 0.7 * fraud.size
    model = XGBClassifier(n_estimators=60, max_depth=6, base_score=0.5, n_jobs=1)
    model.fit(amount[early], fraud[early])
    scores = model.predict_proba(amount[~early])[:, 1]
    assert average_precision_score(fraud[~early], scores) < 5 * fraud[~early].mean()


def test_retries_late_arrivals_and_malformed_rows_come_when_asked_for():
    config = SimulationConfig(
        users=200, days=20, retry_share=0.01, late_share=0.05, malformed_share=0.002
    )
    table = simulate(config, seed=1).transactions
    assert np.all(np.diff(micros(table, "received_at")) >= 0)
    late = micros(table, "received_at") - micros(table) > 60_000_000
    assert 0.02 < late.mean() < 0.08
    checked = TRANSACTIONS.check(table)
    assert checked.repeats > 0.005 * table.num_rows
    assert len(checked.reasons) + len(checked.adjustments) == len(FAULTS)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"users": 3}, "at least 50 users and 7 days, came 3 users"),
        ({"retry_share": 1.5}, "retry_share must lie between 0 and 1.0, came 1.5"),
    ],
)
def test_an_impossible_configuration_is_refused(changes, words):
    with pytest.raises(ContractError, match=words):
        SimulationConfig(**changes)


def test_platforms_of_other_prefixes_share_no_identifier():
    config = SimulationConfig(users=50, days=7)
    plain, named = simulate(config, seed=3), simulate(replace(config, name_prefix="b"), seed=3)
    for column in ("transaction_id", "user_id", "merchant_id", "device_id"):
        before, after = (set(part.transactions[column].to_pylist()) for part in (plain, named))
        assert {name and f"b{name}" for name in before} == after
    assert set(named.labels["transaction_id"].to_pylist()) <= set(
        named.transactions["transaction_id"].to_pylist()
    )


def test_the_job_writes_three_files_and_a_short_table(tmp_path, capsys):
    options = ["--users", "60", "--days", "7", "--seed", "5", "--output", str(tmp_path / "sim")]
    run_job(simulate_job.Simulate, simulate_job.main, options)
    output = capsys.readouterr().out
    written = {path.name for path in (tmp_path / "sim").iterdir()}
    assert written == {"transactions.parquet", "labels.parquet", "truth.parquet"}
    table = pq.read_table(tmp_path / "sim" / "transactions.parquet")
    assert table.equals(simulate(SimulationConfig(users=60, days=7), seed=5).transactions)
    assert f"{table.num_rows:,}" in output
    assert "stolen_card" in output


def test_the_job_says_what_is_wrong_with_an_option(tmp_path):
    job = (simulate_job.Simulate, simulate_job.main)
    with pytest.raises(SystemExit, match="--start: expected a day as 2025-01-31, came 'today'"):
        run_job(*job, ["--start", "today", "--output", str(tmp_path)])
    with pytest.raises(SystemExit, match="is a file; give a folder"):
        run_job(*job, ["--users", "60", "--output", __file__])


REQUESTS = parse_mapping(
    """
    contract: transactions
    columns:
      transaction_id: transaction_id
      event_time: event_time
      user_id: user_id
      merchant_id: merchant_id
      device_id: device_id
      amount_minor: {from: amount, unit: major, currency_digits: 2}
      currency: currency
      payment_method: payment_method
      latitude: latitude
      longitude: longitude
    """,
    CONTRACTS,
)


@pytest.mark.parametrize("example", scenario_examples(1, NOW_US), ids=lambda example: example.name)
def test_an_example_is_a_valid_story_in_order_of_time(example):
    requests = [*example.history, example.request]
    checked = REQUESTS.check(pa.Table.from_pylist(requests))
    assert (checked.reasons, checked.repeats) == ({}, 0)
    assert np.all(np.diff(micros(checked.good)) >= 0)
    assert checked.good["event_time"].to_pylist()[-1] == datetime(2025, 6, 1, tzinfo=UTC)
    sent = {request["transaction_id"] for request in example.history}
    assert {*example.declined, *(label["transaction_id"] for label in example.labels)} <= sent


def test_there_is_a_good_example_one_of_each_fraud_and_one_that_no_rule_sees():
    names = [example.name for example in scenario_examples(1, NOW_US)]
    assert names == ["good", *SCENARIOS, "quiet_takeover"]


def test_examples_of_different_seeds_share_no_identifier():
    first, other = (
        {
            request[name]
            for example in scenario_examples(seed, NOW_US)
            for request in (*example.history, example.request)
            for name in ("transaction_id", "user_id", "merchant_id", "device_id")
            if request[name] is not None
        }
        for seed in (1, 2)
    )
    assert not first & other


LABEL_REQUESTS = parse_mapping(
    """
    contract: labels
    columns: {transaction_id: transaction_id, is_fraud: is_fraud, observed_at: observed_at}
    """,
    CONTRACTS,
)


def features_of(example) -> dict[str, float]:
    """The features of the example's request after its history, refusals and labels."""
    table = REQUESTS.check(pa.Table.from_pylist([*example.history, example.request])).good
    refused = pc.is_in(table["transaction_id"], value_set=pa.array(example.declined, pa.string()))
    declined = pc.if_else(refused, table["event_time"], pa.scalar(None, TIME))
    position = table.column_names.index("declined_from")
    table = table.set_column(position, "declined_from", declined)
    labels = LABELS.schema.empty_table()
    if example.labels:
        labels = LABEL_REQUESTS.check(pa.Table.from_pylist(list(example.labels))).good
    return compute(FRAUD, join_labels(table, labels).table).to_pylist()[-1]


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("good", None),
        ("stolen_card", "impossible_travel"),
        ("compromised_merchant", "merchant_known_for_fraud"),
        ("device_ring", "device_known_for_fraud"),
        ("account_takeover", "burst_of_payments"),
        ("card_testing", "burst_of_payments"),
        ("quiet_takeover", None),
    ],
)
def test_the_shipped_rules_stop_each_fraud_by_its_own_rule(name, rule):
    example = next(
        candidate for candidate in scenario_examples(1, NOW_US) if candidate.name == name
    )
    rules = load_rules(RULES_FILE.read_text(), rule_fields(FRAUD.names))
    assert rules.evaluate({**example.request, **features_of(example)}).rule_id == rule
