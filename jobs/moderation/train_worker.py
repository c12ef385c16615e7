"""What workers do: models of each modality in turn, their answers, then fusion.

Each is kept in a storage when it is finished, so that a run that was cut off, or a worker group
that was started anew after a lost node, goes on where the last one was.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jobs.moderation.dataset import PreparedDataset, find_rows, rows_with
from jobs.moderation.distributed import Backend, SharedRun
from lib.moderation.model.fitting import Runtime
from lib.moderation.model.fusion_training import fit_fusion
from lib.moderation.model.image import ImageModel
from lib.moderation.model.inputs import Marks
from lib.moderation.model.model import thresholds_of
from lib.moderation.model.model_config import ModelConfig, read_size
from lib.moderation.model.outputs import Ints, ModalityAnswer, Presence, joined
from lib.moderation.model.serialization import arrays_bytes, read_arrays
from lib.moderation.model.splits import PostSplit
from lib.moderation.model.text import TextModel
from lib.moderation.model.training import fit_image, fit_text, fit_video
from lib.moderation.model.video import VideoModel
from lib.moderation.post import MODALITIES
from lib.storage import Storage, open_storage

SPLIT = "split.safetensors"
THRESHOLDS = "fusion/thresholds.json"
_AT_ONCE = 512
_OTHERS = ("fusion", "test")
MemberModel = TextModel | ImageModel | VideoModel
KINDS: dict[str, Any] = {"text": TextModel, "image": ImageModel, "video": VideoModel}


def train_members(plan: Mapping[str, Any], backend: Backend) -> None:
    """Fit everything that is not there yet.

    Args:
        plan: `rows` and `storage` (addresses), `size`, `seed`, and `modalities` to fit.
        backend: who does it; all of them call this.
    """
    dataset, size = find_rows(plan["rows"]), read_size(plan["size"], "plan")
    storage = open_storage(plan["storage"])
    split = read_split(storage)
    for name in plan["modalities"]:
        if not storage.exists(f"{name}/finished"):
            with tempfile.TemporaryDirectory() as folder:
                _member(name, dataset, split, size, plan["seed"], backend, storage, Path(folder))
        backend.barrier()
    if not storage.exists("fusion/finished"):
        _fusion(dataset, split, size, plan, backend, storage)
    backend.barrier()


def write_split(split: PostSplit, storage: Storage) -> None:
    """Keep it for all workers."""
    arrays = {
        "part": split.part, "held": split.held_out.astype(np.int8), "fold": split.fold,
        "test_from_us": np.array([split.test_from_us]),
    }  # fmt: skip
    storage.write(SPLIT, arrays_bytes(arrays))


def read_split(storage: Storage) -> PostSplit:
    """As `write_split` kept it."""
    arrays = read_arrays(storage.read(SPLIT) or b"")
    return PostSplit(
        arrays["part"], arrays["held"] > 0, arrays["fold"], int(arrays["test_from_us"][0])
    )


def read_member(storage: Storage, name: str, runtime: Runtime) -> MemberModel:
    """The model of a modality that is finished."""
    model: MemberModel = KINDS[name].read(reader(storage, name), runtime)
    return model


def reader(storage: Storage, folder: str) -> Any:
    """Takes the name of a file of a finished part and answers its bytes."""
    return lambda name: storage.read(f"{folder}/model/{name}") or b""


def answers_about(
    storage: Storage, modalities: Sequence[str], rows: Ints
) -> dict[str, ModalityAnswer]:
    """What finished models said of some posts: by modality, a row for each post."""
    answers = {}
    for name in modalities:
        parts = [read_arrays(storage.read(path) or b"") for path in _answer_files(storage, name)]
        answer = joined([ModalityAnswer(part["embeddings"], part["log_odds"]) for part in parts])
        owners = np.concatenate([part["owners"] for part in parts])
        row_mask = np.isin(owners, rows)
        positions = np.searchsorted(rows, owners[row_mask])
        some = answer.take(np.flatnonzero(row_mask))
        pooled = name == "image"
        answers[name] = (
            some.pooled(positions, len(rows)) if pooled else some.spread(positions, len(rows))
        )
    return answers


def _member(
    name: str,
    dataset: PreparedDataset,
    split: PostSplit,
    size: ModelConfig,
    seed: int,
    backend: Backend,
    storage: Storage,
    folder: Path,
) -> None:
    """One modality: fit, keep, and answer about the posts that it did not learn from."""
    presence = dataset.presence
    rows = rows_with(presence, name, split.rows("members"))
    run = SharedRun.going_on(name, seed, backend, storage)
    model = _fitted(name, dataset, split, rows, size, run, folder)
    if backend.rank == 0:
        _keep(model.files(), name, storage)
    backend.barrier()
    # all workers answer by what was kept, not by what each has in its own hands
    kept = read_member(storage, name, backend.runtime)
    _answer(
        name,
        kept,
        dataset,
        rows_with(presence, name, split.rows(*_OTHERS)),
        backend,
        storage,
        folder,
    )
    backend.barrier()
    if backend.rank == 0:
        storage.write(f"{name}/finished", str(backend.size).encode())
        storage.delete(f"checkpoints/{name}")


def _fitted(
    name: str,
    dataset: PreparedDataset,
    split: PostSplit,
    rows: Ints,
    size: ModelConfig,
    run: SharedRun,
    folder: Path,
) -> MemberModel:
    targets, policies = dataset.targets, dataset.policies.ids
    if name == "text":
        held_out = np.flatnonzero(split.held_out[rows])
        texts, tokens = dataset.texts(rows), dataset.tokens(rows)
        return fit_text(texts, targets[rows], policies, held_out, size.text, run, tokens)
    pixels, owners = dataset.pixels(name, rows, folder)
    if name == "image":
        return fit_image(pixels, targets[owners], policies, size.image, run)
    held_out = np.flatnonzero(split.held_out[owners])
    return fit_video(pixels, targets[owners], policies, held_out, size.video, run)


def _answer(
    name: str,
    model: MemberModel,
    dataset: PreparedDataset,
    rows: Ints,
    backend: Backend,
    storage: Storage,
    folder: Path,
) -> None:
    """This worker's share of the answers, to a file of its own."""
    own_rows = rows[backend.rank :: backend.size]
    if isinstance(model, TextModel):
        answer, owners = model.answer(dataset.texts(own_rows)), own_rows
    else:
        pixels, owners = dataset.pixels(name, own_rows, folder)
        answer = joined([
            _media_answer(model, pixels[k : k + _AT_ONCE])
            for k in range(0, max(len(pixels), 1), _AT_ONCE)
        ])  # fmt: skip
    arrays = {"embeddings": answer.embeddings, "log_odds": answer.log_odds, "owners": owners}
    storage.write(
        f"{name}/answers/{backend.rank}-of-{backend.size}.safetensors", arrays_bytes(arrays)
    )


