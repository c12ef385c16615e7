"""What every answer tells the browser to refuse."""

from collections.abc import Sequence

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    # `no-referrer` would have the browser send its own forms with `Origin: null`
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "x-frame-options": "DENY",
}
_HTTPS_ALONE = {"strict-transport-security": "max-age=31536000"}
_NEVER_KEPT = (b"cache-control", b"no-store")

Header = tuple[bytes, bytes]


def security_headers(https: bool) -> Sequence[Header]:
    """Headers of every answer.

    Args:
        https: whether browsers may use nothing else.
    """
    headers = _HEADERS | (_HTTPS_ALONE if https else {})
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def with_security(sent: Sequence[Header], added: Sequence[Header]) -> list[Header]:
    """The headers of an answer with the security headers; a page is never kept by the browser."""
    names = {name for name, _ in sent}
    kept = [] if b"cache-control" in names else [_NEVER_KEPT]
    return [*sent, *kept, *(header for header in added if header[0] not in names)]
