"""A retraining of any system: what is new, training, comparison, publication; each step recorded.

The same command continues one that was killed: on the labels that it had read, with the finished
steps of the system's training, so that the same version comes out; what was compared is not
compared again. Of a system one is at work at a time.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from jobs.framework.label_tables import kept_labels
from jobs.framework.retrained_system import Champion, NewLabels, RetrainedSystem
from jobs.model_source import model_directory
from jobs.publishing import code_digest, publish, read_report, store_report
from lib.contract import ContractError
from lib.records.database import require_database
from lib.registry import ArtifactError, Manifest, Registry, verify_artifact
from lib.retraining.comparison import Comparison, Verdict, judge
from lib.retraining.margin import parse_margin
from lib.retraining.report import build_report, read_comparison
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
    with RetrainingRepository(str(config.records)) as repository:
        repository.migrate()
        with repository.working(system.name) as alone:
            if not alone:
                return _nothing_trained(f"another retraining of {system.name} is at work")
            return _retrain_alone(config, system, repository)


def _retrain_alone(
    config: Any, system: RetrainedSystem[Any], repository: RetrainingRepository
) -> dict[str, Any]:
    if config.on_incident and (reason := _no_cause(config, system.name, repository)):
        return _nothing_trained(reason)
    with tempfile.TemporaryDirectory() as folder:
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
    if present is not None:
        done = ", ".join(present.steps) or "nothing yet"
        print(f"continuing retraining {present.id}, which was cut off (done: {done})", flush=True)
        kept = None
        if not repository.erased_since(system.name, present.began_at):
            known, step = present.detail.get("labels", {}), present.step("labels")
            kept = kept_labels(config, known, step.get("data", ""))
        return present, kept or _read_labels(config, system, repository, present.began_at)
    began_at = now_us()
    labels = _read_labels(config, system, repository, began_at)
    if labels.new < config.least:
        return f"{labels.new:,} new labels since the last time, expected --least {config.least:,}"
    repository.end_cut_off(system.name, began_at)
    retraining = Retraining(
        id=f"{system.name}-{began_at}-{options[:8]}",
        system=system.name,
        began_at=began_at,
        detail={"options": options},
    )
    repository.insert(retraining)
    return retraining, labels


def _read_labels(
    config: Any, system: RetrainedSystem[Any], repository: RetrainingRepository, as_of: int
) -> NewLabels:
    """What was known at a time; rows that came late, with times of before, are new as well."""
    before = repository.learnt_labels(system.name)
    labels = system.read_labels(config, before.get("marks", {}), as_of)
    if not labels.total:
        raise ContractError(
            f"there are no labels of {system.name}, neither in the records nor in the tables: "
            "nothing can be learnt"
        )
    return replace(labels, new=max(labels.new, labels.total - before.get("total", 0)))


def options_digest(config: Any) -> str:
    """SHA-256 of the options that a retraining depends on, in hex."""
    options = {k: v for k, v in asdict(config).items() if k not in _ANY_TIME}
    return hashlib.sha256(json.dumps(options, sort_keys=True, default=str).encode()).hexdigest()


@dataclass(frozen=True)
class _Steps:
    """The steps of one retraining; those that are finished are not done again."""

    config: Any
    system: RetrainedSystem[Any]
    repository: RetrainingRepository
    retraining: Retraining
    labels: NewLabels
    champion: Champion

    def run(self) -> dict[str, Any]:
        """All steps; returns what the records keep, with `decision` in words."""
        comparison = self._kept_comparison() or self._compared()
        verdict = judge(
            comparison,
            parse_margin(self.config.margin),
            self.config.measure_margin,
            self.config.least_entities,
        )
        report = self._report(comparison, verdict)
        with self._model() as directory:
            manifest = verify_artifact(directory).manifest
            if verdict.won:
                self._publish(directory, manifest, report)
                self._note("published", version=manifest.version, alias=self.config.alias)
        return self._ended(manifest, verdict)

    def _model(self) -> AbstractContextManager[Path]:
        """The artifact that was trained."""
        return model_directory(self.system.name, self.output.address("model"), None, "")

    def _kept_comparison(self) -> Comparison | None:
        """The comparison that was made before a cut-off, of the same model, champion and code."""
        trained, compared = map(self.retraining.step, ("trained", "compared"))
        if not (compared and trained.get("code") == code_digest()):
            return None
        comparison = read_comparison(compared)
        if comparison.champion.version != self.champion.manifest.version:
            return None
        if self.labels.digest != self.retraining.step("labels").get("data"):
            return None
        try:
            with self._model() as directory:
                same = verify_artifact(directory).manifest.digest == trained["model"]
        except (ArtifactError, OSError):
            return None
        return comparison if same else None

    def _compared(self) -> Comparison:
        """Train and compare, each noted when it is finished."""
        labels = {name: getattr(self.labels, name) for name in ("new", "total", "marks")}
        tables = sorted(self.labels.tables)
        self.repository.describe(self.retraining.id, labels={**labels, "tables": tables})
        self._note("labels", data=self.labels.digest)
        trained = self.system.train(self.config, self.labels, self.champion)
        with self._model() as directory:
            manifest = verify_artifact(directory).manifest
            self._note(
                "trained",
                version=manifest.version,
                model=manifest.digest,
                data=manifest.data_fingerprint,
                code=code_digest(),
            )
            comparison = self.system.compare(trained, directory, self.champion)
        self._note("compared", **asdict(comparison))
        return comparison

    @property
    def output(self) -> Storage:
        """Where the training writes."""
        return open_storage(self.config.output)

    def _note(self, name: str, **digests: Any) -> None:
        """Note a step, unless it was noted before a cut-off and came to the same."""
        noted = self.retraining.step(name)
        if not noted or any(noted.get(key) != value for key, value in digests.items()):
            self.repository.add_step(self.retraining.id, name, now_us(), **digests)

    def _report(self, comparison: Comparison, verdict: Verdict) -> str:
        """Address of report.json in a folder of this retraining alone, which none writes again."""
        name, own = self.retraining.id, f"{FOLDER}/{self.retraining.id}"
        report = build_report(self.system.name, name, comparison, verdict, self.labels.new)
        for folder in (FOLDER, own):
            store_report(report, open_storage(self.output.address(folder)))
        return self.output.address(f"{own}/report.json")

    def _publish(self, directory: Path, manifest: Manifest, report: str) -> None:
        """To the registry, unless another model became champion meanwhile."""
        name, registry = self.system.name, str(self.config.registry)
        present = Registry(registry).aliases(name).get("champion")
        compared = self.champion.manifest.version
        if present not in (compared, manifest.version):
            raise ContractError(
                f"{name}: {present} became champion while {compared} was compared with; run the "
                "same command again"
            )
        by = f"jobs.{name}.retrain {self.retraining.id}"
        kept = read_report(report)
        if kept is None:
            raise ContractError("--output: the report was removed; run the same command again")
        publish(registry, name, directory, self.config.alias, by, kept[0])

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
        registry = Registry(str(self.config.registry)).shown
        published = f"{registry} ({manifest.version}, {self.config.alias})"
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
