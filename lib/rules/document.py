"""Read the YAML of a rule set, keeping for every entry the line it stands on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import yaml

from lib.declaration import did_you_mean
from lib.declaration.yaml_document import DocumentError, compose_yaml, construct_yaml, line_of
from lib.rules.problems import Problem, RuleError, one_of

LARGEST_DOCUMENT = 1_000_000
"""Characters of one rule file, at most."""

FILE_KEYS = ("version", "rules")
OPTIONAL_FILE_KEYS = ("pass_share",)
RULE_KEYS = ("id", "when", "action", "reason", "confidence", "owner")
OPTIONAL_RULE_KEYS = ("status", "priority", "note")


@dataclass(frozen=True, slots=True)
class Entry:
    """A scalar of a rule file.

    Attributes:
        text: as written.
        line: from 1.
        type: YAML's idea of it: `str`, `int`, `float`, `bool`, ...
    """

    text: str
    line: int
    type: str


@dataclass(frozen=True, slots=True)
class Block:
    """A mapping of known keys to scalars, and the line it starts on."""

    entries: Mapping[str, Entry]
    line: int

    @property
    def id(self) -> str | None:
        """The id as written, for messages; None where there is none."""
        entry = self.entries.get("id")
        return entry.text if entry else None


@dataclass(frozen=True, slots=True)
class Document:
    """The file's own entries and its rules, in file order, with the problems found so far."""

    head: Block
    rules: tuple[Block, ...]
    problems: tuple[Problem, ...]


def read_document(text: str, source: str) -> Document:
    """Split a rule file into blocks.

    Reads with YAML's safe schema: no tag builds an object. Anchors and aliases are refused, so a
    short text cannot stand for a large one. `status: off` is the text `off`, though YAML 1.1
    makes it a boolean.

    Args:
        text: the YAML.
        source: name of the file for messages.

    Raises:
        RuleError: the text is no YAML mapping with a list `rules`; smaller faults are gathered
            in `problems` instead.
    """
    root = _compose(text, source)
    reader = _Reader(source)
    head = reader.block(root, FILE_KEYS, OPTIONAL_FILE_KEYS, None)
    rules = next((value for key, value in root.value if key.value == "rules"), None)
    blocks = tuple(reader.rules(rules)) if rules is not None else ()
    return Document(head, blocks, tuple(reader.problems))


def _compose(text: str, source: str) -> yaml.MappingNode:
    try:
        root = compose_yaml(text, LARGEST_DOCUMENT)
        if root is not None:
            construct_yaml(root)
    except DocumentError as error:
        raise _fatal(source, error.line, error.problem) from None
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if getattr(event, "anchor", None):
            raise _fatal(source, line_of(event), "anchors are refused: write the value out")
    if root is None:
        raise _fatal(source, 1, "the file is empty: expected the keys version and rules")
    if not isinstance(root, yaml.MappingNode):
        description = _described(root)
        raise _fatal(
            source, 1, f"expected a mapping with the keys version and rules, got {description}"
        )
    return root


def _fatal(source: str, line: int | None, message: str) -> RuleError:
    return RuleError([Problem(source, line, None, None, message)])


class _Reader:
    def __init__(self, source: str) -> None:
        self.source = source
        self.problems: list[Problem] = []

    def report(self, line: int, rule_id: str | None, key: str | None, message: str) -> None:
        self.problems.append(Problem(self.source, line, rule_id, key, message))

    def rules(self, node: yaml.Node) -> Iterable[Block]:
        """Yield one block per item of the list `rules`."""
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            message = f"expected a list of at least one rule, got {_described(node)}"
            self.report(line_of(node), None, "rules", message)
            return
        for item in node.value:
            if not isinstance(item, yaml.MappingNode):
                message = f"expected a mapping of {one_of(RULE_KEYS)}, got {_described(item)}"
                self.report(line_of(item), None, "rules", message)
                continue
            yield self.block(item, RULE_KEYS, OPTIONAL_RULE_KEYS, _own_id(item))

    def block(
        self,
        node: yaml.MappingNode,
        required: tuple[str, ...],
        optional: tuple[str, ...],
        rule_id: str | None,
    ) -> Block:
        """The scalars of a mapping; reports unknown, repeated and missing keys, lists, mappings."""
        keys: set[str] = set()
        entries: dict[str, Entry] = {}
        for key_node, value in node.value:
            key, line = str(key_node.value), line_of(key_node)
            if key not in (*required, *optional):
                hint = did_you_mean(key, (*required, *optional))
                self.report(line, rule_id, key, f"unknown key; {hint}")
            elif key in keys:
                self.report(line, rule_id, key, "the key stands here twice: keep one")
            elif isinstance(value, yaml.ScalarNode):
                entries[key] = Entry(value.value, line_of(value), value.tag.rpartition(":")[2])
            elif key != "rules":
                message = f"expected a single value, got {_described(value)}"
                self.report(line_of(value), rule_id, key, message)
            keys.add(key)
        for key in required:
            if key not in keys:
                self.report(line_of(node), rule_id, key, "the key is missing: it is required")
        return Block(entries, line_of(node))


def _own_id(node: yaml.MappingNode) -> str | None:
    for key, value in node.value:
        if key.value == "id" and isinstance(value, yaml.ScalarNode):
            return str(value.value)
    return None


def _described(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list" if node.value else "an empty list"
    return repr(node.value) if node.value else "nothing"
