"""Incidents among windows: what differs from the reference by more than days differ by nature."""

from __future__ import annotations

from collections.abc import Sequence

from lib.monitoring.budget import ErrorBudget
from lib.monitoring.incident import Incident
from lib.monitoring.reference import ModelReference
from lib.monitoring.window import WindowSketch


def detect(
    reference: ModelReference, windows: Sequence[WindowSketch], budget: ErrorBudget
) -> list[Incident]:
    """All incidents in windows of a model, those that are over included.

    State is carried through the windows alone: the same windows give the same incidents, and more
    windows after them leave `id`, `since`, `kind`, `opened_at` and the figures at the opening as
    they are; only `seen_at` and `closed_at` go on.

    Args:
        reference: of the model that decided in these windows.
        windows: one a day (UTC), in order of time, whole days only, best all since the model
            decides; empty ones where nothing was decided. Counted by `reference.bins`.
        budget: of the installation.

    Returns:
        In order of opening.

    Raises:
        ValueError: windows overlap, are not in order of time, or were counted by other bins.
    """
    raise NotImplementedError
