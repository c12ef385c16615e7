"""What the gateway knows of a request, as a parameter of endpoints."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from serve.framework.asgi import RequestContext


async def context_of(request: Request) -> RequestContext:
    """What the gateway knows of a request."""
    context: RequestContext = request.scope["forewarn.context"]
    return context


Context = Annotated[RequestContext, Depends(context_of)]
"""A parameter of a FastAPI endpoint: what the gateway knows of the request."""
