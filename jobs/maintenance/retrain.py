"""Learn from failures and services since: `python -m jobs.maintenance.retrain --help`."""

from dataclasses import dataclass
from typing import Any

from jobs.framework.command import run_job
from jobs.framework.retraining_options import RetrainingOptions
from jobs.maintenance.training_config import TrainConfig
from lib.contract import ContractError
from lib.maintenance.machine_kind import load_kind


@dataclass(frozen=True, kw_only=True)
class RetrainConfig(RetrainingOptions, TrainConfig):
    """Train a challenger on what became known since, and publish it if it is worth more.

    Give --records, --registry and --telemetry, and --failures, --maintenance and the other tables
    as far as there are any: failures and closed work orders of the records are added. The newest
    --test-share of the time, as far as the champion did not see it, is kept from the challenger,
    and both raise alarms on its rows. The challenger is published where the lower limit of its gain
    in money beats --margin and C-td does not fall by more than --measure-margin. The report is
    OUTPUT/retraining/report.html. The same command continues where it was cut off, and ends with a
    message if nothing new is known.
    """

    def check(self) -> None:
        """See `JobOptions`."""
        self.check_retraining()
        if self.telemetry is None:
            raise ContractError("--telemetry is missing: features are computed from readings")
        if self.learn_until is not None or self.run_to_failure:
            raise ContractError(
                "--learn-until, --run-to-failure: expected neither: retraining chooses what is "
                "learnt from, and machines go on"
            )
        self.check_tables(None if self.kind is None else load_kind(self.kind))


def main(config: RetrainConfig) -> dict[str, Any]:
    """Retrain and compare; returns what the records keep, with `decision` in words."""
    from jobs.framework.retraining import retrain
    from jobs.maintenance.retraining import MachineRetraining

    return retrain(config, MachineRetraining())


if __name__ == "__main__":
    run_job(RetrainConfig, main)
