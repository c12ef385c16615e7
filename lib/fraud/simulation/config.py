"""What a simulated payment platform is like."""

from dataclasses import dataclass
from functools import cached_property

from lib.contract import ContractError, utc_us

DAY_US = 86_400_000_000
HOUR_US = 3_600_000_000
MINUTE_US = 60_000_000
SECOND_US = 1_000_000

SCENARIO_SHARES = {
    "stolen_card": 0.22,
    "compromised_merchant": 0.28,
    "device_ring": 0.18,
    "account_takeover": 0.18,
    "card_testing": 0.14,
}
"""Of the frauds, how many are of each kind; an assumption, as all numbers of the simulation are."""
SCENARIOS = tuple(SCENARIO_SHARES)


@dataclass(frozen=True)
class SimulationConfig:
    """Size, fraud and disturbances of one simulation.

    Args:
        users: customers, at least 50.
        days: length of the history in days, at least 7.
        start: first day, YYYY-MM-DD, midnight UTC.
        payments_per_day: mean payments of a customer in a day.
        fraud_share: aimed share of fraudulent payments among all, declined attempts included.
        retry_share: share of payments that are sent twice under one transaction_id.
        late_share: share of payments that reach us minutes to a day late.
        malformed_share: share of rows added that no contract accepts.
        name_prefix: begins every identifier, so that several platforms can be one data set.
    """

    users: int = 2_000
    days: int = 60
    start: str = "2025-01-01"
    payments_per_day: float = 1.6
    fraud_share: float = 0.008
    retry_share: float = 0.0
    late_share: float = 0.0
    malformed_share: float = 0.0
    name_prefix: str = ""

    def __post_init__(self) -> None:
        if self.users < 50 or self.days < 7:
            raise ContractError(
                f"a simulation needs at least 50 users and 7 days, came {self.users} users and "
                f"{self.days} days"
            )
        for name in ("retry_share", "late_share", "malformed_share", "fraud_share"):
            share = getattr(self, name)
            highest = 0.2 if name == "fraud_share" else 1.0
            if not 0.0 <= share <= highest:
                raise ContractError(f"{name} must lie between 0 and {highest}, came {share}")

    @cached_property
    def start_us(self) -> int:
        """Midnight UTC of the first day, microseconds since 1970.

        Raises:
            ContractError: `start` is no day.
        """
        try:
            return utc_us(*(int(part) for part in self.start.split("-", 2)))
        except (TypeError, ValueError) as error:
            text = f"--start: expected a day as 2025-01-31, came '{self.start}'"
            raise ContractError(text) from error

    @property
    def end_us(self) -> int:
        """End of the history, exclusive."""
        return self.start_us + self.days * DAY_US
