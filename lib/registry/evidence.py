"""What a change of an alias rests on: a report of a job, or the verdict of an experiment."""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lib.registry.errors import RegistryError

_STATEMENTS = ("statement", "sentence", "decision", "verdict")
_LONGEST = 2_000


class Evidence(BaseModel):
    """What a change of an alias rests on.

    Attributes:
        kind: `report` of a job, or the verdict of an `experiment`.
        name: address of the report, or name of the experiment.
        statement: the report's own conclusion in words; "" where it has none.
        sha256: of the report's bytes as they were read then; None for an experiment.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: Literal["report", "experiment"]
    name: Annotated[str, Field(min_length=1, max_length=_LONGEST)]
    statement: Annotated[str, Field(max_length=_LONGEST)] = ""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None

    @property
    def text(self) -> str:
        """In one line: the name, and the conclusion where there is one."""
        return f"{self.kind} {self.name}" + (f": {self.statement}" if self.statement else "")


def make_evidence(**fields: Any) -> Evidence:
    """Evidence of checked fields.

    Raises:
        RegistryError: a field is empty, too long or malformed.
    """
    try:
        return Evidence(**fields)
    except ValidationError as error:
        raise RegistryError(f"evidence: {error}") from error


def statement_in(report: bytes) -> str:
    """The conclusion of a report in JSON, wherever it stands in it; "" where it has none.

    >>> statement_in(b'{"retraining": {"decision": "keeps 120 USD a week more"}}')
    'keeps 120 USD a week more'
    """
    try:
        document = json.loads(report)
    except ValueError:
        return ""
    return _statement(document)[:_LONGEST]


def _statement(document: Any) -> str:
    if not isinstance(document, dict):
        return ""
    own = (document.get(name) for name in _STATEMENTS)
    below = (_statement(part) for part in document.values())
    return next((text for text in (*own, *below) if isinstance(text, str) and text), "")
