"""Sentences with a slot by which models are judged, and what they become with each term."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict

from lib.declaration import DeclarationError, load_declaration
from lib.moderation.identity.terms import IdentityTerm, slot_of

TEMPLATES_FILE = Path(__file__).with_name("judged_templates.yaml")
"""The sentences that come with the product."""

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class JudgedTemplates:
    """What a file of templates declares.

    Raises:
        DeclarationError: a template has no slot, several, or an unknown one.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")
    harmless: tuple[str, ...]
    """violate no policy"""
    hateful: tuple[str, ...] = ()
    """violate a policy of hate"""

    def __post_init__(self) -> None:
        for template in (*self.harmless, *self.hateful):
            if slot_of(template) is None:
                raise DeclarationError(f"template {template!r}: expected a slot such as {{people}}")

    @classmethod
    def read(cls, text: str, origin: str) -> JudgedTemplates:
        """Out of YAML, see `judged_templates.yaml`.

        Raises:
            DeclarationError: see above, or a field is unknown; named with `origin`.
        """
        templates = load_declaration(text, cls, origin)
        if not templates.harmless:
            raise DeclarationError(f"{origin}: harmless: expected at least one template")
        return templates

    @classmethod
    def packaged(cls) -> JudgedTemplates:
        """Those that come with the product."""
        return cls.read(TEMPLATES_FILE.read_text(encoding="utf-8"), TEMPLATES_FILE.name)


@dataclass(frozen=True)
class TemplateSentences:
    """Templates with terms in their slots.

    Attributes:
        texts: (n,).
        term: (n,) place of the term in its list.
        template: (n,) number of the template, harmless ones first.
        hateful: (n,) whether the sentence is hateful.
    """

    texts: list[str]
    term: Ints
    template: Ints
    hateful: NDArray[np.bool_]

    @classmethod
    def of(cls, templates: JudgedTemplates, terms: Sequence[IdentityTerm]) -> TemplateSentences:
        """Each template with each term that has words for its slot."""
        rows = []
        sentences = [(text, False) for text in templates.harmless]
        sentences += [(text, True) for text in templates.hateful]
        for number, (template, is_hateful) in enumerate(sentences):
            for index, term in enumerate(terms):
                sentence = term.sentence(template)
                if sentence is not None:
                    rows.append((sentence, index, number, is_hateful))
        return cls(
            [row[0] for row in rows],
            np.array([row[1] for row in rows], dtype=np.int64),
            np.array([row[2] for row in rows], dtype=np.int64),
            np.array([row[3] for row in rows], dtype=np.bool_),
        )
