"""Importing a module does nothing: no Ray, no folder, no configured log, no model."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

_CODE = """
import importlib, json, logging, os, pkgutil, sys
before = sorted(os.listdir("."))
handlers = list(logging.getLogger().handlers)
for folder in {folders}:
    package = importlib.import_module(folder)
    for found in pkgutil.walk_packages(package.__path__, folder + "."):
        if "migrations" not in found.name and not found.name.endswith("__main__"):
            importlib.import_module(found.name)
print(json.dumps({{
    "new": sorted(set(os.listdir(".")) - set(before)),
    "handlers": len(logging.getLogger().handlers) - len(handlers),
    "ray": "ray" in sys.modules,
    "started": "ray" in sys.modules and sys.modules["ray"].is_initialized(),
}}))
"""


def imported_in_a_fresh_process(tmp_path: Path, *folders: str) -> dict:
    work = tmp_path / "work"
    work.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", _CODE.format(folders=folders)],
        cwd=work,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_lib_imports_without_ray_and_without_side_effects(tmp_path):
    effects = imported_in_a_fresh_process(tmp_path, "lib")
    assert effects == {"new": [], "handlers": 0, "ray": False, "started": False}


def test_jobs_and_serve_import_without_side_effects(tmp_path):
    effects = imported_in_a_fresh_process(tmp_path, "jobs", "serve", "cluster")
    assert effects["new"] == []
    assert not effects["started"]
