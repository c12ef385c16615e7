"""One modality's model, in the versions that were asked for last."""

import copy
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from lib.moderation.explanation.to_json import TO_JSON
from lib.moderation.model import SYSTEM
from lib.moderation.model.fitting import Runtime
from lib.moderation.model.fusion_version import Payload
from lib.moderation.model.model import load_image, load_text, load_video
from lib.moderation.model.outputs import ModalityAnswer
from lib.registry import Registry

ModalityRequest = tuple[str, Payload]
"""A version, and what its model is given."""
Model = TypeVar("Model")
LOADERS: Mapping[str, Callable[[Path, Runtime], Any]] = {
    "text": load_text,
    "image": load_image,
    "video": load_video,
}
"""By modality, what reads its model."""
_KEPT = 2


class ModelVersions(Generic[Model]):
    """Models by version: the newest asked for stay, the others are forgotten.

    Args:
        registry: directory or URI.
        folder: where local copies are kept.
        load: reads an artifact's directory.
    """

    def __init__(self, registry: str, folder: Path, load: Callable[[Path], Model]) -> None:
        self._registry, self._folder, self._load = registry, folder, load
        self._loading, self._swapping = threading.Lock(), threading.Lock()
        self._models: OrderedDict[str, Model] = OrderedDict()

    def get(self, version: str) -> Model | None:
        """A model that is here; None where it is not. Never waits for one that is loading."""
        with self._swapping:
            if version in self._models:
                self._models.move_to_end(version)
            return self._models.get(version)

    def prepare(self, version_or_alias: str) -> Model:
        """A model, loaded if it is not here; blocks.

        Args:
            version_or_alias: alias or version.

        Raises:
            RegistryError, ArtifactError, OSError: it cannot be had.
        """
        with self._loading:
            registry = Registry(self._registry)
            version = registry.resolve(SYSTEM, version_or_alias)
            if (cached_model := self.get(version)) is not None:
                return cached_model
            model = self._load(registry.fetch(SYSTEM, version, self._folder))
            with self._swapping:
                self._models[version] = model
                while len(self._models) > _KEPT:
                    self._models.popitem(last=False)
            return model


class ModalityModel:
    """One modality.

    Args:
        modality: `text`, `image` or `video`.
        registry: directory or URI.
        folder: where local copies are kept.
        runtime: where and how answers are computed.
    """

    def __init__(self, modality: str, registry: str, folder: Path, runtime: Runtime) -> None:
        self.modality = modality
        loader = LOADERS[modality]
        self._versions: ModelVersions[Any] = ModelVersions(
            registry, folder, lambda directory: loader(directory, runtime)
        )

    def prepare(self, version_or_alias: str) -> None:
        """Loads a version; see `ModelVersions.prepare`."""
        self._versions.prepare(version_or_alias)

    def answers(self, requests: Sequence[ModalityRequest]) -> list[ModalityAnswer | None]:
        """An answer of one row for each, in their order; None of a version that is not here.

        Args:
            requests: version and payload: a text; images (k, S, S, 3) of one post; frames
                (T, S, S, 3) of its clip, as `Preprocessing` prepares them.
        """
        answers: dict[int, ModalityAnswer] = {}
        for version in dict.fromkeys(version for version, _ in requests):
            if (model := self._versions.get(version)) is None:
                continue
            indices = [index for index, request in enumerate(requests) if request[0] == version]
            batch_answer = self._answer(model, [requests[index][1] for index in indices])
            rows = np.arange(len(indices))
            answers |= {index: batch_answer.take(rows[[k]]) for k, index in enumerate(indices)}
        return [answers.get(index) for index in range(len(requests))]

    def explain(self, version: str, payload: Payload, policy: str) -> dict[str, Any]:
        """What of a payload speaks for a policy, as JSON; blocks."""
        model = self._versions.prepare(version)
        if self.modality == "text":
            # gradients are taken through hooks, which posts that are judged meanwhile must not see
            model = replace(model, net=copy.deepcopy(model.net))
        return TO_JSON[self.modality](model, payload, policy)

    def _answer(self, model: Any, payloads: Sequence[Any]) -> ModalityAnswer:
        if self.modality == "text":
            answer: ModalityAnswer = model.answer(payloads)
        elif self.modality == "video":
            answer = model.answer_frames(payloads)
        else:
            owners = np.repeat(np.arange(len(payloads)), [len(payload) for payload in payloads])
            squares = model.answer_squares(np.concatenate(payloads))
            answer = squares.pooled(owners, len(payloads))
        return answer
