"""No text of YAML costs more than its length or raises anything but one error with a line."""

import time

import pytest

from jobs.moderation.sources import read_policies
from lib.churn.features import churn_features
from lib.churn.interventions.playbooks import PlaybookError, load_playbooks
from lib.churn.vocabulary import ChurnError, parse_vocabulary
from lib.contract import ContractError, load_mapping, parse_mapping
from lib.declaration import DeclarationError, read_yaml, read_yaml_text
from lib.maintenance.feature_set import FeatureError
from lib.maintenance.machine_kind import load_kind, parse_kind
from lib.moderation.model.model_config import parse_size, read_size_option
from lib.moderation.model.outputs import ModelError
from lib.moderation.policies import load_policies
from lib.rules import RuleError, load_rules
from serve.churn.active_playbooks import ActivePlaybooks
from tests.contract.factories import PARCELS

BOMB = "\n".join(
    ["a: &a [x, x, x, x, x, x, x, x]"]
    + [f"{name}: &{name} [{', '.join([f'*{chr(ord(name) - 1)}'] * 8)}]" for name in "bcdefghi"]
)
CRAFTED = {
    "aliases": BOMB,
    "recursion": "a: " + "[" * 3_000 + "]" * 3_000,
    "recursion by blocks": "\n".join(" " * depth + "a:" for depth in range(2_000)),
    "an impossible date": "version: 2025-13-45",
    "a long number": "version: " + "9" * 5_000,
    "a long exponent": "version: 1e999999999",
    "a merge of itself": "a: &a\n  <<: *a",
    "a tag": "a: !!python/object/apply:os.system [true]",
    "an unknown tag": "a: !thing 3",
    "a list": "- 1",
    "a control character": "a: \x07",
    "a key that is a list": "? [a, b]\n: 1",
    "half a quote": 'a: "b',
    "nothing": "",
}
READERS = {
    "mapping": (lambda text: parse_mapping(text, [PARCELS]), ContractError),
    "playbooks": (lambda text: load_playbooks(text, ["tenure"]), PlaybookError),
    "base": (parse_vocabulary, ChurnError),
    "kind": (parse_kind, FeatureError),
    "size": (lambda text: parse_size(text, "size.yaml"), ModelError),
    "policies": (load_policies, DeclarationError),
    "rules": (lambda text: load_rules(text, {"amount": float}), RuleError),
}


@pytest.mark.parametrize("text", CRAFTED.values(), ids=CRAFTED)
@pytest.mark.parametrize(("read", "fault"), READERS.values(), ids=READERS)
def test_a_crafted_file_is_refused_at_once(read, fault, text):
    started = time.process_time()
    if text or fault not in {ChurnError, ModelError}:
        with pytest.raises(fault) as refused:
            read(text)
        assert len(str(refused.value)) < 2_000
    assert time.process_time() - started < 2.0


@pytest.mark.parametrize("text", CRAFTED.values(), ids=CRAFTED)
def test_playbooks_that_cannot_be_read_leave_the_others_in_force(text):
    shelf = ActivePlaybooks(churn_features(parse_vocabulary("")).names)
    version = shelf.playbooks.version
    assert not shelf.load(f"{text}\n")
    assert (shelf.playbooks.version, bool(shelf.error)) == (version, True)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_yaml_is_read_with_and_without_a_byte_order_mark(tmp_path, encoding):
    path = tmp_path / "m.yaml"
    path.write_bytes("city: Köln\n".encode(encoding))
    assert read_yaml(read_yaml_text(path), "m.yaml") == {"city": "Köln"}


@pytest.mark.parametrize(
    "read",
    [
        lambda path: load_mapping(path, [PARCELS]),
        load_kind,
        lambda path: read_policies(str(path)),
        lambda path: read_size_option(str(path)),
    ],
)
def test_yaml_in_another_encoding_is_refused_with_its_line(tmp_path, read):
    path = tmp_path / "m.yaml"
    path.write_bytes("a: b\ncity: Köln\n".encode("cp1252"))
    with pytest.raises(ValueError, match=r"m.yaml:2: expected YAML in UTF-8"):
        read(path)


def test_plain_documents_are_read():
    assert read_yaml("a: [1, 2024-03-01]\nb: {c: true}", "x.yaml")["b"] == {"c": True}
    assert read_yaml("", "x.yaml") is None


def test_a_value_that_yaml_cannot_hold_is_named_with_its_line():
    with pytest.raises(ContractError, match=r"m.yaml:1: contract: '2025-13-45' is no value"):
        parse_mapping("contract: 2025-13-45", [PARCELS], "m.yaml")


def test_documents_of_megabytes_are_refused_unread():
    with pytest.raises(ValueError, match="at most 5,000,000 characters"):
        read_yaml("a" * 5_000_001, "x.yaml")
