"""What workers do: models of each modality in turn, their answers, then fusion.

Each is kept in a storage when it is finished, so that a run that was cut off, or a worker group
that was started anew after a lost node, goes on where the last one was.
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jobs.moderation.dataset import PreparedDataset, find_rows, rows_with
from jobs.moderation.distributed import Backend, SharedRun
from lib.feature.attributes import read_attributes
from lib.moderation.model.fitting import Runtime
from lib.moderation.model.fusion import unseen_as_failed
from lib.moderation.model.fusion_training import fit_fusion
from lib.moderation.model.image import ImageModel
from lib.moderation.model.model import thresholds_of
from lib.moderation.model.model_config import ModelConfig, read_size
from lib.moderation.model.outputs import Ints, ModalityAnswer, joined
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
        plan: `rows` and `storage` (addresses), `size`, `seed`, `modalities` to fit, and
            `attributes` of posts that fusion reads.
        backend: who does it; all of them call this.
    """
    storage = open_storage(plan["storage"])
    size = read_size(plan["size"], "plan")
    dataset = find_rows(plan["rows"]).reading(read_attributes(plan["attributes"]))
    training = _Training(dataset, read_split(storage), size, int(plan["seed"]), backend, storage)
    for name in plan["modalities"]:
        if not storage.exists(f"{name}/finished"):
            with tempfile.TemporaryDirectory() as folder:
                training.fit_member(name, Path(folder))
        backend.barrier()
    if not storage.exists("fusion/finished"):
        training.fit_fusion(plan["modalities"])
    backend.barrier()


@dataclass(frozen=True)
class _Training:
    """What all steps of a training work with."""

    dataset: PreparedDataset
    split: PostSplit
    size: ModelConfig
    seed: int
    backend: Backend
    storage: Storage

    def fit_member(self, name: str, folder: Path) -> None:
        """One modality: fit, keep, and answer about the posts that it did not learn from."""
        model = self._fitted(name, folder)
        if self.backend.rank == 0:
            self._keep(model.files(), name)
        self.backend.barrier()
        # all workers answer by what was kept, not by what each has in its own hands
        kept = read_member(self.storage, name, self.backend.runtime)
        self._answer(name, kept, folder)
        self.backend.barrier()
        if self.backend.rank == 0:
            self.storage.write(f"{name}/finished", str(self.backend.size).encode())
            self.storage.delete(f"checkpoints/{name}")

    def fit_fusion(self, modalities: Sequence[str]) -> None:
        """Fusion of what the modalities said of the posts that they did not learn from."""
        rows, size = self.split.rows("fusion"), self.size.fusion
        answers = answers_about(self.storage, modalities, rows)
        blind = [name not in modalities for name in MODALITIES]
        presence = unseen_as_failed(self.dataset.presence[rows], blind)
        policies, targets = self.dataset.policies.ids, self.dataset.targets[rows]
        run = self._run("fusion", every=max(1, size.learning.epochs))
        folds, samples = self.split.fold[rows], self.dataset.samples(self.split)
        fused = fit_fusion(answers, presence, targets, policies, folds, size, run, samples)
        if self.backend.rank == 0:
            self._keep(fused.fusion.files(), "fusion")
            thresholds = thresholds_of(fused.log_odds, targets, policies)
            self.storage.write(THRESHOLDS, json.dumps(thresholds).encode())
            self.storage.write("fusion/finished", b"1")
            self.storage.delete("checkpoints/fusion")

    def _run(self, name: str, every: int = 1) -> SharedRun:
        return SharedRun.going_on(name, self.seed, self.backend, self.storage, every)

    def _fitted(self, name: str, folder: Path) -> MemberModel:
        dataset, targets, policies = self.dataset, self.dataset.targets, self.dataset.policies.ids
        rows, run = rows_with(dataset.presence, name, self.split.rows("members")), self._run(name)
        if name == "text":
            held_out = np.flatnonzero(self.split.held_out[rows])
            texts, tokens = dataset.texts(rows), dataset.tokens(rows)
            return fit_text(texts, targets[rows], policies, held_out, self.size.text, run, tokens)
        pixels, owners = dataset.pixels(name, rows, folder)
        if name == "image":
            return fit_image(pixels, targets[owners], policies, self.size.image, run)
        held_out = np.flatnonzero(self.split.held_out[owners])
        return fit_video(pixels, targets[owners], policies, held_out, self.size.video, run)

    def _answer(self, name: str, model: MemberModel, folder: Path) -> None:
        """This worker's share of the answers, to a file of its own."""
        rank, size = self.backend.rank, self.backend.size
        rows = rows_with(self.dataset.presence, name, self.split.rows(*_OTHERS))[rank::size]
        if isinstance(model, TextModel):
            answer, owners = model.answer(self.dataset.texts(rows)), rows
        else:
            pixels, owners = self.dataset.pixels(name, rows, folder)
            answer = joined([
                _media_answer(model, pixels[k : k + _AT_ONCE])
                for k in range(0, max(len(pixels), 1), _AT_ONCE)
            ])  # fmt: skip
        arrays = {"embeddings": answer.embeddings, "log_odds": answer.log_odds, "owners": owners}
        self.storage.write(f"{name}/answers/{rank}-of-{size}.safetensors", arrays_bytes(arrays))

    def _keep(self, files: Mapping[str, bytes], name: str) -> None:
        self.storage.delete(f"{name}/model")
        for file, content in files.items():
            self.storage.write(f"{name}/model/{file}", content)


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


def _media_answer(model: ImageModel | VideoModel, pixels: Any) -> ModalityAnswer:
    if isinstance(model, ImageModel):
        return model.answer_squares(pixels)
    return model.answer_frames(list(pixels))


def _answer_files(storage: Storage, name: str) -> list[str]:
    workers = int(storage.read(f"{name}/finished") or b"0")
    return [f"{name}/answers/{rank}-of-{workers}.safetensors" for rank in range(workers)]
