"""The model of a table: boosted trees, calibrated, with what each attribute adds."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lib.boosting.boosted_trees import BoostedTrees
from lib.boosting.node_check import BoosterError
from lib.calibration import Calibrator
from lib.contract import ContractError
from lib.registry import (
    ArtifactError,
    Manifest,
    TrainingRecord,
    read_artifact,
    verify_artifact,
    write_artifact,
)
from lib.static_table.attributes import Attribute, AttributeSet

Floats = npt.NDArray[np.float64]
SYSTEMS = ("churn", "maintenance")
MAPPING_FILE = "mapping.yaml"
_ABOUT = "model.json"


def artifact_system(system: str) -> str:
    """The name under which models of tables are kept: no service of the system takes it.

    >>> artifact_system("churn")
    'churn_static'
    """
    return f"{system}_static"


@dataclass(frozen=True)
class Reason:
    """What raises (effect above 0) or lowers a probability.

    Attributes:
        attribute: which.
        effect: added to the log-odds of the trees.
        value: of this row, as text.
        words: a sentence.
    """

    attribute: str
    effect: float
    value: str
    words: str


@dataclass(frozen=True)
class TableModel:
    """A fitted model of a table.

    Attributes:
        system: whose rows they are: of customers or machines.
        inputs: the attributes, frozen.
        trees: log-odds of the label.
        calibrator: from these to log-odds that mean what they say.
        missing: share of missing values of each attribute in the rows that it learnt from.
        mapping_text: YAML that the table was read by.
        settings: name of those that the trees were grown with.
        version: of the artifact that it was loaded from.
    """

    system: str
    inputs: AttributeSet
    trees: BoostedTrees
    calibrator: Calibrator
    missing: tuple[float, ...]
    mapping_text: str
    settings: str
    version: str | None = None

    def probabilities(self, matrix: Floats) -> Floats:
        """Calibrated probabilities (rows,) of the label, of encoded attributes."""
        return self.calibrator.probabilities(self.trees.log_odds(matrix))

    def reasons(self, table: pa.Table, matrix: Floats, most: int = 3) -> list[list[Reason]]:
        """The strongest contributions to each row, the strongest first.

        Args:
            table: rows that passed their contract.
            matrix: the same, encoded.
            most: reasons of a row.
        """
        contributions, _ = self.trees.contributions(matrix)
        order = np.argsort(-np.abs(contributions), axis=1, kind="stable")[:, :most]
        columns = [table[name].to_pylist() for name in self.inputs.names]
        return [
            [
                _reason(self.inputs.attributes[k], columns[k][row], float(contributions[row, k]))
                for k in strongest
                if contributions[row, k] != 0.0
            ]
            for row, strongest in enumerate(order.tolist())
        ]

    def save(self, directory: Path | str, record: TrainingRecord) -> Manifest:
        """Write the artifact: UBJ, JSON and YAML; see `write_artifact`."""
        about = {
            "system": self.system,
            "attributes": self.inputs.to_json(),
            "missing": list(self.missing),
            "calibrator": self.calibrator.to_json(),
            "settings": self.settings,
            "boosters": len(self.trees.boosters),
        }
        files: dict[str, bytes | Path] = {
            _ABOUT: json.dumps(about, indent=1).encode(),
            MAPPING_FILE: self.mapping_text.encode(),
        }
        files |= {f"trees-{k}.ubj": booster for k, booster in enumerate(self.trees.to_bytes())}
        return write_artifact(
            directory,
            record,
            system=artifact_system(self.system),
            feature_set_digest=self.inputs.digest,
            feature_names=self.inputs.names,
            files=files,
            thresholds={},
        )


def _reason(attribute: Attribute, value: object, effect: float) -> Reason:
    text = attribute.text(value)
    usual = attribute.usual
    beside = "" if usual is None else f", usually {attribute.text(usual)}"
    more = "raises" if effect > 0 else "lowers"
    words = f"{attribute.words}: {text}{beside}; {more} the risk"
    return Reason(attribute.name, effect, text, words)


def load_table_model(directory: Path | str, system: str) -> TableModel:
    """A verified artifact as a model.

    Args:
        directory: of the artifact.
        system: that it must be of.

    Raises:
        ArtifactError: it is damaged, or of another system; the message says what to use.
    """
    actual = verify_artifact(directory).manifest.system
    expected = artifact_system(system)
    if actual != expected:
        others = {artifact_system(name): name for name in SYSTEMS}
        hint = (
            f"score it with --system {others[actual]}"
            if actual in others
            else f"a model of {actual} that is no table's is scored by jobs.{actual}.score"
        )
        raise ArtifactError(f"{directory}: expected a model of {expected}, got {actual}; {hint}")
    return _read(directory, system)


def _read(directory: Path | str, system: str) -> TableModel:
    try:
        about = json.loads((Path(directory) / _ABOUT).read_bytes())
        inputs = AttributeSet.from_json(about["attributes"])
        artifact = read_artifact(directory, inputs)
        boosters = [
            artifact.path(f"trees-{k}.ubj").read_bytes() for k in range(int(about["boosters"]))
        ]
        return TableModel(
            system=system,
            inputs=inputs,
            trees=BoostedTrees.from_bytes(boosters, len(inputs.names)),
            calibrator=Calibrator.from_json(about["calibrator"]),
            missing=tuple(float(share) for share in about["missing"]),
            settings=str(about["settings"]),
            mapping_text=artifact.path(MAPPING_FILE).read_text(),
            version=artifact.manifest.version,
        )
    except (KeyError, TypeError, OSError, BoosterError, ContractError) as error:
        raise ArtifactError(f"{directory}: {type(error).__name__}: {error}") from error


def missing_shares(matrix: Floats) -> tuple[float, ...]:
    """Share of missing values of each column."""
    shares: Sequence[float] = np.isnan(matrix).mean(axis=0).tolist()
    return tuple(shares)
