"""Each system trained by its own job on simulated data, and its decisions about the days after."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs.churn import features as churn_features
from jobs.churn import simulate as churn_simulate
from jobs.churn import train as churn_train
from jobs.churn.training_set import find_rows as find_customers
from jobs.fraud import features as fraud_features
from jobs.fraud import simulate as fraud_simulate
from jobs.fraud import train as fraud_train
from jobs.maintenance import features as maintenance_features
from jobs.maintenance import simulate as maintenance_simulate
from jobs.maintenance import train as maintenance_train
from jobs.maintenance.training_set import find_rows as find_machines
from jobs.moderation import score as moderation_score
from jobs.moderation import simulate as moderation_simulate
from jobs.moderation import train as moderation_train
from lib.churn.model.model import load_model as load_churn
from lib.fraud.features import FRAUD
from lib.fraud.model.inputs import feature_matrix
from lib.fraud.model.policy import DECISIONS
from lib.fraud.model.scoring import Scorer
from lib.fraud.model.settings import NetworkSettings, TreeSettings
from lib.fraud.model.time_split import Lengths
from lib.maintenance.machine_kind import KIND_FILE
from lib.maintenance.model.model import load_model as load_survival
from lib.moderation.model.outputs import Presence
from lib.moderation.policies import Policies, load_policies
from lib.moderation.post import MODALITIES
from lib.moderation.routing import Routing
from lib.records.decision_table import LABEL_SCHEMA
from lib.registry import read_artifact
from tests.churn.changed_customers import TABLES
from tests.churn.small_model import SMALL_TREES
from tests.maintenance.small_fleet import SETTINGS
from tests.moderation.small_size import SMALL_SIZE

DAY = 86_400_000_000
TIME = pa.timestamp("us", "UTC")
WARM_UP_DAYS = 98
"""After so many days no window of a payment's features is still filling up."""


@dataclass(frozen=True)
class Deployment:
    """A system after its training.

    Attributes:
        system: its name.
        registry: with the model as champion.
        decisions: of the days after training, `lib.records.decision_table`.
        options: of its monitoring that say what became known.
        since, until: bounds of the decisions, microseconds since 1970 UTC, midnights.
        as_of: up to when it is known what became of them, the same unit.
        feature: a measure that a drift can be planted in.
    """

    system: str
    registry: Path
    decisions: pa.Table
    options: dict[str, Any]
    since: int
    until: int
    as_of: int
    feature: str


def iso(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / 1e6, UTC).isoformat()


def decision_rows(
    subjects: list[str], entities: list[str], at_us: npt.NDArray[np.int64], version: str,
    decisions: list[str], score: npt.NDArray[np.float64], requests: list[dict[str, Any]],
    answers: list[dict[str, Any]], names: tuple[str, ...] = (), matrix: Any = None,
) -> pa.Table:  # fmt: skip
    """Decisions as a service records them."""
    times = pa.array(at_us, TIME)
    columns: dict[str, Any] = {
        "subject_id": subjects, "entity_id": entities, "event_time": times, "received_at": times,
        "decided_at": times, "decision": decisions, "score": score,
        "method": ["model"] * len(subjects), "model_version": [version] * len(subjects),
        "request": list(map(json.dumps, requests)), "answer": list(map(json.dumps, answers)),
    }  # fmt: skip
    for column, name in enumerate(names):
        columns[f"feature_{name}"] = np.asarray(matrix[:, column], dtype=np.float64)
    return pa.table(columns).sort_by("event_time")


