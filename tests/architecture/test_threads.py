"""Blocking work in services has threads of its own, never those of asyncio's default executor."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("serve", "lib/concurrency", "lib/feature")


def shared_threads(source: str) -> Iterator[int]:
    """Lines that use the default executor, which one slow kind of work could exhaust for all."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module == "asyncio":
            if any(name.name == "to_thread" for name in node.names):
                yield node.lineno
        elif isinstance(node, ast.Attribute) and node.attr == "to_thread":
            yield node.lineno
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            executor = node.args[0] if node.args else None
            nobody = executor is None or (
                isinstance(executor, ast.Constant) and executor.value is None
            )
            if node.func.attr == "run_in_executor" and nobody:
                yield node.lineno


def test_services_use_no_thread_of_the_default_executor() -> None:
    faults = [
        f"{path.relative_to(ROOT)}:{line}"
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line in shared_threads(path.read_text())
    ]
    assert faults == [], "use lib.concurrency.bounded_executor.BoundedExecutor"


def test_every_way_to_the_default_executor_is_seen() -> None:
    lines = (
        "from asyncio import to_thread",
        "asyncio.to_thread(work)",
        "loop.run_in_executor(None, work)",
        "loop.run_in_executor(self._threads, work)",
    )
    assert sorted(shared_threads("\n".join(lines))) == [1, 2, 3]
