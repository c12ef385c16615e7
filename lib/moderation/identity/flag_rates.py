"""How often live posts are acted on by the identity terms that they name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lib.evaluation import Interval, bootstrap_interval
from lib.moderation.identity.terms import IdentityTerm, named_terms
from lib.monitoring.performance import Figure
from lib.monitoring.system_figures import FigureTable, interval_text, realised_figure
from lib.report import Cell

_LEAST_POSTS, _LEAST_AUTHORS = 30, 10
_SHOWN, _REPEATS, _SEED = 8, 200, 7
Flags = NDArray[np.bool_]
Codes = NDArray[np.int64]


def flag_rates_by_term(
    texts: Sequence[str],
    flagged: Flags,
    authors: Codes,
    policies: Sequence[str],
    terms: Sequence[IdentityTerm],
) -> FigureTable:
    """Share of the posts that name a term which a policy alone would have acted on.

    A difference between terms may lie in the posts as well as in the model: people are attacked
    more about some groups. It says where to look, and its growth after a change of the model tells
    more than its size.

    Args:
        texts: (n,) of posts, "" where there is none.
        flagged: (n, policies) whether a policy alone would have acted.
        authors: (n,) codes; posts of one author are drawn together.
        policies: names.
        terms: that are looked for; those that 30 posts of 10 authors name are compared.
    """
    named = named_terms(texts, terms)
    some = _compared(named, authors)
    rows: list[tuple[Cell, ...]] = []
    figures: list[Figure] = []
    notes: list[str] = []
    for column, policy in enumerate(policies if len(some) > 1 else ()):
        rates = _PolicyRates(policy, flagged[:, column], named[:, some], authors)
        rows += rates.rows([terms[index].name for index in some])
        figures.append(rates.figure)
    if len(some) < 2:
        notes.append(
            f"fewer than two identity terms are named by {_LEAST_POSTS} posts of "
            f"{_LEAST_AUTHORS} authors, so flag rates by term are not compared"
        )
    return FigureTable(
        "Posts that name an identity term: share that a policy acts on",
        ("policy", "term", "posts", "acted on"),
        tuple(rows),
        "English terms, whatever a word describes; a difference may lie in the posts as well as in "
        "the model; in brackets 95% limits over authors",
        tuple(figures),
        tuple(notes),
    )


def _compared(named: Flags, authors: Codes) -> list[int]:
    """Terms that enough posts of enough authors name."""
    return [
        index
        for index in np.flatnonzero(named.sum(axis=0) >= _LEAST_POSTS).tolist()
        if len(np.unique(authors[named[:, index]])) >= _LEAST_AUTHORS
    ]


@dataclass(frozen=True)
class _PolicyRates:
    """Posts (n,) and the terms (k,) that they name, by one policy."""

    policy: str
    flagged: Flags
    named: Flags
    authors: Codes

    def rows(self, names: Sequence[str]) -> list[tuple[Cell, ...]]:
        """Highest and lowest shares of terms, and the largest difference."""
        shares = [float(self.flagged[own].mean()) for own in self.named.T]
        ranked = sorted(range(len(names)), key=lambda k: (-shares[k], names[k]))
        shown = ranked if len(ranked) <= _SHOWN else [*ranked[: _SHOWN - 2], *ranked[-2:]]
        rows: list[tuple[Cell, ...]] = [
            (self.policy, names[k], int(self.named[:, k].sum()), interval_text(self._share(k)))
            for k in shown
        ]
        gap = interval_text(self._gap)
        return [*rows, (self.policy, "largest difference", len(self._kept), gap)]

    @property
    def figure(self) -> Figure:
        """The largest difference."""
        kept = self._kept
        entities, hits = len(np.unique(self.authors[kept])), float(self.flagged[kept].sum())
        return realised_figure(f"identity gap {self.policy}", self._gap, len(kept), entities, hits)

    @property
    def _kept(self) -> Codes:
        return np.flatnonzero(self.named.any(axis=1))

    def _share(self, term: int) -> Interval:
        own = self.named[:, term]
        flagged = self.flagged[own]
        return bootstrap_interval(
            lambda rows: float(flagged[rows].mean()), self.authors[own], _SEED, _REPEATS
        )

    @cached_property
    def _gap(self) -> Interval:
        """Highest less lowest share, authors drawn with replacement."""
        flagged, named = self.flagged[self._kept], self.named[self._kept]

        def gap(rows: Codes) -> float:
            counts = named[rows].sum(axis=0)
            if not counts.all():
                raise ValueError("a term that no drawn post names")
            shares = (named[rows] & flagged[rows, None]).sum(axis=0) / counts
            return float(shares.max() - shares.min())

        return bootstrap_interval(gap, self.authors[self._kept], _SEED, _REPEATS)
