"""Experiments as evidence of a promotion: their last verdict, and the note that it was followed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from lib.records.errors import RecordsError
from lib.records.json_codec import write_json
from lib.records.models import Json
from lib.records.repository import Repository
from lib.records.schema import EXPERIMENT_CHANGES, EXPERIMENTS
from lib.registry import (
    Conclusion,
    Evidence,
    Registry,
    RegistryError,
    conclusion_in,
    make_evidence,
    statement_in,
)
from lib.registry.aliases import AliasMove


class EvidenceError(RecordsError):
    """An experiment that cannot be evidence."""


@dataclass(frozen=True)
class JudgedExperiment:
    """An experiment that was judged.

    Attributes:
        id: of the experiment.
        evidence: its name and last verdict.
        conclusion: whom the verdict speaks for.
    """

    id: str
    evidence: Evidence
    conclusion: Conclusion


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """A version that becomes champion or challenger.

    Attributes:
        system: the risk system.
        alias: `champion` or `challenger`.
        version: that gets it.
        move: who decides it, when and why; a champion without evidence, or against it, needs a
            reason.
        evidence: what it rests on.
        conclusion: whom the evidence speaks for.
    """

    system: str
    alias: str
    version: str
    move: AliasMove
    evidence: Evidence | None = None
    conclusion: Conclusion | None = None

    def require(self) -> None:
        """Refuse what rests on nothing, or on what speaks for another version or for none.

        Raises:
            RegistryError: says what is missing.
        """
        reason = self.move.get("reason")
        if self.conclusion is not None:
            reasoned = self.alias == "challenger" or reason is not None
            self.conclusion.require(self.version, against=reasoned)
        elif self.alias == "champion" and reason is None:
            raise RegistryError(
                "--evidence is missing: name the report or the experiment that speaks for the new "
                "champion, or give --reason, why it is promoted without"
            )


def move_alias(registry: Registry, promotion: Promotion) -> bool:
    """Let an alias name a version; says whether it named another one before.

    Raises:
        AliasMovedError: the alias names another version than it was believed to.
        RegistryError: the version is unknown, or see `Promotion.require`.
    """
    promotion.require()
    if registry.aliases(promotion.system).get(promotion.alias) == promotion.version:
        return False
    registry.set_alias(
        promotion.system,
        promotion.alias,
        promotion.version,
        evidence=promotion.evidence,
        **promotion.move,
    )
    return True


class PromotionRepository(Repository):
    """Verdicts of experiments, and promotions noted in their audit."""

    def judged(self, system: str, experiment: str) -> JudgedExperiment:
        """The last verdict of an experiment.

        Args:
            system: the risk system that it compared models of.
            experiment: its id, or the name in its declaration; of two of one name the later counts.

        Raises:
            EvidenceError: the system has no such experiment, or nobody has judged it.
        """
        with self._database.reading() as connection:
            experiment_id, challenger = _find(connection, system, experiment)
            verdict = _newest(connection, experiment_id, "judged")
        if verdict is None:
            raise EvidenceError(
                f"--evidence: experiment {experiment} has no verdict yet; run "
                "jobs.experiments.judge first"
            )
        content = write_json({"declaration": {"challenger": challenger}, **verdict})
        return JudgedExperiment(
            experiment_id,
            make_evidence(kind="experiment", name=experiment, statement=statement_in(content)),
            conclusion_in(content),
        )

    def note_promotion(
        self, experiment_id: str, alias: str, version: str, *, at: int, by: str
    ) -> None:
        """Add to the audit of an experiment that an alias was moved because of it, once.

        Args:
            experiment_id: of the experiment.
            alias: `champion` or `challenger`.
            version: that it names from then on.
            at: microseconds since 1970 UTC.
            by: who did it.
        """
        detail: Json = {"alias": alias, "version": version}
        row = {
            "experiment_id": experiment_id, "action": "promoted", "by": by, "at": at,
            "detail": detail,
        }  # fmt: skip
        with self._database.writing() as connection:
            if _newest(connection, experiment_id, "promoted") != detail:
                connection.execute(insert(EXPERIMENT_CHANGES).values(**row))


def _find(connection: Connection, system: str, experiment: str) -> tuple[str, str]:
    """Id of an experiment, and the version of its challenger."""
    table = EXPERIMENTS.c
    query = select(table.id, table.declaration).where(table.system == system)
    names: list[str] = []
    for row in connection.execute(query.order_by(table.started_at.desc(), table.id)):
        name = row.declaration.get("name")
        if experiment in (row.id, name):
            return str(row.id), str(row.declaration.get("challenger", ""))
        names.append(str(name or row.id))
    raise EvidenceError(
        f"--evidence: expected a file, or one of the experiments of {system}: "
        f"{', '.join(names) or '(there are none)'}; got {experiment!r}"
    )


def _newest(connection: Connection, experiment_id: str, action: str) -> Mapping[str, Json] | None:
    """The detail of the last change of a kind; None where there was none."""
    table = EXPERIMENT_CHANGES.c
    query = select(table.detail).where(table.experiment_id == experiment_id, table.action == action)
    detail: Mapping[str, Json] | None = (
        connection.execute(query.order_by(table.id.desc()).limit(1)).scalars().first()
    )
    return detail
