"""What the review queue promises and how often it looks twice."""

from collections.abc import Mapping
from dataclasses import dataclass, field

HOUR_US = 3_600_000_000
_SLA_HOURS = {1: 72, 2: 48, 3: 24, 4: 8, 5: 1}


class ReviewSettingsError(ValueError):
    """The salt of the review queue cannot be had."""


@dataclass(frozen=True, kw_only=True)
class ReviewSettings:
    """Durations in microseconds.

    Attributes:
        salt: keeps draws and ids from being foreseen; keep it, or items are drawn anew. None is
            that of the records database, which `ReviewQueue` fills in.
        sla_us: by severity 1 to 5, within which an item is to be decided.
        lease_us: how long a reviewer holds an item.
        doubling_us: how much nearer its due time an item stands for each doubling of
            what is at stake.
        second_opinion_share: of the cases that get a second opinion by chance, 0 to 1.
        second_opinion_severity: from this severity on every case gets one; 6 for none.
        golden_share: of a reviewer's items that have known answers, 0 to less than 1.
        appeal_window_us: after a removal, within which its author may appeal.

    Raises:
        ReviewSettingsError: the salt is an empty text.
    """

    salt: str | None = None
    sla_us: Mapping[int, int] = field(
        default_factory=lambda: {key: hours * HOUR_US for key, hours in _SLA_HOURS.items()}
    )
    lease_us: int = 10 * 60 * 1_000_000
    doubling_us: int = HOUR_US
    second_opinion_share: float = 0.05
    second_opinion_severity: int = 5
    golden_share: float = 0.03
    appeal_window_us: int = 14 * 24 * HOUR_US

    @property
    def draw_salt(self) -> str:
        """The salt.

        Raises:
            ReviewSettingsError: there is none yet.
        """
        if self.salt is None:
            raise ReviewSettingsError("salt: expected text; ask ReviewStore.ensure_salt() for it")
        return self.salt

    def __post_init__(self) -> None:
        if self.salt == "":
            raise ReviewSettingsError("salt: expected text, got none")
