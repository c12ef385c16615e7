"""What the models of an artifact look at, for whoever prepares posts without holding the models."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from lib.moderation.model.frames import evenly_spaced
from lib.moderation.model.inputs import PostInputs
from lib.moderation.model.outputs import ModelError, Pixels
from lib.moderation.model.pixels import squares
from lib.registry import ArtifactError, verify_artifact


@dataclass(frozen=True)
class Preprocessing:
    """How posts are prepared: the same arrays that the models' own `answer` makes.

    Attributes:
        modalities: of which there are models.
        image_side: pixels of a side of images.
        frames: of a clip.
        video_side: pixels of a side of frames.
    """

    modalities: tuple[str, ...]
    image_side: int
    frames: int
    video_side: int

    def of(self, modality: str, post: PostInputs) -> str | Pixels:
        """What the model of a modality is given of a post that has it.

        Returns:
            the text; images (k, S, S, 3); frames (T, S, S, 3), uint8.

        Raises:
            ModelError: the post lacks that modality.
        """
        if modality == "text" and post.text is not None:
            return post.text
        if modality == "image" and post.images:
            return squares(post.images, self.image_side)
        if modality == "video" and post.clip is not None:
            return evenly_spaced(post.clip, self.frames, self.video_side)
        raise ModelError(f"{modality}: the post has none")


def views_in(directory: Path | str) -> Preprocessing:
    """The views of an artifact's models.

    Raises:
        ArtifactError: it is damaged.
    """
    artifact = verify_artifact(directory)

    def read_json(name: str) -> dict[str, object]:
        content: dict[str, object] = json.loads(artifact.path(name).read_bytes())
        return content

    try:
        modalities = tuple(str(name) for name in read_json("model.json")["modalities"])  # type: ignore[attr-defined]
        image = read_json("image.json")["size"] if "image" in modalities else {"side": 1}
        clip = (
            read_json("video.json")["size"] if "video" in modalities else {"frames": 1, "side": 1}
        )
        return Preprocessing(modalities, int(image["side"]), int(clip["frames"]), int(clip["side"]))  # type: ignore[index]
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{directory}: {type(error).__name__}: {error}") from error
