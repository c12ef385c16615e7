"""Fights in surveillance clips: five folds, clips of one scene always in one fold."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold

from lib.evaluation import bootstrap_interval, roc_auc
from lib.moderation.model.model_config import SMALL
from lib.moderation.model.pixels import evenly_spaced
from lib.moderation.model.training import Run, fit_video
from lib.moderation.synthetic.composing import COMPOSED_POLICIES

_SAME_SCENE = 0.9
_VIOLENCE = COMPOSED_POLICIES.index("violence")


@dataclass(frozen=True)
class Fights:
    """Clips (n, T, H, W, 3), whether each is a fight, and which scene it is of."""

    clips: NDArray[np.uint8]
    fights: NDArray[np.bool_]
    scenes: NDArray[np.int64]


def read_fights(data: Path) -> Fights:
    """All clips. Scenes are not named in the data: clips whose mean frames look alike share one."""
    table = pq.read_table(data / "fight_clips/clips_16x112.parquet").to_pydict()
    clips = np.stack([np.stack([_decoded(frame) for frame in row]) for row in table["frames_jpeg"]])
    return Fights(clips, np.array(table["label"]) == 1, scenes_of(clips))


def scenes_of(clips: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Chains of clips whose mean frames, 8 x 8 pixels in grey, correlate above 0.9."""
    small = [
        np.mean(
            [np.asarray(Image.fromarray(f).convert("L").resize((8, 8)), float) for f in clip], 0
        )
        for clip in clips
    ]
    return connected_components(np.corrcoef(np.reshape(small, (len(clips), -1))) > _SAME_SCENE)[1]


def judge_fights(
    fights: Fights, run: Run, epochs: int, members: int
) -> tuple[dict[str, object], NDArray[np.float64]]:
    """Figures over five folds, and log-odds (n,) of each clip by the fold that never saw it."""
    learning = replace(SMALL.video.learning, epochs=epochs)
    size = replace(SMALL.video, members=members, learning=learning)
    clips = np.stack([evenly_spaced(clip, size.frames, size.side) for clip in fights.clips])
    targets = np.full((len(clips), len(COMPOSED_POLICIES)), np.nan)
    targets[:, _VIOLENCE] = fights.fights
    odds = {name: np.zeros(len(clips)) for name in ("network", "motion", "ours")}
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=run.seed)
    none = np.zeros(0, dtype=np.int64)
    for train, test in folds.split(clips, fights.fights, fights.scenes):
        model = fit_video(clips[train], targets[train], COMPOSED_POLICIES, none, size, run)
        unseen = list(clips[test])
        odds["network"][test] = model.network_answer(unseen)[1][:, _VIOLENCE]
        assert model.motion is not None
        odds["motion"][test] = model.motion.log_odds(unseen)[:, _VIOLENCE]
        odds["ours"][test] = model.answer_frames(unseen).log_odds[:, _VIOLENCE]
        right = (odds["ours"][test] > 0) == fights.fights[test]
        print(f"  fold: {len(train)} clips to learn from, accuracy {right.mean():.3f}", flush=True)
    measures: dict[str, object] = {
        f"{name}_accuracy": float(((log_odds > 0) == fights.fights).mean())
        for name, log_odds in odds.items()
        if name != "ours"
    }
    right = ((odds["ours"] > 0) == fights.fights).astype(float)
    accuracy = bootstrap_interval(
        lambda rows: float(right[rows].mean()), fights.scenes, run.seed, 1000
    )
    measures |= {
        "accuracy": accuracy.value,
        "accuracy_low": accuracy.low,
        "accuracy_high": accuracy.high,
        "auc": roc_auc(fights.fights, odds["ours"]),
        "clips": len(clips),
        "scenes": len(np.unique(fights.scenes)),
    }
    return measures, odds["ours"]


def _decoded(content: bytes) -> NDArray[np.uint8]:
    return np.array(Image.open(io.BytesIO(content)).convert("RGB"))
