"""A mapping file suggested for a data set that nobody described yet.

Everything is guessed from names, types, ranges and uniqueness in a sample. What would change the
meaning of the data where it is wrong stands behind `# unsure:`, first of all zones and money.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from lib.contract.checked import Checked
from lib.contract.file_format import without_compression
from lib.contract.mapping_file import parse_mapping
from lib.contract.number_text import NumberFormat
from lib.contract.source_files import Paths
from lib.contract.suggestion.column_choice import Choice, rank
from lib.contract.suggestion.column_entries import column_entry
from lib.contract.suggestion.column_names import Candidate, words_of
from lib.contract.suggestion.column_profile import ColumnProfile, profile_columns
from lib.contract.suggestion.entry import UNSURE, Entry, comment, scalar
from lib.contract.suggestion.joined_times import joined_times
from lib.contract.suggestion.leftover import Leftovers, sort_leftovers
from lib.contract.suggestion.reshape_guess import Reshape, guess_reshape
from lib.contract.suggestion.source_sample import MOST_ROWS, SourceSample, read_sample
from lib.contract.suggestion.stand_in import lacking_entry

_MOST_RUNNERS_UP = 2
_MOST_REASONS = 3
_FILLED = 0.6
_KEPT_WORDS = ("NULL", "null", "None", "NaN", "nan", "<NA>", "\\N", "#N/A")


@dataclass(frozen=True)
class Suggestion:
    """A mapping file for a data set, and what is to be looked at in it.

    Attributes:
        text: of the file.
        choice: the contract and the columns that fill it.
        runners_up: other contracts that fit, the best first.
        lacking: required columns that no source column fills, with what they are.
        unsure: lines that somebody has to confirm.
        checked: the sample, read by the mapping.
        leftovers: what became of columns that fill nothing of the contract.
    """

    text: str
    choice: Choice
    runners_up: tuple[Choice, ...]
    lacking: dict[str, str]
    unsure: int
    checked: Checked
    leftovers: Leftovers

    @property
    def contract(self) -> str:
        """Name of the contract, with its system."""
        return self.choice.candidate.name


def suggest(
    paths: Paths, candidates: Sequence[Candidate], most_rows: int = MOST_ROWS
) -> Suggestion:
    """A mapping file for the contract that a data set fits best.

    Args:
        paths: a file, a folder or a URI.
        candidates: contracts, one or more.
        most_rows: of the sample.

    Raises:
        ContractError: nothing is there to read.
    """
    sample = read_sample(paths, most_rows)
    profiles, usual, entries = _profiles(sample)
    joined = joined_times(sample.columns, profiles)
    first = sample.files[0]
    stems = [
        PurePosixPath(without_compression(first.name)).stem,
        PurePosixPath(first.path).parent.name,
    ]
    ranked = rank(candidates, profiles, joined, [word for stem in stems for word in words_of(stem)])
    reshaped = [(other, guess_reshape(other, profiles)) for other in ranked]
    reshaped.sort(key=lambda pair: -pair[0].score - _FILLED * len(pair[1].fills if pair[1] else ()))
    choice, reshape = reshaped[0]
    runners_up = tuple(other for other, _ in reshaped[1:] if other.score > 0)
    filled = choice if reshape is None else _without(choice, reshape)
    several = len(sample.files) > 1
    columns = [
        *(column_entry(match, filled, usual, profiles) for match in filled.matches.values()),
        *(
            lacking_entry(column, filled, several, [*joined, *profiles])
            for column in filled.lacking
            if reshape is None or column.name not in reshape.fills
        ),
    ]
    read = {name for entry in columns for name in entry.sources}
    read |= set() if reshape is None else reshape.reads
    leftovers = sort_leftovers(filled, profiles, usual, read)
    if reshape is not None:
        columns += reshape.columns
        if reshape.section.key == "pivot":
            _leave_out_all(leftovers)
    leftovers.left_out |= sample.unnamed
    body = _body(choice, columns, leftovers, reshape, [*sample.file_entries, *entries])
    lacking = {
        column.name: column.description
        for column in filled.lacking
        if reshape is None or column.name not in reshape.fills
    }
    checked = _tried(body, choice, sample)
    head = _head(paths, sample, choice, runners_up, lacking, checked)
    text = f"{head}{body}"
    return Suggestion(text, choice, runners_up, lacking, text.count(UNSURE), checked, leftovers)


def _without(choice: Choice, reshape: Reshape) -> Choice:
    """The choice without what another shape of the rows fills."""
    matches = {
        name: match
        for name, match in choice.matches.items()
        if name not in reshape.fills and match.profile.name not in reshape.reads
    }
    return replace(choice, matches=matches)


def _leave_out_all(leftovers: Leftovers) -> None:
    """A pivot keeps the columns of its index alone."""
    for entry in [*leftovers.sensors, *leftovers.attributes]:
        for name in entry.sources:
            leftovers.left_out[name] = "'pivot' reads its index, tag and value alone"
    leftovers.sensors, leftovers.attributes = [], []


def _profiles(sample: SourceSample) -> tuple[list[ColumnProfile], NumberFormat, list[Entry]]:
    """Profiles of the columns, how numbers are usually written, and the lines that say it."""
    usual = sample.form.number
    entries: list[Entry] = []
    profiles = profile_columns(sample.columns, usual)
    marks = [p.number.form.decimal_mark for p in profiles if p.number is not None]
    if "," in marks and not any(_has_point(p) for p in profiles):
        usual = NumberFormat(",")
        profiles = profile_columns(sample.columns, usual)
        names = [p.name for p in profiles if p.number is not None and p.decimals]
        evidence = f"numbers such as those of {', '.join(names[:3]) or 'the file'}"
        doubts = [
            "three digits behind each mark: it may stand between thousands"
            for p in profiles
            if p.number is not None and p.number.is_unsure
        ]
        entries.append(Entry("decimal_mark", ",", evidence, tuple(doubts[:1])))
    words = sorted({word for profile in profiles for word in profile.missing})
    texts = [p for p in profiles if p.kind == "text" and p.time is None]
    kept = sorted({w for p in texts for w in p.different if w in _KEPT_WORDS} - set(words))
    if words or kept:
        entries.append(_missing(words, kept, texts))
    return profiles, usual, entries


def _has_point(profile: ColumnProfile) -> bool:
    number = profile.number
    return number is not None and number.form.decimal_mark == "." and profile.decimals > 0


def _missing(words: list[str], kept: list[str], texts: Sequence[ColumnProfile]) -> Entry:
    doubts = []
    if kept:
        doubts.append(f"{', '.join(kept)} among texts is taken for no value")
    shared = [p.name for p in texts if set(words) & set(p.different)]
    if shared:
        doubts.append(f"it is no value in {', '.join(shared[:5])} either")
    evidence = "stands where numbers, times or flags do" if words else "stands among texts"
    return Entry("missing", [*words, *kept], evidence, tuple(doubts))


def _body(
    choice: Choice,
    columns: Sequence[Entry],
    leftovers: Leftovers,
    reshape: Reshape | None,
    file_entries: Sequence[Entry],
) -> str:
    lines = [f"contract: {scalar(choice.candidate.contract.name)}"]
    lines += _section("file", file_entries)
    if reshape is not None:
        lines += _section("where", reshape.where)
        lines += reshape.section.lines("")
    lines += _section("columns", [*columns, *leftovers.sensors])
    lines += _section("attributes", leftovers.attributes)
    reasons: dict[str, list[str]] = {}
    for name, reason in leftovers.left_out.items():
        reasons.setdefault(reason, []).append(name or "(no name)")
    for reason, names in reasons.items():
        lines.append(f"# left out: {comment(', '.join(names))}: {comment(reason)}")
    return "\n".join([*lines, ""])


def _section(name: str, entries: Sequence[Entry]) -> list[str]:
    if not entries:
        return []
    return [f"{name}:", *(line for entry in entries for line in entry.lines("  "))]


def _tried(text: str, choice: Choice, sample: SourceSample) -> Checked:
    """The sample, read by the suggested mapping."""
    mapping = parse_mapping(text, [choice.candidate.contract], "the suggested mapping")
    return mapping.check(sample.rows)


def _head(
    paths: Paths,
    sample: SourceSample,
    choice: Choice,
    runners_up: Sequence[Choice],
    lacking: dict[str, str],
    checked: Checked,
) -> str:
    rows = f"{sample.rows.num_rows:,} rows"
    part = f"all {rows}" if sample.complete else f"a sample of {rows}"
    lines = [
        f"Suggested by {part} of {paths}",
        "Read every line: what stands behind 'unsure' changes what the data mean, if wrong.",
        "Then try it: python -m jobs.mapping.check FILE --mapping THIS",
        f"Contract {choice.candidate.name}, filled: {', '.join(choice.matches) or 'nothing'}.",
    ]
    others = ", ".join(c.candidate.name for c in runners_up[:_MOST_RUNNERS_UP])
    if others:
        lines.append(f"It may be read as {others}, too (--contract).")
    if lacking:
        lines.append(f"Lacking, see below: {', '.join(lacking)}.")
    lines.append(_outcome_line(checked))
    return "".join(f"# {comment(line)}\n" for line in lines)


def _outcome_line(checked: Checked) -> str:
    line = f"Of the sample {checked.good.num_rows:,} of {checked.rows_in:,} rows are good"
    if checked.left_out:
        line += f", {checked.left_out:,} left out"
    if checked.repeats or checked.merged:
        line += f", {checked.repeats + checked.merged:,} repeated or merged"
    reasons = [f"{text} ({count:,})" for text, count in checked.reasons.items()][:_MOST_REASONS]
    return f"{line}; set aside: {'; '.join(reasons) or 'none'}."
