"""The options of `jobs.fraud.train`."""

from dataclasses import dataclass, field, replace
from typing import Literal, Self

from jobs.framework.paths import InputPath
from jobs.framework.training_options import TrainingOptions
from jobs.fraud.feature_options import FeatureOptions
from lib.contract import ContractError
from lib.fraud.model.policy import Costs
from lib.fraud.model.settings import ModelSettings, NetworkSettings, TreeSettings
from lib.fraud.model.time_split import Lengths


@dataclass(frozen=True, kw_only=True)
class TrainConfig(TrainingOptions, FeatureOptions):
    """Train the fraud model, compare it with its baselines and publish it.

    Give --features (the output of jobs.fraud.features), or --transactions and --labels as Parquet
    or CSV with a mapping file each, from which the features are computed first. The same command
    continues where it was cut off. `--config FILE` reads any of these options from YAML.
    """

    features: InputPath | None = None
    """folder or URI of features, as written by jobs.fraud.features (its data folder or the one
    above)"""
    transactions: InputPath | None = None
    """payments instead of features: Parquet or CSV file, folder or URI"""
    simulated: bool = False
    """say in the report that the payments are simulated"""
    engine: Literal["ray", "process"] = "ray"
    """ray: folds as Ray tasks, xgboost-ray and Ray Train for the final fit; process: all in this
    process, without Ray"""
    boosting: Literal["auto", "xgboost_ray", "ray_train"] = "auto"
    """library that trains the trees on Ray; auto: xgboost-ray if xgboost 2.0 is installed,
    otherwise Ray Train"""
    min_workers: int = 0
    """minimum number of worker processes with which elastic training starts and continues while
    nodes are missing (the trees then use Ray Train); 0 keeps the number fixed"""
    quick: bool = False
    """train a small model in under two minutes: 150 trees, 2 folds, 10 epochs, short intervals"""
    trees: TreeSettings = field(default_factory=TreeSettings)
    """settings of the boosted trees"""
    network: NetworkSettings = field(default_factory=NetworkSettings)
    """settings of the neural network"""
    recency_half_life_days: float = 0.0
    """age in days at which the weight of a training row is halved; 0 weights all rows equally"""
    slices: Lengths = field(default_factory=Lengths)
    """lengths of the training, calibration and test slices, in days"""
    costs: Costs = field(default_factory=Costs)
    """costs of decisions, from which the thresholds and the amounts of the report are computed"""
    baselines: bool = True
    """fit logistic regression and a random forest for comparison"""
    bootstrap: int = 200
    """number of bootstrap samples of users for the confidence intervals"""
    threads: int = 1
    """threads of a fit in one process; 0 takes all cores, which on a busy machine is slower"""

    def check(self) -> None:
        """See `JobOptions`."""
        _ = self.request
        if (self.features is None) == (self.transactions is None):
            raise ContractError("expected either --features or --transactions (with --labels)")
        if self.transactions is None:
            if self.feature_file is not None or self.features_of is not None:
                raise ContractError(
                    "--feature-file and --features-of belong to --transactions: --features are "
                    "computed already; give them to jobs.fraud.features"
                )
            return
        if self.labels is None:
            raise ContractError(
                "--labels is missing: without labels there is no fraud to learn from"
            )
        self.check_mappings()
        self.check_features()

    def settled(self) -> Self:
        """The options that `quick` stands for."""
        if not self.quick:
            return self
        return replace(
            self,
            trees=replace(self.trees, trees=min(self.trees.trees, 150)),
            network=replace(self.network, epochs=min(self.network.epochs, 10)),
            slices=replace(self.slices, folds=min(self.slices.folds, 2)),
            bootstrap=min(self.bootstrap, 50),
        )

    @property
    def model(self) -> ModelSettings:
        """What the fitting functions take."""
        return ModelSettings(self.trees, self.network, self.recency_half_life_days, self.seed)
