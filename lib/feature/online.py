"""Features of one event, from profiles kept as tiles.

`request` says what to ask of the profile store, `read` turns its reply into features; neither does
any I/O, so the same code serves a job, a test and an event loop.
"""

from collections.abc import Sequence
from typing import NamedTuple
from zlib import crc32

from lib.feature.declaration import FeatureSet
from lib.feature.jit import IS_COMPILED
from lib.feature.layout import Layout
from lib.feature.packed_profiles import PackedProfiles
from lib.feature.packed_program import NotCompiledError, PackedProgram
from lib.feature.profile_exchange import ProfileReply, ProfileRequest, RunUpdate
from lib.feature.profile_reader import ProfileReader
from lib.feature.row_evaluator import RowEvaluator
from lib.feature.store import ReceiptConflictError
from lib.feature.update_plan import Event, Planner, UpdatePlan
from lib.feature.windows import DAY, SECOND

_FACT_RECEIPT_SECONDS = 400 * DAY // SECOND
_BETWEEN = "\x1f"  # ends what precedes an id in a receipt's name


class Observation(NamedTuple):
    """What an event looked like when it was first seen.

    Args:
        values: every feature by name, NaN where missing.
        first: False for an event that was seen before (a retry).
        answer: the answer that was settled for it, if there is one; then `values` is empty.
    """

    values: dict[str, float]
    first: bool
    answer: bytes | None = None


class _Kind(NamedTuple):
    """What events that lack the same columns have in common."""

    absent: frozenset[str]
    readers: tuple[ProfileReader, ...]
    without_history: list[float]
    program: PackedProgram | None


