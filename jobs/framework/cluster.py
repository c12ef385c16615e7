"""Ray as a job uses it: started once, as talkative as the job's progress; a key's rows together."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

from jobs.framework.progress import progress_style

if TYPE_CHECKING:
    from ray.data import Dataset

_LOGGERS = ("ray", "ray.data", "ray.train", "ray.tune", "xgboost_ray")
_ONE_TASK_ROWS = 300_000
_ONE_TASK_BYTES_PER_ROW = 2_500
_FEW_CORES = 4  # bringing rows together takes about twice what is then done with them
_PARTITION_ROWS = 1_000_000


def start_ray() -> None:
    """Connect to the cluster, or start Ray on this machine, unless that is done already.

    What workers print stays in Ray's log files: an error of theirs reaches the job itself.
    """
    import ray
    import ray.data

    if not ray.is_initialized():
        quiet = progress_style() == "none"
        level = logging.WARNING if quiet else logging.INFO
        ray.init(logging_level=level, log_to_driver=False)
    _limit_ray_data()
    if progress_style() == "none":
        for name in _LOGGERS:
            logging.getLogger(name).setLevel(logging.WARNING)
        # it warns that there are no bars
        logging.getLogger("ray.data._internal.progress").setLevel(logging.ERROR)


def _limit_ray_data() -> None:
    """Show its progress as asked, and no traceback of an error that also reaches the caller."""
    from ray.data import DataContext

    style = progress_style()
    context = DataContext.get_current()
    # without a terminal Ray Data writes lines in the place of bars
    context.enable_progress_bars = style != "none"
    context.print_on_execution_start = False
    for handler in logging.getLogger("ray.data").handlers:
        if handler.name == "console":
            handler.addFilter(_reaches_no_caller)


def _reaches_no_caller(record: logging.LogRecord) -> bool:
    """Whether Ray Data prints a record: not of an error that it also raises; its file keeps it."""
    modules = ("streaming_executor_state", "exceptions")
    return record.levelno < logging.ERROR or record.module not in modules


def shuffle_partitions(
    requested: int, rows: int, bytes_per_row: int = _ONE_TASK_BYTES_PER_ROW
) -> int:
    """Blocks that a shuffle spreads its keys over: as requested, or by rows and cluster.

    Args:
        requested: 0 leaves it to this.
        rows: about how many there are.
        bytes_per_row: memory that one task for all of them takes.
    """
    import ray

    if requested:
        return requested
    resources = ray.cluster_resources()
    cores = int(resources.get("CPU", 1))
    fits = rows * bytes_per_row < resources.get("memory", 0.0) / 3
    if rows <= _ONE_TASK_ROWS or (cores <= _FEW_CORES and fits):
        return 1  # a single task is done sooner than a shuffle
    return max(2 * cores, math.ceil(rows / _PARTITION_ROWS))


def choose_shuffle(rows: int, bytes_per_row: int) -> None:
    """Shuffle through memory, which is faster, while all of it fits; else through disks."""
    import ray
    from ray.data import DataContext

    memory = ray.cluster_resources().get("object_store_memory", 0)
    DataContext.get_current().use_disk_based_hash_shuffle = rows * bytes_per_row >= memory / 2


def gather_rows(rows: Dataset, key: str, partitions: int, *, ordered: bool = True) -> Dataset:
    """The rows with all of a key in one block.

    Args:
        rows: to bring together.
        key: column that names what belongs together.
        partitions: blocks that come out.
        ordered: rows of a block come sorted by the key, which takes as long as to bring them
            together; False leaves them in no order.
    """
    if partitions == 1:
        return rows.repartition(1)
    return rows.repartition(partitions, keys=[key], sort=ordered)
