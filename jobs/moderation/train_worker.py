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


def train_members(plan: Mapping[str, Any], crew: Backend) -> None:
    """Fit everything that is not there yet.

    Args:
        plan: `rows` and `storage` (addresses), `size`, `seed`, and `modalities` to fit.
        crew: who does it; all of them call this.
    """
    prepared, size = find_rows(plan["rows"]), read_size(plan["size"], "plan")
    storage = open_storage(plan["storage"])
    parting = read_split(storage)
    for name in plan["modalities"]:
        if not storage.exists(f"{name}/finished"):
            with tempfile.TemporaryDirectory() as folder:
                _member(name, prepared, parting, size, plan["seed"], crew, storage, Path(folder))
        crew.meet()
    if not storage.exists("fusion/finished"):
        _fusion(prepared, parting, size, plan, crew, storage)
    crew.meet()


def write_split(parting: PostSplit, storage: Storage) -> None:
    """Keep it for all workers."""
    arrays = {
        "part": parting.part, "held": parting.held_out.astype(np.int8), "fold": parting.fold,
        "test_from_us": np.array([parting.test_from_us]),
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
    prepared: PreparedDataset,
    parting: PostSplit,
    size: ModelConfig,
    seed: int,
    crew: Backend,
    storage: Storage,
    folder: Path,
) -> None:
    """One modality: fit, keep, and answer about the posts that it did not learn from."""
    presence = prepared.presence
    rows = rows_with(presence, name, parting.rows("members"))
    run = SharedRun.going_on(name, seed, crew, storage)
    model = _fitted(name, prepared, parting, rows, size, run, folder)
    if crew.rank == 0:
        _keep(model.files(), name, storage)
    crew.meet()
    # all workers answer by what was kept, not by what each has in its own hands
    kept = read_member(storage, name, crew.runtime)
    _answer(
        name,
        kept,
        prepared,
        rows_with(presence, name, parting.rows(*_OTHERS)),
        crew,
        storage,
        folder,
    )
    crew.meet()
    if crew.rank == 0:
        storage.write(f"{name}/finished", str(crew.size).encode())
        storage.delete(f"checkpoints/{name}")


def _fitted(
    name: str,
    prepared: PreparedDataset,
    parting: PostSplit,
    rows: Ints,
    size: ModelConfig,
    run: SharedRun,
    folder: Path,
) -> MemberModel:
    targets, policies = prepared.targets, prepared.policies.ids
    if name == "text":
        held_out = np.flatnonzero(parting.held_out[rows])
        texts, tokens = prepared.texts(rows), prepared.tokens(rows)
        return fit_text(texts, targets[rows], policies, held_out, size.text, run, tokens)
    pixels, owners = prepared.pixels(name, rows, folder)
    if name == "image":
        return fit_image(pixels, targets[owners], policies, size.image, run)
    held_out = np.flatnonzero(parting.held_out[owners])
    return fit_video(pixels, targets[owners], policies, held_out, size.video, run)


def _answer(
    name: str,
    model: MemberModel,
    prepared: PreparedDataset,
    rows: Ints,
    crew: Backend,
    storage: Storage,
    folder: Path,
) -> None:
    """This worker's share of the answers, to a file of its own."""
    own_rows = rows[crew.rank :: crew.size]
    if isinstance(model, TextModel):
        answer, owners = model.answer(prepared.texts(own_rows)), own_rows
    else:
        pixels, owners = prepared.pixels(name, own_rows, folder)
        answer = joined([
            _media_answer(model, pixels[k : k + _AT_ONCE])
            for k in range(0, max(len(pixels), 1), _AT_ONCE)
        ])  # fmt: skip
    arrays = {"embeddings": answer.embeddings, "log_odds": answer.log_odds, "owners": owners}
    storage.write(f"{name}/answers/{crew.rank}-of-{crew.size}.safetensors", arrays_bytes(arrays))


def _media_answer(model: ImageModel | VideoModel, pixels: Any) -> ModalityAnswer:
    if isinstance(model, ImageModel):
        return model.answer_squares(pixels)
    return model.answer_frames(list(pixels))


def _answer_files(storage: Storage, name: str) -> list[str]:
    workers = int(storage.read(f"{name}/finished") or b"0")
    return [f"{name}/answers/{rank}-of-{workers}.safetensors" for rank in range(workers)]


def _fusion(
    prepared: PreparedDataset,
    parting: PostSplit,
    size: ModelConfig,
    plan: Mapping[str, Any],
    crew: Backend,
    storage: Storage,
) -> None:
    rows = parting.rows("fusion")
    answers = answers_about(storage, plan["modalities"], rows)
    presence: Marks = unseen_as_failed(prepared.presence[rows], plan["modalities"])
    epochs = max(1, size.fusion.learning.epochs)
    run = SharedRun.going_on("fusion", plan["seed"], crew, storage, every=epochs)
    policies, targets = prepared.policies.ids, prepared.targets[rows]
    fused = fit_fusion(answers, presence, targets, policies, parting.fold[rows], size.fusion, run)
    if crew.rank == 0:
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
