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
from lib.registry import Conclusion, Evidence, conclusion_in, make_evidence, statement_in


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
