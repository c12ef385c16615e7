"""A trained model as a directory: a manifest and weights that execute nothing when loaded."""

import hashlib
import shutil
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from pydantic import JsonValue

from lib.durable import sync
from lib.registry.errors import ArtifactError
from lib.registry.manifest import FileEntry, Manifest, new_manifest, parse_manifest
from lib.registry.names import MANIFEST, file_name_fault

Value = TypeVar("Value")


class Features(Protocol):
    """What an artifact asks of a feature set: its names in order and its digest."""

    @property
    def names(self) -> tuple[str, ...]:
        """Feature names in the order of the model's inputs."""

    @property
    def digest(self) -> str:
        """SHA-256 of the declarations, in hex."""


@dataclass(frozen=True)
class Artifact:
    """A verified directory: every file is the one the manifest lists."""

    directory: Path
    manifest: Manifest

    def path(self, name: str) -> Path:
        """Where the weight file `name` lies.

        Raises:
            ArtifactError: the manifest lists no such file.
        """
        if name not in self.manifest.files:
            file_names = ", ".join(sorted(self.manifest.files))
            raise ArtifactError(
                f"{self.directory}: no file {name!r}; the manifest lists {file_names}"
            )
        return self.directory / name


def verified_file(manifest: Manifest, name: str, content: bytes | None, origin: str) -> bytes:
    """The content of a file, once it is the one that a manifest lists.

    Raises:
        ArtifactError: it is absent or another one.
    """
    listed = manifest.files.get(name)
    digest = None if content is None else hashlib.sha256(content).hexdigest()
    if content is None or listed is None or digest != listed.sha256:
        raise ArtifactError(
            f"{origin}: expected the {name} that {MANIFEST} lists; publish it again"
        )
    return content


@dataclass(frozen=True)
class TrainingRecord:
    """What a manifest says about how a model came to be.

    Args:
        created_at: microseconds since 1970 UTC; the version is named after it.
        data_fingerprint: what identifies the training data.
        code_version: what identifies the code.
        parameters: what is needed to train it again, as JSON.
        metrics: finite numbers measured on held-out data.
        files: plain file name -> contents, kept beside the weights: what monitoring compares with.
    """

    created_at: int
    data_fingerprint: str
    code_version: str
    parameters: Mapping[str, JsonValue]
    metrics: Mapping[str, float]
    files: Mapping[str, bytes] = field(default_factory=dict)


