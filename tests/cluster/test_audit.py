"""No package with a known fault is admitted, pinned or installed; pins of the image are exact."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from cluster.audit import Advisory, affected, installed_versions, read_advisories
from cluster.constraints import CONSTRAINTS, to_constraints

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REQUIREMENTS = [
    Requirement(text)
    for text in (*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["postgres"])
]
PINS = dict(line.split("==") for line in CONSTRAINTS.read_text().splitlines() if "==" in line)


def test_a_version_before_the_mended_one_is_found():
    advisory = Advisory("tqdm", Version("4.66.3"), "CVE-2024-34062", "an argument is evaluated")
    assert affected([advisory], {"tqdm": "4.66.2"}) == [advisory]
    assert affected([advisory], {"tqdm": "4.66.10", "other": "1"}) == []


def test_nothing_installed_has_a_known_fault():
    assert affected(read_advisories(), installed_versions()) == []


def test_no_bound_admits_a_version_with_a_known_fault():
    advisories = {advisory.package: advisory for advisory in read_advisories()}
    admitted = [
        f"{requirement}: {advisory.identifier} before {advisory.fixed}"
        for requirement in REQUIREMENTS
        if (advisory := advisories.get(canonicalize_name(requirement.name)))
        for lowest in re.findall(r"(?:>=|~=|==)([\d.]+)", str(requirement.specifier))
        if Version(lowest) < advisory.fixed
    ]
    assert admitted == []


def test_the_image_installs_exact_versions_within_the_bounds():
    outside = [
        f"{requirement}: {PINS.get(canonicalize_name(requirement.name))}"
        for requirement in REQUIREMENTS
        if not requirement.specifier.contains(PINS.get(canonicalize_name(requirement.name), "0"))
    ]
    assert outside == []
    assert affected(read_advisories(), PINS) == []
    assert "://" not in CONSTRAINTS.read_text()


def test_pins_are_by_name_and_without_local_versions():
    report = {
        "install": [
            {"metadata": {"name": name, "version": version}}
            for name, version in (("Torch", "2.13.0+cpu"), ("forewarn", "0.1.0"), ("av", "18.1.0"))
        ]
    }
    assert to_constraints(report).splitlines()[2:] == ["av==18.1.0", "torch==2.13.0"]
