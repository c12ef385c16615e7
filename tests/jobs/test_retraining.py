"""The steps of any retraining: what a cut-off leaves undone is done once, and the rest is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib import import_module
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import insert

from jobs.framework import label_tables
from jobs.framework.retrained_system import Champion, NewLabels, TrainedModel
from jobs.framework.retraining import retrain
from jobs.framework.retraining_options import RetrainingOptions
from jobs.framework.training_options import TrainingOptions
from jobs.fraud.retrain import RetrainConfig
from lib.contract import TIME, ContractError
from lib.evaluation import Interval
from lib.fraud.contracts import LABELS, TRANSACTIONS
from lib.records.schema import ERASURES
from lib.records.systems import SYSTEMS
from lib.registry import SEEN_UNTIL, Registry, to_iso
from lib.retraining.comparison import DAY_US, Comparison, ModelFigures
from lib.retraining.repository import RetrainingRepository
from tests.jobs.retraining_records import empty_records, kept_retrainings
from tests.registry.conftest import NOVEMBER, WriteModel, write_model

__all__ = ["write_model"]


class CutOffError(BaseException):
    """What ends a process at once: no `except Exception` sees it."""


@dataclass
class SmallSystem:
    """Files of labels, a model that is written at once, and a comparison of known figures.

    Attributes:
        write: an artifact.
        gain: in money a week, the lower limit.
        cut_off: before which of `train` and `compare` the process ends.
        done: what was done, in order.
    """

    write: WriteModel
    gain: float = 10.0
    cut_off: str = ""
    done: list[str] = field(default_factory=list)
    name = "fraud"
    measure = "average precision"

    def read_labels(self, config: RetrainConfig, marks: Mapping[str, int], as_of: int) -> NewLabels:
        self.done.append("labels")
        rows = label_tables.given_rows(config, LABELS)
        count = label_tables.LabelCount(marks, as_of)
        count.add("observed", label_tables.times_of(rows, "observed_at"))
        path = label_tables.write_labels(config, LABELS, (rows,))
        return label_tables.new_labels(count, rows.num_rows, {LABELS.name: path})

    def train(self, config: RetrainConfig, labels: NewLabels, champion: Champion) -> TrainedModel:
        self._reach("train")
        folder = Path(config.output) / "model"
        if not folder.exists():
            self.write(folder, data_fingerprint=labels.digest, created_at=NOVEMBER + 1)
        return TrainedModel()

    def compare(self, trained: TrainedModel, challenger: Path, champion: Champion) -> Comparison:
        self._reach("compare")
        figures = [ModelFigures(v, 0.5, 100.0) for v in (champion.manifest.version, "new")]
        gains = Interval(0.1, 0.0, 0.2), Interval(self.gain + 5.0, self.gain, self.gain + 9.0)
        return Comparison(
            90, 30, 9, NOVEMBER, NOVEMBER + 7 * DAY_US, self.measure, *figures, *gains, (1.0, 2.5)
        )

    def _reach(self, step: str) -> None:
        if self.cut_off == step:
            raise CutOffError
        self.done.append(step)


@pytest.fixture
def config(tmp_path: Path, write_model: WriteModel) -> RetrainConfig:
    registry = Registry(tmp_path / "registry")
    record = {"parameters": {SEEN_UNTIL: to_iso(NOVEMBER)}}
    version = write_model(tmp_path / "champion", **record).version
    registry.publish(tmp_path / "champion", "fraud")
    registry.set_alias("fraud", "champion", version, at=NOVEMBER, by="test")
    write_labels(tmp_path, 3)
    pq.write_table(TRANSACTIONS.schema.empty_table(), tmp_path / "payments.parquet")
    return RetrainConfig(
        output=str(tmp_path / "out"), registry=registry.uri, records=empty_records(tmp_path),
        transactions=str(tmp_path / "payments.parquet"), labels=str(tmp_path / "labels.parquet"),
    )  # fmt: skip


def write_labels(folder: Path, count: int) -> None:
    times = pa.array([NOVEMBER - number for number in range(count)], pa.int64()).cast(TIME)
    names = pa.array([f"t{number}" for number in range(count)])
    table = pa.table(
        {
            "transaction_id": names,
            "is_fraud": pa.array([number % 2 == 0 for number in range(count)]),
            "observed_at": times,
        }
    )
    pq.write_table(table, folder / "labels.parquet")


def cut_off_at(step: str, config: RetrainConfig, system: SmallSystem) -> None:
    system.cut_off = step
    with pytest.raises(CutOffError):
        retrain(config, system)
    system.cut_off = ""


def test_what_was_cut_off_goes_on_with_the_labels_that_it_had_read(config, write_model) -> None:
    system = SmallSystem(write_model)
    cut_off_at("compare", config, system)
    write_labels(Path(config.output).parent, 9)
    result = retrain(config, system)
    assert system.done == ["labels", "train", "train", "compare"]
    assert result["won"], result["decision"]
    assert result["detail"]["labels"]["total"] == 3
    assert retrain(config, system)["detail"]["labels"]["new"] == 6


def test_after_an_erasure_labels_are_read_again(config, write_model) -> None:
    system = SmallSystem(write_model)
    cut_off_at("train", config, system)
    row = {"id": "e", "system": "fraud", "kind": "customer", "entity_hash": "h", "by": "ana"}
    at = {"began_at": 2**61, "counts": {}}
    with (
        RetrainingRepository(str(config.records)) as repository,
        repository._database.writing() as connection,
    ):
        connection.execute(insert(ERASURES), [row | at])
    retrain(config, system)
    assert system.done == ["labels", "labels", "train", "compare"]


def test_what_was_compared_is_published_without_comparing_again(
    config, write_model, monkeypatch
) -> None:
    system = SmallSystem(write_model)

    cut_off_after_comparing(config, system, monkeypatch)
    (cut_off,) = kept_retrainings(str(config.records), "fraud")
    assert cut_off.steps == ("labels", "trained", "compared")
    result = retrain(config, system)
    assert system.done == ["labels", "train", "compare"]
    assert result["detail"]["steps"][:3] == cut_off.detail["steps"]
    change = Registry(str(config.registry)).history("fraud")[-1]
    own = Path(config.output) / "retraining" / cut_off.id / "report.json"
    assert change.evidence is not None
    assert (change.alias, change.evidence.name) == ("challenger", str(own))
    assert change.evidence.sha256 == hashlib.sha256(own.read_bytes()).hexdigest()


def test_a_comparison_with_a_former_champion_is_made_again(
    config, write_model, monkeypatch
) -> None:
    system = SmallSystem(write_model)
    cut_off_after_comparing(config, system, monkeypatch)
    registry, folder = Registry(str(config.registry)), Path(config.output).parent / "other"
    other = write_model(
        folder, created_at=NOVEMBER + 2, parameters={SEEN_UNTIL: to_iso(NOVEMBER)}
    ).version
    registry.publish(folder, "fraud")
    registry.set_alias("fraud", "champion", other, at=NOVEMBER + 2, by="test")
    result = retrain(config, system)
    assert system.done == ["labels", "train", "compare", "train", "compare"]
    assert result["champion_version"] == other


def cut_off_after_comparing(
    config: RetrainConfig, system: SmallSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*_: object) -> None:
        raise CutOffError

    with monkeypatch.context() as patch:
        patch.setattr("jobs.framework.retraining.build_report", cut)
        with pytest.raises(CutOffError):
            retrain(config, system)


def test_one_that_loses_says_why_and_leaves_the_registry_as_it_was(config, write_model) -> None:
    before = Registry(str(config.registry)).history("fraud")
    result = retrain(config, SmallSystem(write_model, gain=-3.0))
    assert result["decision"].startswith(
        "not published: the lower limit of its gain, -3 a week, does not beat the margin of 0; the "
        "challenger keeps 2 a week more than the champion (95%: -3 to 6)"
    )
    assert Registry(str(config.registry)).history("fraud") == before
    assert len(Registry(str(config.registry)).versions("fraud")) == 1


def test_one_of_other_options_ends_what_was_cut_off(config, write_model) -> None:
    system = SmallSystem(write_model)
    cut_off_at("train", config, system)
    config = RetrainConfig(**{**vars(config), "seed": 8})
    assert retrain(config, system)["won"]
    newest, cut_off = kept_retrainings(str(config.records), "fraud")
    assert (newest.decision, cut_off.decision) == ("published", "failed")
    assert cut_off.detail["reason"] == "cut off; one of other options began instead"


def test_a_second_one_at_the_same_time_touches_nothing(config, write_model) -> None:
    system = SmallSystem(write_model)
    with RetrainingRepository(str(config.records)) as other, other.working("fraud"):
        result = retrain(config, system)
    assert result["decision"] == "nothing trained: another retraining of fraud is at work"
    assert system.done == []
    assert not Path(config.output).exists()


def test_a_failure_keeps_no_word_of_the_data(config, write_model, monkeypatch) -> None:
    system = SmallSystem(write_model)

    def refused(*_: object) -> None:
        raise ContractError("customer jane@example.org is not known")

    monkeypatch.setattr(system, "train", refused)
    with pytest.raises(ContractError):
        retrain(config, system)
    (kept,) = kept_retrainings(str(config.records), "fraud")
    assert (kept.decision, kept.detail["reason"]) == ("failed", "ContractError; the job prints why")
    assert "jane" not in str(kept)


def test_a_system_without_rows_that_were_computed_before_has_none_to_refuse() -> None:
    @dataclass(frozen=True, kw_only=True)
    class EveryTime(RetrainingOptions, TrainingOptions):
        computed = None

    EveryTime(output="o", records="r", registry="m").check_retraining()
    with pytest.raises(ContractError, match="--registry is missing"):
        EveryTime(output="o", records="r").check_retraining()


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_retraining_takes_the_options_of_the_training_with_their_defaults(system: str) -> None:
    training = import_module(f"jobs.{system}.training_config").TrainConfig
    own = {
        option.name: option
        for option in fields(import_module(f"jobs.{system}.retrain").RetrainConfig)
    }
    for option in fields(training):
        same = own[option.name]
        assert (same.type, same.default) == (option.type, option.default), option.name
