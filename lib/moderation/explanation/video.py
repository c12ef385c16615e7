"""Which moments of a clip mattered: each is stilled in turn, and what is lost is its share."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lib.moderation.explanation.text import place_of
from lib.moderation.model.outputs import ModelError, Pixels
from lib.moderation.model.video import VideoModel


@dataclass(frozen=True)
class Segment:
    """A stretch of a clip.

    Attributes:
        begin_s, end_s: seconds from the clip's begin.
        share: what it adds to the log-odds of violating the policy.
    """

    begin_s: float
    end_s: float
    share: float


def explain_video(
    model: VideoModel,
    frames: Pixels,
    times_s: NDArray[np.float64],
    policy: str,
    segments: int = 8,
) -> list[Segment]:
    """Segments of about equal length, in order.

    Occlusion (Zeiler and Fergus 2014) in time: while a segment is hidden the frame before it stands
    still, so that neither its look nor its motion remains, and no jump of brightness is added.

    Args:
        model: of clips.
        frames: (T, H, W, 3) RGB.
        times_s: (T,) seconds of each frame, rising.
        policy: one of the model's.
        segments: how many; at most T.

    Raises:
        ModelError: the model has no such policy, or times are not those of the frames.
    """
    policy_index = place_of(model.policies, policy)
    if len(times_s) != len(frames):
        raise ModelError(f"times: expected {len(frames)}, one for each frame, got {len(times_s)}")
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
        parts.append(Segment(float(times_s[positions[begin]]), float(times_s[last]), share))
    return parts


def stilled(frames: Pixels, begin: int, end: int) -> Pixels:
    """Frames of which those of [begin, end) are the one before, or after at the clip's begin."""
    still = frames.copy()
    still[begin:end] = frames[begin - 1] if begin else frames[min(end, len(frames) - 1)]
    return still
