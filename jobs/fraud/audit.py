"""Compare the features that decisions saw with the same features computed offline; see `--help`."""

import json
import time
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from jobs.framework.command import run_job
from jobs.framework.paths import InputPath, LocalOutput
from jobs.fraud.feature_options import FeatureOptions
from lib.contract import ContractError
from lib.durable import make_folder, replace_file
from lib.fraud.amounts import AmountScale
from lib.fraud.audit import Audit, audit
from lib.fraud.contracts import LARGEST_AMOUNT_MINOR
from lib.fraud.payment_features import PaymentFeatures
from lib.records import Records
from lib.records.database import require_database

_SYSTEM = "fraud"


class AuditError(ValueError):
    """More payments differ than are allowed."""


@dataclass(frozen=True, kw_only=True)
class AuditConfig(FeatureOptions):
    """Recompute the features of served payments and report the share that differs.

    The target is zero. A difference means that training and serving use different data: a payment
    that the profile store missed, a label that only one side received, or a changed formula.
    """

    records: str
    """Database of the decisions: sqlite:///path or postgresql+psycopg://..."""
    transactions: InputPath | None = None
    """payments that the profile store was filled with at the start: Parquet or CSV file, folder or
    URI"""
    until: str | None = None
    """ISO 8601 time with offset; only payments before it are replayed."""
    currency_digits: int = 2
    """Decimal digits of the service's currency, as the service is started with."""
    largest_amount_minor: int = LARGEST_AMOUNT_MINOR
    """Largest amount of a payment in minor units, as the service is started with."""
    limit: float = 0.0
    """Largest share of payments that may differ; above it the job fails."""
    output: LocalOutput | None = None
    """File for the result as JSON; default: no file."""

    def check(self) -> None:
        """See `JobOptions`."""
        require_database(self.records)
        _microseconds(self.until)
        super().check()

    def served_features(self) -> PaymentFeatures:
        """The features that the service computes."""
        scale = AmountScale(self.currency_digits, self.largest_amount_minor)
        if self.features_of is None:
            return PaymentFeatures(scale)
        return replace(self.model_features(), scale=scale)


def main(config: AuditConfig) -> Audit:
    """Replay, print what was found and write it.

    Raises:
        ContractError: `until` is no time, or the history breaks its contract.
        RecordsError: the database cannot be read.
    """
    until = _microseconds(config.until)
    history = None if config.transactions is None else config.read_history()
    with Records(config.records) as records:
        result = audit(
            records.decisions(_SYSTEM, 0, until),
            records.facts(_SYSTEM, until),
            history,
            config.served_features(),
        )
    print(closing_lines(result))
    if config.output is not None:
        _write(config.output, result)
    return result


def closing_lines(result: Audit) -> str:
    """What people read."""
    lines = [
        f"payments replayed   {result.payments:>12,}",
        f"  without a store   {result.partial:>12,}",
        f"on other features   {result.other_features:>12,}   (left out)",
        f"values compared     {result.values:>12,}",
        f"payments differing  {result.differing:>12,}   share {result.share:.6f}",
        *(f"  {count:>10,}  {name}" for name, count in result.by_feature.items()),
    ]
    for example in result.examples:
        lines.append(
            f"  {example.transaction_id}: {example.feature} served {example.served!r}, now "
            f"{example.replayed!r}"
        )
    return "\n".join(lines)


def _microseconds(text: str | None) -> int:
    if text is None:
        return time.time_ns() // 1000
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ContractError(f"until: expected an ISO 8601 time, got {text!r}") from error
    if moment.tzinfo is None:
        raise ContractError(f"until: expected a time with an offset, such as +00:00, got {text!r}")
    return round(moment.timestamp() * 1_000_000)


def _write(path: Path, result: Audit) -> None:
    make_folder(path.parent)
    replace_file(path, json.dumps({**asdict(result), "share": result.share}, indent=2).encode())


def within_limit(config: AuditConfig) -> None:
    """Audit, and fail where too many payments differ.

    Raises:
        AuditError: their share is above `limit`.
    """
    share = main(config).share
    if share > config.limit:
        raise AuditError(f"{share:.6f} of the payments differ, more than --limit {config.limit}")


if __name__ == "__main__":
    run_job(AuditConfig, within_limit)
