"""A process that holds a challenger and nothing else: what it does harms no answer.

`python -m lib.experiment.challenger_worker` reads messages from its standard input, a socket, and
answers on it, until it ends. The first message says which model to fetch and how to load it; each
other one holds packed inputs. The kernel limits its memory and ends it where it takes longer than
it may, also where the process that started it has died.
"""

from __future__ import annotations

import importlib
import resource
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from io import BufferedIOBase
from typing import Any, Protocol

from lib.concurrency.process_memory import address_space
from lib.experiment.challenger import Answer, Challenger
from lib.experiment.worker_messages import frame, read_message
from lib.registry import Registry

RAISED, MEMORY = "raised", "memory"
"""Faults that a challenger's process can tell of itself."""

_SLACK_SECONDS = 1.0
"""Beyond its time, after which the kernel ends the process: whoever asked has given up before."""


class Loader(Protocol):
    """A function of a system, named `module:function`, that loads a verified artifact."""

    def __call__(self, directory: Any, options: Mapping[str, Any]) -> Challenger:
        """The challenger in a directory, with the service's options."""


def main() -> None:
    """Serve messages until the standard input ends."""
    # an interrupt from the keyboard is for the program that started this
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel = socket.socket(fileno=0)
    with channel, channel.makefile("rwb") as stream:
        start = read_message(stream)
        if start is None:
            return
        challenger = _start(start, stream)
        while challenger is not None and (request := read_message(stream)) is not None:
            _limit_time(request["seconds"])
            began = time.perf_counter()
            answers = answers_of(challenger, request["inputs"])
            milliseconds = (time.perf_counter() - began) * 1000.0
            _send(stream, {"answers": answers, "ms": milliseconds})
            _limit_time(0.0)


def answers_of(challenger: Challenger, inputs: Sequence[bytes]) -> list[Answer]:
    """An answer or a fault for each input; one that raises takes no other along."""
    try:
        answers = list(challenger.answers(inputs))
        if len(answers) != len(inputs):
            raise ValueError(f"expected {len(inputs)} answers, got {len(answers)}")
        return answers
    except Exception as error:  # whatever it is, it is the challenger's
        if len(inputs) == 1:
            return [_fault(error)]
    return [answer for packed in inputs for answer in answers_of(challenger, [packed])]


def _start(start: Mapping[str, Any], stream: BufferedIOBase) -> Challenger | None:
    """The challenger, once it is loaded and said so; None where it cannot be."""
    try:
        _limit_time(start["seconds"])
        module, _, name = start["loader"].partition(":")
        load: Loader = getattr(importlib.import_module(module), name)
        _limit_memory(start["memory_mb"])
        registry = Registry(start["registry"])
        directory = registry.fetch(start["system"], start["version"], start["folder"])
        challenger = load(directory, start["options"])
        about = dict(challenger.about)
    except Exception as error:  # whatever is wrong with it, the champion decides
        _send(stream, {**_fault(error), "text": f"{type(error).__name__}: {error}"})
        return None
    _send(stream, {"about": about})
    _limit_time(0.0)
    return challenger


def _fault(error: Exception) -> dict[str, Any]:
    """A fault without its words: they may hold what the input did."""
    kind = MEMORY if isinstance(error, MemoryError) else RAISED
    return {"fault": kind, "error": type(error).__name__}


def _send(stream: BufferedIOBase, message: Any) -> None:
    stream.write(frame(message))
    stream.flush()


def _limit_time(seconds: float) -> None:
    """Let the kernel end the process after so many seconds and some; 0: not at all."""
    signal.setitimer(signal.ITIMER_REAL, seconds + _SLACK_SECONDS if seconds else 0.0)


def _limit_memory(megabytes: int) -> None:
    """Let the process take so much address space beyond what its code and libraries have."""
    most = address_space() + (megabytes << 20)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()
