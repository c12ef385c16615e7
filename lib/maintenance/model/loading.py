"""From a model's folder to the model and the kind of machine it was trained for."""

from __future__ import annotations

from pathlib import Path

from lib.maintenance.feature_set import AssetFeatureSet, FeatureError
from lib.maintenance.machine_kind import parse_kind
from lib.maintenance.model.model import SurvivalModel
from lib.registry import ArtifactError, read_artifact, verify_artifact


def load_model(directory: Path | str, features: AssetFeatureSet | None = None) -> SurvivalModel:
    """A verified artifact as a model.

    Args:
        directory: of the artifact.
        features: what it must have been trained on; None takes the kind that it carries.

    Raises:
        ArtifactError: it is damaged, or of another feature set; the message names the features.
        SurvivalError: its parts do not belong together.
    """
    if features is None:
        kind = verify_artifact(directory).manifest.parameters.get("kind")
        if not isinstance(kind, str):
            raise ArtifactError(f"{directory}: its manifest has no kind of machine")
        try:
            features = parse_kind(kind, f"{directory}: kind")
        except FeatureError as error:
            raise ArtifactError(str(error)) from error
    return SurvivalModel.load(read_artifact(directory, features), features)
