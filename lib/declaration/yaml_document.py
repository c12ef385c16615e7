"""Reading YAML that others wrote: bounded, without aliases, every fault one error with its line."""

import codecs
from pathlib import Path
from typing import Any

import yaml

LONGEST_DOCUMENT = 5_000_000
"""Characters of one document, at most."""

DEEPEST = 40
"""Levels of lists and sections within each other, at most."""

_LONGEST_MESSAGE = 300
_LONGEST_EXCERPT = 40


class DocumentError(ValueError):
    """A text that is not read as YAML.

    Attributes:
        problem: what is wrong.
        line: 1-based; None where the fault has no line.
    """

    def __init__(self, problem: str, line: int | None = None) -> None:
        super().__init__(problem)
        self.problem, self.line = problem, line

    def at(self, origin: str) -> str:
        """Place and problem in one line, of the file or option `origin`."""
        return (
            f"{origin}: {self.problem}"
            if self.line is None
            else (f"{origin}:{self.line}: {self.problem}")
        )


def read_yaml(text: str, origin: str, error: type[ValueError] = ValueError) -> Any:
    """The plain values (dict, list, text, number, ...) of a YAML document; None of an empty one.

    Args:
        text: see `compose_yaml`.
        origin: file name or option, for messages.
        error: what is raised.

    Raises:
        ValueError: `error`; the message names the origin and the line.
    """
    try:
        root = compose_yaml(text)
        return None if root is None else construct_yaml(root)
    except DocumentError as fault:
        raise error(fault.at(origin)) from fault


def read_yaml_text(
    path: str | Path, origin: str | None = None, error: type[ValueError] = ValueError
) -> str:
    """The text of a YAML file, see `decode_yaml`.

    Args:
        path: of the file.
        origin: what messages name; default: the path.
        error: what is raised.

    Raises:
        ValueError: `error`; the file cannot be read or is no UTF-8.
    """
    try:
        return decode_yaml(Path(path).read_bytes(), origin or str(path), error)
    except OSError as fault:
        raise error(f"{origin or path}: {fault}") from fault


def decode_yaml(content: bytes, origin: str, error: type[ValueError] = ValueError) -> str:
    """The text of YAML, which is UTF-8 with or without a byte order mark, or UTF-16 with one.

    Raises:
        ValueError: `error`; it is not, with the line of the first such byte.
    """
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as fault:
        line = content.count(b"\n", 0, fault.start) + 1
        problem = "expected YAML in UTF-8, got other bytes; save it as UTF-8"
        raise error(DocumentError(problem, line).at(origin)) from fault


def compose_yaml(text: str, longest: int = LONGEST_DOCUMENT) -> yaml.Node | None:
    """The nodes of a YAML document, with their lines; None of an empty one.

    Aliases are refused, so that a short text cannot stand for a large one, and so is what nests
    deeper than 40 levels.

    Raises:
        DocumentError: the text is no such document.
    """
    if len(text) > longest:
        raise DocumentError(f"expected at most {longest:,} characters of YAML, got {len(text):,}")
    try:
        loader = _BoundedLoader(text)
        try:
            node: yaml.Node | None = loader.get_single_node()
            return node
        finally:
            loader.dispose()
    except (yaml.YAMLError, RecursionError) as error:
        raise _document_error(error) from error


def construct_yaml(node: yaml.Node) -> Any:
    """The plain values that a node stands for; tags that build objects are never followed.

    Raises:
        DocumentError: it holds an impossible date, a number of thousands of digits or a tag.
    """
    try:
        return _BoundedLoader("").construct_document(node)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise _document_error(error) from error


def read_packaged_yaml(text: str) -> Any:
    """The plain values of a document of the product itself, in compiled code where there is some.

    Raises:
        DocumentError: the text is no YAML, or there is no compiled code.
    """
    if not yaml.__with_libyaml__:
        raise DocumentError("PyYAML was built without libyaml")
    loader = yaml.CSafeLoader(text)
    try:
        return loader.get_single_data()
    except yaml.YAMLError as error:
        raise _document_error(error) from error
    finally:
        loader.dispose()


def check_keys(node: yaml.Node) -> None:
    """Refuse a key that stands twice in a section, of which YAML would keep the last silently.

    Raises:
        DocumentError: names the key.
    """
    if isinstance(node, yaml.SequenceNode):
        for child in node.value:
            check_keys(child)
    elif isinstance(node, yaml.MappingNode):
        keys: set[str] = set()
        for key, value in node.value:
            if str(key.value) in keys:
                raise DocumentError(f"{key.value}: stands here twice; keep one", line_of(key))
            keys.add(str(key.value))
            check_keys(value)


def line_of(node: yaml.Node | yaml.Event) -> int:
    """The 1-based line where a node starts."""
    return int(node.start_mark.line) + 1 if node.start_mark else 1


class _Refusal(yaml.MarkedYAMLError):
    """YAML that is valid, but not accepted here."""

    def __init__(self, problem: str, mark: Any) -> None:
        super().__init__(problem=problem, problem_mark=mark)


class _BoundedLoader(yaml.SafeLoader):
    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            problem = "aliases are refused; write the value out"
            raise _Refusal(problem, event.start_mark)
        is_collection = isinstance(event, yaml.CollectionStartEvent)
        self._depth += is_collection
        if self._depth > DEEPEST:
            problem = f"nested too deep; expected at most {DEEPEST} levels"
            raise _Refusal(problem, event.start_mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= is_collection
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, TypeError, OverflowError) as error:
            text = str(node.value)
            excerpt = text if len(text) <= _LONGEST_EXCERPT else f"{text[:_LONGEST_EXCERPT]}..."
            problem = f"'{excerpt}' is no value of YAML; put it in quotes"
            raise _Refusal(problem, node.start_mark) from error


def _document_error(error: Exception) -> DocumentError:
    mark = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", None) or error)[:_LONGEST_MESSAGE]
    prefix = "" if isinstance(error, _Refusal) else "not valid YAML: "
    return DocumentError(prefix + problem, mark.line + 1 if mark else None)
