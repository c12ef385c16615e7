"""Change the status of a rule in the text of its set, and leave every other character as it is."""

from __future__ import annotations

from dataclasses import dataclass

import yaml

from lib.rules.problems import Problem, RuleError
from lib.rules.ruleset import Status

_BLOCKS = ("|", ">")


@dataclass(frozen=True, slots=True)
class _Edit:
    start: int
    end: int
    text: str


def with_status(text: str, rule_id: str, status: Status, version: int) -> str:
    """The text with another status of one rule, and another version.

    Comments, order and spacing stay. What comes out is loaded and checked as any other text is.

    Args:
        text: YAML of a rule set that was loaded.
        rule_id: of one of its rules.
        status: that the rule gets.
        version: that the set gets.

    Raises:
        RuleError: no rule has this id.
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    rules = _rules(root) if isinstance(root, yaml.MappingNode) else []
    rule = next((node for node in rules if _id_of(node) == rule_id), None)
    if rule is None or not isinstance(root, yaml.MappingNode):
        message = f"no rule has this id: {rule_id}"
        raise RuleError([Problem("rules", None, None, None, message)])
    edits = [_replacing(text, _value(root, "version"), str(version)), _status(text, rule, status)]
    for edit in sorted(edits, key=lambda edit: -edit.start):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def with_version(text: str, version: int) -> str:
    """The text with another version; as it is where it names none."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        return text
    node = _value(root, "version") if isinstance(root, yaml.MappingNode) else None
    if not isinstance(node, yaml.ScalarNode):
        return text
    edit = _replacing(text, node, str(version))
    return text[: edit.start] + edit.text + text[edit.end :]


def _rules(root: yaml.MappingNode) -> list[yaml.MappingNode]:
    rules = _value(root, "rules")
    return list(rules.value) if isinstance(rules, yaml.SequenceNode) else []


def _id_of(rule: yaml.MappingNode) -> str:
    node = _value(rule, "id")
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""


def _value(mapping: yaml.MappingNode, name: str) -> yaml.Node | None:
    return next((value for key, value in mapping.value if key.value == name), None)


def _status(text: str, rule: yaml.MappingNode, status: str) -> _Edit:
    present = _value(rule, "status")
    if present is not None:
        return _replacing(text, present, status)
    key, value = next(pair for pair in rule.value if pair[0].value == "id")
    end = value.end_mark.index
    if rule.flow_style:
        return _Edit(end, end, f", status: {status}")
    indent = " " * key.start_mark.column
    if value.style in _BLOCKS:  # it ends with its line
        return _Edit(end, end, f"{indent}status: {status}\n")
    return _Edit(end, end, f"\n{indent}status: {status}")


def _replacing(text: str, node: yaml.Node | None, replacement: str) -> _Edit:
    assert isinstance(node, yaml.ScalarNode)  # noqa: S101  of a text that was loaded
    start, end = node.start_mark.index, node.end_mark.index
    ending = "\n" if node.style in _BLOCKS and text[start:end].endswith("\n") else ""
    return _Edit(start, end, replacement + ending)
