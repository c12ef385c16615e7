"""Options of what a text model learns, and is measured by, about identity terms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from jobs.framework.paths import InputPath
from jobs.ingestion import checked_mapping, mapping_for, read_whole
from lib.contract import ContractError
from lib.declaration import read_yaml_text
from lib.moderation.contracts import TEXT_CASES
from lib.moderation.identity.templates import JudgedTemplates
from lib.moderation.identity.terms import IdentityTerm, load_terms, packaged_terms


@dataclass(frozen=True, kw_only=True)
class IdentityOptions:
    """Terms, templates and labelled texts; mixed into options of a training."""

    identity_contexts: bool = True
    """learn balanced contexts beside the posts: English sentences of our own in which many groups
    are treated alike, and harmless posts with other groups in them; as many as --size says"""
    identity_cost: bool = False
    """train a second model without balanced contexts and report what they cost in average precision
    and bring in the difference between identity terms; takes twice as long"""
    identity_terms: InputPath | None = None
    """YAML file of identity terms that the model is measured by, as lib/moderation/identity/
    terms.yaml; default: the terms of the product"""
    identity_templates: InputPath | None = None
    """YAML file of harmless and hateful sentences with a slot for a term, as lib/moderation/
    identity/judged_templates.yaml; default: the sentences of the product"""
    identity_gap_limit: float = 0.1
    """largest difference between the false positive rates of two identity terms about which the
    report does not warn"""
    functional_tests: InputPath | None = None
    """texts that each test one ability of the model, with expected answers: Parquet or CSV file,
    folder or URI of the contract text_cases; nothing is learnt from them"""
    mapping_functional_tests: InputPath | None = None
    """YAML mapping file of --functional-tests; not needed if the columns have the names of the
    contract"""
    other_labels: InputPath | None = None
    """texts that others labelled by the same policies, which the model is measured on beside its
    own test: contract text_cases; nothing is learnt from them"""
    mapping_other_labels: InputPath | None = None
    """YAML mapping file of --other-labels; not needed if the columns have the names of the
    contract"""

    def check_identity(self) -> None:
        """Refuse files that cannot be meant; reads no rows of tables.

        Raises:
            ContractError: a limit, a table or a mapping cannot be meant.
            DeclarationError: terms or templates cannot be meant.
        """
        if not 0.0 <= self.identity_gap_limit <= 1.0:
            raise ContractError(
                f"--identity-gap-limit: expected between 0 and 1, got {self.identity_gap_limit}"
            )
        self.read_terms()
        self.read_templates()
        for _, path, mapping in self._case_tables():
            checked_mapping(TEXT_CASES, mapping, path)

    def read_terms(self) -> tuple[IdentityTerm, ...]:
        """Terms of the file, or of the product."""
        if self.identity_terms is None:
            return packaged_terms()
        path = Path(self.identity_terms)
        return load_terms(read_yaml_text(path, path.name, ContractError), path.name)

    def read_templates(self) -> JudgedTemplates:
        """Templates of the file, or of the product."""
        if self.identity_templates is None:
            return JudgedTemplates.packaged()
        path = Path(self.identity_templates)
        return JudgedTemplates.read(read_yaml_text(path, path.name, ContractError), path.name)

    def read_cases(self) -> dict[str, pa.Table]:
        """Rows of the tables of labelled texts, by what they are.

        Raises:
            ContractError: a table cannot be read.
        """
        return {
            name: read_whole(mapping_for(TEXT_CASES, mapping, path), path)
            for name, path, mapping in self._case_tables()
        }

    def _case_tables(self) -> Iterator[tuple[str, str, str | None]]:
        if self.functional_tests is not None:
            yield "functional tests", self.functional_tests, self.mapping_functional_tests
        if self.other_labels is not None:
            yield "other labels", self.other_labels, self.mapping_other_labels
