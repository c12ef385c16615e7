"""What became of earlier plans: who left, and what each playbook changed."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from lib.churn.interventions.effects import Effect, estimate_effect, revised
from lib.churn.interventions.playbooks import Playbooks
from lib.churn.target import Floats
from lib.churn.vocabulary import ChurnError
from lib.feature import DAY

_DOUBT = 0.15
_FEWEST = 30


def churned_customers(log: pa.Table, churn: pa.Table, window_days: int, until_us: int) -> Floats:
    """Of each logged intervention, 1.0 where the customer gave notice within the window after it.

    NaN where the window is not over at `until_us`.
    """
    notices: dict[str, list[int]] = {}
    times = churn["event_time"].cast(pa.int64()).to_pylist()
    for name, time in zip(churn["customer_id"].to_pylist(), times, strict=True):
        notices.setdefault(name, []).append(time)
    outcomes = np.zeros(log.num_rows)
    planned = log["planned_at"].cast(pa.int64()).to_pylist()
    for row, (name, at) in enumerate(zip(log["customer_id"].to_pylist(), planned, strict=True)):
        end = at + window_days * DAY
        left = any(at < time <= end for time in notices.get(name, ()))
        outcomes[row] = left if end <= until_us else np.nan
    return outcomes


def effects_of(log: pa.Table, left: Floats) -> dict[str, Effect]:
    """What each playbook changed, where enough outcomes of both sides are known.

    Args:
        log: of earlier plans; see `log_of`.
        left: see `churned_customers`.
    """
    is_known = ~np.isnan(left)
    books = np.array(log["playbook"].to_pylist(), dtype=np.str_)
    treated = ~log["held_out"].to_numpy(zero_copy_only=False).astype(np.bool_)
    effects = {}
    for name in np.unique(books).tolist():
        rows = is_known & (books == name)
        if rows.sum() < _FEWEST:
            continue
        expected = float(log["expected_fall"].to_numpy()[rows].mean())
        try:
            effects[name] = estimate_effect(
                left[rows],
                treated[rows],
                log["propensity"].to_numpy()[rows],
                log["chance"].to_numpy()[rows],
                expected,
            )
        except ChurnError:
            continue
    return effects


def revised_effects(
    playbooks: Playbooks, log: pa.Table, effects: dict[str, Effect]
) -> dict[str, float]:
    """By playbook, the assumed share of the chance that goes, revised by what was seen."""
    books = np.array(log["playbook"].to_pylist(), dtype=np.str_)
    probabilities = log["chance"].to_numpy()
    return {
        playbook.id: revised(
            playbook.effect,
            _DOUBT,
            effects[playbook.id],
            float(probabilities[books == playbook.id].mean()),
        )
        for playbook in playbooks.playbooks
        if playbook.id in effects
    }
