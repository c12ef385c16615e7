"""Customers' tables in, rows of customers at moments out; see `--help`."""

import time
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from jobs import ingestion
from jobs.churn.feature_options import FeatureOptions
from jobs.churn.sources import Stream, by_customer, intakes, read_stream
from jobs.churn.table_counts import customer_counts, note_customers, table_lines, table_warnings
from jobs.framework.command import run_job
from jobs.framework.paths import OutputPath
from jobs.framework.row_folder import RowFolder
from lib.churn.features import churn_features, untold
from lib.churn.snapshots import moments_between, snapshots, to_table
from lib.churn.target import FEWEST_CUSTOMERS, Target
from lib.churn.vocabulary import ChurnError, CustomerVocabulary
from lib.feature import DAY
from lib.storage import Storage, open_dataset, open_storage

NOTE = "features.json"


@dataclass(frozen=True, kw_only=True)
class FeaturesConfig(FeatureOptions):
    """Compute training rows: features of customers at snapshot times, and whether they left.

    Rows that break a contract go to OUTPUT/quarantine with a reason; contradictions between tables
    are counted. Work is distributed over the cluster by customer.
    """

    output: OutputPath
    """output folder or URI (s3://, gs://, file://); on a cluster one that all nodes can access"""
    target: Target = field(default_factory=Target)
    """definition of churn that the model predicts"""
    every_days: int = 14
    """days between two snapshot times"""
    warm_up_days: int = 90
    """days of data before the first snapshot time; feature windows are up to 365 days long, so that
    365 truncates no window"""
    overwrite: bool = False
    """compute the rows again even if OUTPUT already holds the rows of the same files"""

    def check(self) -> None:
        """See `JobOptions`."""
        if self.every_days < 1 or self.warm_up_days < 0:
            raise ChurnError(
                f"--every-days, --warm-up-days: expected 1 or more and 0 or more, got "
                f"{self.every_days} and {self.warm_up_days}"
            )
        needed = {"notice": "churn", "no_invoice": "invoices", "no_usage": "usage"}[
            self.target.means
        ]
        if getattr(self, needed) is None:
            raise ChurnError(
                f"--{needed} is missing, which --target.means {self.target.means} needs; where "
                "customers give no notice, leaving may mean no_invoice or no_usage"
            )
        super().check()


def main(config: FeaturesConfig) -> str:
    """Compute and write the rows; returns the folder or URI of Parquet files."""
    data = write_features(config)
    print(closing_lines(open_storage(config.output)))
    return data


def write_features(
    config: FeaturesConfig,
    base: CustomerVocabulary | None = None,
    feature_text: str | None = None,
) -> str:
    """The folder of rows, computed unless it is there for the same inputs already.

    Args:
        config: of the job.
        base: vocabularies, of a model; None takes those that the customers show.
        feature_text: a feature file instead of that of the options, where there is no base.

    Raises:
        ContractError: a column is missing or of the wrong type, or there is nothing to read.
        ChurnError: an option means nothing, or no moment has a known outcome.
    """
    config.check()
    folder = RowFolder(open_storage(config.output), NOTE)
    text = config.feature_text() if feature_text is None else feature_text
    inputs = _inputs(config, base, text)
    if not config.overwrite and folder.has(inputs):
        return folder.data
    started = time.monotonic()
    folder.start()
    stream = read_stream(config, folder.quarantine, base, text)
    counted = _computed(config, stream, folder)
    folder.publish()
    note = {
        **inputs,
        **counted,
        **customer_counts(folder.storage),
        "base": stream.base.to_yaml(),
        "feature_set_digest": churn_features(stream.base).digest,
        "features": list(churn_features(stream.base).names),
        "untold": list(untold(stream.base)),
        "tables": intakes(folder.storage, "quarantine"),
        "seconds": round(time.monotonic() - started, 3),
    }
    if stream.after_the_end:
        note["contradictions"]["rows dated after --until"] = stream.after_the_end
    if stream.end is not None and stream.end.far_rows:
        note["contradictions"][stream.end.text] = stream.end.far_rows
    folder.finish(note)
    return folder.data


def _inputs(
    config: FeaturesConfig, base: CustomerVocabulary | None, feature_text: str
) -> dict[str, Any]:
    """What the rows depend on."""
    return {
        "data_fingerprint": ingestion.fingerprint_of(config.files),
        "target": asdict(config.target),
        "every_days": config.every_days,
        "warm_up_days": config.warm_up_days,
        "until": config.until,
        "declared_base": None if base is None else base.to_yaml(),
        "feature_file": (feature_text or None) if base is None else None,
    }


def _computed(config: FeaturesConfig, stream: Stream, folder: RowFolder) -> dict[str, Any]:
    """Rows in OUTPUT/work, and what they came to."""
    last = stream.last_us - config.target.reach_us
    first = stream.first_us + config.warm_up_days * DAY
    moments = moments_between(first, last, config.every_days) if first <= last else []
    if not moments:
        raise ChurnError(
            f"the data spans {(stream.last_us - stream.first_us) / DAY:.0f} days: too few for "
            f"--warm-up-days {config.warm_up_days} and a target of "
            f"{config.target.reach_us // DAY} days"
        )
    base, target, until = stream.base, config.target, stream.last_us
    quarantine = folder.quarantine

    def rows_of(happened: pa.Table) -> pa.Table:
        note_customers(happened, quarantine)
        return to_table(snapshots(happened, base, moments, target, until))

    rows = by_customer(stream, rows_of).materialize()
    count = rows.count()
    if not count:
        raise ChurnError("no customer is there at any moment: check contract starts and activity")
    folder.write(rows)
    labels = open_dataset(folder.work, "data").to_table(columns=["customer_id", "label"])
    left = float(labels["label"].to_numpy().mean())
    leavers = labels.filter(pc.greater(labels["label"], 0))
    return {
        "rows": count,
        "customers": len(labels["customer_id"].unique()),
        "leavers": len(leavers["customer_id"].unique()),
        "moments": len(moments),
        "share_leaving": left,
    }


def _leaving_warnings(note: dict[str, Any]) -> list[str]:
    """A line that comes first where no customer leaves: nothing can be learnt from that."""
    if note.get("leavers", 1):
        return []
    leaving = Target(**note["target"]).leavers
    return [
        f"warning: none of {note['customers']:,} customers is among the {leaving} within the "
        f"window of any moment: at least {FEWEST_CUSTOMERS} are needed for training; check the "
        "rows below, the ids and the times"
    ]


def closing_lines(output: Storage) -> str:
    """A short table of what was read and made."""
    folder = RowFolder(output, NOTE)
    note = folder.read_note()
    return "\n".join(
        [
            *table_warnings(note),
            *_leaving_warnings(note),
            *table_lines(note),
            f"rows {note['rows']:,} of {note['customers']:,} customers at {note['moments']} "
            f"moments, {note['share_leaving']:.1%} leave; {len(note['features'])} features, "
            f"{len(note['untold'])} of them of tables that are not given",
            *folder.locations("features"),
        ]
    )


if __name__ == "__main__":
    run_job(FeaturesConfig, main)
