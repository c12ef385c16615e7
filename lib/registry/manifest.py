"""What a trained model says about itself, checked field by field when it is read."""

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    JsonValue,
    PlainSerializer,
    ValidationError,
    model_validator,
)

from lib.registry.errors import ArtifactError
from lib.registry.names import (
    SYSTEM_PATTERN,
    VERSION_PATTERN,
    file_name_fault,
    from_iso,
    to_iso,
    version_name,
)

SEEN_UNTIL = "seen_until"
"""Parameter of a manifest: rows of that time or later were not seen; see `Manifest.seen_until`."""

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Moment = Annotated[
    int,
    BeforeValidator(lambda value: from_iso(value) if isinstance(value, str) else value),
    PlainSerializer(to_iso, return_type=str, when_used="json"),
]
"""Microseconds since 1970 UTC; ISO 8601 with a zone in the file."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class FileEntry(_Strict):
    """Size in bytes and SHA-256 of one weight file."""

    sha256: Digest
    bytes: Annotated[int, Field(ge=0)]


class Manifest(_Strict):
    """The contents of `manifest.json`.

    Attributes:
        schema_version: layout of the manifest itself.
        system: the risk system the model belongs to, e.g. `fraud`.
        version: time and content, e.g. `20261123T101500Z-0f3a9c21`.
        created_at: microseconds since 1970 UTC.
        feature_set_digest: SHA-256 of the feature declarations the model was trained on.
        feature_names: the model's inputs, in order.
        data_fingerprint: what identifies the training data.
        code_version: what identifies the code that trained it.
        parameters: anything JSON can hold that is needed to train it again.
        metrics: finite numbers measured on held-out data.
        thresholds: finite numbers the policy decides by.
        files: every weight file, by name.
    """

    schema_version: Literal[1] = 1
    system: Annotated[str, Field(pattern=f"^{SYSTEM_PATTERN.pattern}$")]
    version: Annotated[str, Field(pattern=f"^{VERSION_PATTERN.pattern}$")]
    created_at: Moment
    feature_set_digest: Digest
    feature_names: tuple[str, ...]
    data_fingerprint: str
    code_version: str
    parameters: dict[str, JsonValue]
    metrics: dict[str, FiniteFloat]
    thresholds: dict[str, FiniteFloat]
    files: dict[str, FileEntry]

    @model_validator(mode="after")
    def _refuse_unsafe_files_and_repeated_features(self) -> "Manifest":
        for name in self.files:
            if fault := file_name_fault(name):
                raise ValueError(f"files: {name!r}: {fault}")
        if len(set(self.feature_names)) != len(self.feature_names):
            raise ValueError("feature_names: expected every name once")
        return self

    @property
    def seen_until(self) -> int:
        """When what the model was fitted and calibrated on ends, microseconds since 1970 UTC.

        Rows of that time or later taught it nothing, so they can judge it.

        Raises:
            ArtifactError: the model was trained by a version of this code that did not say so.
        """
        value = self.parameters.get(SEEN_UNTIL)
        try:
            return from_iso(value)  # type: ignore[arg-type]
        except (TypeError, ValueError) as error:
            raise ArtifactError(
                f"{self.system} {self.version}: parameters.{SEEN_UNTIL}: expected the time up to "
                f"which the model saw rows (ISO 8601 with a zone), got {value!r}; train it again "
                "with this version of the code"
            ) from error

    @property
    def digest(self) -> str:
        """SHA-256 of the manifest without its version, over canonical JSON."""
        content = self.model_dump(mode="json", exclude={"version"})
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def to_json(self) -> bytes:
        """Write the manifest as indented JSON."""
        return json.dumps(self.model_dump(mode="json"), indent=2, allow_nan=False).encode() + b"\n"


def new_manifest(**fields: Any) -> Manifest:
    """Check `fields` and name the version after their content.

    Raises:
        ArtifactError: a field is missing, of the wrong type, or holds NaN or infinity.
    """
    try:
        draft = Manifest(version=version_name(0, "0" * 64), **fields)
        version = version_name(draft.created_at, draft.digest)
    except ValidationError as error:
        raise ArtifactError(f"manifest: {_faults(error)}") from error
    except ValueError as error:
        raise ArtifactError(f"manifest: parameters: expected finite numbers ({error})") from error
    return draft.model_copy(update={"version": version})


def parse_manifest(text: bytes, origin: str) -> Manifest:
    """Read a manifest and make sure that its version is that of its content.

    Args:
        text: the bytes of `manifest.json`.
        origin: where they came from, for the error.

    Raises:
        ArtifactError: a field is missing, unknown or malformed, or the manifest was edited.
    """
    try:
        manifest = Manifest.model_validate_json(text)
        expected = version_name(manifest.created_at, manifest.digest)
    except ValueError as error:
        detail = _faults(error) if isinstance(error, ValidationError) else str(error)
        raise ArtifactError(f"{origin}: {detail}; publish the model again") from error
    if manifest.version != expected:
        raise ArtifactError(
            f"{origin}: version: expected {expected} from the content, got {manifest.version}: "
            "the manifest was edited after it was written; publish the model again"
        )
    return manifest


def _faults(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(part) for part in fault['loc']) or 'manifest'}: {fault['msg']}, "
        f"got {str(fault['input'])[:80]!r}"
        for fault in error.errors(include_url=False)
    )
