"""The rules of one replica: those of its file, or a version of the records, which it follows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from lib.concurrency.bounded_executor import BoundedExecutor
from lib.concurrency.guarded_call import GuardedCall
from lib.records import RecordsError, RecordsUnavailableError
from lib.rules.changes import RuleBook
from lib.rules.repository import RuleDeclaration, RuleRepository
from serve.framework.health import Health
from serve.framework.problem import fault_text
from serve.framework.reloadable import ActiveRules

Result = TypeVar("Result")
Report = Callable[[bool, str | None], None]
_RECORDS_SECONDS = 10.0


@dataclass(frozen=True)
class RuleSource:
    """Where a replica's rules come from.

    Attributes:
        system: whose.
        records: URL of the database with versions.
        file: rules to start with; see `read_source`.
    """

    system: str
    records: str
    file: str | None


class RuleService:
    """Keeps a replica's rules as the records say, or as its file does where they name no version.

    The active version is looked at every few seconds, in a thread of its own; texts are loaded in
    another, as those of files are. While the records are away, what was known stays.

    Args:
        source: of the rules.
        active: the rules in force.
        loading: thread in which texts are loaded.
        now: microseconds since 1970 UTC.
        report: told of each load: whether it is in force, and the error.

    Attributes:
        active: the rules in force.
        repository: versions, for `ask`.
        book: changes of them, likewise.
        number: the stored version in force; None is the file.
        error: why the records could not be read last; None where they were.
    """

    def __init__(
        self,
        source: RuleSource,
        active: ActiveRules,
        loading: BoundedExecutor,
        now: Callable[[], int],
        report: Report,
    ) -> None:
        self._system, self._file = source.system, source.file
        self.active, self._loading, self.now, self._report = active, loading, now, report
        self.repository = RuleRepository(source.records)
        self.book = RuleBook(self.repository, source.system)
        # a database that hangs takes no thread of decisions
        self._threads = BoundedExecutor("rules", 1)
        self._guard = GuardedCall("records", RecordsUnavailableError, _RECORDS_SECONDS)
        self._turn = asyncio.Lock()
        self._is_declared = True
        self._last: int | None = None
        self._refusal: str | None = None
        self.number: int | None = None
        self.error: str | None = None

    async def declare(self, file: str | None) -> None:
        """Takes in the file of `user_config`; it is in force where no version is stored."""
        async with self._turn:
            self._file, self._is_declared = file, False
            load = self.active.load if self.number is None else self.active.check_file
            loaded = await self._loading.run(load, file)
            self._report(loaded, self.active.error)

    async def poll(self) -> None:
        """Follows the active version; never raises for the records."""
        async with self._turn:
            try:
                await self._say_what_is_declared()
                number = await self.ask(self.repository.active_rules, self._system)
                if number != self._last:
                    await self._apply(number)
            except (RecordsUnavailableError, RecordsError) as error:
                self.error = fault_text(error)
                return
            self.error = None

    async def ask(self, call: Callable[..., Result], *args: Any, **kwargs: Any) -> Result:
        """What a call of the records returns.

        Raises:
            RecordsUnavailableError: they failed, or took too long.
        """
        work = partial(call, *args, **kwargs)
        return await self._guard.run(lambda: self._threads.run(work))

    async def check(self) -> Health:
        """Whether the last rules that were asked for are active, and which."""
        health = await self.active.check()
        detail = {**health.detail, "refused": self._refusal, "records_error": self.error}
        return Health(health.ok and self._refusal is None, detail)

    def close(self) -> None:
        """Gives thread and connection back."""
        self._threads.close()
        self.repository.close()

    async def _apply(self, number: int | None) -> None:
        """Loads what is active by the records; what cannot be loaded is tried once."""
        if number is None:
            loaded = await self._loading.run(self.active.load, self._file)
        else:
            stored = await self.ask(self.repository.find_rules, self._system, number)
            origin = f"version {number}"
            loaded = await self._loading.run(self.active.load_text, stored.text, origin)
        self._last = number
        self._refusal = None if loaded else self.active.error
        if loaded:
            self.number = number
        self._report(loaded, self.active.error)

    async def _say_what_is_declared(self) -> None:
        """Lets the console and other callers know what rules may read, once for each file."""
        if self._is_declared:
            return
        file, language = self.active.file, self.active.language
        declaration = RuleDeclaration(
            system=self._system,
            origin=file.origin,
            text=file.text,
            revision=file.revision,
            fields=language.kinds(),
            actions=language.actions,
            has_pass_key=bool(language.pass_key),
            declared_at=self.now(),
        )
        await self.ask(self.repository.declare_rules, declaration)
        self._is_declared = True
