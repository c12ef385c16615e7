"""Fill a profile store with the history that a new service lacks; see `--help`."""

from dataclasses import dataclass

from jobs.framework.command import run_job
from jobs.framework.progress import progress
from jobs.fraud.feature_options import FeatureOptions
from lib.contract import ContractError
from lib.feature import OnlineFeatures, ProfileStore, RedisStore, SqliteStore, events, replay

_KEPT_SECONDS = 7 * 86_400


@dataclass(frozen=True, kw_only=True)
class BackfillConfig(FeatureOptions):
    """Replay payments and labels into a profile store, in the order they became known.

    A service that starts with an empty store treats every customer as new. The job may be stopped
    and started again within a week: payments that are already stored change nothing.
    """

    profile_store: str
    """Profile store to fill: sqlite:///path or redis://host:port/0, as the service is started
    with."""


def main(config: BackfillConfig) -> int:
    """Replay; returns how many payments were new to the store."""
    table = config.read_history()
    store = open_store(config.profile_store)
    features = config.declared_features()
    if features.unfrozen:
        raise ContractError(
            "--features-of: expected the model whose profiles are filled, as the mapping of "
            "transactions has attributes"
        )
    online = OnlineFeatures(features.feature_set, receipt_seconds=_KEPT_SECONDS)
    new = 0
    try:
        with progress(len(table), "replayed", "payments") as done:
            for exchange, event in replay(online, events(features.events(table))):
                reply = store.exchange(exchange)
                if event is not None:
                    new += reply.first
                    done(1)
    finally:
        store.close()
    print(f"payments replayed {len(table):,}, of them new to the store {new:,}")
    return new


def open_store(url: str) -> ProfileStore:
    """The store that a URL names.

    Raises:
        ContractError: for a URL of another kind.
    """
    if url.startswith("sqlite:///"):
        return SqliteStore(url.removeprefix("sqlite:///"))
    if url.startswith(("redis://", "rediss://", "unix://")):
        return RedisStore(url)
    raise ContractError(
        f"profile store: expected sqlite:///path or redis://host:port/0, got {url!r}"
    )


if __name__ == "__main__":
    run_job(BackfillConfig, main)
