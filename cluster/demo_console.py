"""The console in the demonstration: deployed over all systems, and its home fetched by a person."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import httpx

from cluster.demo_steps import Answer, Step, holds
from cluster.demo_system import System

_SETTINGS = """
    systems={systems} records=sqlite:///{folder}/records.sqlite api_keys={folder}/keys.json
    log={folder}/log/requests.jsonl front={replica}"""
_ROLES = ("read", "review")
_PERSON = "demo"
_TOKEN = re.compile(r'name="csrf" value="([0-9a-f]+)"')
_CARD = re.compile(r'id="card-(\w+)".*?<b>([\d,]+)</b>', re.DOTALL)
_CLOSING = """\
console {url}/
sign in with {key}"""


def show(console: System, systems: Sequence[System]) -> str:
    """Deploys the console, signs in, reads its home, and prints where it is.

    Args:
        console: its part of the demonstration.
        systems: that it shows, which run.

    Returns:
        Its URL.
    """
    scopes = [f"{system.name}:{role}" for system in systems for role in _ROLES]
    key = console.new_key([*scopes, "admin"], [_PERSON])
    where = {
        system.name: {
            "records": f"sqlite:///{system.folder}/records.sqlite",
            "registry": f"{system.folder}/registry",
        }
        for system in systems
    }
    url = console.launch(_SETTINGS, 0.1, systems=json.dumps(where, separators=(",", ":")))
    cards = len(systems)
    home = Step(
        "signing in to the console and reading its home",
        lambda: _home(url, key),
        holds(lambda answer: len(answer["cards"]) == cards, "home does not show every system"),
        lambda answer: ", ".join(f"{name} {count}" for name, count in answer["cards"].items()),
    )
    console.runner.run([home])
    console.runner.print(_CLOSING.format(url=url, key=key))
    return url


def _home(url: str, key: str) -> Answer:
    """Decisions of today by system, as the page of somebody who signed in shows them."""
    with httpx.Client(follow_redirects=True, timeout=60) as browser:
        form = browser.get(f"{url}/sign-in").text
        token = _TOKEN.search(form)
        fields = {"csrf": token[1] if token else "", "key": key}
        home = browser.post(f"{url}/sign-in", data=fields)
    return {"http": home.status_code, "cards": dict(_CARD.findall(home.text))}
