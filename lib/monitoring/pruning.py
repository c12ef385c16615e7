"""A reference within its size."""

from __future__ import annotations

from collections.abc import Iterator

from lib.monitoring.bins import MISSING, MeasureBins
from lib.monitoring.reference import (
    MeasureReference,
    ModelReference,
    MonitoringError,
    TallyReference,
)

LARGEST = 300_000
"""Bytes that a reference may take."""

_FEWEST_DAYS = 28
_WEEK = 7


def pruned(reference: ModelReference, largest: int = LARGEST) -> ModelReference:
    """The reference itself where it fits, else one with wider bins, then with fewer weeks.

    Bins of numbers with many values are joined in pairs: ten bins keep 95% of what twenty show of
    a mean. Then the oldest weeks are left out, down to four; then bins are joined once more.

    Args:
        reference: with all its bins and days.
        largest: bytes of its JSON.

    Raises:
        MonitoringError: it has more measures than fit.
    """
    for smaller in _smaller(reference):
        if len(smaller.to_json()) < largest:
            return smaller
    raise MonitoringError(
        f"reference: {len(reference.measures)} measures do not fit into {largest:,} bytes"
    )


def _smaller(reference: ModelReference) -> Iterator[ModelReference]:
    yield reference
    yield (reference := _with_wider_bins(reference))
    while len(reference.days) >= _FEWEST_DAYS + _WEEK:
        yield (reference := _without_oldest_week(reference))
    for _ in range(2):
        yield (reference := _with_wider_bins(reference))


def _with_wider_bins(reference: ModelReference) -> ModelReference:
    measures = tuple(_joined(measure) for measure in reference.measures)
    return reference.model_copy(update={"measures": measures})


def _joined(measure: MeasureReference) -> MeasureReference:
    """Pairs of bins as one; bins of single values stay."""
    bins = measure.bins
    if bins.kind != "number" or bins.values or len(bins.edges) < 3:
        return measure
    edges = bins.edges[1::2]
    wider = bins.model_copy(update={"edges": edges})
    counts = tuple(_pairs_joined(row, wider) for row in measure.counts)
    return MeasureReference(**{**dict(measure), "bins": wider, "counts": counts})


def _pairs_joined(row: tuple[int, ...], wider: MeasureBins) -> tuple[int, ...]:
    filled = row[MISSING + 1 :]
    pairs = [sum(filled[at : at + 2]) for at in range(0, len(filled), 2)]
    return (row[MISSING], *pairs[: wider.cells - 1])


def _without_oldest_week(reference: ModelReference) -> ModelReference:
    first = _WEEK
    names = ("days", "rows", "entities", "repeated", "sampled", "positives", "labelled")
    update = {name: getattr(reference, name)[first:] for name in names}
    measures = tuple(
        MeasureReference(
            **{
                **dict(measure),
                "counts": measure.counts[first:],
                "unseen": measure.unseen[first:],
            }
        )
        for measure in reference.measures
    )
    tallies = {name: _tally_from(tally, first) for name, tally in reference.tallies.items()}
    return reference.model_copy(update={**update, "measures": measures, "tallies": tallies})


def _tally_from(tally: TallyReference, first: int) -> TallyReference:
    counts = {name: days[first:] for name, days in tally.counts.items()}
    return TallyReference(counts=counts, totals=tally.totals[first:])
