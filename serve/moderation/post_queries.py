"""Posts as they stand: first answer, what came afterwards, what people decided; appeals; why."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

from starlette.responses import Response

from lib.concurrency.bounded_executor import BoundedExecutor
from lib.moderation.effective_decision import in_force
from lib.moderation.prepared_post import kept_post
from lib.moderation.review.removal import removal_of
from lib.records import Decision, RecordsUnavailableError
from lib.records.review import Outcome
from lib.storage import Storage, StorageError
from serve.framework import Problem, RequestContext
from serve.framework.decision_store import DecisionStore
from serve.framework.review_schemas import CaseOutcome
from serve.moderation.dependencies import Dependencies
from serve.moderation.model import ModelUnavailableError
from serve.moderation.post_preparation import REMOVED, RESTORED
from serve.moderation.schemas import (
    AppealRequest,
    AppealResponse,
    ExplanationResponse,
    PoliciesResponse,
    PolicyView,
    PostResponse,
    PostView,
)

_FIRST_OUTCOME = 2  # 0 is the answer's revision of what is known of a post, 1 that afterwards
_UNSAID = "post_id: this post was not moderated here, or its record is not stored yet"


class PostService:
    """Looks posts up.

    Args:
        decision_store: where decisions are kept.
        dependencies: what the application is made of.
        kept: where explanations are stored.
    """

    def __init__(
        self,
        decision_store: DecisionStore,
        dependencies: Dependencies,
        kept: Callable[[], Storage],
    ) -> None:
        self._decision_store, self._review = decision_store, dependencies.review
        self._active_policies, self._preparer = dependencies.active_policies, dependencies.preparer
        self._model_slot, self._model_runner = dependencies.model_slot, dependencies.model_runner
        self._authors, self._kept = dependencies.authors, kept
        self._storing = BoundedExecutor("explanations", 2)

    async def show(self, post_id: str, context: RequestContext) -> PostView:
        """A post's state.

        Raises:
            Problem: 404 for a post that was never judged.
        """
        first = await self._first_decision(post_id)
        outcomes = await self._review.outcomes(post_id)
        later = await self._afterwards(post_id)
        decision, by = in_force(first, later, outcomes)
        return PostView(
            post_id=post_id,
            author_id=str(first.entities["author_id"]),
            decision=decision,  # type: ignore[arg-type]
            decided_by=by,  # type: ignore[arg-type]
            first=PostResponse.model_validate(first.answer),
            afterwards=later,
            outcomes=[CaseOutcome.of(outcome) for outcome in outcomes],
            request_id=context.request_id,
        )

    async def appeal(self, request: AppealRequest, context: RequestContext) -> AppealResponse:
        """Takes an author's appeal against a removal in.

        Raises:
            Problem: 404 for an unknown post, 403 for another author, 409 where the post is up, 422
                where it is too late.
        """
        first = await self._first_decision(request.post_id)
        outcomes = await self._review.outcomes(request.post_id)
        later = await self._afterwards(request.post_id)
        decision, _ = in_force(first, later, outcomes)
        if decision != "REMOVE":
            raise Problem.conflict(f"post {request.post_id!r} is not removed: {decision}")
        policies = self._active_policies.current.policies
        severities = {policy.id: policy.severity for policy in policies.policies}
        removal = removal_of(first, later, outcomes, severities)
        return await self._review.appeal(removal, request.author_id, request.statement, context)

    async def apply_outcome(self, outcome: Outcome) -> None:
        """Lets an author's history know an outcome of a post; the same again changes nothing.

        Raises:
            StoreError, RecordsUnavailableError: a part is out.
        """
        first = await self._decision_store.find(outcome.subject_id)
        outcomes = await self._review.outcomes(outcome.subject_id)
        if first is None or outcome not in outcomes:
            return
        later = await self._afterwards(outcome.subject_id)
        index = outcomes.index(outcome)
        was, _ = in_force(first, later, outcomes[index + 1 :])
        now, _ = in_force(first, later, outcomes[index:])
        post, number = kept_post(first.request), _FIRST_OUTCOME + len(outcomes) - index
        if (was == "REMOVE") != (now == "REMOVE"):
            await self._authors.record_fact(post, REMOVED, outcome.at, now == "REMOVE", number)
        if was == "REMOVE" and now != "REMOVE" and outcome.kind == "appeal":
            await self._authors.record_fact(post, RESTORED, outcome.at, True, number)

    async def explain(
        self, post_id: str, policy: str | None, context: RequestContext
    ) -> ExplanationResponse:
        """What of a post speaks for a policy; stored once it is made.

        Raises:
            Problem: 404 for an unknown post, 422 for an unknown policy, 503 while a part is out.
        """
        first = await self._first_decision(post_id)
        policy_ids = self._active_policies.current.policies.ids
        chosen = policy or _deciding(first, policy_ids)
        if chosen not in policy_ids:
            raise Problem.of_field(
                "policy", f"expected one of {', '.join(policy_ids)}, got {policy!r}"
            )
        stored = await self._stored(post_id, chosen)
        if stored is None:
            stored = await self.make_explanation(first, chosen)
        return ExplanationResponse(
            post_id=post_id,
            policy=chosen,
            model_version=stored["model_version"],
            explanation=stored["explanation"],
            request_id=context.request_id,
        )

    async def make_explanation(self, first: Decision, policy: str) -> dict[str, Any]:
        """An explanation, made and stored.

        Raises:
            Problem: 503 while a part is out.
        """
        model = self._model_slot.current
        if model is None:
            raise _model_out("no model is loaded")
        try:
            prepared = await self._preparer.reload(first.request)
            explanation = await self._model_runner.explain(model, prepared.inputs, policy)
        except (ModelUnavailableError, OSError, StorageError) as error:
            raise _model_out(str(error)) from error
        record = {"model_version": model.version, "policy": policy, "explanation": explanation}
        path, content = _explanation_path(first.subject_id, policy), json.dumps(record).encode()
        await self._storing.run(lambda: self._kept().write(path, content))
        return record

    def policies(self, context: RequestContext) -> PoliciesResponse:
        """The policies in force, for reviewers."""
        active = self._active_policies.current
        return PoliciesResponse(
            version=active.version,
            policies=[PolicyView.of(policy) for policy in active.policies.policies],
            request_id=context.request_id,
        )

    async def media(self, digest: str) -> Response:
        """Kept media as they were sent.

        Raises:
            Problem: 404 where there are none, 503 where the place cannot be read.
        """
        try:
            content = await self._storing.run(self._preparer.media_store.read, digest)
        except (OSError, StorageError) as error:
            raise Problem.unavailable(str(error)) from error
        if content is None:
            raise Problem.not_found(f"no media are stored under {digest}")
        # whatever a poster uploaded must not run in a reviewer's browser
        headers = {
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "Content-Disposition": f'attachment; filename="{digest[:16]}"',
        }
        return Response(content, media_type="application/octet-stream", headers=headers)

    async def _stored(self, post_id: str, policy: str) -> dict[str, Any] | None:
        content = await self._storing.run(
            lambda: self._kept().read(_explanation_path(post_id, policy))
        )
        return None if content is None else dict(json.loads(content))

    async def _first_decision(self, post_id: str) -> Decision:
        first = await self._decision_store.find(post_id)
        if first is None:
            raise Problem.not_found(_UNSAID)
        return first

    async def _afterwards(self, post_id: str) -> dict[str, Any] | None:
        try:
            rescore = await self._decision_store.rescored(post_id)
        except RecordsUnavailableError:
            return None
        return None if rescore is None or rescore.answer is None else dict(rescore.answer)


def _deciding(first: Decision, policy_ids: tuple[str, ...]) -> str:
    policies = first.answer.get("policies") or {}
    if isinstance(policies, dict) and policies:
        return max(policies, key=lambda name: float(policies[name]["probability"]))
    return policy_ids[0]


def _explanation_path(post_id: str, policy: str) -> str:
    name = hashlib.sha256(post_id.encode()).hexdigest()
    return f"explanations/{name[:2]}/{name}-{policy}.json"


def _model_out(why: str) -> Problem:
    return Problem.unavailable(f"the decision cannot be explained now: {why}", retry_after=5)
