"""How the commands of a system lead to those of its tables without times."""

import sys
from typing import Literal

from jobs.framework.command import run_job

OPTION = "--static"


def run_static_table(system: str, verb: Literal["train", "score"]) -> None:
    """Run jobs.static_table for the system, and end the program, if --static is given.

    The options of the system's own job all speak of tables with times: those of a table without
    them are another set, so the command is another job.
    """
    arguments = sys.argv[1:]
    if not any(word.partition("=")[0] == OPTION for word in arguments):
        return
    arguments = [f"--system={system}", *arguments]
    if verb == "train":
        from jobs.static_table import train

        run_job(train.TrainConfig, train.main, arguments)
    else:
        from jobs.static_table import score

        run_job(score.ScoreConfig, score.main, arguments)
    raise SystemExit(0)
