"""Names are in the words of `lib/GLOSSARY.md`; those that it refuses name nothing."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("lib", "jobs", "serve", "cluster", "tests")
STORED = {
    ("lib/churn/health.py", "chances"),
    ("lib/maintenance/failures.py", "seen"),
    ("serve/churn/schemas.py", "chance"),
    ("lib/moderation/prepared_post.py", "place"),
    ("serve/moderation/post_preparation.py", "place"),
    ("serve/framework/review_schemas.py", "who"),
    ("tests/fraud/oracle.py", "place"),
    ("tests/fraud/test_contracts.py", "place"),
    ("tests/moderation/test_addresses.py", "place"),
    ("lib/churn/interventions/playbooks.py", "who"),
    ("lib/churn/health_repository.py", "chance"),
    ("lib/churn/intervention_repository.py", "chance"),
    ("lib/records/review/models.py", "who"),
}
"""Fields that are stored or sent under this name."""


def refused_words() -> frozenset[str]:
    text = (ROOT / "lib/GLOSSARY.md").read_text()
    _, _, section = text.partition("## Names that are refused")
    listed = section.partition(":\n")[2].partition(".\n")[0]
    return frozenset(re.findall(r"\w+", listed))


def names(source: str) -> Iterator[tuple[str, int]]:
    """Everything that a module binds: functions, classes, parameters, variables, attributes."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr, node.lineno
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            yield node.name, node.lineno
        elif isinstance(node, ast.MatchMapping) and node.rest:
            yield node.rest, node.lineno
        elif isinstance(node, ast.alias) and node.asname:
            yield node.asname, node.lineno


def bound_in_tests(source: str) -> frozenset[str]:
    """Parameters that `pytest.mark.parametrize` binds by a text."""
    texts = re.findall(r"parametrize\(\s*\"([^\"]*)\"", source)
    return frozenset(name for text in texts for name in re.findall(r"\w+", text))


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_name_is_one_that_the_glossary_refuses(folder: str) -> None:
    refused = refused_words()
    faults = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        relative, source = str(path.relative_to(ROOT)), path.read_text()
        allowed = bound_in_tests(source) if folder == "tests" else frozenset()
        if path.stem in refused:
            faults.append(relative)
        faults += [
            f"{relative}:{line}: {name}"
            for name, line in names(source)
            if name.strip("_").lower() in refused
            and (relative, name) not in STORED
            and name not in allowed
        ]
    assert faults == [], "take the glossary's word, or add one to lib/GLOSSARY.md"


def test_every_kind_of_name_is_seen() -> None:
    source = (
        "import os as one\n"
        "def found(told, *said, held=1, **asked): pass\n"
        "class mine: here: int\n"
        "for came in [seen for seen in []]: pass\n"
        "with open('') as given: whole = (spot := 1)\n"
        "gone = lambda theirs: 0\n"
        "mine.taken = 1\n"
        "try: pass\n"
        "except OSError as made: pass\n"
        "match told:\n"
        "    case [*who]: pass\n"
        "    case {'a': meant, **chances}: pass\n"
    )
    assert {name for name, _ in names(source)} <= refused_words()
    assert len({name for name, _ in names(source)}) == 20


def test_fields_that_are_stored_exist() -> None:
    for file, field in STORED:
        bound = {name for name, _ in names((ROOT / file).read_text())}
        assert field in bound, (file, field)