def fraud(folder: Path, users: int = 300, days: int = 175) -> Deployment:
    """Payments; the last four weeks are decided, and those before windows are full are left out."""
    raw, rows, early = folder / "raw", folder / "rows", folder / "early"
    fraud_simulate.main(
        fraud_simulate.Simulate(
            output=raw, users=users, days=days, fraud_share=0.02, progress="none"
        )
    )
    tables = {name: str(next(raw.glob(f"{name}*"))) for name in ("transactions", "labels")}
    fraud_features.main(fraud_features.FeaturesConfig(**tables, output=str(rows), progress="none"))
    table = pq.read_table(rows / "data").sort_by("event_time")
    times = np.asarray(table["event_time"].cast(pa.int64()))
    begin, until = int(times.min()) + WARM_UP_DAYS * DAY, int(times.max()) // DAY * DAY
    since = until - 28 * DAY
    (early / "data").mkdir(parents=True)
    is_early = (times >= begin) & (times < since)
    pq.write_table(table.filter(pa.array(is_early)), early / "data/rows.parquet")
    config = fraud_train.TrainConfig(
        features=str(early), output=str(folder / "out"), registry=str(folder / "registry"),
        alias="champion", engine="process", baselines=False, simulated=True, bootstrap=5,
        trees=TreeSettings(trees=40, depth=4, learning_rate=0.2, boosters=1),
        network=NetworkSettings(hidden=(8,), epochs=2, networks=1),
        slices=Lengths(label_delay=3, folds=1, test=14, calibrate=8), progress="none",
    )  # fmt: skip
    fraud_train.main(config)
    scorer = Scorer.load(read_artifact(folder / "out/model", FRAUD))
    later = table.filter(pa.array((times >= since) & (times < until)))
    matrix = feature_matrix(later, FRAUD.names)
    score = scorer.score(matrix)
    names = ("amount_minor", "merchant_id", "payment_method")
    requests = later.select(list(names)).to_pylist()
    decisions = decision_rows(
        later["transaction_id"].to_pylist(), later["user_id"].to_pylist(),
        np.asarray(later["event_time"].cast(pa.int64())), scorer.version,
        [DECISIONS[column] for column in scorer.policy.decisions(score).tolist()], score, requests,
        [{}] * len(requests), FRAUD.names, matrix,
    )  # fmt: skip
    labels = frauds(later)
    path = folder / "labels.parquet"
    pq.write_table(labels, path)
    options, as_of = {"labels": str(path), "label_days": 7.0}, until + 30 * DAY
    registry = folder / "registry"
    return Deployment("fraud", registry, decisions, options, since, until, as_of, "amount")


def frauds(table: pa.Table) -> pa.Table:
    """Labels of payments that turned out to be fraud."""
    rows = table.filter(table["fraud_from"].is_valid())
    columns = {
        "subject_id": rows["transaction_id"],
        "kind": pa.array(["fraud"] * rows.num_rows),
        "value": pa.array([True] * rows.num_rows),
        "observed_at": rows["fraud_from"],
        "received_at": rows["fraud_from"],
        "source": pa.array(["chargeback"] * rows.num_rows),
    }
    return pa.table(columns).cast(LABEL_SCHEMA)


def maintenance(folder: Path, machines: int = 70, weeks: int = 72) -> Deployment:
    """Machines; four weeks are decided, each machine once a day, and a week after them is known.

    They are run to failure nearly always, and begin at all ages: the fleet stays as it is.
    """
    raw, rows = folder / "raw", folder / "rows"
    maintenance_simulate.main(
        maintenance_simulate.Simulate(
            output=raw, machines=machines, plants=4, weeks=weeks, seed=3,
            share_of_life=3.0, oldest_start=1.0, progress="none",
        )
    )  # fmt: skip
    files = {name: str(raw / f"{name}.parquet") for name in ("failures", "maintenance")}
    others = {name: str(raw / f"{name}.parquet") for name in ("errors", "machines")}
    maintenance_features.main(
        maintenance_features.FeaturesConfig(
            telemetry=str(raw / "telemetry"), mapping_telemetry=str(raw / "telemetry.yaml"),
            **files, **others, output=str(rows), kind=str(KIND_FILE), partitions=2,
            warm_up_hours=44 * 168.0, progress="none",
        )
    )  # fmt: skip
    machine_rows = find_machines(str(rows), "censor").rows
    until = int(machine_rows.at_us.max()) // DAY * DAY - 7 * DAY
    since = until - 28 * DAY
    config = maintenance_train.TrainConfig(
        features=str(rows), output=str(folder / "out"), registry=str(folder / "registry"),
        alias="champion", engine="process", model=SETTINGS, simulated=True, bootstrap=5,
        test_proportionality=False, learn_until=iso(since), progress="none",
    )  # fmt: skip
    maintenance_train.main(config)
    source = find_machines(str(rows), config.model.preventive)
    model = load_survival(folder / "out/model", source.features)
    later = source.rows.take((source.rows.at_us >= since) & (source.rows.at_us < until))
    predictions = model.predict(later.rows, explain=False)
    answers = [
        {
            "failure_within": own.probabilities,
            "survival": [
                {"hours": hours, "survival": value}
                for hours, value in zip(own.hours, own.survival, strict=True)
            ],
        }
        for own in predictions
    ]
    subjects = [f"{m}:{at}" for m, at in zip(later.machines, later.at_us, strict=True)]
    decisions = decision_rows(
        subjects, later.machines.tolist(), later.at_us, model.version,
        ["SERVICE" if own.alarm else "MONITOR" for own in predictions],
        np.array([own.probabilities["7d"] for own in predictions], dtype=np.float64),
        [{}] * len(subjects), answers, source.features.names, later.rows,
    )  # fmt: skip
    registry, feature = folder / "registry", "vibration_mean_mm_s_24h"
    as_of = until + 7 * DAY
    return Deployment(
        "maintenance", registry, decisions, files, since, until, as_of, feature
    )  # fmt: skip


