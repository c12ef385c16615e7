"""The tree shows the architecture, and stays so."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lib.records.systems import SYSTEMS
from tests.long_files import LONGEST_FIRST

ROOT = Path(__file__).parents[2]
FOLDERS = {"jobs", "serve", "cluster", "lib", "tests"}
FILES = {
    "pyproject.toml",
    "ray_cluster.yaml",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Makefile",
}
EMPTY_NAMES = {"utils", "util", "common", "helpers", "helper", "core", "misc"}
MODULES = {
    "lib": ("contracts", "rules", "outcomes", "business", "model.model", "model.challenger"),
    "jobs": ("simulate", "train", "score", "monitor", "retrain", "business"),
    "serve": ("app", "settings", "routes", "schemas", "metrics", "service", "decision"),
}
"""What every system has, by folder: its tables, its decisions, and its learning loop."""


def tracked() -> list[Path]:
    """What git knows, or, outside a checkout, what lies there."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0:
        return [Path(line) for line in listed.stdout.splitlines() if (ROOT / line).exists()]
    return [p.relative_to(ROOT) for folder in FOLDERS for p in (ROOT / folder).rglob("*.*")]


def sources(*folders: str) -> Iterator[tuple[Path, ast.Module]]:
    for path in tracked():
        if path.suffix == ".py" and path.parts[0] in folders:
            yield path, ast.parse((ROOT / path).read_text(encoding="utf-8"))


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def test_nothing_else_is_at_the_top():
    top = {path.parts[0] for path in tracked()}
    assert {name for name in top if not name.startswith(".")} <= FOLDERS | FILES


def test_every_folder_with_code_is_a_package():
    folders = {path.parent for path in tracked() if path.suffix == ".py"}
    missing = [str(f) for f in folders if f != Path() and not (ROOT / f / "__init__.py").exists()]
    assert missing == []


def test_every_name_says_what_it_is():
    bad = [str(p) for p in tracked() if EMPTY_NAMES & {part.split(".")[0] for part in p.parts}]
    assert bad == []


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_system_is_found_by_name_in_every_folder(system):
    for folder in ("jobs", "serve", "lib", "tests"):
        assert (ROOT / folder / system / "__init__.py").exists(), folder
    paths = [
        Path(folder, system, f"{module.replace('.', '/')}.py")
        for folder, modules in MODULES.items()
        for module in modules
    ]
    assert [str(path) for path in paths if not (ROOT / path).exists()] == []


def test_no_system_imports_another():
    for path, tree in sources("lib", "jobs", "serve"):
        if (system := path.parts[1]) in SYSTEMS:
            others = {name.split(".")[1] for name in imported(tree) if "." in name} & set(SYSTEMS)
            assert others <= {system}, path


def test_every_application_is_of_a_system_that_is_recorded_or_shows_them():
    applications = {path.parent.name for path in (ROOT / "serve").glob("*/app.py")}
    assert applications == {*SYSTEMS, "console"}


def test_import_contracts_hold():
    program = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_only_one_module_knows_xgboost_ray():
    users = [str(path) for path, tree in sources(*FOLDERS) if "xgboost_ray" in set(imported(tree))]
    assert users == ["jobs/framework/xgboost_training.py"]


def test_no_module_imports_both_ray_serve_and_our_serve():
    for path, tree in sources("serve", "jobs", "tests", "cluster"):
        names = {
            alias.asname or alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module == "ray"
            for alias in node.names
        }
        plain = {
            alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.Import)
            for alias in node.names
            if alias.asname is None
        }
        assert not ("serve" in names and any(n.split(".")[0] == "serve" for n in plain)), path


CALLS_THAT_RUN_DATA = {"eval", "exec", "compile"}
UNSAFE = {
    ("pickle", "load"),
    ("pickle", "loads"),
    ("torch", "load"),
    ("joblib", "load"),
    ("cloudpickle", "load"),
    ("cloudpickle", "loads"),
    ("yaml", "load"),
    ("marshal", "loads"),
    ("os", "system"),
}


def test_nothing_on_the_way_from_data_to_decision_runs_data():
    for path, tree in sources("lib", "jobs", "serve", "cluster"):
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            where = f"{path}:{call.lineno}"
            if isinstance(call.func, ast.Name):
                assert call.func.id not in CALLS_THAT_RUN_DATA, where
            if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name):
                assert (call.func.value.id, call.func.attr) not in UNSAFE, where
            for keyword in call.keywords:
                shell = keyword.arg == "shell" and getattr(keyword.value, "value", None) is True
                assert not shell, where


def test_no_function_is_longer_than_sixty_lines():
    long = [
        f"{path}:{node.name} {node.end_lineno - node.lineno + 1}"
        for path, tree in sources("lib", "jobs", "serve", "cluster")
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > 60
    ]
    assert long == []


def test_no_file_is_large():
    assert [str(p) for p in tracked() if (ROOT / p).stat().st_size > 256 * 1024] == []


def test_files_that_are_begun_first_are_there():
    assert [path for path in LONGEST_FIRST if not (ROOT / "tests" / path).is_file()] == []
    assert len(LONGEST_FIRST) == len(set(LONGEST_FIRST))
