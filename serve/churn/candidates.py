"""Whom a plan considers: customers that are named, scored on the spot, or the nightly scores."""

import json
from collections.abc import Callable, Sequence

import pyarrow as pa

from lib.churn.model.scores import read_scores
from lib.concurrency.bounded_executor import BoundedExecutor
from lib.contract import ContractError
from lib.storage import StorageError
from serve.churn.decision import CustomerScorer
from serve.framework import Problem, RequestContext
from serve.framework.validation import to_micros


class CandidateSource:
    """Finds scores.

    Args:
        decider: scores customers that are named.
        folder: output of jobs.churn.score; None: there is none.
        now: microseconds since 1970 UTC.
    """

    def __init__(self, decider: CustomerScorer, folder: str | None, now: Callable[[], int]) -> None:
        self._decider, self._folder, self._now = decider, folder, now
        self._reading = BoundedExecutor("nightly-scores", 1)

    async def fetch(
        self, names: Sequence[str] | None, at_us: int | None, context: RequestContext
    ) -> tuple[pa.Table, dict[str, str], int]:
        """Scores, why customers have none, and the moment that they are of.

        Raises:
            Problem: 422 where nobody is named and there are no nightly scores, or a time is given
                that is not theirs; 503 while model or store is out.
        """
        if names is None:
            return await self._nightly(at_us)
        moment_us = self._now() if at_us is None else at_us
        once = list(dict.fromkeys(names))
        table, left_out = await self._decider.scores(once, moment_us, context)
        return table, left_out, moment_us

    async def _nightly(self, at_us: int | None) -> tuple[pa.Table, dict[str, str], int]:
        if self._folder is None:
            raise Problem.of_field(
                "customers",
                "expected ids of customers, got none: this service was started without `scores`, "
                "the output of jobs.churn.score",
            )
        try:
            table, note = await self._reading.run(read_scores, self._folder)
        except (ContractError, StorageError, OSError) as error:
            raise Problem.unavailable(f"nightly scores: {error}", retry_after=60) from error
        as_of = to_micros(table["as_of"][0].as_py())
        if at_us is not None and at_us != as_of:
            raise Problem.of_field(
                "at",
                f"expected {note['as_of']}, the time of the nightly scores, or a list of are named",
            )
        about = {"model_version": json.dumps(note["model_version"])}
        return table.replace_schema_metadata(about), {}, as_of
