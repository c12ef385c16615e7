"""What an experiment is: two models of a system, who decides for whom, until when."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
    field_validator,
    model_validator,
)

from lib.contract.scalar import time_fault
from lib.experiment.errors import ExperimentError
from lib.records.systems import SYSTEMS, System
from lib.registry.names import ALIASES, VERSION_PATTERN, from_iso, to_iso

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_LONGEST_TIMEOUT_MS = 10_000.0


def _read_moment(value: Any) -> int | None:
    """Microseconds since 1970 UTC of a time with its zone, or of such a number."""
    if value is None:
        return None
    if isinstance(value, datetime):
        value = value.isoformat()
    if isinstance(value, str):
        value = from_iso(value)
    if type(value) is not int:
        raise ValueError(f"expected a time such as 2026-11-23T10:15:00Z, got {value!r:.80}")
    if (fault := time_fault(value)) is not None:
        raise ValueError(fault)
    return value


Moment = Annotated[
    int | None,
    BeforeValidator(_read_moment),
    PlainSerializer(lambda value: None if value is None else to_iso(value), when_used="json"),
]
"""Microseconds since 1970 UTC; ISO 8601 with its zone in files and JSON."""


class Guardrails(BaseModel):
    """Bounds that end an experiment at once; a bound of None is not watched.

    Attributes:
        p99_ms: the 99th percentile of the challenger's time to a score, milliseconds, at most.
        p99_increase_ms: by how many milliseconds the 99th percentile of the answers' latency in the
            challenger's arm may exceed that in the champion's; `ab` mode alone.
        fault_share: share of the challenger's calls without a usable score (an exception, NaN, too
            late, a dead process), at most.
        blocked_increase: how much more often than the champion the challenger blocks, removes or
            stops the same subjects, as a difference of shares, at most; in shadow mode what it
            would do.
        reviewed_increase: the same of what goes to people.
        window_s: seconds that each bound is tested over.
        least_calls: calls of the challenger in a window before a bound can be broken.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    p99_ms: float | None = Field(default=None, gt=0)
    p99_increase_ms: float | None = Field(default=50.0, gt=0)
    fault_share: float | None = Field(default=0.02, ge=0, lt=1)
    blocked_increase: float | None = Field(default=0.02, ge=0, lt=1)
    reviewed_increase: float | None = Field(default=0.05, ge=0, lt=1)
    window_s: float = Field(default=30.0, ge=1, le=45)
    least_calls: int = Field(default=50, ge=1)


class Experiment(BaseModel):
    """A comparison of two models of one system on its requests.

    In `ab` mode the challenger decides for a share of the entities, which lies strictly between 0
    and 1: with 0 it decides for nobody (shadow mode is for that), and with 1 nobody is left to
    compare with (promote it instead). In `shadow` mode the champion decides for everybody and the
    share says for which entities the challenger scores beside it, up to all.

    Attributes:
        name: lower-case letters, digits, `_` and `-`; never used twice in a system, as it is part
            of who falls into which arm.
        system: fraud, maintenance, churn or moderation.
        champion, challenger: an alias of the registry, or a version.
        mode: see above.
        share: of entities.
        entity: whose decisions stay together: the system's usual entity, e.g. `user_id`, whose
            money is compared; "" takes it.
        until: microseconds since 1970 UTC, the end; None for an experiment without one, which is
            judged by an always-valid confidence sequence.
        timeout_ms: time that the challenger has in `ab` mode before the champion decides instead.
        smallest_gain: money a week worth having, in currency units, were the challenger to decide
            for all; an experiment that cannot show it any more is called futile.
        alpha: probability of a wrong conclusion, on either side, over all looks together.
        guardrails: bounds that end it at once.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str
    system: System
    champion: str = "champion"
    challenger: str = "challenger"
    mode: Literal["shadow", "ab"] = "shadow"
    share: float = 1.0
    entity: str = ""
    until: Moment = None
    timeout_ms: float = Field(default=100.0, gt=0, le=_LONGEST_TIMEOUT_MS)
    smallest_gain: float | None = Field(default=None, gt=0)
    alpha: float = Field(default=0.05, gt=0, le=0.2)
    guardrails: Guardrails = Guardrails()

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"expected 1 to 64 lower-case letters, digits, '_' and '-', got {name!r:.80}"
            )
        return name

    @field_validator("champion", "challenger")
    @classmethod
    def _check_model(cls, model: str) -> str:
        if model not in ALIASES and not VERSION_PATTERN.fullmatch(model):
            raise ValueError(
                f"expected {' or '.join(ALIASES)}, or a version such as 20261123T101500Z-0f3a9c21, "
                f"got {model!r:.80}"
            )
        return model

    @field_validator("entity", mode="after")
    @classmethod
    def _check_entity(cls, entity: str, info: ValidationInfo) -> str:
        system = info.data.get("system")
        if system is None or not entity:
            return entity
        usual = _usual_entity(system)
        if entity != usual:
            raise ValueError(
                f"expected {usual}, by which decisions of {system} are indexed and priced, got "
                f"{entity!r:.80}"
            )
        return entity

    @model_validator(mode="after")
    def _check_whole(self) -> Experiment:
        if (fault := share_fault(self.mode, self.share)) is not None:
            raise ValueError(fault)
        if self.champion == self.challenger:
            raise ValueError(
                f"challenger: expected another model than the champion, got {self.challenger} for "
                "both; nothing could differ"
            )
        return self

    @property
    def entity_name(self) -> str:
        """The name of the entity in decisions, also where none is declared."""
        return self.entity or _usual_entity(self.system)

    def require_future(self, now: int) -> None:
        """Refuse an end that has passed.

        Args:
            now: microseconds since 1970 UTC.

        Raises:
            ExperimentError: it has.
        """
        if self.until is not None and self.until <= now:
            raise ExperimentError(
                f"until: expected a time after now ({to_iso(now)}), got {to_iso(self.until)}"
            )

    def with_versions(self, aliases: Mapping[str, str]) -> Experiment:
        """The same between versions, so that a moved alias changes no running experiment.

        Args:
            aliases: of the system in the registry, to the versions that they name now.

        Raises:
            ExperimentError: an alias names no version, or both name the same.
        """
        versions = {
            role: _version_of(role, getattr(self, role), aliases)
            for role in ("champion", "challenger")
        }
        if versions["champion"] == versions["challenger"]:
            raise ExperimentError(
                f"challenger: version {versions['challenger']} is the champion, too; an experiment "
                "with itself shows nothing"
            )
        return self.model_copy(update=versions)


def share_fault(mode: str, share: float) -> str | None:
    """Say why a share cannot be used in a mode; None where it can."""
    if mode == "shadow":
        if 0.0 < share <= 1.0:
            return None
        return f"share: expected above 0 and up to 1 in shadow mode, got {share}"
    if 0.0 < share < 1.0:
        return None
    hints = {0.0: "; with 0 the challenger decides for nobody: use shadow mode"}
    hints[1.0] = "; with 1 nobody is left to compare with: promote the challenger instead"
    return f"share: expected between 0 and 1 in ab mode, got {share}{hints.get(share, '')}"


def _usual_entity(system: str) -> str:
    return next(iter(SYSTEMS[system].entities.values()))


def _version_of(role: str, model: str, aliases: Mapping[str, str]) -> str:
    if model not in ALIASES:
        return model
    if model not in aliases:
        raise ExperimentError(f"{role}: the alias {model} names no version; publish one first")
    return aliases[model]
