"""Search for settings of the fraud model."""

from collections.abc import Callable, Mapping
from typing import Any

from ray import tune

from jobs.cluster.gpu import Devices
from jobs.framework.tuning import Search, Tuner
from jobs.fraud.training_set import load_payments, open_source
from jobs.fraud.tune import TuneConfig
from lib.contract.end_of_data import end_of_data
from lib.fraud.model.fitting import weighed_sample
from lib.fraud.model.network import fit_networks
from lib.fraud.model.sample import Sample, refuse_one_class
from lib.fraud.model.settings import NetworkSettings, TreeSettings
from lib.fraud.model.time_split import plan_slices
from lib.fraud.model.trees import fit_trees

MEASURE = "average_precision"


def search_settings(config: TuneConfig) -> str:
    """Search both halves; returns the path or URI of best.yaml."""
    train, later = _samples(config)
    tuner = Tuner(config)
    sample = {"train": train, "later": later}
    trees = Search(
        "trees", _tree_space(config), MEASURE, "max", config.trees, 3 * config.report_every
    )
    network = Search("network", _network_space(config), MEASURE, "max", config.epochs, 3)
    best = {
        "trees": tuner.search(trees, _tree_trial(config, tuner.devices), **sample),
        "network": tuner.search(network, _network_trial(config, tuner.devices), **sample),
    }
    path = tuner.store(best)
    print(f"best settings: {path}\nuse them:      python -m jobs.fraud.train --config {path} ...")
    return path


def _samples(config: TuneConfig) -> tuple[Sample, Sample]:
    """The newest fold: rows to fit on, and the block after them to judge by."""
    payments = load_payments(open_source(config.features))
    first, last = int(payments.event_time[0]), end_of_data(payments.event_time).last_us
    fold = plan_slices(first, last, config.slices, payments.known_until()).folds[-1]
    train = weighed_sample(payments, fold.train, 0.0)
    later = payments.sample(fold.scored)
    refuse_one_class(train.labels)
    refuse_one_class(later.labels)
    return train, later


def _tree_space(config: TuneConfig) -> dict[str, Any]:
    return {
        "trees": config.trees,
        "depth": tune.randint(3, 9),
        "learning_rate": tune.loguniform(0.02, 0.2),
        "subsample": tune.uniform(0.5, 1.0),
        "colsample": tune.uniform(0.4, 1.0),
        "min_child_weight": tune.loguniform(0.5, 20.0),
        "l2": tune.loguniform(0.1, 20.0),
        "max_bin": tune.choice([256, 512, 1024]),
        "positive_weight": tune.choice([1.0, 3.0, 10.0]),
    }


def _network_space(config: TuneConfig) -> dict[str, Any]:
    return {
        "epochs": config.epochs,
        "dropout": tune.uniform(0.1, 0.5),
        "learning_rate": tune.loguniform(2e-4, 5e-3),
        "weight_decay": tune.loguniform(1e-6, 1e-2),
        "batch_size": tune.choice([512, 1024, 2048]),
        "positive_weight": tune.choice([1.0, 5.0, 20.0]),
    }


Trial = Callable[..., None]


def _tree_trial(config: TuneConfig, devices: Devices) -> Trial:
    """Fits a booster and reports its average precision every few trees."""
    every, seed = config.report_every, config.seed
    threads, device = config.cpus_per_trial, devices.trees

    def trial(settings: Mapping[str, Any], train: Sample, later: Sample) -> None:
        best = 0.0

        def look(number: int, score: float) -> None:
            nonlocal best
            best = max(best, score)
            if number % every == 0:
                tune.report({MEASURE: best, "step": number})

        grown = TreeSettings(**settings)
        fit_trees(train, later, grown, seed=seed, threads=threads, device=device, on_tree=look)
        tune.report({MEASURE: best, "step": grown.trees})

    return trial


def _network_trial(config: TuneConfig, devices: Devices) -> Trial:
    """Fits a network and reports its average precision every epoch."""
    seed, device = config.seed, devices.network

    def trial(settings: Mapping[str, Any], train: Sample, later: Sample) -> None:
        best = 0.0

        def look(epoch: Any, _better: bool) -> None:
            nonlocal best
            best = max(best, epoch.valid_ap)
            tune.report({MEASURE: best, "step": epoch.number})

        shape = NetworkSettings(**settings)
        fit_networks(train, later, shape, seed=seed, device=device, on_epoch=look)

    return trial
