"""What the columns of a table mean: by a mapping file, or inferred from the table itself."""

import re
from collections.abc import Mapping as Dictionary
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

from lib.contract import Contract, ContractError, Mapping, parse_mapping
from lib.contract.source_files import Paths
from lib.contract.suggestion.entry import UNSURE, comment, scalar
from lib.contract.suggestion.suggestion import Suggestion, suggest
from lib.contract.yaml_section import parse_section
from lib.declaration import did_you_mean, read_yaml_text
from lib.static_table.contracts import LABEL, ROW_ID, ROWS, UNLABELLED_ROWS, rows_candidate

INFERRED = "mapping.yaml"
"""Name of an inferred mapping file."""
_ATTRIBUTES = "attributes"
_KEY = re.compile(r"  (\S+): ")


@dataclass(frozen=True)
class TableMapping:
    """A mapping of a table, and what was left out of it.

    Attributes:
        mapping: their columns into ours.
        text: YAML of it.
        left_out: source columns that are not read, with the reason; of an inferred mapping.
        leaks: those of them that tell the label.
        unsure: what somebody has to confirm of an inferred mapping.
        is_inferred: whether nobody wrote it.
    """

    mapping: Mapping
    text: str
    left_out: Dictionary[str, str] = field(default_factory=dict)
    leaks: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()
    is_inferred: bool = False

    def source_of(self, name: str) -> str:
        """The source column of a column; several are joined by `, `."""
        rule = next(rule for rule in self.mapping.rules if rule.target.name == name)
        return ", ".join(rule.sources) or name

    def refuse(self, attribute: str, message: str) -> NoReturn:
        """Refuse an attribute, with the line that declares it.

        Raises:
            ContractError: always.
        """
        section = parse_section(self.text, self.mapping.origin).section(_ATTRIBUTES)
        if section is None:
            raise ContractError(f"{self.mapping.origin}: {attribute}: {message}")
        section.fail(message, attribute)

    def without(self, reasons: Dictionary[str, str], *, are_leaks: bool = False) -> "TableMapping":
        """The same inferred mapping without some attributes.

        Args:
            reasons: by attribute.
            are_leaks: whether they tell the label.

        Raises:
            ContractError: no attribute would be left.
        """
        if not reasons:
            return self
        if reasons.keys() >= set(self.mapping.contract.attributes):
            raise ContractError(
                "no column is left that a model could use; declare in a mapping file "
                "(--mapping-static) which of these it may: "
                + "; ".join(f"{name}: {why}" for name, why in reasons.items())
            )
        sources = {self.source_of(name): reason for name, reason in reasons.items()}
        text = _without_lines(self.text, reasons)
        text += "".join(
            f"# left out: {comment(name)}: {comment(reason)}\n" for name, reason in sources.items()
        )
        return replace(
            self,
            mapping=parse_mapping(text, (ROWS,), self.mapping.origin),
            text=text,
            left_out={**self.left_out, **sources},
            leaks=(*self.leaks, *(sources if are_leaks else ())),
        )


def read_table_mapping(
    path: str | Path, beside: str | None = None, contract: Contract = ROWS
) -> TableMapping:
    """The mapping file at `path`.

    Args:
        path: of the YAML file.
        beside: folder or URI of the data, where files of a `lookup` lie; default: the mapping's.
        contract: of the table.

    Raises:
        ContractError: the file is absent or wrong, or names no attributes, with the line.
    """
    file = Path(path)
    if not file.is_file():
        raise ContractError(f"there is no mapping file '{path}'; give the path of a YAML file")
    text = read_yaml_text(file, file.name, ContractError)
    folder = str(file.parent) if beside is None else beside
    return parse_table_mapping(text, file.name, folder, contract)


def parse_table_mapping(
    text: str, origin: str, beside: str = ".", contract: Contract = ROWS
) -> TableMapping:
    """The mapping in `text`; see `read_table_mapping`."""
    section = parse_section(text, origin)
    for key in ("pivot", "unpivot", "aggregate"):
        if key in section.entries:
            section.fail("a table without times has a row for each thing already", key)
    mapping = parse_mapping(text, (contract,), origin, beside)
    if not mapping.contract.attributes:
        section.fail(
            "needs the section 'attributes': the columns that the model may use, such as "
            "attributes: {tenure: {from: tenure, type: number}}"
        )
    return TableMapping(mapping, text)


