"""All interventions stopped, and resumed: what people do while something goes wrong."""

from collections.abc import Callable

from lib.churn.intervention_repository import InterventionRepository
from lib.churn.interventions.contacts import OPEN_US
from lib.concurrency.bounded_executor import BoundedExecutor
from serve.churn.schemas import SwitchRequest, SwitchResponse
from serve.framework import RequestContext
from serve.framework.review import key_of
from serve.framework.validation import to_datetime


class InterventionSwitch:
    """Stops all interventions, in every replica at once, and lets them go on.

    Args:
        repository: where it is kept.
        threads: run the calls to the database.
        now: microseconds since 1970 UTC.
    """

    def __init__(
        self, repository: InterventionRepository, threads: BoundedExecutor, now: Callable[[], int]
    ) -> None:
        self._repository, self._threads, self._now = repository, threads, now

    async def set(
        self, request: SwitchRequest, context: RequestContext, *, stopped: bool
    ) -> SwitchResponse:
        """Stop or resume; the same request again changes nothing.

        Raises:
            SwitchUnchangedError: it is so already.
            RepeatedSwitchError: the request id is that of one that did the opposite.
            Problem: 403 for a name that the key is not bound to.
        """
        key_of(request.author, context, "author")
        await self._threads.run(
            lambda: self._repository.set_switch(
                stopped=stopped,
                author=request.author,
                key_id=context.key_id or "-",
                reason=request.reason,
                at=self._now(),
                request_id=context.request_id,
            )
        )
        return await self.get(context)

    async def get(self, context: RequestContext) -> SwitchResponse:
        """Whether interventions are stopped, and how many planned contacts that concerns."""
        stop = await self._threads.run(self._repository.find_stop)
        count = await self._threads.run(self._repository.count_open, self._now() - OPEN_US)
        return SwitchResponse(
            stopped=stop is not None,
            since=None if stop is None else to_datetime(stop.at),
            author=None if stop is None else stop.author,
            reason=None if stop is None else str(stop.detail["reason"]),
            open_contacts=count,
            request_id=context.request_id,
        )
