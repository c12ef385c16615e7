"""Takes passwords and keys out of URIs before they are written or shown."""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

HIDDEN = "***"
_URI = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*://)(?P<rest>[^\s\"'<>]+)")
_HARMLESS = frozenset(
    (
        *("region", "scheme", "endpoint_override", "anonymous", "allow_bucket_creation", "db"),
        *("sslmode", "timeout", "connect_timeout", "application_name", "target_session_attrs"),
    )
)
_PAIR = re.compile(r"(?i)\b(password|passwd|pwd|secret|token|secret_key|access_key)=([^\s&;'\"]+)")


def redact_uri(text: str) -> str:
    """The text with `***` for what its URIs hold of credentials.

    Of `user:password@` both are hidden; a user alone stays. Of the options after `?` only harmless
    ones keep their value (a region, a scheme). Pairs such as `password=...` are hidden anywhere.

    Example:
        >>> redact_uri("registry s3://AKIA1:s3cr3t@models/a?region=eu&session_token=x is empty")
        'registry s3://***@models/a?region=eu&session_token=*** is empty'
        >>> redact_uri("postgresql+psycopg://forewarn@db/forewarn")
        'postgresql+psycopg://forewarn@db/forewarn'
    """
    return _PAIR.sub(_hide_pair, _URI.sub(_hide_uri, text))


def redacted(value: Any) -> Any:
    """The same content with every text in it redacted; mappings and sequences become JSON's."""
    if isinstance(value, str):
        return redact_uri(value)
    if isinstance(value, Mapping):
        return {name: redacted(child) for name, child in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [redacted(child) for child in value]
    return value


def has_credentials(uri: str) -> bool:
    """Whether something of a URI would be hidden."""
    return redact_uri(uri) != uri


def _hide_uri(match: re.Match[str]) -> str:
    location, mark, options = _hide_user(match["rest"]).partition("?")
    return match["scheme"] + location + mark + "&".join(map(_hide_option, options.split("&")))


def _hide_user(rest: str) -> str:
    """Without `user:password@`; a password that was not encoded may hold `/`, `?` and `@`."""
    before, at, after = rest.rpartition("@")
    authority = re.split("[/?]", rest, maxsplit=1)[0]
    has_password = at and ":" in unquote(authority.partition("@")[0])
    return f"{HIDDEN}@{after}" if has_password and ":" in unquote(before) else rest


def _hide_option(option: str) -> str:
    name, equals, _ = option.partition("=")
    return option if not equals or name in _HARMLESS else f"{name}={HIDDEN}"


def _hide_pair(match: re.Match[str]) -> str:
    return f"{match[1]}={HIDDEN}"
