"""A retraining of any system: what is new, training, comparison, publication; each step recorded.

The same command continues one that was killed: labels are read as they were when it began, and the
system's training keeps its finished steps, so that the same version comes out.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jobs.framework.retrained_system import Champion, NewLabels, RetrainedSystem
from jobs.model_source import model_directory
from jobs.publishing import code_digest, publish, store_report
from lib.contract import ContractError
from lib.records.database import require_database
from lib.registry import Manifest, Registry, make_evidence, verify_artifact
from lib.retraining.comparison import Comparison, Verdict, judge
from lib.retraining.margin import parse_margin
from lib.retraining.report import build_report, comparison_facts
from lib.retraining.repository import Retraining, RetrainingRepository
from lib.storage import Storage, open_storage

FOLDER = "retraining"
"""Folder of OUTPUT with the report of a retraining."""
_ANY_TIME = {"progress", "on_incident", "pause_hours"}


def retrain(config: Any, system: RetrainedSystem[Any]) -> dict[str, Any]:
    """Retrain and compare; returns what the records keep of it, with `decision` in words.

    Args:
        config: options of the system's training with those of `RetrainingOptions`.
        system: which.

    Raises:
        ContractError: an option or the data cannot be meant, or there is no champion.
        ArtifactError: the champion is damaged or does not say what it saw.
        ComparisonError: there is nothing to compare on.
        RecordsError: the database cannot be read.
    """
    config.check()
    require_database(str(config.records))
    with (
        RetrainingRepository(str(config.records)) as repository,
        tempfile.TemporaryDirectory() as folder,
    ):
        repository.migrate()
        if config.on_incident and (reason := _no_cause(config, system.name, repository)):
            return _nothing_trained(reason)
        champion = find_champion(config.registry, system.name, Path(folder))
        begun = _begin(config, system, repository)
        if isinstance(begun, str):
            return _nothing_trained(begun)
        retraining, labels = begun
        steps = _Steps(config, system, repository, retraining, labels, champion)
        try:
            return steps.run()
        except Exception as error:
            # the type alone: a message may quote an id, which no erasure would find here
            repository.end(
                retraining.id, "failed", f"{type(error).__name__}; the job prints why", now_us(),
                champion_version=champion.manifest.version,
            )  # fmt: skip
            raise


def now_us() -> int:
    """Microseconds since 1970 UTC."""
    return time.time_ns() // 1000


def find_champion(registry: str, system: str, folder: Path) -> Champion:
    """The champion of a system, fetched to a folder of this machine.

    Raises:
        ContractError: there is none.
        ArtifactError: it is damaged, or does not say up to when it saw rows.
    """
    models = Registry(registry)
    if "champion" not in models.aliases(system):
        raise ContractError(
            f"--registry: {models.shown} has no champion of {system} to compare with; train a "
            f"first model by jobs.{system}.train --registry {models.shown} --alias champion"
        )
    directory = models.fetch(system, "champion", folder)
    champion = Champion(verify_artifact(directory).manifest, directory)
    _ = champion.seen_until  # refused before anything is trained
    return champion


def _no_cause(config: Any, system: str, repository: RetrainingRepository) -> str:
    """Why incidents call for no training now; "" where they do, or where it was cut off."""
    if repository.unfinished(system, options_digest(config)) is not None:
        return ""
    if not repository.open_incidents(system):
        return f"no incident of {system} is open"
    ended = [each.began_at for each in repository.list_of(system) if each.ended_at is not None]
    hours = (now_us() - max(ended, default=0)) / 3.6e9
    if hours < config.pause_hours:
        return (
            f"the last retraining began {hours:.1f} hours ago, expected --pause-hours "
            f"{config.pause_hours:g} or more"
        )
    return ""


def _nothing_trained(reason: str) -> dict[str, Any]:
    decision = f"nothing trained: {reason}"
    print(decision)
    return {"decision": decision, "won": False}


def _begin(
    config: Any, system: RetrainedSystem[Any], repository: RetrainingRepository
) -> tuple[Retraining, NewLabels] | str:
    """The retraining that begins or is continued, with its labels; or why there is none."""
    options = options_digest(config)
    present = repository.unfinished(system.name, options)
    began_at = now_us() if present is None else present.began_at
    labels = system.read_labels(config, repository.learnt_marks(system.name), began_at)
    if not labels.total:
        raise ContractError(
            f"there are no labels of {system.name}, neither in the records nor in the tables: "
            "nothing can be learnt"
        )
    if present is not None:
        done = ", ".join(present.steps) or "nothing yet"
        print(f"continuing retraining {present.id}, which was cut off (done: {done})", flush=True)
        return present, labels
    if labels.new < config.least:
        return f"{labels.new:,} new labels since the last time, expected --least {config.least:,}"
    retraining = Retraining(
        id=f"{system.name}-{began_at}-{options[:8]}",
        system=system.name,
        began_at=began_at,
        detail={"options": options},
    )
    repository.insert(retraining)
    return retraining, labels


def options_digest(config: Any) -> str:
    """SHA-256 of the options that a retraining depends on, in hex."""
    options = {k: v for k, v in asdict(config).items() if k not in _ANY_TIME}
    return hashlib.sha256(json.dumps(options, sort_keys=True, default=str).encode()).hexdigest()


@dataclass(frozen=True)
class _Steps:
    """The steps of one retraining; each may be repeated."""

    config: Any
    system: RetrainedSystem[Any]
    repository: RetrainingRepository
    retraining: Retraining
    labels: NewLabels
    champion: Champion

    def run(self) -> dict[str, Any]:
        """All steps; returns what the records keep, with `decision` in words."""
        labels = {"new": self.labels.new, "total": self.labels.total, "marks": self.labels.marks}
        self.repository.describe(self.retraining.id, labels=labels)
        self._note("labels", data=self.labels.digest)
        trained = self.system.train(self.config, self.labels, self.champion)
        with model_directory(self.system.name, trained.address, None, "") as directory:
            manifest = verify_artifact(directory).manifest
            self._note(
                "trained",
                version=manifest.version,
                model=manifest.digest,
                data=manifest.data_fingerprint,
                code=code_digest(),
            )
            comparison = self.system.compare(trained, directory, self.champion)
            verdict = judge(
                comparison,
                parse_margin(self.config.margin),
                self.config.measure_margin,
                self.config.least_entities,
            )
            self._note("compared", **comparison_facts(comparison))
            report = self._report(comparison, verdict)
            if verdict.won:
                self._publish(directory, manifest, verdict, report)
                self._note("published", version=manifest.version, alias=self.config.alias)
        return self._ended(manifest, verdict)

    @property
    def output(self) -> Storage:
        """Where the training writes."""
        return open_storage(self.config.output)

    def _note(self, name: str, **digests: Any) -> None:
        self.repository.add_step(self.retraining.id, name, now_us(), **digests)

    def _report(self, comparison: Comparison, verdict: Verdict) -> str:
        """Address of report.json of this retraining."""
        report = build_report(
            self.system.name, self.retraining.id, comparison, verdict, self.labels.new
        )
        folder = open_storage(self.output.address(FOLDER))
        return next(path for path in store_report(report, folder) if path.endswith(".json"))

    def _publish(self, directory: Path, manifest: Manifest, verdict: Verdict, report: str) -> None:
        """To the registry, unless another model became champion meanwhile."""
        name, registry = self.system.name, str(self.config.registry)
        present = Registry(registry).aliases(name).get("champion")
        compared = self.champion.manifest.version
        if present not in (compared, manifest.version):
            raise ContractError(
                f"{name}: {present} became champion while {compared} was compared with; run the "
                "same command again"
            )
        content = self.output.read(f"{FOLDER}/report.json") or b""
        evidence = make_evidence(
            kind="report",
            name=report,
            statement=verdict.reason[:2_000],
            sha256=hashlib.sha256(content).hexdigest(),
        )
        by = f"jobs.{name}.retrain {self.retraining.id}"
        publish(registry, name, directory, self.config.alias, by, evidence)

    def _ended(self, manifest: Manifest, verdict: Verdict) -> dict[str, Any]:
        ended = self.repository.end(
            self.retraining.id,
            "published" if verdict.won else "not published",
            verdict.reason,
            now_us(),
            manifest.version,
            self.champion.manifest.version,
        )
        self.output.delete("stages")  # steps of a training that is finished
        published = f"{self.config.registry} ({manifest.version}, {self.config.alias})"
        print(
            "\n".join(
                [
                    f"labels:      {self.labels.new:,} new of {self.labels.total:,}",
                    f"decision:    {verdict.reason}",
                    f"model:       {self.output.shown('model')} ({manifest.version})",
                    f"registry:    {published if verdict.won else 'not published'}",
                    f"report:      {self.output.shown(f'{FOLDER}/report.html')}",
                    f"retraining:  {ended.id}",
                ]
            )
        )
        return {**asdict(ended), "decision": verdict.reason, "won": verdict.won}
