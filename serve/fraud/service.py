"""The fraud application as one object: everything behind its HTTP face, started and stopped.

Places for what comes: the review queue reads what `Archive` keeps and takes its outcomes in through
`Labels`; an experiment between champion and challenger is a `Model` that asks two others.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from lib.fraud.features import FRAUD
from lib.fraud.rules import ACTIONS, PAYMENT_TEXTS, RULES_FILE, rule_fields
from serve.fraud import numbers
from serve.fraud.config import FraudArgs
from serve.fraud.desk import Desk
from serve.fraud.history import History
from serve.fraud.labels import Labels
from serve.fraud.model import Model, Seat
from serve.fraud.recovery import Recovery
from serve.fraud.times import SECOND, Times
from serve.gateway import Meter, Part
from serve.gateway.application import Application, state_part
from serve.gateway.profile_stores import ThreadedSqliteStore, open_profile_store
from serve.gateway.redoing import Redoing
from serve.gateway.rulings import Rulings

_SWEEP_SECONDS = 600.0


class FraudService(Application):
    """Rules, features, model, policy, records.

    Args:
        args: what the application was started with.
        meter: counts and times.
        elsewhere: the model's deployment; None keeps the model in this process.
        times: when a payment may come; None is the system clock.
    """

    def __init__(
        self,
        args: FraudArgs,
        meter: Meter,
        elsewhere: Model | None = None,
        times: Times | None = None,
    ) -> None:
        self.args = args
        features = args.features
        self._seat = Seat(args.registry, args.models, features) if elsewhere is None else None
        self._model: Model = elsewhere or self._seat  # type: ignore[assignment]
        times = times or Times(args.receipt_seconds * SECOND, args.ahead_seconds * SECOND)
        self._store = open_profile_store(args.profile_store, args.store_timeout_ms / 1000.0)
        self.history = History(
            features,
            self._store,
            # a clock that is ahead must not outlive its receipt
            args.receipt_seconds + args.ahead_seconds,
            args.store_timeout_ms / 1000.0,
        )
        rulings = _rulings(args, self.history.without_store)
        super().__init__(numbers.SYSTEM, args, meter, numbers.RELOADS, rulings)
        self.desk = Desk(
            features,
            self.history,
            self.rulings,
            self._model,
            self.archive,
            meter,
            self.later.run,
            times,
            args.fallback_cap_minor,
            args.scale,
        )
        self.labels = Labels(self.archive, self.history, meter, times.now, times.ahead)
        recovery = Recovery(features, self.desk, self.history, self.labels, times.now)
        self.redoing = Redoing(
            self.archive,
            recovery.redo,
            recovery.ready,
            meter,
            numbers.RESCORED,
            self.log,
            times.now,
        )

    @property
    def replaceable(self) -> Seat | None:
        """See `Application`."""
        return self._seat

    def rounds(self) -> list[tuple[float, Callable[[], Awaitable[object]]]]:
        """See `Application`."""
        rounds = [(self.args.rescore_seconds, self.redoing.work_off)]
        if isinstance(self._store, ThreadedSqliteStore):
            rounds.append((_SWEEP_SECONDS, self._store.sweep))
        return list(rounds)

    async def close(self) -> None:
        """See `Application`."""
        await self.history.close()

    async def model_part(self) -> Part:
        """See `Application`."""
        return state_part(await self._model.status())

    async def store_part(self) -> Part:
        """See `Application`."""
        await self.history.ping()
        return Part(True)


def _rulings(args: FraudArgs, without_store: frozenset[str]) -> Rulings:
    fields = rule_fields(FRAUD.names)
    return Rulings(fields, RULES_FILE, ACTIONS, {*without_store, *PAYMENT_TEXTS}, _secret(args))


def _secret(args: FraudArgs) -> bytes:
    return b"" if args.exploration_key is None else args.exploration_key.read_bytes().strip()
