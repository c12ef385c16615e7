"""Policies: what may not be posted, how bad it is, and what a decision costs."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from lib.declaration import DeclarationError, did_you_mean, load_declaration

POLICIES_FILE = Path(__file__).with_name("policies.yaml")
"""The policies that come with the product."""

Action = Literal["ALLOW", "REVIEW", "REMOVE"]

ACTIONS: tuple[Action, ...] = ("ALLOW", "REVIEW", "REMOVE")
"""From the mildest to the hardest; their places are the codes in arrays."""


PolicyError = DeclarationError
"""A file of policies that cannot be meant; the message names line, policy and field."""

# RFC 5646, as far as tags of language, script and region go
_LANGUAGE = r"^[A-Za-z]{2,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|[0-9]{3}))?$"

_DIGITS = 12


class Costs(BaseModel):
    """What decisions cost, in one unit of the owner's choice, such as currency.

    Attributes:
        wrong_removal: of removing a post that does not violate.
        missed_violation: of leaving up one that does, seen by nobody in particular; it grows with
            reach.
        review: of one review by a person, before any price of scarce reviewers.
        waiting_share: share of the miss's cost that arises while a post waits for review.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    wrong_removal: float = Field(gt=0, le=1e12, allow_inf_nan=False)
    missed_violation: float = Field(gt=0, le=1e12, allow_inf_nan=False)
    review: float = Field(gt=0, le=1e12, allow_inf_nan=False)
    waiting_share: float = Field(0.05, ge=0, lt=1)


class Thresholds(BaseModel):
    """Probabilities from which on a post goes to review, and is removed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    review: float = Field(gt=0, le=1)
    remove: float = Field(gt=0, le=1)

    @model_validator(mode="after")
    def _in_order(self) -> Thresholds:
        if self.review > self.remove:
            raise ValueError(f"review ({self.review:g}) stands above remove ({self.remove:g})")
        return self


class Policy(BaseModel):
    """One policy.

    Attributes:
        id: small letters, digits and _.
        description: what is forbidden, as the reviewer reads it.
        severity: 1 (nuisance) to 5 (danger to people).
        costs: of decisions; either these or thresholds.
        thresholds: of the probability; either these or costs.
        actions: what may be done on its account; ALLOW is always among them.
        languages: BCP 47 tags that it is limited to; empty where it holds in every language.
        version: raised whenever its meaning changes: labels are given under a version.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1, max_length=64, pattern=r"^[a-z][a-z0-9_]*$")
    description: str = Field(min_length=1, max_length=2000)
    severity: int = Field(ge=1, le=5)
    costs: Costs | None = None
    thresholds: Thresholds | None = None
    actions: tuple[Action, ...] = ACTIONS
    languages: tuple[Annotated[str, StringConstraints(pattern=_LANGUAGE)], ...] = ()
    version: int = Field(ge=1)

    @model_validator(mode="after")
    def _decides(self) -> Policy:
        if (self.costs is None) == (self.thresholds is None):
            actual = "neither" if self.costs is None else "both"
            raise ValueError(f"expected either costs or thresholds, got {actual}")
        if len(set(self.actions)) < len(self.actions):
            raise ValueError("actions: expected each once")
        if "ALLOW" not in self.actions or len(self.actions) < 2:
            raise ValueError("actions: expected ALLOW and at least one of REVIEW and REMOVE")
        return self

    def holds_in(self, language: str | None) -> bool:
        """Whether it holds for a post of that language; it does where that is not known.

        Args:
            language: BCP 47 tag; "de" in the policy covers "de-AT" (RFC 4647, basic filtering).
        """
        if not self.languages or language is None:
            return True
        tag = language.lower()
        return any(
            tag == prefix or tag.startswith(f"{prefix}-")
            for prefix in map(str.lower, self.languages)
        )


class Policies(BaseModel):
    """All policies of a file, in order: the order of every array over policies.

    Attributes:
        version: of the file.
        views_that_double: views after which a miss has cost twice as much as an unseen one.
        policies: at least one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int = Field(ge=1)
    views_that_double: float = Field(1000.0, gt=0, allow_inf_nan=False)
    policies: tuple[Policy, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _each_once(self) -> Policies:
        names = [policy.id for policy in self.policies]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"policies: '{name}' is declared twice")
        return self

    @property
    def ids(self) -> tuple[str, ...]:
        """Of the policies, in order."""
        return tuple(policy.id for policy in self.policies)

    def named(self, policy_id: str) -> Policy:
        """A policy by its id.

        Raises:
            PolicyError: there is none, with a suggestion.
        """
        for policy in self.policies:
            if policy.id == policy_id:
                return policy
        raise PolicyError(f"policy: {policy_id!r} is unknown; {did_you_mean(policy_id, self.ids)}")

    @property
    def label(self) -> str:
        """What decisions name them by: the file's version and the begin of its digest."""
        return f"{self.version}-{self.digest[:_DIGITS]}"

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of all that they say."""
        content = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()


def load_policies(text: str, source: str = "policies.yaml") -> Policies:
    """Read and check a file of policies.

    Args:
        text: YAML.
        source: name of the file for messages.

    Raises:
        PolicyError: naming the line, the policy, the field, what was expected and what came.
    """
    return load_declaration(text, Policies, source)
