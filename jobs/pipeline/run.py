"""Run several jobs in one driver: `python -m jobs.pipeline.run --help`."""

from dataclasses import dataclass

from jobs.framework.command import run_job
from jobs.framework.paths import LocalInput, LocalOutput
from jobs.framework.progress import JobOptions
from jobs.pipeline.steps import read_steps, run_steps


@dataclass(frozen=True, kw_only=True)
class PipelineConfig(JobOptions):
    """Run jobs one after the other in one driver, each with a log of its own.

    Modules are imported and Ray is connected to once, and Ray's workers are used again by the steps
    that follow. The first step that ends with another code than 0 ends the pipeline.
    """

    steps: LocalInput
    """YAML file with a list `steps`; each has a `name`, a `job` such as fraud.train, its `options`
    as a list of words, and may have `seconds`, how long it usually runs"""
    log: LocalOutput
    """folder for NAME.log, which holds all that the step NAME and its libraries print"""
    start_at: str = ""
    """name of the first step to run; default: the first of the file"""

    def check(self) -> None:
        """See `JobOptions`."""
        read_steps(self.steps, self.start_at)


def main(config: PipelineConfig) -> None:
    """Run the steps."""
    run_steps(read_steps(config.steps, config.start_at), config.log)


if __name__ == "__main__":
    run_job(PipelineConfig, main)
