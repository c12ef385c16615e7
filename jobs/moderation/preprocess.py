"""Tables of posts, media and labels in, rows to learn from out; see `--help`."""

from dataclasses import dataclass

from jobs.framework.command import run_job
from jobs.framework.paths import OutputPath
from jobs.moderation.sources import Sources
from lib.moderation.model.model_config import read_size_option

NOTE = "rows.json"


@dataclass(frozen=True, kw_only=True)
class PreprocessConfig(Sources):
    """Decode and size media, check every row, and join posts with their media and labels.

    Media are streamed: a task holds a few megabytes of them, however many there are. What is broken
    goes to OUTPUT/quarantine with a reason; its post stays, with that modality marked as failed.
    The same command continues where it was cut off.
    """

    output: OutputPath
    """output folder or URI (s3://, gs://, file://); on a cluster one that all nodes can access"""
    size: str = "small"
    """tiny, small, large, or a YAML file: decides how large images and clips are kept"""
    partitions: int = 0
    """number of partitions by post; 0 chooses by size of the data and number of cores"""
    overwrite: bool = False
    """compute the rows again even if OUTPUT already holds the rows of the same files"""

    def check(self) -> None:
        """See `JobOptions`."""
        read_size_option(self.size)
        super().check()


def main(config: PreprocessConfig) -> str:
    """Write the rows; returns the folder or URI of Parquet files."""
    from jobs.moderation.preprocessing import preprocess_posts

    return preprocess_posts(config)


if __name__ == "__main__":
    run_job(PreprocessConfig, main)
