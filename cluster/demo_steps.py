"""Steps that the demonstrations of all systems share."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from cluster.local import ROOT, LocalHead, program

_READY_SECONDS = 120.0


@dataclass(frozen=True)
class Shown:
    """Where an application answers, and what did not go as it should."""

    url: str
    faults: list[str]


def must(status: int, step: str) -> None:
    """Ends the program where a step failed."""
    if status != 0:
        raise SystemExit(f"error: {step} failed with exit status {status}")


def new_key(
    head: LocalHead, keys: Path, scopes: Sequence[str], reviewers: Sequence[str] = ()
) -> str:
    """An API key with these scopes, bound to these reviewers if there are any, added to a file."""
    bound = ["--reviewers", ",".join(reviewers)] if reviewers else []
    process = subprocess.run(
        [
            sys.executable,
            "-m",
            "jobs.access.keys",
            "create",
            f"--file={keys}",
            "--scopes",
            *scopes,
            *bound,
        ],
        cwd=ROOT,
        env=head.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return process.stdout.strip().splitlines()[-1]


def start_serve(head: LocalHead, log: Path) -> None:
    """Starts Ray Serve's proxy on the head."""
    status = head.run(
        program("serve"),
        "start",
        "--http-host=127.0.0.1",
        f"--http-port={head.http_port}",
        log=log,
    )
    must(status, f"Ray Serve (see {log})")


def deploy(head: LocalHead, system: str, arguments: Mapping[str, object], log: Path) -> str:
    """Deploys an application and waits until it is ready; returns its URL."""
    status = head.run(
        program("serve"),
        "run",
        f"serve.{system}.app:build",
        f"--name={system}",
        f"--route-prefix=/{system}",
        f"--working-dir={ROOT}",
        "--non-blocking",
        *(f"{name}={value}" for name, value in arguments.items()),
        log=log,
    )
    must(status, f"the {system} application (see {log})")
    url = f"http://127.0.0.1:{head.http_port}/{system}"
    _await_ready(f"{url}/readyz", log)
    return url


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows under a header, in columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def short(text: str, most: int = 76) -> str:
    """Words that fit into a column."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _await_ready(url: str, log: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    status_text = "nothing answered"
    while time.monotonic() < deadline:
        try:
            answer = httpx.get(url, timeout=5)
            status_text = f"{answer.status_code} {answer.text[:300]}"
            if answer.is_success:
                return
        except httpx.HTTPError as error:
            status_text = str(error)
        time.sleep(0.5)
    raise SystemExit(f"error: the service did not become ready: {status_text}; its log is {log}")
