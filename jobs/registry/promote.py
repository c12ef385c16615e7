"""Let an alias name a version: `python -m jobs.registry.promote --registry URI ...`."""

import time
from dataclasses import dataclass
from typing import Literal

from jobs.framework.command import run_job
from jobs.publishing import read_report
from jobs.registry.alias_options import AliasOptions
from jobs.registry.evidence import read_experiment
from jobs.registry.list import outcome
from lib.registry import Conclusion, Evidence, Registry
from lib.retraining.promotion import Promotion, PromotionRepository, move_alias


@dataclass(frozen=True, kw_only=True)
class Promote(AliasOptions):
    """Make a published version the champion or the challenger of its system.

    Services follow the alias within seconds. The change, who made it and its evidence are kept in
    the history of the aliases (`jobs.registry.list --history`), and of an experiment in its audit.
    A champion needs evidence that speaks for it; without, or against it, --reason says why.
    """

    version: str
    """A published version, or `challenger` for the one that is challenger now."""
    alias: Literal["champion", "challenger"] = "challenger"
    """Alias that the version gets."""
    evidence: str | None = None
    """What the decision rests on: file or URI of a report (report.json of a retraining or of a
    verdict), or the name of an experiment that was judged (with --records)."""


def main(options: Promote, now: int) -> str:
    """Set the alias and answer the versions and the change.

    Args:
        options: what to promote.
        now: microseconds since 1970 UTC.

    Raises:
        RegistryError: the version is unknown, the evidence speaks for another one or for none, or
            neither evidence nor a reason is given for a champion.
    """
    registry = Registry(options.registry)
    version = registry.resolve(options.system, options.version)
    evidence, conclusion, experiment_id = _evidence(options)
    promotion = Promotion(
        system=options.system,
        alias=options.alias,
        version=version,
        move={"at": now, "by": options.by, "reason": options.reason},
        evidence=evidence,
        conclusion=conclusion,
    )
    changed = move_alias(registry, promotion)
    # also where an earlier run moved the alias and could not reach the records
    change = [c for c in registry.history(options.system) if c.alias == options.alias][-1]
    if experiment_id is not None and change.evidence == evidence:
        with PromotionRepository(str(options.records)) as repository:
            repository.note_promotion(experiment_id, options.alias, version, at=now, by=options.by)
    if not changed:
        return f"nothing changed: {options.alias} of {options.system} is {version} already"
    return outcome(registry, options.system)


def _evidence(options: Promote) -> tuple[Evidence | None, Conclusion | None, str | None]:
    """What `--evidence` names, whom it speaks for, and the id where it is an experiment."""
    if options.evidence is None:
        return None, None, None
    if (report := read_report(options.evidence)) is not None:
        return *report, None
    experiment = read_experiment(options, options.evidence)
    return experiment.evidence, experiment.conclusion, experiment.id


if __name__ == "__main__":
    run_job(Promote, lambda options: print(main(options, time.time_ns() // 1000)))
