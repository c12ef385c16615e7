"""Reading YAML that others wrote: bounded, without aliases, every fault one kind of error."""

import codecs
from pathlib import Path
from typing import Any

import yaml

from lib.contract.error import ContractError

LONGEST_DOCUMENT = 5_000_000
"""Characters of one document, at most."""

DEEPEST = 40
"""Levels of lists and sections within each other, at most."""

_LONGEST_MESSAGE = 300


def read_yaml(text: str, origin: str) -> Any:
    """The plain values (dict, list, text, number, ...) of a YAML document; None of an empty one.

    Aliases are refused, so that a short text cannot stand for a large one, and so is what nests
    deeper than 40 levels, holds an impossible date or a number of thousands of digits.

    Args:
        text: YAML; tags that build objects are never followed.
        origin: file name or option, for messages.

    Raises:
        ContractError: the text is no such document; the message names the origin and the line.
    """
    check_yaml(text, origin)
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise ContractError(f"{origin}: not valid YAML: {_message(error)}") from error


def read_yaml_text(path: Path) -> str:
    """The text of a YAML file, see `decode_yaml`.

    Raises:
        ContractError: it is not UTF-8.
    """
    return decode_yaml(path.read_bytes(), path.name)


def decode_yaml(content: bytes, origin: str) -> str:
    """The text of YAML, which is UTF-8 with or without a byte order mark, or UTF-16 with one.

    Raises:
        ContractError: it is not, with the line of the first such byte.
    """
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ContractError(
            f"{origin}, line {line}: expected YAML in UTF-8, got other bytes; save it as UTF-8"
        ) from error


def check_yaml(text: str, origin: str) -> None:
    """Refuse a document that is too long, nests too deep or has aliases, before it is built.

    Raises:
        ContractError: it does, or it is not YAML.
    """
    if len(text) > LONGEST_DOCUMENT:
        raise ContractError(
            f"{origin}: expected at most {LONGEST_DOCUMENT:,} characters of YAML, got {len(text):,}"
        )
    depth = 0
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                line = _line(event)
                raise ContractError(
                    f"{origin}, line {line}: aliases are refused; write the value out"
                )
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST:
                line = _line(event)
                raise ContractError(f"{origin}, line {line}: nested too deep; expected {DEEPEST}")
    except (yaml.YAMLError, RecursionError) as error:
        raise ContractError(f"{origin}: not valid YAML: {_message(error)}") from error


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _message(error: BaseException) -> str:
    return f"{error}"[:_LONGEST_MESSAGE]