def churn(folder: Path, accounts: int = 450, days: int = 700) -> Deployment:
    """Customers; those of the last weeks whose notices can be known are scored every third day."""
    raw, rows = folder / "raw", folder / "rows"
    raw.mkdir(parents=True)
    churn_simulate.main(
        churn_simulate.Simulate(
            raw, accounts=accounts, days=days, seed=4, leave_a_year=0.4, progress="none"
        )
    )
    named = {name: str(raw / f"{name}.parquet") for name in TABLES}
    churn_features.main(
        churn_features.FeaturesConfig(
            **named, output=str(rows), every_days=3, warm_up_days=365, progress="none"
        )
    )
    source = find_customers(str(rows))
    customers = source.rows
    until = int(customers.at_us.max()) // DAY * DAY
    since = until - 42 * DAY
    config = churn_train.TrainConfig(
        features=str(rows), output=str(folder / "out"), registry=str(folder / "registry"),
        alias="champion", engine="process", model=SMALL_TREES, bootstrap=20, simulated=True,
        learn_until=iso(since), progress="none",
    )  # fmt: skip
    churn_train.main(config)
    model = load_churn(folder / "out/model")
    later = customers.take((customers.at_us >= since) & (customers.at_us < until))
    score = model.probabilities(later.matrix)
    decisions = decision_rows(
        [f"{c}:{at}" for c, at in zip(later.customers, later.at_us, strict=True)],
        later.customers.tolist(), later.at_us, model.version,
        ["CONTACT" if flagged else "MONITOR" for flagged in (score >= model.threshold).tolist()],
        score, [{}] * len(score), [{}] * len(score), later.names, later.matrix,
    )  # fmt: skip
    options, as_of = {"notices": named["churn"]}, until + source.target.reach_us
    registry = folder / "registry"
    return Deployment("churn", registry, decisions, options, since, until, as_of, "mrr")


