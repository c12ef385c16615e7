"""Retraining on a schedule: the RayJobs are what the operator takes, the crontab's lines run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.framework.options import read_options
from lib.fraud.simulation import SimulationConfig, simulate
from lib.records.systems import SYSTEMS
from tests.cluster.operator_schemas import complaints
from tests.records.conftest import empty_records

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "cluster/kubernetes"

_FIELD = r"(\*|\d+)(/\d+)?"
_LINE = re.compile(rf"({_FIELD}\s+){{5}}\S.*")
_CRON_JOB = {
    "spec": {
        *("schedule", "timeZone", "concurrencyPolicy", "startingDeadlineSeconds", "jobTemplate"),
        *("successfulJobsHistoryLimit", "failedJobsHistoryLimit"),
    },
    "job": {"backoffLimit", "activeDeadlineSeconds", "template"},
    "pod": {
        *("restartPolicy", "serviceAccountName", "securityContext", "containers", "volumes"),
    },
}


def documents(kind: str) -> dict[str, dict[str, Any]]:
    text = (KUBERNETES / "retrain.yaml").read_text()
    every = [d for d in yaml.safe_load_all(text) if d["kind"] == kind]
    return {document["metadata"]["name"]: document for document in every}


def ray_jobs(config_map: str) -> dict[str, dict[str, Any]]:
    data = documents("ConfigMap")[config_map]["data"]
    return {name.removesuffix(".yaml"): yaml.safe_load(text) for name, text in data.items()}


@pytest.mark.parametrize("name", ["forewarn-retrain", "forewarn-retrain-on-incident"])
@pytest.mark.parametrize("system", SYSTEMS)
def test_each_ray_job_is_what_the_operator_takes(name: str, system: str) -> None:
    job = ray_jobs(name)[system]
    assert complaints("rayjob", job) == []
    selected = job["spec"]["clusterSelector"]["ray.io/cluster"]
    cluster = yaml.safe_load((KUBERNETES / "raycluster.yaml").read_text())
    assert selected == cluster["metadata"]["name"]
    assert "ttlSecondsAfterFinished" not in job["spec"]  # refused beside a cluster that stays


@pytest.mark.parametrize("name", ["forewarn-retrain", "forewarn-retrain-on-incident"])
@pytest.mark.parametrize("system", SYSTEMS)
def test_the_entrypoint_is_a_command_that_this_code_has(name: str, system: str) -> None:
    program, flag, module, *arguments = shlex.split(ray_jobs(name)[system]["spec"]["entrypoint"])
    assert (program, flag, module) == ("python", "-m", f"jobs.{system}.retrain")
    config = read_options(import_module(module).RetrainConfig, arguments)
    config.check_retraining()
    assert config.on_incident == name.endswith("on-incident")


def test_weekly_and_hourly_jobs_differ_in_the_incident_alone() -> None:
    weekly, hourly = ray_jobs("forewarn-retrain"), ray_jobs("forewarn-retrain-on-incident")
    for system in SYSTEMS:
        spec = hourly[system]["spec"]
        spec["entrypoint"] = spec["entrypoint"].replace(" --on-incident", "")
        assert hourly[system] == weekly[system]


def test_a_cron_job_creates_the_ray_jobs_of_its_config_map_and_may_do_nothing_else() -> None:
    for name, volume in (
        ("forewarn-retrain-weekly", "forewarn-retrain"),
        ("forewarn-retrain-on-incident", "forewarn-retrain-on-incident"),
    ):
        document = documents("CronJob")[name]
        assert document["apiVersion"] == "batch/v1"
        assert set(document["spec"]) <= _CRON_JOB["spec"]
        assert re.fullmatch(rf"({_FIELD} ){{4}}{_FIELD}", document["spec"]["schedule"])
        assert document["spec"]["concurrencyPolicy"] == "Forbid"
        job = document["spec"]["jobTemplate"]["spec"]
        assert set(job) <= _CRON_JOB["job"]
        pod = job["template"]["spec"]
        assert set(pod) <= _CRON_JOB["pod"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        (container,) = pod["containers"]
        (mount,) = container["volumeMounts"]
        assert container["command"] == ["kubectl", "create", "-f", mount["mountPath"]]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert pod["volumes"] == [{"name": mount["name"], "configMap": {"name": volume}}]
        assert pod["serviceAccountName"] in documents("ServiceAccount")
    (role,) = documents("Role").values()
    assert role["rules"] == [
        {"apiGroups": ["ray.io"], "resources": ["rayjobs"], "verbs": ["create"]}
    ]
    (binding,) = documents("RoleBinding").values()
    assert binding["roleRef"]["name"] == role["metadata"]["name"]


def crontab() -> tuple[dict[str, str], list[str]]:
    """Variables and command lines of the crontab, read as cron reads them."""
    variables, lines = {}, []
    for line in (ROOT / "cluster/crontab").read_text().splitlines():
        if line.startswith("#") or not line.strip():
            continue
        if match := re.fullmatch(r"([A-Z_]+)=(.*)", line):
            variables[match[1]] = match[2]
        else:
            assert _LINE.fullmatch(line), line
            assert not re.search(r"(?<!\\)%", line), "cron takes % for the end of the command"
            lines.append(line.replace("\\%", "%"))
    return variables, lines


def test_the_crontab_retrains_every_system_weekly_and_on_incidents() -> None:
    variables, lines = crontab()
    commands = [line.split(maxsplit=5)[5] for line in lines if ".retrain" in line]
    kinds = [(re.search(r"jobs\.(\w+)\.retrain", c)[1], "--on-incident" in c) for c in commands]
    assert sorted(kinds) == [(s, on) for s in sorted(SYSTEMS) for on in (False, True)]
    for command in commands:
        assert set(re.findall(r"\$(\w+)", command)) <= variables.keys()
        words = shlex.split(re.sub(r"\$(\w+)", lambda m: variables[m[1]], command))
        start = words.index("python")
        read_options(import_module(words[start + 2]).RetrainConfig, words[start + 3 :])


def test_a_line_of_the_crontab_runs(tmp_path: Path) -> None:
    simulated = simulate(SimulationConfig(users=50, days=7), 1)
    simulated.write(tmp_path / "data")
    for name in ("transactions", "labels"):
        folder = tmp_path / "data" / name
        folder.mkdir()
        (tmp_path / "data" / f"{name}.parquet").rename(folder / "rows.parquet")
    (tmp_path / "records").write_text(empty_records(tmp_path))
    variables, lines = crontab()
    (line,) = [li for li in lines if "jobs.fraud.retrain --on-incident" in li]
    overridden = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "FOREWARN": str(ROOT),
        "DATA": str(tmp_path / "data"),
        "MODELS": str(tmp_path / "models"),
        "RECORDS": f"file:{tmp_path / 'records'}",
        "LOCKS": str(tmp_path),
    }
    done = subprocess.run(
        [variables["SHELL"], "-c", line.split(maxsplit=5)[5]],
        env=variables | overridden,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "nothing trained: no incident of fraud is open\n"
