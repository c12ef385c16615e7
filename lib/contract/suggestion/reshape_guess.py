"""Whether a table is long or wide beside its contract: the sections `pivot` and `unpivot`."""

from collections.abc import Sequence
from dataclasses import dataclass

from lib.contract.suggestion.column_choice import Choice
from lib.contract.suggestion.column_names import spelt_alike, words_of
from lib.contract.suggestion.column_profile import ColumnProfile
from lib.contract.suggestion.entry import Entry, Value

_TAGS = frozenset(
    (
        *("tag", "sensor", "signal", "parameter", "metric", "measure", "variable"),
        *("channel", "tagname", "point"),
    )
)
_READINGS = frozenset(["value", "reading", "val", "measurement", "result"])
_MOST_TAGS = 60
_LABELLED = {"policy": "violates", "failure_mode": None}
_FEWEST_FLAGS = 2
_NOT_JUDGED = "-1"


@dataclass(frozen=True)
class Reshape:
    """A section that makes rows of another shape.

    Attributes:
        section: its lines.
        columns: lines of the columns that are read from it.
        where: conditions on its rows, a line each.
        reads: source columns that it reads.
        fills: columns of the contract that it fills.
    """

    section: Entry
    columns: tuple[Entry, ...]
    where: tuple[Entry, ...] = ()
    reads: frozenset[str] = frozenset()
    fills: frozenset[str] = frozenset()


def guess_reshape(choice: Choice, profiles: Sequence[ColumnProfile]) -> Reshape | None:
    """The section that a table needs; None where its rows are those of the contract."""
    if choice.candidate.contract.extras is not None:
        return _pivot(choice, [p for p in profiles if p.name not in choice.used])
    for name, answer in _LABELLED.items():
        if name in choice.candidate.contract.names and name not in choice.matches:
            return _unpivot(choice, profiles, name, answer)
    return None


def _pivot(choice: Choice, free: Sequence[ColumnProfile]) -> Reshape | None:
    tags = [p for p in free if p.kind == "text" and _TAGS & set(words_of(p.name))]
    values = [p for p in free if p.kind == "number" and _READINGS & set(words_of(p.name))]
    if not tags or not values or not 2 <= tags[0].distinct <= _MOST_TAGS:
        return None
    tag, value = tags[0], values[0]
    index = [
        source
        for match in choice.matches.values()
        for source in (match.profile.sources or (match.profile.name,))
    ]
    if not index or set(index) & set(tag.different):
        return None
    columns = []
    used_names = set(choice.candidate.contract.names)
    for text in sorted(tag.different):
        name = "_".join(words_of(text)) or "tag"
        name = name if name not in used_names else f"{name}_{len(used_names)}"
        used_names.add(name)
        columns.append(Entry(name, {"from": text}, f"a tag of {tag.name}; its unit is not told"))
    shape: dict[str, Value] = {
        "index": list(dict.fromkeys(index)),
        "tag": tag.name,
        "value": value.name,
    }
    doubt = "a long table: each row holds one reading; tags beyond the sample are left out"
    evidence = f"{tag.name} names {tag.distinct} readings, {value.name} holds them"
    return Reshape(
        Entry("pivot", shape, evidence, (doubt,)),
        tuple(columns),
        (),
        frozenset((tag.name, value.name)),
    )


def _unpivot(
    choice: Choice, profiles: Sequence[ColumnProfile], name: str, answer: str | None
) -> Reshape | None:
    candidate, present = choice.candidate, {profile.name for profile in profiles}
    names = spelt_alike(list(present))
    kept = {m.profile.name for c, m in choice.matches.items() if c not in (name, answer)}
    flags = [p for p in profiles if _is_flag(p) and p.name not in kept]
    is_outcome = [candidate.is_outcome(names[p.name]) for p in flags]
    # failures: the flag of any failure stands beside those of its modes
    columns_of_flags = [
        p for p, hit in zip(flags, is_outcome, strict=True) if hit is (answer is not None)
    ]
    if len(columns_of_flags) < _FEWEST_FLAGS:
        return None
    label, value = (_free(text, present) for text in (name, answer or "happened"))
    columns = [p.name for p in columns_of_flags]
    shape: dict[str, Value] = {"columns": columns, "label": label, "value": value}
    doubt = f"each of these columns becomes a row, with its name as {name}"
    lines = [Entry(name, {"from": label}, "the name of the column")]
    if answer is not None:
        lines.append(Entry(answer, {"from": value}, "the flag in it"))
    where = () if answer else (Entry(value, ["1", "true", "True"], "rows in which it happened"),)
    if any(_NOT_JUDGED in profile.different for profile in columns_of_flags):
        left_out = Entry(value, {"not_in": [_NOT_JUDGED]}, "taken for rows that nobody judged")
        where = (left_out.doubting(f"rows with {_NOT_JUDGED} are left out"),)
    return Reshape(
        Entry("unpivot", shape, f"{len(columns)} columns of flags", (doubt,)),
        tuple(lines),
        where,
        frozenset(columns),
        frozenset(filter(None, (name, answer))),
    )


def _is_flag(profile: ColumnProfile) -> bool:
    """Whether a column holds flags, perhaps with -1 for rows that nobody judged."""
    is_small = profile.kind == "number" and profile.is_whole and profile.distinct <= 3
    return profile.kind == "flag" or (is_small and set(profile.different) <= {"-1", "0", "1"})


def _free(name: str, present: set[str]) -> str:
    return name if name not in present else f"{name}_of_row"
