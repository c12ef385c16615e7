"""What do columns of one's own add to the moderation of posts?

`python -m tests.benchmarks.moderation_attributes` simulates posts of which two policies depend on
what a post shows and as much, by design, on who posts it where: young accounts, emulated devices,
one group of four, some of sixty channels. It trains by `jobs.moderation.train` with these columns
and with ones of the same form that tell nothing, and compares each with the same model without
attributes on the test posts. The last line is one JSON object.
"""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tyro

from jobs.moderation import simulate, train
from jobs.moderation.preprocess import PreprocessConfig
from jobs.moderation.preprocess import main as preprocess
from jobs.moderation.simulate import Simulate
from jobs.moderation.training_config import TrainConfig
from lib.calibration import sigmoid
from tests.benchmarks.result import print_result
from tests.moderation.attribute_posts import with_attributes, write_posts

_POLICIES, _YOUNG_DAYS = ("prohibited_item", "contextual"), 150.0


@dataclass(frozen=True)
class Config:
    """Train with columns that tell violations, and with columns that do not."""

    posts: int = 3_000
    """posts of the simulation"""
    size: str = "tiny"
    """of the model"""
    seed: int = 4
    """of the simulation and of the training"""


def relabel(folder: Path, seed: int) -> None:
    """Draw the labels of two policies anew, by what they were and by attributes of the posts."""
    posts = with_attributes(pq.read_table(folder / "posts.parquet"), set(), seed)
    pulls = (
        2.5 * (posts["account_age"].fill_null(1e9).to_numpy() < _YOUNG_DAYS)
        + 1.5 * np.array([group == "politics" for group in posts["group"].to_pylist()])
        + 1.5 * posts["emulated"].fill_null(False).to_numpy()
        + 2.0 * np.array([int(name.split()[1]) < 12 for name in posts["channel"].to_pylist()])
    )
    by_post = dict(zip(posts["post_id"].to_pylist(), pulls.tolist(), strict=True))
    labels = pq.read_table(folder / "labels.parquet")
    pulled = np.array([by_post[name] for name in labels["post_id"].to_pylist()])
    before = labels["violates"].to_numpy().astype(float)
    chosen = np.isin(labels["policy"].to_numpy(zero_copy_only=False), _POLICIES)
    probability = sigmoid(3.0 * before - 4.0 + pulled)
    drawn = np.random.default_rng(seed).random(len(before)) < probability
    violates = pa.array(np.where(chosen, drawn, before > 0.5))
    index = labels.column_names.index("violates")
    pq.write_table(labels.set_column(index, "violates", violates), folder / "labels.parquet")


def figures(folder: Path, output: Path, config: Config, seed: int) -> dict[str, Any]:
    """What the report of a training says of attributes.

    Args:
        folder: with the simulated tables.
        output: of the training.
        config: of the benchmark.
        seed: of attributes; labels rest on those of the seed that they were drawn by.
    """
    tables: dict[str, Any] = {name: str(folder / f"{name}.parquet") for name in ("media", "labels")}
    tables |= write_posts(folder, output / "own", seed=seed, tells=False)
    tables["policies"] = str(folder / "policies.yaml")
    rows = str(output / "rows")
    preprocess(PreprocessConfig(**tables, size=config.size, output=rows, progress="none"))
    options: dict[str, Any] = {
        "rows": rows,
        "size": config.size,
        "output": str(output),
        "engine": "process",
        "simulated": True,
        "seed": config.seed,
        "progress": "none",
    }
    train.main(TrainConfig(**options))
    report = json.loads((output / "report.json").read_text())
    facts, methods = report["attributes"], report["methods"]
    return {
        "test_posts": report["test_posts"],
        "read_of": [name for name, own in facts["policies"].items() if own["is_read"]],
        "with": methods["ours"]["mean"],
        "without": methods["ours without attributes"]["mean"],
        "by_policy": {
            name: [own[f"average_precision_{key}"] for key in ("without", "with")]
            for name, own in facts["policies"].items()
        },
        "gain": facts["gain"],
    }


def main(config: Config) -> None:
    """Simulate, train twice, print the JSON line."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "told"
        simulate.main(Simulate(folder, posts=config.posts, seed=config.seed, progress="none"))
        relabel(folder, config.seed)
        results = {
            kind: figures(folder, Path(name) / kind, config, seed)
            for kind, seed in (("telling", config.seed), ("silent", config.seed + 1))
        }
    print_result(config.posts, time.perf_counter() - started, simulated=True, **results)


if __name__ == "__main__":
    main(tyro.cli(Config))
