"""Playbooks: what can be done, for whom, at which cost, and what it is expected to change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from lib.churn.features import group_of
from lib.churn.target import Floats
from lib.declaration import did_you_mean, load_declaration, repeated
from lib.rules import ExpressionError, read_expression
from lib.rules.columns import Columns
from lib.rules.condition import Condition

PLAYBOOKS_FILE = Path(__file__).with_name("playbooks.yaml")
"""The playbooks that come with the product."""


class PlaybookError(ValueError):
    """A file of playbooks that cannot be meant; the message names the playbook and the field."""


class Playbook(BaseModel):
    """One thing that can be done. Money in currency units."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1, max_length=64, pattern=r"^[a-z][a-z0-9_]*$")
    words: str = Field(min_length=1, max_length=200)
    who: str = Field(description="condition over features; only whom it holds for is considered")
    cost: float = Field(ge=0, description="of one intervention")
    cost_share_of_year: float = Field(
        0.0, ge=0, le=1, description="further cost as a share of a year's revenue, of a discount"
    )
    hours: float = Field(ge=0, description="of the team")
    effect: float = Field(
        gt=0,
        lt=1,
        description="share of the chance to leave that goes; with `treats` the share of what the "
        "treated features add to the log-odds",
    )
    treats: tuple[str, ...] = Field(
        (), description="features, or groups of them, whose trouble it takes away"
    )
    evidence: str = Field(min_length=1, description="where the effect's number comes from")
    cool_down_days: int = Field(0, ge=0, description="before the customer gets any of it again")
    most: int | None = Field(None, ge=0, description="of it in one plan")
    enabled: bool = True


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int = Field(ge=1)
    enabled: bool = Field(True, description="false stops all interventions at once")
    holdout: float = Field(0.1, ge=0, le=0.5)
    playbooks: list[Playbook] = Field(min_length=1)

    @model_validator(mode="after")
    def _each_once(self) -> _File:
        if (twice := repeated(playbook.id for playbook in self.playbooks)) is not None:
            raise ValueError(f"playbook '{twice}' is declared twice")
        return self


@dataclass(frozen=True)
class Playbooks:
    """All playbooks of a file.

    Attributes:
        version: of the file.
        holdout: share of customers whom no intervention ever reaches, so that effects can be seen.
        playbooks: in order; those that are not enabled are left out, all of them where the file
            as a whole is switched off.
    """

    version: int
    holdout: float
    playbooks: tuple[Playbook, ...]
    conditions: tuple[Condition, ...] = field(repr=False)

    def qualified(self, names: tuple[str, ...], matrix: Floats) -> NDArray[np.bool_]:
        """Who qualifies for what (customers, playbooks), of features (customers, features)."""
        table = pa.table({name: matrix[:, k] for k, name in enumerate(names)})
        columns = Columns(table)
        masks = [np.asarray(columns.mask(condition)) for condition in self.conditions]
        return np.column_stack(masks) if masks else np.zeros((len(matrix), 0), dtype=bool)


def switched_off(text: str) -> str:
    """The YAML of playbooks with all of them switched off."""
    return yaml.safe_dump({**yaml.safe_load(text), "enabled": False}, sort_keys=False)


def load_playbooks(text: str, names: Iterable[str], origin: str = "playbooks") -> Playbooks:
    """Read and check a file.

    Args:
        text: YAML.
        names: of the features that `who` may read.
        origin: for messages.

    Raises:
        PlaybookError: naming the line, the playbook, the field, what was expected and what came.
    """
    read = load_declaration(text, _File, origin, PlaybookError)
    fields = dict.fromkeys(names, float)
    enabled = tuple(playbook for playbook in read.playbooks if playbook.enabled and read.enabled)
    conditions = []
    for playbook in read.playbooks:
        known = (*fields, *dict.fromkeys(group_of().values()))
        if unknown := [name for name in playbook.treats if name not in known]:
            hint = did_you_mean(unknown[0], known)
            raise PlaybookError(
                f"{origin}: {playbook.id}: treats: unknown feature {unknown[0]!r}; {hint}"
            )
        try:
            condition = read_expression(playbook.who, fields)
            conditions += [condition] if playbook in enabled else []
        except ExpressionError as error:
            raise PlaybookError(f"{origin}: {playbook.id}: who: {error}") from error
    return Playbooks(read.version, read.holdout, enabled, tuple(conditions))
