"""The model of an experiment: for each intervention the effect by customer; its artifact."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.numpy import load, save

from lib.boosting.boosted_trees import BoostedTrees
from lib.boosting.node_check import BoosterError
from lib.contract import ContractError
from lib.registry import (
    ArtifactError,
    Manifest,
    TrainingRecord,
    read_artifact,
    verify_artifact,
    write_artifact,
)
from lib.static_table.attributes import AttributeSet
from lib.uplift.comparison import Floats
from lib.uplift.learners import BOOSTERS, UpliftModel

SYSTEM = "churn_uplift"
"""The name under which models of experiments are kept: no service takes them."""
MAPPING_FILE = "mapping.yaml"
_ABOUT, _NUMBERS = "model.json", "numbers.safetensors"


@dataclass(frozen=True)
class ExperimentModel:
    """Effects of the interventions of an experiment.

    Attributes:
        inputs: the attributes, frozen.
        arms: the model of each intervention, by name.
        suffices: by intervention, whether its outcomes tell customers apart.
        control: name of the arm that got nothing.
        is_unwanted: whether the outcome is to be prevented, as a notice.
        mapping_text: YAML that the table was read by.
        version: of the artifact that it was loaded from.
    """

    inputs: AttributeSet
    arms: Mapping[str, UpliftModel]
    suffices: Mapping[str, bool]
    control: str
    is_unwanted: bool
    mapping_text: str
    version: str | None = None

    def uplift(self, arm: str, matrix: Floats) -> Floats:
        """What an intervention gains (rows,), as a change of the chance of the outcome."""
        return self.arms[arm].uplift(matrix)

    def save(self, directory: Path | str, record: TrainingRecord) -> Manifest:
        """Write the artifact: safetensors, UBJ, JSON and YAML; see `write_artifact`."""
        about = {
            "attributes": self.inputs.to_json(),
            "arms": list(self.arms),
            "suffices": dict(self.suffices),
            "control": self.control,
            "is_unwanted": self.is_unwanted,
        }
        numbers = {
            f"{number}.{name}": values
            for number, model in enumerate(self.arms.values())
            for name, values in model.to_arrays().items()
        }
        files: dict[str, bytes | Path] = {
            _ABOUT: json.dumps(about, indent=1).encode(),
            _NUMBERS: save(numbers),
            MAPPING_FILE: self.mapping_text.encode(),
        }
        for number, model in enumerate(self.arms.values()):
            for name, trees in model.boosters.items():
                files[f"{name}-{number}.ubj"] = trees.to_bytes()[0]
        return write_artifact(
            directory,
            record,
            system=SYSTEM,
            feature_set_digest=self.inputs.digest,
            feature_names=self.inputs.names,
            files=files,
            thresholds={},
        )


def load_experiment_model(directory: Path | str) -> ExperimentModel:
    """A verified artifact as a model.

    Raises:
        ArtifactError: it is damaged, or of something else than an experiment.
    """
    actual = verify_artifact(directory).manifest.system
    if actual != SYSTEM:
        raise ArtifactError(
            f"{directory}: expected a model of {SYSTEM}, as jobs.churn.train_uplift writes it, got "
            f"one of {actual}"
        )
    try:
        return _read(Path(directory))
    except (KeyError, TypeError, ValueError, OSError, SafetensorError, BoosterError) as error:
        raise ArtifactError(f"{directory}: {type(error).__name__}: {error}") from error
    except ContractError as error:
        raise ArtifactError(f"{directory}: {error}") from error


def _read(directory: Path) -> ExperimentModel:
    about: dict[str, Any] = json.loads((directory / _ABOUT).read_bytes())
    inputs = AttributeSet.from_json(about["attributes"])
    artifact = read_artifact(directory, inputs)
    numbers = load(artifact.path(_NUMBERS).read_bytes())
    arms = {}
    for number, arm in enumerate(about["arms"]):
        boosters = {name: _trees(artifact.path(f"{name}-{number}.ubj"), name, inputs)
                    for name in BOOSTERS}  # fmt: skip
        start = f"{number}."
        own = {name.removeprefix(start): values for name, values in numbers.items()
               if name.startswith(start)}  # fmt: skip
        arms[arm] = UpliftModel.from_parts(boosters, own)
    return ExperimentModel(
        inputs=inputs,
        arms=arms,
        suffices={arm: bool(about["suffices"][arm]) for arm in arms},
        control=str(about["control"]),
        is_unwanted=bool(about["is_unwanted"]),
        mapping_text=artifact.path(MAPPING_FILE).read_text(),
        version=artifact.manifest.version,
    )


def _trees(path: Path, name: str, inputs: AttributeSet) -> BoostedTrees:
    width = len(inputs.names) + (name == "both")
    return BoostedTrees.from_bytes([path.read_bytes()], width)
