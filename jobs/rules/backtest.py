"""Try a rule set on labelled history: `python -m jobs.rules.backtest --data ... --output ...`."""

import json
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset

from jobs.framework.cluster import start_ray
from jobs.framework.command import run_job
from jobs.framework.paths import InputPath, LocalInput, LocalOutput
from jobs.framework.progress import JobOptions
from lib.declaration import did_you_mean, read_yaml_text
from lib.fraud.amounts import AmountScale
from lib.fraud.payment_features import PaymentFeatures
from lib.fraud.rules import ACTIONS, RULES_FILE
from lib.report import write_report
from lib.rules import RuleSet, load_rules
from lib.rules.backtest_report import Backtest
from lib.rules.measures import Costs, measure_rules
from lib.rules.tally import Tally, empty_tally, tally, tally_columns
from lib.storage import open_storage, split_address


@dataclass(frozen=True)
class Config(JobOptions):
    """Compute hits, precision, recall, costs and overlap of every rule on labelled payments.

    Shadow and off rules are measured too, so a rule can be tried before it is switched on.
    """

    data: InputPath
    """Output of jobs.fraud.features, or a Parquet file, folder or URI: the features that the rules
    read, is_fraud (bool or 0/1, null where not known; or fraud_from and fraud_until, as
    jobs.fraud.features writes them), amount_minor (whole minor units) and event_time (timestamp,
    UTC)."""
    output: LocalOutput
    """Output folder for report.json and report.html; created if it does not exist."""
    rules: LocalInput | None = None
    """Rule file; default: the rules that the system serves."""
    system: Literal["fraud"] = "fraud"
    """The risk system whose fields and actions the rules use."""
    costs: Costs = field(default_factory=Costs)
    """Costs with which the amounts are computed."""
    currency_digits: int | None = None
    """Decimals of the settlement currency: 2 for EUR, 0 for JPY, 3 for KWD; default: as recorded by
    jobs.fraud.features, otherwise 2."""

    def check(self) -> None:
        """See `JobOptions`."""
        currency_digits(self)
        _check_data(_folder(self.data), _read_rules(self))


_LABEL, _KNOWN_FROM = "is_fraud", ("fraud_from", "fraud_until")


class BacktestError(ValueError):
    """Something the user can put right; the message says what."""


def backtest(config: Config) -> Backtest:
    """Measure the rule set over the whole data set, a block at a time.

    Raises:
        RuleError: the rule file is bad.
        BacktestError: the data are absent, empty, lack columns or hold other types.
    """
    rules = _read_rules(config)
    data = _folder(config.data)
    columns = _check_data(data, rules)
    start_ray()
    import ray.data

    counted = (
        ray.data.read_parquet(data)
        .select_columns(list(columns))
        .map_batches(partial(_count, rules=rules), batch_size=None, batch_format="pyarrow")
    )
    total = empty_tally(len(rules.rules))
    for part in counted.iter_batches(batch_size=None, batch_format="pyarrow"):
        total = total + Tally.from_arrow(part, len(rules.rules))
    measures = measure_rules(rules, total, config.costs)
    return Backtest(rules, total, measures, config.costs, currency_digits(config))


def _count(block: pa.Table, rules: RuleSet) -> pa.Table:
    return tally(rules, _labelled(block)).to_arrow()


def _labelled(block: pa.Table) -> pa.Table:
    """Payments with is_fraud: fraud by their last label, where their features tell labels."""
    if _LABEL in block.column_names:
        return block
    fraud = pc.and_(pc.is_valid(block["fraud_from"]), pc.is_null(block["fraud_until"]))
    return block.append_column(_LABEL, fraud)


def _folder(data: str) -> str:
    """The data of a folder that jobs.fraud.features wrote; anything else as it is given."""
    if "://" in data or not (Path(data) / "features.json").is_file():
        return data
    return str(Path(data) / "data")


def currency_digits(config: Config) -> int:
    """Decimals of the currency: by the option, or as the features beside it were computed."""
    if config.currency_digits is not None:
        return AmountScale(config.currency_digits).digits
    return _computed_features(config.data).scale.digits


def _computed_features(data: str) -> PaymentFeatures:
    """The features that payments have, by the note beside them; the packaged ones without one."""
    above, name = split_address(data)
    if name.endswith(".parquet"):
        return PaymentFeatures()
    note = open_storage(above if name == "data" else data).read("features.json")
    return PaymentFeatures.from_json(json.loads(note) if note else {})


def _read_rules(config: Config) -> RuleSet:
    path = config.rules or RULES_FILE
    text = read_yaml_text(path, f"--rules {path}", BacktestError)
    # History is replayed without waiving anything, so the exploration sample needs no real key.
    fields = _computed_features(config.data).rule_fields
    return load_rules(text, fields, actions=ACTIONS, source=str(path), pass_key=b"backtest")


def _check_data(data: str, rules: RuleSet) -> tuple[str, ...]:
    """Return the columns to read, after looking at the schema alone."""
    try:
        dataset = pyarrow.dataset.dataset(data, format="parquet", partitioning="hive")
        schema, rows = dataset.schema, dataset.count_rows()
    except (OSError, pa.ArrowInvalid) as error:
        raise BacktestError(f"--data {data}: not a Parquet data set: {error}") from None
    columns = tally_columns(rules)
    if _LABEL not in schema.names and set(_KNOWN_FROM) <= set(schema.names):
        columns = (*(name for name in columns if name != _LABEL), *_KNOWN_FROM)
    absent = [f"{name}; {did_you_mean(name, schema.names)}" for name in columns]
    absent = [line for name, line in zip(columns, absent, strict=True) if name not in schema.names]
    if absent:
        lines = "\n  ".join(absent)
        raise BacktestError(f"--data {data}: these columns are absent:\n  {lines}")
    if rows == 0:
        raise BacktestError(f"--data {data}: the data set is empty; nothing to measure")
    tally(rules, _labelled(schema.empty_table()))
    return columns


def main(config: Config) -> None:
    """Run the backtest, print its tables, and say where the report is."""
    result = backtest(config)
    title = f"Backtest of the {config.system} rules"
    page, report = write_report(result.report(title), config.output)
    print(result.to_text())
    print(f"\nreport: {report}\npage:   {page}")


if __name__ == "__main__":
    run_job(Config, main)
