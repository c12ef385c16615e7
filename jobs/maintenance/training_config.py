"""The options of `jobs.maintenance.train`."""

from dataclasses import dataclass, field, replace
from typing import Literal, Self

from jobs.framework.options import parse_time
from jobs.framework.paths import InputPath
from jobs.framework.training_options import TrainingOptions
from jobs.maintenance.sources import Sources
from lib.contract import ContractError
from lib.maintenance.failures import GRACE_HOURS
from lib.maintenance.feature_set import FeatureError
from lib.maintenance.machine_kind import load_kind
from lib.maintenance.model.costs import Costs
from lib.maintenance.model.settings import ModelSettings


@dataclass(frozen=True, kw_only=True)
class TrainConfig(TrainingOptions, Sources):
    """Train the survival models of machines, compare them with baselines and publish them.

    Give --features (the output of jobs.maintenance.features), or --telemetry with failures and, as
    far as there are any, the other tables, from which the rows are computed first. The same command
    continues where it was cut off. `--config FILE` reads any of these options from YAML.
    A table with one row per machine and no times: --static TABLE, see jobs.static_table.train.
    """

    features: InputPath | None = None
    """folder or URI of rows, as written by jobs.maintenance.features"""
    telemetry: InputPath | None = None
    """sensor readings instead of rows: Parquet or CSV file, folder or URI"""
    kind: InputPath | None = None
    """YAML that declares sensors with bounds, components and windows; default: what the data has"""
    every_hours: float = 24.0
    """hours between two rows of a machine"""
    warm_up_hours: float = 24.0
    """hours of readings before a machine's first row"""
    run_to_failure: bool = False
    """treat the last reading of each machine as its failure, as in run-to-failure tests"""
    failure_grace_hours: float = GRACE_HOURS
    """hours after a machine's last reading within which a recorded failure counts as the end of its
    run"""
    simulated: bool = False
    """say in the report that the machines are simulated"""
    test_share: float = 0.3
    """share of the time, the newest, that the report is measured on"""
    split: Literal["time", "machines"] = "time"
    """time: the report is measured on the last --test-share of the time, of machines that no model
    saw; machines: on all rows of machines that no model saw, for runs that do not share a calendar
    """
    engine: Literal["ray", "process"] = "ray"
    """ray: folds and replicates as Ray tasks, the network by Ray Train; process: all in this
    process, without Ray"""
    num_workers: int = 2
    """number of worker processes that train the network; more than the cluster can ever run are
    refused"""
    min_workers: int = 0
    """minimum number of worker processes with which elastic training starts and continues while
    nodes are missing; 0 keeps the number fixed"""
    learn_until: str | None = None
    """train as if it were this time, ISO 8601 in UTC: later rows, and outcomes that became known
    later, are not learnt from; default: all"""
    quick: bool = False
    """train a small model in about a minute: 3 folds, 4 replicates, 8 epochs, short intervals"""
    test_proportionality: bool = True
    """test whether Cox's assumption holds, for the report"""
    model: ModelSettings = field(default_factory=ModelSettings)
    """settings of the survival models"""
    costs: Costs = field(default_factory=Costs)
    """assumed costs for the comparison of policies"""
    bootstrap: int = 200
    """number of bootstrap samples of machines for the confidence intervals"""

    def check(self) -> None:
        """See `JobOptions`."""
        _ = self.request
        if not 0.05 <= self.test_share <= 0.9:
            raise ContractError(f"--test-share: expected 0.05 to 0.9, got {self.test_share}")
        if self.learn_until is not None:
            parse_time("--learn-until", self.learn_until)
        if self.every_hours <= 0:
            raise FeatureError(f"--every-hours: expected above 0, got {self.every_hours}")
        if (self.features is None) == (self.telemetry is None):
            raise ContractError("expected either --features or --telemetry (with --failures)")
        if self.features is not None:
            return
        if self.failures is None and not self.run_to_failure:
            raise ContractError(
                "--failures is missing: without failures there is nothing to learn from; where "
                "machines were read until they failed, say --run-to-failure"
            )
        self.check_tables(None if self.kind is None else load_kind(self.kind))

    def settled(self) -> Self:
        """The options that `quick` stands for."""
        if not self.quick:
            return self
        network = replace(self.model.network, epochs=min(self.model.network.epochs, 8), members=1)
        model = replace(
            self.model,
            network=network,
            folds=min(self.model.folds, 3),
            replicates=min(self.model.replicates, 4),
            replicate_epochs=min(self.model.replicate_epochs, 5),
            most_rows=min(self.model.most_rows, 12_000),
        )
        return replace(self, model=model, bootstrap=min(self.bootstrap, 40))
