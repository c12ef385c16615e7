"""What `--evidence` names: a report that a job wrote, or an experiment with its verdict."""

import hashlib

from jobs.registry.alias_options import AliasOptions
from lib.contract import ContractError
from lib.records.database import require_database
from lib.registry import Evidence, make_evidence, statement_in
from lib.retraining.promotion import JudgedExperiment, PromotionRepository
from lib.storage import open_storage, split_address


def read_report(address: str) -> Evidence | None:
    """The report of a file or URI, with its digest and conclusion; None where there is no file.

    An HTML report speaks through the JSON beside it, of the same name.
    """
    folder, name = split_address(open_storage(address).address())
    storage = open_storage(folder)
    content = storage.read(name)
    if content is None:
        return None
    facts = storage.read(f"{name.removesuffix('.html')}.json") if name.endswith(".html") else None
    return make_evidence(
        kind="report",
        name=open_storage(address).shown(),
        statement=statement_in(content if facts is None else facts),
        sha256=hashlib.sha256(content).hexdigest(),
    )


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
