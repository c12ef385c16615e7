"""The references of mapping files and feature files, made from the code that reads these.

`python -m cluster.references` writes them into the documents, between two marks each.
"""

from collections.abc import Callable
from pathlib import Path

from lib.churn.feature_library import customer_library
from lib.churn.vocabulary import CustomerVocabulary
from lib.contract.mapping_reference import reference as mapping_reference
from lib.declaration.marked_section import with_section
from lib.feature.feature_reference import library_reference
from lib.feature.feature_reference import reference as feature_reference
from lib.fraud.amounts import AmountScale
from lib.fraud.feature_library import payment_library

ROOT = Path(__file__).parents[1]
DOCUMENTS: dict[str, tuple[str, Callable[[], str]]] = {
    "lib/contract/README.md": ("reference of mapping files", mapping_reference),
    "lib/feature/README.md": ("reference of feature files", feature_reference),
    "lib/fraud/README.md": (
        "names in feature files",
        lambda: library_reference(payment_library(AmountScale())),
    ),
    "lib/churn/README.md": (
        "names in feature files",
        lambda: library_reference(customer_library(CustomerVocabulary())),
    ),
}
"""By document: the name of its section, and what makes it."""


def written(document: str) -> str:
    """A document with its section as the code has it now."""
    name, make = DOCUMENTS[document]
    return with_section((ROOT / document).read_text(encoding="utf-8"), name, make())


def main() -> None:
    """Writes all of them."""
    for document in DOCUMENTS:
        (ROOT / document).write_text(written(document), encoding="utf-8")


if __name__ == "__main__":
    main()
