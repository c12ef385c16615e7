"""The backtest job on a real local Ray gives the numbers that pandas gives."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from jobs.rules.backtest import BacktestError, Config, backtest, currency_digits, main
from lib.contract import ContractError
from lib.fraud.features import FRAUD
from lib.fraud.rules import rule_fields
from lib.report import render_page
from lib.rules import RuleError, load_rules
from lib.rules.backtest_report import Backtest
from lib.rules.measures import Costs, measure_rules
from lib.rules.tally import Tally

# Ray Data itself still uses settings that it warns about.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.*")

RULES = """\
version: 1
rules:
  - {id: burst, when: txn_count_by_user_1h > 5, action: DECLINE, reason: r, confidence: 1,
     owner: o, priority: 2}
  - {id: far, when: velocity_kmh > 800, action: REVIEW, reason: r, confidence: 1, owner: o,
     priority: 1}
  - {id: euro, when: 'currency == "EUR" and amount > 90', action: DECLINE, reason: r,
     confidence: 1, owner: o, status: shadow}
"""
ROWS = 6_000


def history() -> pd.DataFrame:
    random = np.random.default_rng(3)
    speed = random.exponential(300, ROWS)
    fraud = pd.array(random.random(ROWS) < 0.1, dtype="boolean")
    fraud[random.random(ROWS) < 0.2] = pd.NA
    return pd.DataFrame(
        {
            "txn_count_by_user_1h": random.poisson(3, ROWS).astype(float),
            "velocity_kmh": np.where(random.random(ROWS) < 0.1, np.nan, speed),
            "currency": random.choice(["EUR", "USD", None], ROWS),
            "amount": random.uniform(1, 100, ROWS),
            "amount_minor": random.integers(100, 10_000, ROWS),
            "is_fraud": fraud,
            "event_time": pd.date_range("2026-01-01", periods=ROWS, freq="2min", tz="UTC"),
        }
    )


@pytest.fixture
def config(tmp_path: Path) -> Config:
    data, rules = tmp_path / "data", tmp_path / "rules.yaml"
    data.mkdir()
    frame = history()
    for part in range(4):
        frame.iloc[part::4].to_parquet(data / f"{part}.parquet")
    rules.write_text(RULES)
    return Config(data=str(data), output=tmp_path / "out", rules=rules)


@pytest.mark.usefixtures("ray_on_two_cores")
def test_the_report_agrees_with_pandas(config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    main(config)
    report = json.loads((config.output / "report.json").read_text())
    by_rule = {rule["rule_id"]: rule for rule in report["rules"]}
    frame = history()
    hit = pd.DataFrame(
        {
            "burst": frame.txn_count_by_user_1h > 5,
            "far": frame.velocity_kmh > 800,
            "euro": (frame.currency == "EUR") & (frame.amount > 90),
        }
    )
    hit["whole set"] = hit.burst | hit.far
    fraud = frame.is_fraud.fillna(False).astype(bool)
    good = ~frame.is_fraud.fillna(True).astype(bool)
    for name, mask in hit.items():
        ours = by_rule[name]
        assert ours["hits"] == mask.sum()
        assert ours["unlabelled"] == (mask & frame.is_fraud.isna()).sum()
        assert ours["precision"] == pytest.approx(frame.is_fraud[mask].mean())
        assert ours["recall"] == pytest.approx(mask[fraud].mean())
        value = frame.amount_minor.where(fraud, 0)
        assert ours["value_recall"] == pytest.approx(value[mask].sum() / value.sum())
        assert ours["good_hurt"] == (mask & good).sum()
        assert ours["good_hurt_minor"] == frame.amount_minor[mask & good].sum()
        assert ours["hits_per_day"] == pytest.approx(
            mask.sum() / frame.event_time.dt.date.nunique()
        )
    names = report["overlap"]["rules"]
    matrix = hit[names].astype(int)
    assert report["overlap"]["payments"] == (matrix.T @ matrix).to_numpy().tolist()
    assert by_rule["burst"]["decides"] == (hit.burst & ~hit.far).sum()
    assert report["history"]["unlabelled"] == frame.is_fraud.isna().sum()
    daily = hit.far.groupby(frame.event_time.dt.strftime("%Y-%m-%d")).sum()
    assert {day: hits["far"] for day, hits in report["daily_hits"].items()} == daily.to_dict()
    last = capsys.readouterr().out.splitlines()[-2:]
    assert [line.split()[1] for line in last] == [
        str(config.output / "report.json"),
        str(config.output / "report.html"),
    ]


# Ray Data interrupts a thread of its own at the end of a reading
@pytest.mark.filterwarnings("default::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.usefixtures("ray_on_two_cores")
def test_the_output_of_the_features_job_is_data_whose_labels_say_from_when(
    config: Config, tmp_path: Path
) -> None:
    frame = history().assign(is_fraud=lambda table: table["is_fraud"].fillna(False).astype(bool))
    as_flags, output = tmp_path / "flags", tmp_path / "features"
    as_flags.mkdir()
    (output / "data").mkdir(parents=True)
    frame.to_parquet(as_flags / "part.parquet")
    withdrawn = frame.index % 7 == 0
    labelled = frame.assign(
        fraud_from=frame["event_time"].where(frame["is_fraud"] | withdrawn),
        fraud_until=frame["event_time"].where(~frame["is_fraud"] & withdrawn),
    ).drop(columns="is_fraud")
    labelled.to_parquet(output / "data" / "part.parquet")
    amounts = {"digits": 3, "largest_minor": 10**8}
    (output / "features.json").write_text(json.dumps({"amounts": amounts}))
    of_flags = backtest(replace(config, data=str(as_flags)))
    of_features = backtest(replace(config, data=str(output)))
    assert (of_flags.currency_digits, of_features.currency_digits) == (2, 3)
    assert repr(replace(of_features, currency_digits=2).to_json()) == repr(of_flags.to_json())


def test_money_has_the_decimals_of_the_settlement_currency() -> None:
    rules = load_rules(RULES, rule_fields(FRAUD.names))
    costs = Costs(good_decline_minor=1_500, review_minor=2)
    totals = np.array([[1, 1, 0], [1_234_567, 8, 0]])
    counts = np.zeros((3, 2, 3), dtype=np.int64)
    counts[[rule.id for rule in rules.rules].index("burst")] = totals
    total = Tally(totals, counts, counts, np.zeros((3, 3), dtype=np.int64), {0: np.ones(3)})
    measures = measure_rules(rules, total, costs)
    shown = {
        0: ("worth 1,234,567;", "costs 1,500 and", "review costs 2 and", "1,233,067 ", " 8 "),
        3: ("worth 1,234.567;", "costs 1.500 and", "review costs 0.002 and", "1,233.067 ", "0.008"),
    }
    for digits, texts in shown.items():
        result = Backtest(rules, total, measures, costs, digits)
        for text in texts:
            assert text in result.to_text(), text
        assert f">{texts[3].strip()}</td>" in render_page(result.report("Backtest"))
        assert result.to_json()["currency_digits"] == digits


@pytest.mark.parametrize(
    ("option", "note", "digits"),
    [(None, None, 2), (None, "{}", 2), (None, '{"amounts": {"digits": 0}}', 0), (3, "{}", 3)],
)
def test_digits_are_those_of_the_option_or_of_the_features_job(
    config: Config, option: int | None, note: str | None, digits: int
) -> None:
    above = Path(config.data).parent
    if note is not None:
        (above / "features.json").write_text(note)
    for data in (config.data, f"{config.data}/", str(Path(config.data) / "0.parquet")):
        expected = 2 if data.endswith(".parquet") and option is None else digits
        chosen = replace(config, data=data, currency_digits=option)
        assert currency_digits(chosen) == expected
    with pytest.raises(ContractError, match="currency_digits: expected 0 to 4, got 9"):
        replace(config, currency_digits=9).check()


@pytest.mark.usefixtures("ray_on_two_cores")
def test_the_page_needs_no_other_file(config: Config) -> None:
    main(config)
    page = (config.output / "report.html").read_text()
    assert "<svg" in page
    assert "far" in page
    assert "src=" not in page
    assert "velocity_kmh &gt; 800" in page
    assert sorted(path.name for path in config.output.iterdir()) == ["report.html", "report.json"]


def rewrite(config: Config, frame: pd.DataFrame) -> None:
    for path in Path(config.data).iterdir():
        path.unlink()
    frame.to_parquet(Path(config.data) / "0.parquet")


def test_absent_columns_are_named_all_at_once(config: Config) -> None:
    rewrite(config, history().drop(columns="is_fraud").rename(columns={"velocity_kmh": "velocity"}))
    with pytest.raises(BacktestError, match=r"(?s)absent:.*is_fraud.*velocity_kmh; did you mean"):
        backtest(config)


def test_an_empty_data_set_is_refused(config: Config) -> None:
    rewrite(config, history().iloc[:0])
    with pytest.raises(BacktestError, match="the data set is empty"):
        backtest(config)


def test_data_that_are_no_parquet_are_refused(config: Config) -> None:
    (Path(config.data) / "0.parquet").write_text("amount,velocity\n1,2\n")
    with pytest.raises(BacktestError, match="not a Parquet data set"):
        backtest(config)


def test_a_bad_rule_file_is_refused_before_any_data_are_read(config: Config) -> None:
    assert config.rules
    config.rules.write_text(RULES.replace("velocity_kmh", "velocity"))
    with pytest.raises(RuleError, match="unknown field 'velocity'"):
        backtest(config)


def test_the_rules_in_force_are_the_default(config: Config) -> None:
    frame = history().assign(**dict.fromkeys(FRAUD.names, 0.0))
    rewrite(config, frame.drop(columns="amount_zscore"))
    with pytest.raises(BacktestError, match="amount_zscore"):
        backtest(Config(data=config.data, output=config.output))
