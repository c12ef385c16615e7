"""The review queue of posts over HTTP: what reviewers do, as in every system, and appeals."""

from lib.moderation.review.items import AppealError, Doubt, Removal
from lib.moderation.review.queue import PostReviewQueue
from lib.records import RecordsError
from serve.framework import Problem, RequestContext
from serve.framework.app_factory import Refusals
from serve.framework.review import REFUSALS as SHARED_REFUSALS
from serve.framework.review import ReviewService
from serve.moderation import metrics
from serve.moderation.schemas import AppealResponse

REFUSALS: Refusals = {RecordsError: (422, "invalid-field"), **SHARED_REFUSALS}
"""What the queue refuses, as callers see it."""


class PostReviewService(ReviewService):
    """See `ReviewService`; posts come in as they are decided, and by appeals."""

    queue: PostReviewQueue

    async def admit(self, doubt: Doubt) -> bool:
        """Puts a post into the queue; False where it is there already.

        Raises:
            RecordsUnavailableError: the database is away.
        """
        return bool(await self.threads.run(self.queue.admit_posts, [doubt], self.now()))

    async def appeal(
        self, removal: Removal, author_id: str, statement: str, context: RequestContext
    ) -> AppealResponse:
        """Takes an author's appeal in.

        Raises:
            Problem: 403 for another author, 422 where it is too late.
        """
        try:
            item_id, new = await self.threads.run(
                self.queue.appeal, removal, author_id, statement, self.now(), context.key_id
            )
        except AppealError as error:
            self.meter.count(metrics.APPEALS, "refused")
            status = 403 if author_id != removal.author_id else 422
            raise Problem(status, "no-appeal", str(error)) from error
        self.meter.count(metrics.APPEALS, "new" if new else "repeated")
        return AppealResponse(item_id=item_id, new=new, request_id=context.request_id)
