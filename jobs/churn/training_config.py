"""The options of `jobs.churn.train`."""

from dataclasses import dataclass, field, replace
from typing import Literal, Self

from jobs.churn.feature_options import FeatureOptions
from jobs.framework.options import parse_time
from jobs.framework.paths import InputPath
from jobs.framework.training_options import TrainingOptions
from lib.churn.model.settings import ModelSettings
from lib.churn.target import Target
from lib.churn.vocabulary import ChurnError
from lib.contract import ContractError


@dataclass(frozen=True, kw_only=True)
class TrainConfig(TrainingOptions, FeatureOptions):
    """Train the churn model, compare it with baselines and publish it.

    Give --features (the output of jobs.churn.features), or --customers with, as far as there are
    any, the other tables, from which the rows are computed first. The same command continues where
    it was cut off. `--config FILE` reads any of these options from YAML.
    A table with one row per customer and no times: --static TABLE, see jobs.static_table.train.
    """

    features: InputPath | None = None
    """folder or URI of rows, as written by jobs.churn.features"""
    target: Target = field(default_factory=Target)
    """definition of churn that the model predicts; with --features it must be that of the rows"""
    every_days: int = 14
    """days between two snapshot times"""
    warm_up_days: int = 90
    """days of data before the first snapshot time; feature windows are up to 365 days long, so that
    365 truncates no window"""
    simulated: bool = False
    """say in the report that the customers are simulated"""
    test_share: float = 0.25
    """share of the snapshot times, the newest, that the report is measured on; training rows whose
    outcome was not known at the first of them are purged"""
    capacity: float = 0.10
    """share of customers that the customer-success team can look after at a time, 0 to 1"""
    engine: Literal["ray", "process"] = "ray"
    """ray: folds as Ray tasks, trees by xgboost-ray; process: all in this process"""
    boosting: Literal["auto", "xgboost_ray", "ray_train"] = "auto"
    """library that trains the trees on Ray; auto: xgboost-ray if xgboost 2.0 is installed,
    otherwise Ray Train"""
    num_workers: int = 2
    """number of worker processes that train the trees; more than the cluster can ever run are
    refused"""
    learn_until: str | None = None
    """train as if it were this time, ISO 8601 in UTC: rows whose outcome was not known by then are
    not learnt from; default: all"""
    quick: bool = False
    """train a small model in about a minute: fewer trees and bootstrap samples"""
    model: ModelSettings = field(default_factory=ModelSettings)
    """settings of the boosted and of the linear half of the model"""
    bootstrap: int = 500
    """number of bootstrap samples of customers for the confidence intervals"""

    def check(self) -> None:
        """See `JobOptions`."""
        _ = self.request
        if self.learn_until is not None:
            parse_time("--learn-until", self.learn_until)
        self.check_shares()
        if (self.features is None) == (self.customers is None):
            raise ContractError("expected either --features or --customers (with the other tables)")
        if self.features is None:
            super().check()
        elif self.feature_file is not None:
            raise ContractError(
                "--feature-file belongs to --customers: --features are computed already; give it "
                "to jobs.churn.features"
            )

    def check_shares(self) -> None:
        """Refuse shares that mean nothing.

        Raises:
            ChurnError: names the option.
        """
        for name in ("test_share", "capacity"):
            value = getattr(self, name)
            if not 0.0 < value < 1.0:
                raise ChurnError(
                    f"--{name.replace('_', '-')}: expected between 0 and 1, got {value}"
                )

    def settled(self) -> Self:
        """The options that `quick` stands for."""
        if not self.quick:
            return self
        trees = replace(self.model.trees, trees=min(self.model.trees.trees, 60), boosters=1)
        model = replace(self.model, trees=trees)
        return replace(self, model=model, bootstrap=min(self.bootstrap, 50))
