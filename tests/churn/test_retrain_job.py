"""Retraining of the churn model: notices since, and whom both models would contact, in money."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from jobs.churn import retrain, train
from jobs.churn.retrain import RetrainConfig
from jobs.churn.training_config import TrainConfig
from lib.churn.target import Target
from lib.churn.vocabulary import ChurnError
from lib.contract import ContractError
from lib.registry import Registry
from lib.retraining.comparison import ComparisonError
from tests.churn.changed_customers import SMALL, blinded, sources, write_accounts
from tests.conftest import on_two_cores
from tests.jobs import retraining_records as retrainings

pytestmark = [pytest.mark.slow, *on_two_cores(minutes=15)]

DAYS, EARLY = 480, 300
NOW = 1_795_000_000_000_000
FILE = """features:
- {name: tickets_14d, unit: tickets, key: [customer_id], aggregate: sum, of: opened, window: 14d,
   hop: 1d}
"""
"""Of the champion; challengers keep it."""


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_accounts(tmp_path_factory.mktemp("accounts"), DAYS, accounts=300)


@pytest.fixture(scope="module")
def early(accounts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry whose champion learnt that customers leave at random."""
    folder = tmp_path_factory.mktemp("early")
    files = blinded(accounts, folder / "files", EARLY)
    (folder / "own.yaml").write_text(FILE)
    options = SMALL | sources(files) | {"feature_file": str(folder / "own.yaml")}
    return retrainings.train_champion(train.main, TrainConfig, options, folder)


@pytest.fixture(scope="module")
def won(accounts: Path, early: Path, tmp_path_factory: pytest.TempPathFactory):
    return retrainings.retrained(retrain, SMALL | sources(accounts), early, tmp_path_factory)


def test_a_challenger_that_sees_who_falls_silent_is_published(won) -> None:
    registry = retrainings.published_challenger("churn", *won)
    result = won[1]
    compared = result["detail"]["steps"][2]
    for ref in ("champion", result["version"]):
        assert registry.manifest("churn", ref).seen_until <= compared["start_us"]
        assert registry.manifest("churn", ref).feature_names[-1] == "tickets_14d"
    assert compared["measure"] == "AUC"
    assert compared["measure_gain"]["value"] > 0


def test_with_nothing_new_nothing_is_trained(won) -> None:
    assert retrain.main(won[0])["decision"].startswith("nothing trained: 0 new labels")


def test_what_gains_too_little_is_not_published_and_notices_of_the_records_are_learnt(
    won, accounts: Path
) -> None:
    config, _ = won
    registry = Registry(str(config.registry))
    before = registry.aliases("churn")
    notices = pq.read_table(accounts / "churn.parquet")
    known = notices.slice(0, 1).to_pylist()[0]
    at = int(known["event_time"].timestamp() * 1e6) + 3_600_000_000
    url = str(config.records)
    retrainings.add_fact(url, "churn", known["customer_id"], "notice", at, value=True)
    retrainings.add_fact(url, "churn", "somebody else", "left", NOW, value=True)
    kept = retrain.main(replace(config, margin="1e9"))
    assert kept["won"] is False
    assert "does not beat the margin of 1,000,000,000" in kept["decision"]
    assert registry.aliases("churn") == before
    learnt = pq.read_table(Path(config.output) / "labels/churn.parquet")
    assert learnt.num_rows == notices.num_rows + 1
    assert learnt["customer_id"].to_pylist()[-1] == "somebody else"
    newest, _ = retrainings.kept_retrainings(url, "churn")
    assert newest.detail["labels"]["new"] == 1


def test_days_that_the_champion_saw_all_leave_nothing(accounts, early, tmp_path: Path) -> None:
    files = blinded(accounts, tmp_path / "files", EARLY)
    with pytest.raises(ComparisonError, match="no row is left that neither model saw"):
        retrain.main(retrainings.retraining(RetrainConfig, SMALL | sources(files), early, tmp_path))


def test_a_table_that_the_champion_needs_is_named(accounts, early, tmp_path: Path) -> None:
    config = replace(
        retrainings.retraining(RetrainConfig, SMALL | sources(accounts), early, tmp_path),
        tickets=None,
    )
    with pytest.raises(ChurnError, match="--tickets is missing, which the champion was trained"):
        retrain.main(config)


def test_options_that_cannot_be_meant_are_refused(accounts, early, tmp_path: Path) -> None:
    config = retrainings.retraining(RetrainConfig, SMALL | sources(accounts), early, tmp_path)
    for faulty, error, words in (
        (replace(config, customers=None), ContractError, "--customers is missing"),
        (replace(config, features="rows"), ContractError, "--features: expected the tables"),
        (replace(config, learn_until="2025-06-01"), ContractError, "--learn-until: expected none"),
        (replace(config, test_share=2.0), ChurnError, "--test-share: expected between 0 and 1"),
        (replace(config, target=Target(window_days=30)), ChurnError, "--target: expected"),
    ):
        with pytest.raises(error, match=words):
            retrain.main(faulty)
