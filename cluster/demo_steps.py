"""What a demonstration is made of: steps, and a runner that stops where one is not as expected."""

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

Answer = dict[str, Any]
"""The body of an answer, with its HTTP status under `http`."""
Columns = Mapping[str, str | Callable[[Answer], str]]
"""Cells of a table by their header: a format of the answer's fields, or a function of it."""


@dataclass(frozen=True)
class Step:
    """One thing that a demonstration does.

    Attributes:
        name: what it does; the first column where steps are rows of a table.
        run: does it; `expect` and `show` read what it returns.
        expect: what is wrong with the result; an empty text where it is as it should be.
        show: what to print of the result; nothing if it is not given.
        seconds: that it usually takes on two cores; 0 for less than one.
    """

    name: str
    run: Callable[[], Any]
    expect: Callable[[Any], str]
    show: Callable[[Any], str] | None = None
    seconds: float = 0.0


def fields(**expected: Any) -> Callable[[Answer], str]:
    """An expectation: fields have these values; a tuple lists those that are allowed."""
    allowed = {name: v if isinstance(v, tuple) else (v,) for name, v in expected.items()}
    return lambda answer: "; ".join(
        f"{name} is {answer.get(name)!r} instead of {' or '.join(map(repr, values))}"
        for name, values in allowed.items()
        if answer.get(name) not in values
    )


def holds(condition: Callable[[Any], bool], otherwise: str) -> Callable[[Any], str]:
    """An expectation: the condition is true of the result; the text says what it is otherwise."""
    return lambda result: "" if condition(result) else otherwise


program_success = holds(lambda status: status == 0, "the exit status is not 0")
success = holds(lambda answer: answer["http"] < 300, "the request is refused")
refused = fields(http=422)


@dataclass(frozen=True)
class Runner:
    """Runs steps and prints their progress; ends the program where one is not as expected.

    Attributes:
        system: whose steps it runs, which stands before each line; several may print in turn.
        started: reading of the monotonic clock.
    """

    system: str = ""
    started: float = field(default_factory=time.monotonic)

    def of(self, system: str) -> "Runner":
        """A runner of the steps of another system, on the same clock."""
        return replace(self, system=system)

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self.started

    def say(self, message: str, seconds: float = 0.0) -> None:
        """Prints what begins, after the seconds since the start and with those that it takes."""
        about = f" (about {seconds:.0f} s)" if seconds else ""
        self._print(f"[{self.seconds:5.0f} s] ", f"{message}{about}")

    def print(self, text: str) -> None:
        """Prints lines below what was said, each with the system's name."""
        self._print(" " * 10, text)

    def _print(self, margin: str, text: str) -> None:
        name = f"{self.system:<11} " if self.system else ""
        lines = (f"{margin}{name}{line}".rstrip() for line in text.splitlines() or [""])
        # a single write, so that systems that run side by side do not mix within a line
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()

    def run(self, steps: Iterable[Step]) -> None:
        """Runs steps one after the other; raises SystemExit at the first fault."""
        for step in steps:
            self.say(step.name, step.seconds)
            result = step.run()
            _check([(step, result)])
            if step.show is not None:
                self.print(step.show(result))

    def tabulate(self, title: str, steps: Iterable[Step], first: str, columns: Columns) -> None:
        """Runs all steps, prints a row of each, and then raises SystemExit if there are faults."""
        self.say(title)
        results = [(step, step.run()) for step in steps]
        rows = [
            (step.name, *(_cell(column, answer) for column in columns.values()), _why(answer))
            for step, answer in results
        ]
        self.print(table([(first, *columns, "why"), *rows]))
        _check(results)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows under a header, in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def _check(results: Iterable[tuple[Step, Any]]) -> None:
    faults = [
        f"error: {step.name}: {fault}; the result is {_cut(str(result), 300)}"
        for step, result in results
        if (fault := _fault(step, result))
    ]
    if faults:
        raise SystemExit("\n".join(faults))


def _fault(step: Step, result: Any) -> str:
    try:
        return step.expect(result)
    except (LookupError, TypeError) as error:
        return f"the result lacks what is checked ({error!r})"


def _cell(column: str | Callable[[Answer], str], answer: Answer) -> str:
    """A cell, or a dash where the answer has no such field."""
    try:
        words = column.format_map(answer) if isinstance(column, str) else column(answer)
    except (LookupError, TypeError):
        return "-"
    return "-" if words == "None" else words


def _why(answer: Answer) -> str:
    """The reason of a decision, or what is wrong with a request."""
    return _cut(str(answer.get("reason") or answer.get("detail") or ""), 76)


def _cut(words: str, most: int) -> str:
    return words if len(words) <= most else words[: most - 1] + "…"