def write_artifact(
    directory: Path | str,
    record: TrainingRecord,
    *,
    system: str,
    feature_set_digest: str,
    feature_names: Sequence[str],
    files: Mapping[str, bytes | Path],
    thresholds: Mapping[str, float],
) -> Manifest:
    """Write a model to a new directory, whole or not at all.

    Args:
        directory: where to; must not exist yet.
        record: how the model came to be.
        system: the risk system, e.g. `fraud`.
        feature_set_digest: SHA-256 of the feature declarations, in hex.
        feature_names: the model's inputs, in order.
        files: plain file name -> bytes, or a file to copy.
        thresholds: finite numbers the policy decides by.

    Raises:
        ArtifactError: the directory exists, a file name could execute code when loaded or
            leave the directory, or a field is malformed.
    """
    target = Path(directory)
    if target.exists():
        raise ArtifactError(f"{target} exists; versions are immutable, choose a new directory")
    files = {**record.files, **files}
    _refuse_unsafe_names(files)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.parent / f".{target.name}.{uuid.uuid4().hex}.tmp"
    draft.mkdir()
    try:
        manifest = new_manifest(
            system=system,
            created_at=record.created_at,
            feature_set_digest=feature_set_digest,
            feature_names=tuple(feature_names),
            data_fingerprint=record.data_fingerprint,
            code_version=record.code_version,
            parameters=dict(record.parameters),
            metrics={name: float(value) for name, value in record.metrics.items()},
            thresholds={name: float(value) for name, value in thresholds.items()},
            files={name: _write_file(draft / name, source) for name, source in files.items()},
        )
        _write_file(draft / MANIFEST, manifest.to_json())
        draft.rename(target)
        sync(target.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return manifest


def _refuse_unsafe_names(files: Iterable[str]) -> None:
    for name in files:
        if fault := file_name_fault(name):
            raise ArtifactError(f"file {name!r}: {fault}")


def read_artifact(directory: Path | str, expected_features: Features) -> Artifact:
    """Verify an artifact and that it was trained on exactly these features.

    Raises:
        ArtifactError: as `verify_artifact`, or the feature set is another one; the message
            lists the features that are missing, unexpected or in another place.
    """
    artifact = verify_artifact(directory)
    if fault := _feature_fault(artifact.manifest, expected_features):
        raise ArtifactError(f"{directory}: {fault}; retrain the model or serve the older code")
    return artifact


def verify_artifact(directory: Path | str) -> Artifact:
    """Verify the manifest and the size and SHA-256 of every file.

    Raises:
        ArtifactError: no manifest, a malformed one, or a file that is missing, truncated,
            changed or not listed; the message names it.
    """
    folder = Path(directory)
    path = folder / MANIFEST
    if not path.is_file():
        raise ArtifactError(
            f"{folder}: no {MANIFEST}; expected the directory of a trained model{_below(folder)}"
        )
    manifest = parse_manifest(path.read_bytes(), str(path))
    present = {entry.name for entry in folder.iterdir()} - {MANIFEST}
    if foreign := sorted(present - set(manifest.files)):
        raise ArtifactError(f"{folder}: not listed in the manifest: {', '.join(foreign)}")
    for name, entry in manifest.files.items():
        _verify_file(folder / name, entry)
    return Artifact(folder, manifest)


def find_parameter(
    directory: Path | str, name: str, parse: Callable[[str, str], Value], error: type[ValueError]
) -> Value | None:
    """What a text among the parameters of a verified artifact says; None where there is none.

    `parse` takes the text and its origin for messages, and raises `error`.

    Raises:
        ArtifactError: as `verify_artifact`, or the text cannot be meant.
    """
    text = verify_artifact(directory).manifest.parameters.get(name)
    if not isinstance(text, str):
        return None
    try:
        return parse(text, f"{directory}: {name}")
    except error as fault:
        raise ArtifactError(str(fault)) from fault


def read_parameter(
    directory: Path | str,
    name: str,
    parse: Callable[[str, str], Value],
    error: type[ValueError],
    what: str,
) -> Value:
    """As `find_parameter`, and an artifact without it is refused; `what` it is, for the message."""
    value = find_parameter(directory, name, parse, error)
    if value is None:
        raise ArtifactError(f"{directory}: its manifest has no {what}")
    return value


def _below(folder: Path) -> str:
    """Where below a folder the newest model lies, as in the output of a training or a registry."""
    for pattern in (f"*/{MANIFEST}", f"*/*/{MANIFEST}", f"*/*/*/{MANIFEST}"):
        if manifests := sorted(folder.glob(pattern)):
            return f", such as {manifests[-1].parent}"
    return ""


def _write_file(path: Path, source: bytes | Path) -> FileEntry:
    if isinstance(source, Path):
        shutil.copyfile(source, path)
    else:
        path.write_bytes(source)
    sync(path)
    return FileEntry(sha256=_sha256(path), bytes=path.stat().st_size)


def _verify_file(path: Path, entry: FileEntry) -> None:
    if path.is_symlink() or not path.is_file():
        raise ArtifactError(f"{path}: expected a file of {entry.bytes} bytes, found none")
    if (size := path.stat().st_size) != entry.bytes:
        raise ArtifactError(f"{path}: expected {entry.bytes} bytes, found {size}; fetch it again")
    if (digest := _sha256(path)) != entry.sha256:
        raise ArtifactError(
            f"{path}: expected SHA-256 {entry.sha256}, found {digest}; fetch it again"
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _feature_fault(manifest: Manifest, expected: Features) -> str | None:
    trained, served = manifest.feature_names, tuple(expected.names)
    missing = [name for name in served if name not in trained]
    unexpected = [name for name in trained if name not in served]
    faults = []
    if missing:
        faults.append(f"missing in the model: {', '.join(missing)}")
    if unexpected:
        faults.append(f"unknown to the server: {', '.join(unexpected)}")
    if not faults and trained != served:
        moved = [
            ours for ours, trained_name in zip(served, trained, strict=True) if ours != trained_name
        ]
        faults.append(f"in another order: {', '.join(moved)}")
    if not faults and manifest.feature_set_digest != expected.digest:
        faults.append("the names agree but their declarations (window, unit, aggregate) differ")
    if not faults:
        return None
    digests = f"digest {manifest.feature_set_digest[:12]}, expected {expected.digest[:12]}"
    return f"trained on another feature set ({digests}): {'; '.join(faults)}"