def moderation(folder: Path, posts: int = 6_500, days: int = 60) -> Deployment:
    """Posts; three weeks are decided, before the quarter that is made of pieces of its own."""
    raw = folder / "raw"
    moderation_simulate.main(
        moderation_simulate.Simulate(
            raw, posts=posts, texts=90, images=60, clips=24, authors=400, days=days, seed=4,
            progress="none",
        )
    )  # fmt: skip
    (folder / "size.yaml").write_text(SMALL_SIZE)
    table = pq.read_table(raw / "posts.parquet")
    times = np.asarray(table["event_time"].cast(TIME).cast(pa.int64()))
    until = int(times.min()) // DAY * DAY + 45 * DAY
    since = until - 21 * DAY
    parts = {"early": times < since, "late": (times >= since) & (times < until)}
    for part, chosen in parts.items():
        own = table.filter(pa.array(chosen))
        (folder / part).mkdir()
        pq.write_table(own, folder / part / "posts.parquet")
        for name in ("media", "labels"):
            rows = pq.read_table(raw / f"{name}.parquet")
            inside = pc.is_in(rows["post_id"], value_set=own["post_id"].combine_chunks())
            pq.write_table(rows.filter(inside), folder / part / f"{name}.parquet")

    def named(part: str, *names: str) -> dict[str, str]:
        paths = {name: str(folder / part / f"{name}.parquet") for name in names}
        return {**paths, "policies": str(raw / "policies.yaml"), "progress": "none"}

    moderation_train.main(
        moderation_train.TrainConfig(
            **named("early", "posts", "media", "labels"), size=str(folder / "size.yaml"),
            output=str(folder / "out"), registry=str(folder / "registry"), alias="champion",
            simulated=True, bootstrap=20, split="time", test_share=0.6,
        )
    )  # fmt: skip
    moderation_score.main(
        moderation_score.ScoreConfig(
            **named("late", "posts", "media"), registry=str(folder / "registry"),
            version="champion", output=str(folder / "scores"),
        )
    )  # fmt: skip
    policies = load_policies((raw / "policies.yaml").read_text(), "policies.yaml")
    late = pq.read_table(folder / "late/posts.parquet")
    decisions = post_decisions(folder, late, policies)
    path = folder / "labels.parquet"
    pq.write_table(review_labels(folder / "late/labels.parquet", decisions), path)
    options = {"labels": str(path), "policies": str(raw / "policies.yaml")}
    registry, as_of = folder / "registry", until + 30 * DAY
    return Deployment(
        "moderation", registry, decisions, options, since, until, as_of, "language"
    )  # fmt: skip


def post_decisions(folder: Path, posts: pa.Table, policies: Policies) -> pa.Table:
    """Decisions of the scores of a batch, routed as the service routes them."""
    note = json.loads((folder / "scores/scores.json").read_text())
    scores = pq.read_table(folder / "scores/data").sort_by("post_id")
    posts = posts.sort_by("post_id")
    posts = posts.filter(pc.is_in(posts["post_id"], value_set=scores["post_id"].combine_chunks()))
    values = np.column_stack([scores[f"p_{name}"].to_numpy() for name in policies.ids])
    reach = np.asarray(posts["reach"].fill_null(0).to_numpy(), dtype=np.float64)
    languages = posts["language"].to_pylist()
    presence = np.column_stack([scores[f"{name}_presence"].to_numpy() for name in MODALITIES])
    failed = (presence == Presence.FAILED).any(axis=1)
    routed = Routing(policies).route(values, reach, failed, languages)
    requests, answers, actions = [], [], []
    for row, (_, image, video) in enumerate((presence != Presence.ABSENT).tolist()):
        media = ({"images.0": "a"} if image else {}) | ({"video": "b"} if video else {})
        requests.append({"language": languages[row], "media": media, "reach": reach[row]})
        action, policy = routed.words(row, policies)
        actions.append(action)
        own = {
            name: {"probability": float(values[row, k]),
                   "action": ("ALLOW", "REVIEW", "REMOVE")[int(routed.by_policy[row, k])]}
            for k, name in enumerate(policies.ids)
        }  # fmt: skip
        answers.append({"policy": policy, "policies": own})
    return decision_rows(
        posts["post_id"].to_pylist(), posts["author_id"].to_pylist(),
        np.asarray(posts["event_time"].cast(TIME).cast(pa.int64())), note["model_version"],
        actions, values.max(axis=1), requests, answers,
    )  # fmt: skip


def review_labels(path: Path, decisions: pa.Table) -> pa.Table:
    """What people found about the posts that were sent to them, a day later."""
    labels = pq.read_table(path)
    sent = decisions.filter(pc.equal(decisions["decision"], "REVIEW"))
    rows = labels.filter(pc.is_in(labels["post_id"], value_set=sent["subject_id"].combine_chunks()))
    known = rows["event_time"].cast(TIME)
    columns = {
        "subject_id": rows["post_id"], "kind": rows["policy"], "value": rows["violates"],
        "observed_at": known, "received_at": known,
        "source": pa.array(["single"] * rows.num_rows),
    }  # fmt: skip
    return pa.table(columns).cast(LABEL_SCHEMA)


MAKERS = {"fraud": fraud, "maintenance": maintenance, "churn": churn, "moderation": moderation}
