"""The verdict of an experiment, which `--evidence` names where there is no such file."""

from jobs.registry.alias_options import AliasOptions
from lib.contract import ContractError
from lib.records.database import require_database
from lib.retraining.promotion import JudgedExperiment, PromotionRepository


def read_experiment(options: AliasOptions, experiment: str) -> JudgedExperiment:
    """The verdict of an experiment in the records.

    Raises:
        ContractError: there is no such file, and no --records to look for an experiment in.
        EvidenceError: the records hold no such experiment, or it was not judged.
    """
    if options.records is None:
        raise ContractError(
            f"--evidence: there is no file {experiment}; if it is the name of an experiment, give "
            "--records, the database that holds it"
        )
    require_database(options.records)
    with PromotionRepository(options.records) as repository:
        return repository.judged(options.system, experiment)
