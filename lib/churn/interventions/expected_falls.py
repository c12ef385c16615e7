"""How far interventions are expected to lower each customer's chance to leave.

An intervention helps where the trouble is that it treats. A playbook that says what it treats takes
a share of what those features add to the customer's log-odds beyond the usual customer's, as the
model's SHAP values say, and nothing of a risk that comes from elsewhere. One that does not say it
takes the same share of any chance.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lib.churn.features import group_of
from lib.churn.interventions.effects import MOST_SHARE, MeasuredShare
from lib.churn.interventions.plan import NO_PLAYBOOK
from lib.churn.interventions.playbooks import Playbook, Playbooks
from lib.churn.target import Floats, Ints

_LEAST_CHANCE = 1e-9


def assumed_falls(
    playbooks: Playbooks,
    names: tuple[str, ...],
    probabilities: Floats,
    contributions: Floats | None,
) -> Floats:
    """The falls that the playbooks' file assumes (customers, playbooks).

    Args:
        playbooks: what can be done.
        names: of the features.
        probabilities: (customers,) to leave untreated.
        contributions: (customers, features) to the log-odds, beside the usual customer's; None
            where they are not known: then every playbook takes the same share of any chance.
    """
    falls = [
        _assumed(playbook, names, probabilities, contributions) for playbook in playbooks.playbooks
    ]
    return np.column_stack(falls) if falls else np.zeros((len(probabilities), 0))


def _assumed(
    playbook: Playbook, names: tuple[str, ...], probabilities: Floats, contributions: Floats | None
) -> Floats:
    if not playbook.treats or contributions is None:
        return probabilities * playbook.effect
    added = contributions[:, treated_columns(playbook, names)].sum(axis=1)
    odds = _odds(probabilities) * np.exp(-playbook.effect * np.maximum(added, 0.0))
    return np.asarray(np.maximum(probabilities - odds / (1.0 + odds), 0.0))


def treated_columns(playbook: Playbook, names: tuple[str, ...]) -> list[int]:
    """Places of the features that a playbook treats: those it names, and those of its groups."""
    groups = group_of()
    return [
        column
        for column, name in enumerate(names)
        if name in playbook.treats or groups.get(name) in playbook.treats
    ]


def _odds(probabilities: Floats) -> Floats:
    inside = np.clip(probabilities, _LEAST_CHANCE, 1.0 - _LEAST_CHANCE)
    return np.asarray(inside / (1.0 - inside))


def mean_shares(
    playbooks: Playbooks, falls: Floats, probabilities: Floats, chosen: Ints
) -> dict[str, float]:
    """By playbook, the share of the chances that is expected to go, of those chosen for it.

    Args:
        playbooks: what can be done.
        falls: (customers, playbooks) expected.
        probabilities: (customers,) to leave untreated.
        chosen: (customers,) place of the playbook.
    """
    shares = {}
    for book, playbook in enumerate(playbooks.playbooks):
        rows = chosen == book
        if rows.any() and (total := float(probabilities[rows].sum())) > 0.0:
            shares[playbook.id] = float(falls[rows, book].sum()) / total
    return shares


def revised_falls(
    playbooks: Playbooks,
    falls: Floats,
    probabilities: Floats,
    chosen: Ints,
    measured: Mapping[str, MeasuredShare],
) -> tuple[Floats, dict[str, float]]:
    """Falls revised by what outcomes show, and the revised mean share of each such playbook.

    What was seen on those who were chosen is held against what was assumed of those who would be
    chosen now; all falls of the playbook change in that proportion.

    Args:
        playbooks: what can be done.
        falls: (customers, playbooks) assumed.
        probabilities: (customers,) to leave untreated.
        chosen: (customers,) place of the playbook that the assumed falls would choose.
        measured: by playbook.
    """
    assumed = mean_shares(playbooks, falls, probabilities, chosen)
    everyone = np.full(len(probabilities), NO_PLAYBOOK)
    revised, shares = falls.copy(), dict[str, float]()
    for book, playbook in enumerate(playbooks.playbooks):
        if playbook.id not in measured:
            continue
        everyone[:] = book
        share = assumed.get(playbook.id) or mean_shares(
            playbooks, falls, probabilities, everyone
        ).get(playbook.id, playbook.effect)
        shares[playbook.id] = measured[playbook.id].revise(share)
        if share > 0.0:
            grown = falls[:, book] * (shares[playbook.id] / share)
            revised[:, book] = np.minimum(grown, MOST_SHARE * probabilities)
    return revised, shares
