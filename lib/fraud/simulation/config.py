"""What a simulated payment platform is like."""

from dataclasses import dataclass

from lib.contract import ContractError, utc_us

DAY_US = 86_400_000_000
HOUR_US = 3_600_000_000
MINUTE_US = 60_000_000
SECOND_US = 1_000_000

SCENARIOS = (
    "stolen_card",
    "compromised_merchant",
    "device_ring",
    "account_takeover",
    "card_testing",
)


@dataclass(frozen=True, slots=True)
class SimulationConfig:
    """Size, fraud and disturbances of one simulation.

    Args:
        users: customers, at least 50.
        days: length of the history in days, at least 7.
        start_us: first day, midnight UTC, microseconds since 1970.
        payments_per_day: mean payments of a customer in a day.
        merchants: shops and online shops; 0 takes half as many as users, at least 200.
        fraud_share: aimed share of fraudulent payments among all, declined attempts included.
        scenario_shares: of the frauds, how many each of `SCENARIOS` makes up; sums to one.
        trips_per_60_days: mean journeys of a customer to another city.
        reported_share: share of frauds that ever become known.
        label_delay_days: median delay from payment to chargeback.
        label_delay_spread: standard deviation of the logarithm of that delay.
        wrong_label_share: share of good payments that are charged back by mistake.
        withdrawn_share: share of those mistakes that are taken back later.
        retry_share: share of payments that are sent twice under one transaction_id.
        late_share: share of payments that reach us minutes to a day late.
        malformed_share: share of rows added that no contract accepts.
    """

    users: int = 2_000
    days: int = 60
    start_us: int = utc_us(2025)
    payments_per_day: float = 1.6
    merchants: int = 0
    fraud_share: float = 0.008
    scenario_shares: tuple[float, ...] = (0.22, 0.28, 0.18, 0.18, 0.14)
    trips_per_60_days: float = 0.6
    reported_share: float = 0.92
    label_delay_days: float = 4.0
    label_delay_spread: float = 0.8
    wrong_label_share: float = 0.0003
    withdrawn_share: float = 0.6
    retry_share: float = 0.0
    late_share: float = 0.0
    malformed_share: float = 0.0

    def __post_init__(self) -> None:
        if self.users < 50 or self.days < 7:
            raise ContractError(
                f"a simulation needs at least 50 users and 7 days, came {self.users} users and "
                f"{self.days} days"
            )
        if len(self.scenario_shares) != len(SCENARIOS) or abs(sum(self.scenario_shares) - 1) > 1e-6:
            raise ContractError(
                f"scenario_shares needs {len(SCENARIOS)} shares ({', '.join(SCENARIOS)}) that sum "
                f"to 1, came {self.scenario_shares}"
            )
        self._check_shares()

    def _check_shares(self) -> None:
        names = ("reported", "withdrawn", "wrong_label", "retry", "late", "malformed", "fraud")
        for name in (f"{prefix}_share" for prefix in names):
            share = getattr(self, name)
            highest = 0.2 if name == "fraud_share" else 1.0
            if not 0.0 <= share <= highest:
                raise ContractError(f"{name} must lie between 0 and {highest}, came {share}")

    @property
    def end_us(self) -> int:
        """End of the history, exclusive."""
        return self.start_us + self.days * DAY_US

    @property
    def merchant_count(self) -> int:
        """How many merchants there are."""
        return self.merchants or max(200, self.users // 2)
