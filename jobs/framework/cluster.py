"""Ray as a job uses it: started once, as talkative as the job's progress."""

import logging

from jobs.framework.progress import progress_style

_LOGGERS = ("ray", "ray.data", "ray.train", "ray.tune", "xgboost_ray")


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
        if handler.name == "console" and not any(
            isinstance(log_filter, _WithoutTracebacks) for log_filter in handler.filters
        ):
            handler.addFilter(_WithoutTracebacks())


class _WithoutTracebacks(logging.Filter):
    """Drops what Ray Data prints of an error that it also raises; its log file keeps it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is printed."""
        return record.levelno < logging.ERROR or record.module not in {
            "streaming_executor_state",
            "exceptions",
        }
