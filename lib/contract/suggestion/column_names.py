"""How the columns of a contract are usually spelt elsewhere, and how near a name comes to that."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import lru_cache
from pathlib import Path

from pydantic import ConfigDict
from pydantic import dataclasses as checked

from lib.contract.contract import Contract
from lib.contract.declaration import ContractError
from lib.declaration import did_you_mean, load_declaration, read_yaml_text

_STRICT = ConfigDict(extra="forbid")
_LESS_SURE = "~"
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_]+")
_GENERAL = frozenset(
    ["id", "no", "nr", "number", "num", "code", "date", "time", "at", "type", "name", "value"]
)
_ZONES = ("utc", "gmt")
_NEAR, _FEWEST_LETTERS = 0.86, 5
SURE = 0.8
"""A name that comes less near to any spelling of a column is named as unsure."""


@checked.dataclass(frozen=True, config=_STRICT)
class TableNames:
    """Spellings of the columns of a table.

    Args:
        files: words in the name of a file that holds such a table.
        columns: spellings by column; one with `~` behind it fits less surely.
    """

    files: list[str] = field(default_factory=list)
    columns: dict[str, list[str]] = field(default_factory=dict)


@checked.dataclass(frozen=True, config=_STRICT)
class SystemNames:
    """The content of a file of spellings.

    Args:
        outcomes: names of columns that say what is foreseen, or what followed from it.
        row_ids: ids of what has a row of its own, for which the number of the row may stand.
        columns: spellings in all tables.
        values: of columns with fixed values, how each is spelt elsewhere.
        tables: more of them, by contract.
    """

    outcomes: list[str] = field(default_factory=list)
    row_ids: list[str] = field(default_factory=list)
    columns: dict[str, list[str]] = field(default_factory=dict)
    values: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    tables: dict[str, TableNames] = field(default_factory=dict)


@dataclass(frozen=True)
class Candidate:
    """A contract that a data set may be read by.

    Args:
        system: that the contract is of.
        contract: itself.
        spellings: of its columns, each with how surely it is meant, 0 to 1.
        files: words in the name of a file that holds such a table.
        outcomes: names of columns that say what is foreseen.
        values: the value that a text in lower case stands for, by column.
        row_ids: ids for which the number of a row may stand.
    """

    system: str
    contract: Contract
    spellings: Mapping[str, Mapping[str, float]]
    files: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    row_ids: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Of system and contract, as `fraud.labels`."""
        return f"{self.system}.{self.contract.name}"

    def is_outcome(self, names: Sequence[str]) -> bool:
        """Whether a source column of these names says what is foreseen."""
        return any(_nearness(name, other) >= SURE for name in names for other in self.outcomes)

    def nearness(self, column: str, names: Sequence[str]) -> float:
        """How near the spellings of a source column come to those of a contract's column, 0 to 1.

        Args:
            column: of the contract.
            names: of the source column; the first as it is written, the others less surely.
        """
        spellings = self.spellings.get(column, {column: 1.0})
        return max(
            _nearness(name, spelling) * sureness * (1.0 if index == 0 else 0.95)
            for index, name in enumerate(names)
            for spelling, sureness in spellings.items()
        )


def load_candidates(path: Path, system: str, contracts: Iterable[Contract]) -> list[Candidate]:
    """The contracts of a system, each with the spellings that the file at `path` has.

    Raises:
        ContractError: the file is bad, or names a contract or a column that is not there.
    """
    contracts = tuple(contracts)
    text = read_yaml_text(path, path.name, ContractError)
    names = load_declaration(text, SystemNames, path.name, ContractError)
    by_name = {contract.name: contract for contract in contracts}
    for table, entry in names.tables.items():
        if table not in by_name:
            raise ContractError(f"{path.name}: tables.{table}: {did_you_mean(table, by_name)}")
        for column in entry.columns:
            _ = by_name[table][column]
    return [
        Candidate(
            system,
            contract,
            {column: _spellings(column, contract.name, names) for column in contract.names},
            tuple(names.tables.get(contract.name, TableNames()).files),
            tuple(names.outcomes),
            {
                column: {text: value for value, texts in spelt.items() for text in texts}
                for column, spelt in names.values.items()
            },
            tuple(names.row_ids),
        )
        for contract in contracts
    ]


def _spellings(column: str, table: str, names: SystemNames) -> dict[str, float]:
    listed = [
        column,
        *names.columns.get(column, []),
        *names.tables.get(table, TableNames()).columns.get(column, []),
    ]
    less = {name.rstrip(_LESS_SURE): 0.7 for name in listed if name.endswith(_LESS_SURE)}
    return less | {name: 1.0 for name in listed if not name.endswith(_LESS_SURE)}


@lru_cache(maxsize=65_536)
def words_of(name: str) -> tuple[str, ...]:
    """The words of a name, in lower case.

    >>> words_of("customerID"), words_of("TX_AMOUNT"), words_of("Air temperature [K]")
    (('customer', 'id'), ('tx', 'amount'), ('air', 'temperature', 'k'))
    """
    return tuple(word.lower() for word in _WORD.findall(name))


def spelt_alike(names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Each name, and the same without a first word that it shares with others.

    >>> spelt_alike(["TX_AMOUNT", "TX_DATE", "id"])["TX_AMOUNT"]
    ('TX_AMOUNT', 'amount')
    """
    firsts = [words_of(name)[:1] for name in names if len(words_of(name)) > 1]
    shared = {first for first in firsts if firsts.count(first) > 1}
    return {
        name: (name, " ".join(words_of(name)[1:]))
        if words_of(name)[:1] in shared and set(words_of(name)[1:]) - _GENERAL
        else (name,)
        for name in names
    }


def _stem(words: tuple[str, ...]) -> str:
    """The letters of a name without words that many names end with."""
    return "".join(word for word in words if word not in _GENERAL) or "".join(words)


@lru_cache(maxsize=262_144)
def _nearness(name: str, spelling: str) -> float:
    words, others = words_of(name), words_of(spelling)
    words = tuple(word for word in words if word not in _ZONES) or words
    if not words or not others:
        return 0.0
    compact, other = "".join(words), "".join(others)
    if compact == other:
        return 1.0
    if len(words) > len(others) and words[-len(others) :] == others and len(other) > 2:
        return 0.8 if set(others) - _GENERAL else 0.6
    stem, stem_of_other = _stem(words), _stem(others)
    shorter, longer = sorted((len(stem), len(stem_of_other)))
    if shorter < _FEWEST_LETTERS or 2 * shorter < _NEAR * (shorter + longer):
        return 0.0
    ratio = SequenceMatcher(None, stem, stem_of_other).ratio()
    return ratio * 0.85 if ratio >= _NEAR else 0.0
