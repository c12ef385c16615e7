"""The options of `jobs.moderation.train`."""

from dataclasses import dataclass, replace

from jobs.framework.paths import InputPath
from jobs.framework.training_options import TrainingOptions
from jobs.moderation.identity_options import IdentityOptions
from jobs.moderation.sources import Sources
from lib.contract import ContractError
from lib.moderation.model.model_config import ModelConfig, Split, read_size_option


@dataclass(frozen=True, kw_only=True)
class TrainConfig(TrainingOptions, Sources, IdentityOptions):
    """Train the moderation model, compare it with baselines and publish it.

    Give --rows (the output of jobs.moderation.preprocess), or --posts with --labels and, as far as
    there are any, --media, from which the rows are computed first. The same command continues where
    it was cut off, within a model from its last epoch. `--config FILE` reads any of these options
    from YAML.
    """

    rows: InputPath | None = None
    """folder or URI of rows, as written by jobs.moderation.preprocess with the same --size"""
    size: str = "small"
    """tiny, small, large, or a YAML file with the fields of a size"""
    partitions: int = 0
    """number of partitions by post; 0 chooses by size of the data and number of cores"""
    simulated: bool = False
    """say in the report that the posts are simulated"""
    test_share: float = 0.25
    """share of the labelled posts, the newest, from which the test is drawn"""
    test_authors: float = 0.25
    """share of the authors whose older posts are not used for training, so that their newer posts
    can be used for the test"""
    num_workers: int = 1
    """number of worker processes that train in parallel; more than the cluster can ever run are
    refused"""
    max_failures: int = 3
    """number of lost workers that are replaced before training fails"""
    bootstrap: int = 300
    """number of bootstrap samples of authors for the confidence intervals"""
    split: Split = "author-time"
    """choice of the test posts: author-time, the newest posts of authors outside the training;
    author, all posts of such authors; time, the newest posts of all authors; random, for data
    without authors and times"""
    attributes_of: InputPath | None = None
    """folder or URI of a model whose attributes of posts are read instead of all that the mapping
    declares; a retraining takes those of the champion"""

    def check(self) -> None:
        """See `JobOptions`."""
        self.check_training()
        if (self.rows is None) == (self.posts is None):
            raise ContractError("expected either --rows or --posts (with --labels and --media)")
        if self.rows is None and self.labels is None:
            raise ContractError("--labels is missing: without labels there is nothing to learn")
        if self.rows is None:
            self.check_tables()

    def check_training(self) -> None:
        """Refuse options of the training that cannot work."""
        _ = self.request
        self.read_size()
        self.check_identity()
        for name in ("test_share", "test_authors"):
            value = getattr(self, name)
            if not 0.0 < value < 1.0:
                raise ContractError(
                    f"--{name.replace('_', '-')}: expected between 0 and 1, got {value}"
                )

    def read_size(self) -> ModelConfig:
        """The size, without balanced contexts where they are not wanted.

        Raises:
            ContractError: there is no such size or file.
            ModelError: the file cannot be meant.
        """
        size = read_size_option(self.size)
        if self.identity_contexts:
            return size
        return replace(size, text=replace(size.text, balanced_contexts=0.0))
