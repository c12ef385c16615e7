"""Scored rows made up for the tests of monitoring: two inputs, of which a model knows one."""

from dataclasses import dataclass

import numpy as np

from lib.calibration import sigmoid
from lib.monitoring.scored_rows import DAY, ScoredRows


@dataclass(frozen=True)
class MadeRows:
    """How rows are drawn.

    Attributes:
        seed: of the draws.
        days, per_day: how many.
        hidden_mean: mean of the input that the model does not know.
        slope: of the known input in the truth; the model has learnt 1.
    """

    seed: int
    days: int = 14
    per_day: int = 1_000
    hidden_mean: float = 0.0
    slope: float = 1.0

    def rows(self) -> ScoredRows:
        generator = np.random.default_rng(self.seed)
        count = self.days * self.per_day
        known = generator.normal(size=count)
        hidden = generator.normal(self.hidden_mean, 1.0, count)
        truth = sigmoid(-3.0 + self.slope * known + 0.9 * hidden)
        label = (generator.random(count) < truth).astype(np.float64)
        amount = np.exp(generator.normal(3.0, 1.0, count))
        return ScoredRows(
            entity=generator.integers(0, count // 3, count),
            event_time=np.sort(generator.integers(0, self.days * DAY, count)),
            score=sigmoid(-2.6 + known),
            label=label,
            money_if_positive=-amount,
            money_if_negative=np.zeros(count),
            inputs=np.column_stack([known, hidden]).astype(np.float32),
        )
