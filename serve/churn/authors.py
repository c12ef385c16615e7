"""In which names a key may act."""

from serve.framework import Problem, RequestContext


def require_author(author: str, context: RequestContext) -> None:
    """Refuse a name that the caller's key is not bound to.

    Raises:
        Problem: 403.
    """
    if context.reviewers is not None and author not in context.reviewers:
        text = "author: expected a name that this API key is bound to, got another one"
        raise Problem(403, "forbidden", text)
