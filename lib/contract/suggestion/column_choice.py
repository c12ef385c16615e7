"""Which source column fills which column of a contract, and which contract a data set fits best."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pyarrow.types as pat

from lib.contract.contract import Contract
from lib.contract.declaration import Column
from lib.contract.suggestion.column_fit import fit
from lib.contract.suggestion.column_names import SURE, Candidate, spelt_alike, words_of
from lib.contract.suggestion.column_profile import ColumnProfile
from lib.contract.suggestion.run_shape import runs
from lib.contract.suggestion.time_guess import guess_counter

_LEAST = 0.55
_MONEY_WORDS = frozenset(("amount", "price", "currency", "cost"))
BY_TYPE = 0.5
"""Nearness of a column that is chosen by its type alone."""
_EVENT_TIME = "event_time"
_OFTEN_LACKING = (_EVENT_TIME, "currency", "payment_method", "author_id")


@dataclass(frozen=True)
class Match:
    """A source column for a column of the contract.

    Attributes:
        column: of the contract.
        profile: of the source column.
        nearness: of the names, 0 to 1.
        fit: of the values, 0 to 1.
    """

    column: Column
    profile: ColumnProfile
    nearness: float
    fit: float

    @property
    def score(self) -> float:
        """Both together, 0 to 1."""
        return self.nearness * (0.4 + 0.6 * self.fit) if self.fit > 0 else 0.0

    @property
    def reason(self) -> str:
        """What it was chosen by."""
        if self.nearness <= BY_TYPE:
            return "by its type alone"
        return "by its name" if self.nearness >= SURE else "by a similar name"


@dataclass(frozen=True)
class Choice:
    """Source columns for a contract.

    Attributes:
        candidate: the contract.
        matches: by the contract's column.
        score: of the choice, to compare contracts by.
    """

    candidate: Candidate
    matches: Mapping[str, Match] = field(default_factory=dict)
    score: float = 0.0

    @property
    def lacking(self) -> list[Column]:
        """Required columns that no source column fills."""
        columns = self.candidate.contract.columns
        return [c for c in columns if c.required and c.name not in self.matches]

    @property
    def used(self) -> set[str]:
        """Source columns that fill something."""
        return {
            name
            for match in self.matches.values()
            for name in (match.profile.sources or (match.profile.name,))
        }


def rank(
    candidates: Iterable[Candidate],
    profiles: Sequence[ColumnProfile],
    joined: Sequence[ColumnProfile],
    file_words: Iterable[str],
) -> list[Choice]:
    """The choice for each contract, the best first.

    Args:
        candidates: the contracts.
        profiles: of the source columns.
        joined: times that several source columns hold together.
        file_words: words of the file's name.
    """
    words = frozenset(file_words)
    choices = [_choice(candidate, profiles, joined, words) for candidate in candidates]
    return sorted(choices, key=lambda choice: -choice.score)


def _choice(
    candidate: Candidate,
    profiles: Sequence[ColumnProfile],
    joined: Sequence[ColumnProfile],
    file_words: frozenset[str],
) -> Choice:
    contract = candidate.contract
    names = spelt_alike([profile.name for profile in profiles])
    outcomes = {name: candidate.is_outcome(spelt) for name, spelt in names.items()}
    pairs = [
        Match(column, profile, nearness, fit(column, profile, candidate))
        for column in contract.columns
        for profile in profiles
        if (nearness := candidate.nearness(column.name, names[profile.name])) > BY_TYPE
        and (nearness >= 1.0 or column.type == pa.bool_() or not outcomes[profile.name])
    ]
    pairs += [
        Match(column, profile, 0.9, 1.0)
        for column in contract.columns
        for profile in joined
        if column.name == _EVENT_TIME
    ]
    pairs.sort(key=lambda match: (-match.score, not match.column.required))
    matches: dict[str, Match] = {}
    used: set[str] = set()
    for match in pairs:
        sources = set(match.profile.sources or (match.profile.name,))
        if match.score >= _LEAST and match.column.name not in matches and not sources & used:
            matches[match.column.name] = match
            used |= sources
    if contract.extras is not None and not matches:
        _fill_runs(contract, matches, profiles, used)
    _fill_times(contract, matches, pairs, profiles, used)
    _pair_up(contract, matches)
    ordered = {
        column.name: matches[column.name] for column in contract.columns if column.name in matches
    }
    choice = Choice(candidate, ordered)
    return replace(choice, score=_score(choice, profiles, file_words))


def _fill_runs(
    contract: Contract,
    matches: dict[str, Match],
    profiles: Sequence[ColumnProfile],
    used: set[str],
) -> None:
    """The machine and its cycle of a table without names."""
    shape = runs(profiles)
    if shape is None:
        return
    name, count = shape
    time = guess_counter("h", count.low or 0.0, count.high or 0.0)
    if time is not None:
        matches[contract.columns[0].name] = Match(contract.columns[0], name, BY_TYPE, 1.0)
        matches[_EVENT_TIME] = Match(contract[_EVENT_TIME], replace(count, time=time), BY_TYPE, 1.0)
        used |= {name.name, count.name}


def _fill_times(
    contract: Contract,
    matches: dict[str, Match],
    pairs: Sequence[Match],
    profiles: Sequence[ColumnProfile],
    used: set[str],
) -> None:
    """The time of the event by its type alone; others by a column that it uses, too."""
    for column in contract.columns:
        if not pat.is_timestamp(column.type) or column.name in matches:
            continue
        shared = [
            m
            for m in pairs
            if m.column is column and m.nearness >= 1.0 and m.profile.time is not None
        ]
        if shared and not column.required and column.lenient:
            matches[column.name] = shared[0]
        is_event = column.name == _EVENT_TIME
        if is_event and column.required and (time := _time_by_type(profiles, used)) is not None:
            matches[column.name] = Match(column, time, BY_TYPE, 1.0)
            used.add(time.name)


def _time_by_type(profiles: Sequence[ColumnProfile], used: set[str]) -> ColumnProfile | None:
    """The time that most rows have, rather one that fills nothing else."""
    dated = [p for p in profiles if p.time is not None and not p.time.is_counter]
    dated.sort(key=lambda p: (-round(p.present / p.rows, 1), p.name in used))
    return dated[0] if dated else None


def _pair_up(contract: Contract, matches: dict[str, Match]) -> None:
    """Columns that are given together or not at all."""
    for names in contract.together:
        if not all(name in matches for name in names):
            for name in names:
                matches.pop(name, None)


def _score(choice: Choice, profiles: Sequence[ColumnProfile], file_words: frozenset[str]) -> float:
    contract = choice.candidate.contract
    score = 1.0 if file_words & set(choice.candidate.files) else 0.0
    for name, match in choice.matches.items():
        score += match.score * _weight(contract, match.column, name)
    for column in choice.lacking:
        score -= _lack(contract, column)
    describes = contract.has_parts or any(column.multiline for column in contract.columns)
    if not describes and len(choice.matches) == 1 and _EVENT_TIME not in choice.matches:
        score -= 0.6  # of an event, nothing but a name
    names = spelt_alike([profile.name for profile in profiles])
    outcomes = [p for p in profiles if choice.candidate.is_outcome(names[p.name])]
    score += 0.4 * min(len(outcomes), 2)
    if not choice.matches:
        score -= 1.0
    if contract.extras is not None:
        free = [p for p in profiles if p.kind == "number" and p.name not in choice.used]
        score += _of_sensors(choice, free)
    return score


def _of_sensors(choice: Choice, free: Sequence[ColumnProfile]) -> float:
    """What numbers that fill nothing else tell of a table of readings."""
    if any(set(words_of(p.name)) & _MONEY_WORDS for p in free):
        return -1.0
    sensors = [p for p in free if not set(words_of(p.name)) & {"id", "code"}]
    is_named = choice.candidate.contract.columns[0].name in choice.matches
    return min(1.6 if is_named else 0.8, 0.2 * len(sensors)) if sensors else -1.0


def _lack(contract: Contract, column: Column) -> float:
    """What a required column takes off a contract's score where nothing fills it."""
    if contract.extras is not None and column.is_identifier:
        return 0.3  # its file may name a machine
    if contract.key == (column.name,):
        return 0.3
    if column.name == contract.columns[0].name:
        return 0.9
    return 0.3 if column.name in _OFTEN_LACKING else 0.6


def _weight(contract: Contract, column: Column, name: str) -> float:
    if name in (_EVENT_TIME, "known_at", "received_at"):
        return 0.4
    if column.multiline:
        return 1.2
    if name == contract.columns[0].name:
        return 0.6
    return 1.0 if column.required else 0.5