def _media_answer(model: ImageModel | VideoModel, pixels: Any) -> ModalityAnswer:
    if isinstance(model, ImageModel):
        return model.answer_squares(pixels)
    return model.answer_frames(list(pixels))


def _answer_files(storage: Storage, name: str) -> list[str]:
    workers = int(storage.read(f"{name}/finished") or b"0")
    return [f"{name}/answers/{rank}-of-{workers}.safetensors" for rank in range(workers)]


def _fusion(
    dataset: PreparedDataset,
    split: PostSplit,
    size: ModelConfig,
    plan: Mapping[str, Any],
    backend: Backend,
    storage: Storage,
) -> None:
    rows = split.rows("fusion")
    answers = answers_about(storage, plan["modalities"], rows)
    presence: Marks = unseen_as_failed(dataset.presence[rows], plan["modalities"])
    epochs = max(1, size.fusion.learning.epochs)
    run = SharedRun.going_on("fusion", plan["seed"], backend, storage, every=epochs)
    policies, targets = dataset.policies.ids, dataset.targets[rows]
    fused = fit_fusion(answers, presence, targets, policies, split.fold[rows], size.fusion, run)
    if backend.rank == 0:
        _keep(fused.fusion.files(), "fusion", storage)
        thresholds = thresholds_of(fused.log_odds, targets, policies)
        storage.write(THRESHOLDS, json.dumps(thresholds).encode())
        storage.write("fusion/finished", b"1")
        storage.delete("checkpoints/fusion")


def unseen_as_failed(presence: Marks, modalities: Sequence[str]) -> Marks:
    """Presence in which what no model looks at counts as failed: something nobody has seen."""
    blind = np.array([name not in modalities for name in MODALITIES])
    unseen = (presence == Presence.PRESENT) & blind
    return np.where(unseen, np.int8(Presence.FAILED), presence).astype(np.int8)


def _keep(files: Mapping[str, bytes], name: str, storage: Storage) -> None:
    storage.delete(f"{name}/model")
    for file, content in files.items():
        storage.write(f"{name}/model/{file}", content)
