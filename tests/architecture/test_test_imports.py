"""Tests share code in modules named by their role, never through each other or a benchmark."""

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]


def imported_modules(source: str) -> Iterator[str]:
    """Modules that a source imports, and what it takes from a package."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports_in_tests() -> Iterator[tuple[Path, str]]:
    for path in sorted(TESTS.rglob("*.py")):
        for module in imported_modules(path.read_text()):
            yield path.relative_to(TESTS), module


def is_benchmark(module: str) -> bool:
    return f"{module}.".startswith("tests.benchmarks.")


def is_test_module(module: str) -> bool:
    first, *parts = module.split(".")
    return first == "tests" and any(part.startswith("test_") for part in parts)


def test_only_benchmarks_import_benchmarks() -> None:
    faults = [
        f"{path}: {module}"
        for path, module in imports_in_tests()
        if is_benchmark(module) and path.parts[0] != "benchmarks"
    ]
    assert faults == [], "move what both need to tests/<system>/"


def test_no_module_imports_a_test_module() -> None:
    faults = [f"{path}: {module}" for path, module in imports_in_tests() if is_test_module(module)]
    assert faults == [], "move what is shared into conftest.py or a module named by its role"


def test_every_form_of_import_is_seen() -> None:
    source = (
        "import tests.benchmarks.cluster\n"
        "from tests import benchmarks\n"
        "from tests.serve import test_gateway\n"
        "def late():\n    from tests.serve.test_gateway import World\n"
    )
    modules = list(imported_modules(source))
    assert sum(is_benchmark(module) for module in modules) == 2
    assert [module for module in modules if is_test_module(module)] == [
        "tests.serve.test_gateway",
        "tests.serve.test_gateway",
        "tests.serve.test_gateway.World",
    ]
