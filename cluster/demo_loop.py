"""The learning loop in the demonstration: a challenger, its verdict, a planted fault, money.

Everything is done by the product's own jobs on the records of the running service. Payments of a
simulated week are sent to it again with the times at which they were made.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from subprocess import CompletedProcess

from cluster.demo_pipeline import DemoJob
from cluster.demo_replay import DAYS, KeptBack
from cluster.demo_steps import Step, holds
from cluster.demo_system import Application, System

_DAYS_IN_SHADOW = 5
_SECONDS = 180.0
_INCIDENT_OPEN = 3
CHALLENGER = DemoJob(
    "train-challenger",
    "training a challenger: a smaller model, of 20 days",
    5,
    """train --features={folder}/training/features --output={folder}/challenger
    --registry={folder}/registry --alias=challenger --simulated --engine=process
    --trees.trees=60 --network.epochs=2 --slices.train=20 --slices.folds=2 --no-baselines
    --bootstrap=20""",
)
_RECORDS = "--records=sqlite:///{folder}/records.sqlite"
_EXPERIMENT = f"{_RECORDS} --system=fraud --by=demo"
_START = f"""
    experiments.start {_EXPERIMENT} --registry={{folder}}/registry --name=smaller --mode=shadow
    --until={{tomorrow}} --fault-share=0.5"""
_STOP = f"experiments.stop {_EXPERIMENT} --reason={{reason}}"
_JUDGE = f"experiments.judge {_EXPERIMENT} --replayed --output={{folder}}/verdict --progress=none"
_WEEK = f"{_RECORDS} --from={{since}} --to={{until}} --progress=none"
_MONITOR = f"""
    fraud.monitor {_WEEK} --registry={{folder}}/registry --output={{folder}}/monitored
    --engine=process"""
_BUSINESS = f"fraud.business {_WEEK} --currency=USD --output={{folder}}/business"


def loop_steps(system: System, app: Application, kept: KeptBack) -> Iterator[Step]:
    """A challenger in shadow and its verdict, a planted fault and its incident, the week's page."""
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat(timespec="seconds")
    week = {"since": kept.day(0).date(), "until": kept.day(DAYS).date()}
    command = partial(_command, system)
    yield command("starting an experiment: the challenger in shadow", _START, tomorrow=tomorrow)
    yield Step(
        "waiting for the challenger's process",
        lambda: _challenger_state(app),
        holds(lambda state: state == "ready", "the challenger is not ready"),
    )
    yield _sending(app, kept, 0, _DAYS_IN_SHADOW)
    reason = f"its {_DAYS_IN_SHADOW} days are over"
    yield command("ending the experiment", _STOP, reason=reason)
    yield command("judging it", _JUDGE, show=("the challenger", "page:"))
    yield _sending(app, kept, _DAYS_IN_SHADOW, DAYS, with_place=False)
    incident = ("INCIDENT", "    ", "report:")
    yield command("monitoring the week", _MONITOR, status=_INCIDENT_OPEN, show=incident, **week)
    figures = ("Fraud losses", "Good payments", "Saved for", "page:")
    yield command("writing the week's business page", _BUSINESS, show=figures, **week)


def _command(
    system: System,
    name: str,
    template: str,
    show: Sequence[str] = (),
    status: int = 0,
    **values: object,
) -> Step:
    """A job of the product as a command here; lines of its output that begin so are shown."""
    run = partial(system.command, template, **values)

    def fault(done: CompletedProcess[str]) -> str:
        if done.returncode == status:
            return ""
        return f"the exit status is {done.returncode} instead of {status}: {done.stderr[-2_000:]}"

    def lines(done: CompletedProcess[str]) -> str:
        printed = done.stdout.splitlines()
        return "\n".join(line for line in printed if line.startswith(tuple(show)))

    return Step(name, run, fault, lines if show else None)


def _challenger_state(app: Application) -> str:
    """Of the challenger's process, once it has started or does not start."""
    deadline, state = time.monotonic() + _SECONDS, "starting"
    while state != "ready" and time.monotonic() < deadline:
        time.sleep(0.5)
        parts = app.get("/status")["parts"]
        state = parts["experiment"].get("challenger_state", "none")
    return state


def _sending(
    app: Application, kept: KeptBack, first: int, end: int, with_place: bool = True
) -> Step:
    span = f"{kept.day(first):%Y-%m-%d} to {kept.day(end - 1):%Y-%m-%d}"
    fault = "" if with_place else ", which a new version of the app sends without a place"
    return Step(
        f"sending the simulated payments of {span}{fault}",
        lambda: kept.send(app, first, end, with_place),
        holds(bool, "there were none"),
        lambda decisions: ", ".join(f"{name} {n:,}" for name, n in sorted(decisions.items())),
    )
