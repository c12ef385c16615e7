"""Scoring of posts with a model, over the cluster."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from ray.data import ActorPoolStrategy, DataContext, Dataset

from jobs import ingestion
from jobs.cluster.admission import Request, await_workers, with_gpus
from jobs.framework.cluster import shuffle_partitions, start_ray
from jobs.framework.row_folder import RowFolder
from jobs.model_source import model_directory
from jobs.moderation.post_events import POST, by_post, map_to_events
from jobs.moderation.score import NOTE, ScoreConfig
from jobs.moderation.scoring import MediaScorer, ModelLocation, PostScorer, answers_schema
from jobs.moderation.sources import intakes, read_policies, table_lines
from lib.contract import ContractError
from lib.feature.attributes import Attribute
from lib.moderation.contracts import MEDIA, POSTS
from lib.moderation.model import SYSTEM
from lib.moderation.model.model import read_attributes_of
from lib.moderation.policies import Policies
from lib.registry import ArtifactError, Registry, verify_artifact
from lib.storage import Storage, open_dataset, open_storage

_BLOCK_BYTES = 64 * 1024 * 1024


def score_posts(config: ScoreConfig) -> str:
    """Score and write; returns the folder or URI of Parquet files."""
    if config.posts is None:
        raise ContractError("--posts is missing: say where the posts are")
    policies = read_policies(config.policies)
    model_location, version, attributes = _model_location(config, policies)
    config.require_attributes(attributes)
    folder = RowFolder(open_storage(config.output), NOTE)
    folder.start()
    start_ray()
    DataContext.get_current().target_max_block_size = _BLOCK_BYTES
    request = with_gpus(Request(config.actors, 0, config.cpus_per_actor, config.gpus_per_actor))
    await_workers(request)
    schema = answers_schema(attributes)
    folder.write(_scored(config, model_location, request, folder.work, schema))
    note = _note(config, policies, version, folder.work)
    folder.publish()
    folder.finish({**note, "tables": intakes(folder.storage, "quarantine")})
    print(closing_lines(folder))
    return folder.data


def _model_location(
    config: ScoreConfig, policies: Policies
) -> tuple[ModelLocation, str, tuple[Attribute, ...]]:
    """Where actors find the model, its version settled now, and the attributes that it reads."""
    version = config.version
    if config.registry is not None and config.model is None:
        version = Registry(config.registry).resolve(SYSTEM, version)
    model_location = ModelLocation(
        config.model, config.registry, version, policies, config.cpus_per_actor
    )
    with model_directory(SYSTEM, config.model, config.registry, version) as folder:
        artifact = verify_artifact(folder)
        manifest, attributes = artifact.manifest, read_attributes_of(artifact)
    lacking = sorted(set(policies.ids) - set(manifest.feature_names))
    if manifest.system != SYSTEM or lacking:
        raise ArtifactError(
            f"model {manifest.version}: expected one of {SYSTEM} for {', '.join(policies.ids)}, "
            f"got one of {manifest.system} for {', '.join(manifest.feature_names)}; give the "
            "policies by --policies"
        )
    return model_location, manifest.version, attributes


def _scored(
    config: ScoreConfig,
    model_location: ModelLocation,
    request: Request,
    work: Storage,
    schema: pa.Schema,
) -> Dataset:
    quarantine = work.address("quarantine")
    work.write("quarantine/.keep", b"")
    actor_options: dict[str, Any] = {
        "compute": ActorPoolStrategy(size=config.actors),
        "num_cpus": request.cpus,
        "batch_format": "pyarrow",
        "batch_size": None,
    } | ({"num_gpus": request.gpus} if request.gpus > 0 else {})
    answers = map_to_events(config.read_posts(quarantine), POST, schema)
    if config.media is not None:
        arguments = (model_location, config.addresses(), quarantine)
        media_answers = config.read(MEDIA, quarantine).map_batches(
            MediaScorer, fn_constructor_args=arguments, **actor_options
        )
        answers = answers.union(media_answers)
    partitions = shuffle_partitions(config.partitions, config.estimated_rows(POSTS, MEDIA))
    together = by_post(answers, partitions)
    # these begin when all readers have ended, and would keep them from their cores until then
    actor_options["num_cpus"] = 0
    return together.map_batches(
        PostScorer, fn_constructor_args=(model_location, quarantine, config.price), **actor_options
    )


def _note(config: ScoreConfig, policies: Policies, version: str, work: Storage) -> dict[str, Any]:
    table = open_dataset(work, "data").to_table(columns=["action"])
    if not table.num_rows:
        reason = ingestion.most_frequent_reason(work, "quarantine/posts", str(config.posts))
        raise ContractError(f"{reason}; no post could be scored; see {work.shown('quarantine')}")
    actions = {
        entry["values"]: entry["counts"] for entry in pc.value_counts(table["action"]).to_pylist()
    }
    return {
        "model_version": version,
        "policies": policies.model_dump(mode="json"),
        "posts": table.num_rows,
        "actions": actions,
        "data_fingerprint": ingestion.fingerprint_of(config.files),
        "price": config.price,
    }


def closing_lines(folder: RowFolder) -> str:
    """How many posts would meet what, and where everything lies."""
    note = folder.read_note()
    names = [policy["id"] for policy in note["policies"]["policies"]]
    table = open_dataset(folder.storage, "data").to_table(columns=[f"p_{name}" for name in names])
    lines = [f"{'policy':24}{'mean':>8}{'above 50%':>12}"]
    for name in names:
        probabilities: pa.ChunkedArray = table[f"p_{name}"]
        above = pc.sum(pc.greater(probabilities, 0.5)).as_py()
        lines.append(f"{name:24}{pc.mean(probabilities).as_py():>8.3f}{above:>12,}")
    counted = ", ".join(f"{count:,} {name}" for name, count in sorted(note["actions"].items()))
    broken = note["tables"].get("media", {}).get("quarantined", 0)
    return "\n".join(
        [
            *table_lines(note["tables"]),
            *lines,
            f"{note['posts']:,} posts: {counted}; {broken:,} media could not be used; model "
            f"{note['model_version']}",
            *folder.locations("scores"),
        ]
    )