def infer_table_mapping(
    data: Paths, label_column: str | None = None, id_column: str | None = None
) -> TableMapping:
    """A mapping in which every column that may be one is an attribute, with its type inferred.

    Args:
        data: a file, a folder or a URI.
        label_column: the label; default: by its name.
        id_column: the id; default: by its name, or the number of the row.

    Raises:
        ContractError: a named column is not there or does not fit, or no column is a label.
    """
    candidate = rows_candidate(label_column, id_column)
    suggestion = suggest(data, [candidate])
    for option, name, column in (
        ("--label-column", label_column, LABEL),
        ("--id-column", id_column, ROW_ID),
    ):
        _require(suggestion, option, name, column)
    mapping = parse_mapping(suggestion.text, (ROWS,), INFERRED)
    if not mapping.contract.attributes:
        raise ContractError(
            f"{data}: no column is left that a model could use: "
            + "; ".join(f"{name}: {why}" for name, why in suggestion.leftovers.left_out.items())
        )
    return TableMapping(
        mapping,
        suggestion.text,
        dict(suggestion.leftovers.left_out),
        tuple(suggestion.leftovers.leaks),
        _unsure(suggestion.text),
        is_inferred=True,
    )


def _require(suggestion: Suggestion, option: str, name: str | None, column: str) -> None:
    """Refuse a label that is not there, and columns that were named and do not fit."""
    match = suggestion.choice.matches.get(column)
    names = list(suggestion.leftovers.left_out)
    names += [m.profile.name for m in suggestion.choice.matches.values()]
    names += [
        source
        for rule in parse_mapping(suggestion.text, (ROWS,), INFERRED).rules
        for source in rule.sources
    ]
    if name is not None and (match is None or match.profile.name != name):
        if name not in names:
            raise ContractError(f"{option}: the table has no column '{name}'; {_near(name, names)}")
        needs = "two values" if column == LABEL else "ids"
        raise ContractError(
            f"{option}: the column '{name}' does not hold {needs}; choose another one, or say in a "
            f"mapping file what its values mean (--mapping-static)"
        )
    if match is None and column == LABEL:
        raise ContractError(
            f"no column is named as a label; name it by {option} COLUMN, or in a mapping file "
            f"(--mapping-static); the table has: {', '.join(dict.fromkeys(names))}"
        )


def _near(name: str, names: Sequence[str]) -> str:
    return did_you_mean(name, tuple(dict.fromkeys(names)))


def _unsure(text: str) -> tuple[str, ...]:
    """Doubts of a suggested file, each with the line that it stands above."""
    doubts: list[str] = []
    waiting: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith(UNSURE):
            waiting.append(stripped.removeprefix(UNSURE))
        elif waiting:
            name = stripped.partition(":")[0]
            doubts += [f"{name}: {doubt}" for doubt in waiting]
            waiting = []
    return tuple(doubts)


def _without_lines(text: str, names: Dictionary[str, str]) -> str:
    """The file without the lines of some attributes, and the doubts above them."""
    written = {scalar(name) for name in names}
    kept: list[str] = []
    doubts: list[str] = []
    within = False
    for line in text.splitlines():
        if not line.startswith((" ", "#")):
            within = line.startswith(f"{_ATTRIBUTES}:")
        if within and line.strip().startswith(UNSURE):
            doubts.append(line)
            continue
        key = _KEY.match(line)
        if not (within and key and key[1] in written):
            kept += [*doubts, line]
        doubts = []
    return "\n".join([*kept, ""])


def scoring_mapping(mapping: Mapping) -> Mapping:
    """The same mapping for rows without a label: their id and attributes alone.

    Conditions of `where` on a column of what is not known yet, such as the label, are dropped.
    """
    attributes = [mapping.contract[name] for name in mapping.contract.attributes]
    contract = replace(
        UNLABELLED_ROWS.with_columns(attributes),
        mapped=True,
        attributes=mapping.contract.attributes,
    )
    rules = tuple(rule for rule in mapping.rules if rule.target.name in contract.names)
    unknown = {*mapping.contract.names} - {*contract.names}
    later = {name for rule in mapping.rules if rule.target.name in unknown for name in rule.needs}
    where = tuple(condition for condition in mapping.where if condition.column not in later)
    return replace(mapping, contract=contract, rules=rules, where=where)
