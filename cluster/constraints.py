"""Writes the exact versions that an image installs, so that it can be made again.

    python -m cluster.constraints

resolves the product's requirements as of today with pip and writes `cluster/constraints.txt`: names
and versions, no address of an index. The Dockerfile installs these and no others.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
CONSTRAINTS = Path(__file__).with_name("constraints.txt")
IMAGE_REQUIREMENTS = ("boto3", "smart_open[s3]")
"""What the image installs beside the product: reading code and data from buckets."""
_OWN_NAME = "forewarn"
_HEAD = """\
# Exact versions of what the image installs; made by `python -m cluster.constraints`, not by hand.
# Packages of CUDA, which torch brings in its CUDA build alone, are not among them.
"""


def resolve(requirements: Sequence[str]) -> dict[str, Any]:
    """Pip's report of what it would install into an empty environment.

    Raises:
        subprocess.CalledProcessError: pip finds no set of versions; its words go to stderr.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run"]
        command += ["--ignore-installed", "--report", str(report), *requirements]
        subprocess.run(command, cwd=ROOT, check=True)
        content: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return content


def to_constraints(report: Mapping[str, Any]) -> str:
    """Lines `name==version` of a report, by name; local versions such as `+cpu` are left out."""
    versions = {
        canonicalize_name(package["metadata"]["name"]): Version(package["metadata"]["version"])
        for package in report["install"]
    }
    versions.pop(canonicalize_name(_OWN_NAME), None)
    lines = [f"{name}=={version.public}" for name, version in sorted(versions.items())]
    return _HEAD + "\n".join(lines) + "\n"


def main() -> None:
    """Writes the file and says how many packages it pins."""
    text = to_constraints(resolve([".[postgres]", *IMAGE_REQUIREMENTS]))
    CONSTRAINTS.write_text(text, encoding="utf-8")
    print(f"{text.count('==')} packages in {CONSTRAINTS.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
