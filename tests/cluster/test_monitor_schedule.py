"""The nightly monitoring is made of objects that Kubernetes and its operator take."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.framework.options import read_options
from lib.records.systems import SYSTEMS
from tests.cluster.operator_schemas import complaints

CRONTAB = (Path(__file__).parents[2] / "cluster/crontab").read_text()
MANIFEST = Path(__file__).parents[2] / "cluster/kubernetes/monitor.yaml"
DOCUMENTS = {document["kind"]: document for document in yaml.safe_load_all(MANIFEST.read_text())}


def jobs() -> dict[str, dict[str, Any]]:
    return {
        name.removesuffix(".yaml"): yaml.safe_load(text)
        for name, text in DOCUMENTS["ConfigMap"]["data"].items()
    }


def test_every_system_is_monitored() -> None:
    assert set(jobs()) == set(SYSTEMS)


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_job_is_what_the_operator_takes_and_the_command_reads(system: str) -> None:
    job = jobs()[system]
    assert complaints("rayjob", job) == []
    python, flag, module, *options = shlex.split(job["spec"]["entrypoint"])
    assert (python, flag, module) == ("python", "-m", f"jobs.{system}.monitor")
    assert read_options(importlib.import_module(module).Options, options).registry


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_crontab_monitors_every_system_each_night(system: str) -> None:
    (line,) = [own for own in CRONTAB.splitlines() if f"jobs.{system}.monitor " in own]
    assert re.match(r"\d+ 1 \* \* \* cd \$FOREWARN && flock -n ", line)
    words = shlex.split(line.partition(" python ")[2])
    options = read_options(importlib.import_module(words[1]).Options, words[2:])
    assert options.records == "$RECORDS"


def test_the_schedule_may_create_rayjobs_and_has_no_other_right() -> None:
    (rule,) = DOCUMENTS["Role"]["rules"]
    assert rule == {"apiGroups": ["ray.io"], "resources": ["rayjobs"], "verbs": ["create"]}
    account = DOCUMENTS["ServiceAccount"]["metadata"]["name"]
    pod = DOCUMENTS["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == account
    assert DOCUMENTS["RoleBinding"]["subjects"][0]["name"] == account
    assert pod["securityContext"]["runAsNonRoot"] is True


def test_the_schedule_mounts_what_it_creates() -> None:
    pod = DOCUMENTS["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,), (volume,) = pod["containers"], pod["volumes"]
    assert volume["configMap"]["name"] == DOCUMENTS["ConfigMap"]["metadata"]["name"]
    assert container["command"][-1].endswith(container["volumeMounts"][0]["mountPath"])
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
