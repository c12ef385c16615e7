"""Let an alias name a version: `python -m jobs.registry.promote --registry URI ...`."""

import time
from dataclasses import dataclass
from typing import Literal

from jobs.framework.command import run_job
from jobs.registry.alias_options import AliasOptions
from jobs.registry.evidence import read_experiment, read_report
from jobs.registry.list import changes, versions
from lib.contract import ContractError
from lib.registry import Evidence, Registry
from lib.retraining.promotion import JudgedExperiment, PromotionRepository


@dataclass(frozen=True, kw_only=True)
class Promote(AliasOptions):
    """Make a published version the champion or the challenger of its system.

    Services follow the alias within seconds. The change, who made it and its evidence are kept in
    the history of the aliases (`jobs.registry.list --history`), and of an experiment in its audit.
    """

    version: str
    """A published version, or `challenger` for the one that is challenger now."""
    alias: Literal["champion", "challenger"] = "challenger"
    """Alias that the version gets."""
    evidence: str | None = None
    """What the decision rests on: file or URI of a report (report.json of a retraining or of a
    verdict), or the name of an experiment that was judged (with --records)."""


def main(options: Promote, now: int) -> str:
    """Set the alias and answer the versions.

    Args:
        options: what to promote.
        now: microseconds since 1970 UTC.
    """
    registry = Registry(options.registry)
    version = registry.resolve(options.system, options.version)
    evidence, experiment = _evidence(options, version)
    registry.set_alias(
        options.system, options.alias, version, at=now, by=options.by, evidence=evidence
    )
    if experiment is not None:
        with PromotionRepository(str(options.records)) as repository:
            repository.note_promotion(experiment.id, options.alias, version, at=now, by=options.by)
    newest = changes(registry, (options.system,), newest=1) if evidence else ""
    return "\n\n".join(text for text in (versions(registry, (options.system,)), newest) if text)


def _evidence(options: Promote, version: str) -> tuple[Evidence | None, JudgedExperiment | None]:
    """What `--evidence` names, and the experiment where it is one of this version."""
    if options.evidence is None:
        return None, None
    report = read_report(options.evidence)
    if report is not None:
        return report, None
    experiment = read_experiment(options, options.evidence)
    if experiment.challenger not in ("", version):
        raise ContractError(
            f"--evidence: experiment {options.evidence} compared {experiment.challenger} with the "
            f"champion, not {version}; give --version {experiment.challenger}"
        )
    return experiment.evidence, experiment


if __name__ == "__main__":
    run_job(Promote, lambda options: print(main(options, time.time_ns() // 1000)))
