"""Compares installed packages with the known advisories that are listed beside this file.

Needs no network: services of advisories cannot be reached from every place that builds. Run
`pip-audit` too wherever it can reach one.

    python -m cluster.audit
"""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

import yaml
from packaging.utils import canonicalize_name
from packaging.version import Version

ADVISORIES = Path(__file__).with_name("advisories.yaml")


@dataclass(frozen=True, slots=True)
class Advisory:
    """A published fault of a package.

    Attributes:
        package: its normalised name.
        fixed: the first version without it.
        identifier: e.g. `CVE-2025-27516`.
        fault: what it is, in a few words.
    """

    package: str
    fixed: Version
    identifier: str
    fault: str


def read_advisories(path: Path = ADVISORIES) -> tuple[Advisory, ...]:
    """The advisories in a YAML list of `package`, `fixed`, `id` and `fault`."""
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    return tuple(
        Advisory(
            canonicalize_name(entry["package"]),
            Version(str(entry["fixed"])),
            entry["id"],
            entry["fault"],
        )
        for entry in entries
    )


def installed_versions() -> dict[str, str]:
    """Version of every installed distribution, by normalised name."""
    return {
        canonicalize_name(distribution.metadata["Name"]): distribution.version
        for distribution in distributions()
    }


def affected(advisories: Iterable[Advisory], versions: Mapping[str, str]) -> list[Advisory]:
    """The advisories that apply to these versions; packages that are absent are not affected."""
    return [
        advisory
        for advisory in advisories
        if advisory.package in versions and Version(versions[advisory.package]) < advisory.fixed
    ]


def main() -> int:
    """Prints what is affected; returns 1 if anything is."""
    advisories, versions = read_advisories(), installed_versions()
    advisories_affected = affected(advisories, versions)
    for advisory in advisories_affected:
        print(
            f"{advisory.package} {versions[advisory.package]}: {advisory.identifier}, "
            f"{advisory.fault}; install {advisory.fixed} or later"
        )
    print(
        f"{len(versions)} packages, {len(advisories)} advisories: {len(advisories_affected)} apply"
    )
    return 1 if advisories_affected else 0


if __name__ == "__main__":
    sys.exit(main())
