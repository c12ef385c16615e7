"""What a change of an alias rests on: a report of a job, or the verdict of an experiment."""

import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lib.registry.errors import RegistryError

_STATEMENTS = ("statement", "sentence", "decision", "verdict")
_LONGEST = 2_000
_PROMOTE = "promote"


@dataclass(frozen=True)
class Conclusion:
    """Whom a report or a verdict speaks for.

    Attributes:
        challenger: the version that it compared with the champion; "" where it does not say.
        in_favour: whether it says that this version is better; None where it does not say.
    """

    challenger: str = ""
    in_favour: bool | None = None

    def require(self, version: str, *, against: bool) -> None:
        """Refuse what does not speak for a version.

        Args:
            version: that is promoted.
            against: whether it is promoted also where this advises against it.

        Raises:
            RegistryError: it is about another version, or advises against this one.
        """
        if self.challenger not in ("", version):
            raise RegistryError(
                f"--evidence: it compared {self.challenger} with the champion, not {version}; give "
                f"--version {self.challenger}"
            )
        if self.in_favour is False and not against:
            raise RegistryError(
                f"--evidence: it does not speak for {version}; give --reason as well, why it is "
                "promoted all the same"
            )


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


def conclusion_in(report: bytes) -> Conclusion:
    """Whom a report in JSON speaks for: that of a retraining or of a verdict.

    >>> conclusion_in(b'{"won": false, "challenger": {"version": "v2"}}')
    Conclusion(challenger='v2', in_favour=False)
    """
    document = _document(report)
    compared, declared = document.get("challenger"), document.get("declaration")
    version = compared.get("version") if isinstance(compared, dict) else None
    if isinstance(declared, dict):
        version = declared.get("challenger")
    won, action = document.get("won"), document.get("verdict", document.get("action"))
    if isinstance(action, str):
        won = action == _PROMOTE
    return Conclusion(str(version or ""), won if isinstance(won, bool) else None)


def statement_in(report: bytes) -> str:
    """The conclusion of a report in JSON, wherever it stands in it; "" where it has none.

    >>> statement_in(b'{"retraining": {"decision": "keeps 120 USD a week more"}}')
    'keeps 120 USD a week more'
    """
    return _statement(_document(report))[:_LONGEST]


def _document(report: bytes) -> dict[str, Any]:
    """What a report in JSON holds; nothing where it is something else."""
    try:
        document = json.loads(report)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _statement(document: Any) -> str:
    if not isinstance(document, dict):
        return ""
    own = (document.get(name) for name in _STATEMENTS)
    below = (_statement(part) for part in document.values())
    return next((text for text in (*own, *below) if isinstance(text, str) and text), "")
