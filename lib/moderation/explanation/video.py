"""Which moments of a clip mattered: each is stilled in turn, and what is lost is its share."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lib.moderation.explanation.text import place_of
from lib.moderation.model.outputs import Pixels
from lib.moderation.model.video import VideoModel


@dataclass(frozen=True)
class Segment:
    """A stretch of a clip.

    Attributes:
        begin, end: from 0 to 1 of the clip's length.
        share: what it adds to the log-odds of violating the policy.
    """

    begin: float
    end: float
    share: float


def explain_video(
    model: VideoModel, frames: Pixels, policy: str, segments: int = 8
) -> list[Segment]:
    """Segments of about equal length, in order.

    Occlusion (Zeiler and Fergus 2014) in time: while a segment is hidden the frame before it stands
    still, so that neither its look nor its motion remains, and no jump of brightness is added.

    Args:
        model: of clips.
        frames: (T, H, W, 3) RGB.
        policy: one of the model's.
        segments: how many; at most T.

    Raises:
        ModelError: the model has no such policy.
    """
    policy_index = place_of(model.policies, policy)
    times = np.linspace(0.0, 1.0, len(frames))
    samples = model.frames(frames)
    positions = np.round(np.linspace(0, len(frames) - 1, len(samples))).astype(np.int64)
    cuts = np.unique(
        np.round(np.linspace(0, len(samples), min(segments, len(samples)) + 1)).astype(int)
    )
    hidden = [stilled(samples, begin, end) for begin, end in pairwise(cuts.tolist())]
    odds = model.answer_frames([samples, *hidden]).log_odds[:, policy_index]
    parts = []
    for k, (begin, end) in enumerate(pairwise(cuts.tolist())):
        last = positions[end] if end < len(samples) else positions[-1]
        share = float(odds[0] - odds[k + 1])
        parts.append(Segment(float(times[positions[begin]]), float(times[last]), share))
    return parts


def stilled(frames: Pixels, begin: int, end: int) -> Pixels:
    """Frames of which those of [begin, end) are the one before, or after at the clip's begin."""
    still = frames.copy()
    still[begin:end] = frames[begin - 1] if begin else frames[min(end, len(frames) - 1)]
    return still