class OnlineFeatures:
    """Plans the exchanges of a feature set.

    Args:
        features: the declarations.
        receipt_seconds: how long a retry is recognised.
        trim_one_in: one in so many events drops old tiles; they are passed over in reading, so
            doing it now and then is enough.
        legacy_receipts: whether events are also looked for under their bare id, by which stores
            named receipts before; facts always are.
    """

    def __init__(
        self,
        features: FeatureSet,
        receipt_seconds: int = 3600,
        trim_one_in: int = 16,
        legacy_receipts: bool = True,
    ) -> None:
        self.features = features
        self.receipt_seconds = receipt_seconds
        self._trim_one_in = trim_one_in
        self._legacy = legacy_receipts
        self._event_receipt = _BETWEEN.join((features.name, "event", ""))
        self._look_receipt = _BETWEEN.join((features.name, "look", ""))
        self._layout = Layout(features)
        self._planner = Planner(features, self._layout)
        self._steps = RowEvaluator(features)
        profiles = self._layout.profiles
        self._readers = [ProfileReader(self._layout, p, self._steps) for p in profiles]
        self._columns = tuple(dict.fromkeys(column for p in profiles for column in p.key))
        self._plans: dict[tuple[object, ...], UpdatePlan] = {}
        self._kinds: dict[tuple[bool, ...], _Kind] = {}

    def request(self, event: Event, content: bytes = b"") -> ProfileRequest:
        """The exchange that reads an event's history and adds the event to it.

        Args:
            event: the event.
            content: at most 64 bytes that another event under its id does not have.
        """
        time = int(event[self.features.time_column])
        received = self._received(event)
        event_id = str(event[self.features.id_column])
        plan = self._plan(event, None, received - time)
        source = self._planner.numbers(event, time)
        texts = self._texts(event)
        if crc32(event_id.encode()) % self._trim_one_in:
            parts = [part.part(texts, source, ()) for part in plan.parts]
        else:
            parts = [
                part.part(texts, source, tuple([run.trim(time, received) for run in part.trims]))
                for part in plan.parts
            ]
        touches = tuple([RunUpdate._make(select(source)) for select in plan.touches])
        receipt = self._event_receipt + event_id
        legacy = event_id if self._legacy else None
        return ProfileRequest(
            receipt, self.receipt_seconds, time, tuple(parts), touches, legacy, content
        )

    def receipt(self, event_id: str) -> str:
        """The name under which a store keeps what it replied to an event's exchange."""
        return self._event_receipt + event_id

    def look(self, event: Event) -> ProfileRequest:
        """The exchange that reads an event's history and leaves everything as it is.

        Not even old tiles are dropped, so that whoever looks at a later moment first can still look
        at an earlier one.
        """
        request = self.request(event)
        parts = [part._replace(clock=False, adds=(), keeps=(), trims=()) for part in request.parts]
        receipt = self._look_receipt + str(event[self.features.id_column])
        return request._replace(receipt=receipt, parts=tuple(parts), touches=(), legacy=None)

    def read(self, event: Event, reply: ProfileReply) -> Observation:
        """The event's features, from the profiles as they were before it.

        Raises:
            ReceiptConflictError: the event's id was used before for an event with other keys or
                other content.
        """
        if not reply.same:
            raise ReceiptConflictError(f"{self.features.id_column}: used before with other content")
        if reply.answer is not None:
            return Observation({}, reply.first, reply.answer)
        time = int(event[self.features.time_column])
        kind, values = self._kind(event), None
        if kind.program is not None and isinstance(reply.profiles, PackedProfiles):
            values = kind.program.read(reply.profiles, time, kind.without_history)
        if values is None:
            values = kind.without_history.copy()
            for reader, profile in zip(kind.readers, reply.profiles, strict=True):
                if profile:
                    reader.read(profile, time, values)
        return Observation(self._steps.features(event, values), reply.first)

    def unseen(self, event: Event) -> dict[str, float]:
        """The features of an event whose keys have no history."""
        return self._steps.features(event, self._kind(event).without_history.copy())

    def learn(
        self, event: Event, fact: str, at: int, is_known: bool = True, revision: int = 0
    ) -> ProfileRequest:
        """The exchange that makes a fact about an earlier event count from now on.

        Args:
            event: the event as it was first seen.
            fact: one of the feature set's facts.
            at: when it became known, microseconds UTC.
            is_known: False withdraws it.
            revision: the number of the statement about this event, so that each counts once.

        Raises:
            ValueError: for a fact that is not declared.
        """
        if fact not in self.features.facts:
            raise ValueError(f"fact must be one of {', '.join(self.features.facts)}, got {fact!r}")
        time = int(event[self.features.time_column])
        # of an event that is not received yet nothing is known, whatever the fact's date says
        delay = max(at, self._received(event)) - time
        plan = self._plan(event, fact, delay)  # before the numbers: it adds constants to them
        source, texts = self._planner.numbers(event, time), self._texts(event)
        parts = [part.part(texts, source, ()) for part in plan.parts]
        if not is_known:
            parts = [part._replace(adds=tuple(map(_negative, part.adds))) for part in parts]
        event_id = event[self.features.id_column]
        receipt = _BETWEEN.join((self.features.name, "fact", fact, str(revision), str(event_id)))
        legacy = f"{fact}:{event_id}:{revision}"
        return ProfileRequest(receipt, _FACT_RECEIPT_SECONDS, time, tuple(parts), legacy=legacy)

    def _received(self, event: Event) -> int:
        """When the event was received; when it happened if nothing else is said."""
        return int(event.get(self.features.received_column) or event[self.features.time_column])

    def _plan(self, event: Event, fact: str | None, delay: int) -> UpdatePlan:
        in_time = frozenset([limit for limit in self._planner.delays if delay <= limit])
        kind = self._kind(event)
        plan_key = (kind.absent, fact, in_time)
        plan = self._plans.get(plan_key)
        if plan is None:
            plan = self._plans[plan_key] = self._planner.plan(*plan_key)
        return plan

    def _kind(self, event: Event) -> _Kind:
        lacks = tuple([event.get(column) is None for column in self._columns])
        kind = self._kinds.get(lacks)
        if kind is None:
            absent = frozenset(c for c, lack in zip(self._columns, lacks, strict=True) if lack)
            readers = [
                reader
                for reader, profile in zip(self._readers, self._layout.profiles, strict=True)
                if absent.isdisjoint(profile.key)
            ]
            without_history = self._steps.without_history(absent)
            new_kind = _Kind(absent, tuple(readers), without_history, _program(readers))
            kind = self._kinds[lacks] = new_kind
        return kind

    def _texts(self, event: Event) -> dict[str, bytes]:
        return {column: str(event.get(column)).encode() for column in self._columns}


def _program(readers: Sequence[ProfileReader]) -> PackedProgram | None:
    """What readers do, for packed profiles; None where no program can say it, or none is fast."""
    if not IS_COMPILED:
        return None
    program = PackedProgram()
    try:
        for reader in readers:
            reader.add_to(program)
    except NotCompiledError:
        return None
    return program


def _negative(add: tuple[int, ...]) -> tuple[int, ...]:
    field, width, tile, *lanes = add
    return (field, width, tile, *[-lane for lane in lanes])
