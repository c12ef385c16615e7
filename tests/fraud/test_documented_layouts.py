"""Mapping files in the documents are those that are tried from file to model."""

import re
from pathlib import Path

import pytest
import yaml

from lib.contract import parse_mapping
from lib.fraud.contracts import CONTRACTS
from tests.fraud import public_layouts

TEXT = (Path(__file__).parents[2] / "jobs/fraud/README.md").read_text()
DOCUMENTED = dict(re.findall(r"```yaml\n# (\w+)\.yaml\n(.*?)```", TEXT, re.DOTALL))


@pytest.mark.parametrize(
    "name", ["paysim_transactions", "paysim_labels", "tabformer_transactions", "tabformer_labels"]
)
def test_a_documented_mapping_file_is_the_one_that_is_tried(name: str) -> None:
    tried = getattr(public_layouts, name.upper())
    assert yaml.safe_load(DOCUMENTED[name]) == yaml.safe_load(tried)
    assert parse_mapping(DOCUMENTED[name], CONTRACTS).contract.name == name.partition("_")[2]
