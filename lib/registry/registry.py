"""The registry: immutable versions of every system's model, and aliases that move."""

import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Unpack

from pyarrow import fs

from lib.registry.aliases import AliasBook, AliasChange, AliasMove, parse_book
from lib.registry.artifact import verified_file, verify_artifact
from lib.registry.errors import ArtifactError, RegistryError
from lib.registry.evidence import Evidence
from lib.registry.manifest import Manifest, parse_manifest
from lib.registry.names import ALIASES, MANIFEST, SYSTEM_PATTERN, VERSION_PATTERN
from lib.storage import StorageError, open_storage, redact_uri

ANY_VERSION = "*"
"""Whatever version an alias names; no version is called so."""


class Registry:
    """Models by system and version under `<root>/<system>/versions/<version>/`.

    Args:
        uri: a local directory, or a URI that pyarrow or fsspec knows (file, s3, gs, ...).
        filesystem: an opened pyarrow file system; `uri` is then a path inside it.

    Raises:
        RegistryError: neither pyarrow nor fsspec knows the scheme.

    Example:
        >>> import tempfile
        >>> Registry(tempfile.mkdtemp()).versions("fraud")
        ()
    """

    def __init__(self, uri: str | Path, filesystem: fs.FileSystem | None = None) -> None:
        self.uri = str(uri)
        self.shown = redact_uri(self.uri)
        try:
            self._storage = open_storage(self.uri, filesystem, private=False)
        except StorageError as error:
            raise RegistryError(f"registry {error}") from error

    def publish(self, directory: Path | str, system: str) -> str:
        """Copy a verified artifact into the registry under its own version, and return that.

        Raises:
            ArtifactError: the artifact is damaged or malformed.
            RegistryError: it belongs to another system, or the version is published already.
        """
        artifact = verify_artifact(directory)
        if artifact.manifest.system != _require_system(system):
            raise RegistryError(
                f"{directory}: expected a model of {system}, got one of {artifact.manifest.system}"
            )
        version = artifact.manifest.version
        try:
            # it appears with its manifest, which is written last, or not at all
            self._storage.upload(Path(directory), f"{system}/versions/{version}", last=MANIFEST)
        except StorageError as error:
            raise RegistryError(
                f"{error}; versions are immutable and this one is published already"
            ) from error
        return version

    def versions(self, system: str) -> tuple[str, ...]:
        """Every published version of `system`, oldest first; half-published ones are left out."""
        folder = f"{_require_system(system)}/versions"
        return tuple(
            name
            for name in self._storage.folders(folder)
            if VERSION_PATTERN.fullmatch(name)
            and self._storage.read(f"{folder}/{name}/{MANIFEST}") is not None
        )

    def systems(self) -> tuple[str, ...]:
        """Every system that has a folder here."""
        return tuple(name for name in self._storage.folders("") if SYSTEM_PATTERN.fullmatch(name))

    def aliases(self, system: str) -> dict[str, str]:
        """Alias -> version, for the aliases that were ever set."""
        return self._book(system).current()

    def history(self, system: str) -> tuple[AliasChange, ...]:
        """Every change of an alias, oldest first."""
        return self._book(system).history

    def earlier(self, system: str, alias: str) -> str | None:
        """The version that a rollback of `alias` returns to; None where there is none."""
        return self._book(system).earlier(alias)

    def set_alias(
        self,
        system: str,
        alias: str,
        version: str,
        *,
        evidence: Evidence | None = None,
        **move: Unpack[AliasMove],
    ) -> None:
        """Let `champion` or `challenger` name a published version.

        Args:
            system: the risk system.
            alias: `champion` or `challenger`.
            version: a version, or an alias whose version is meant.
            evidence: what the decision rests on.
            move: see `AliasMove`.

        Raises:
            AliasMovedError: the alias names another version than `present`.
            RegistryError: the alias or the version is unknown, or nobody is named.
        """
        version = self.resolve(system, version)

        def change(book: AliasBook) -> AliasBook:
            return _required(book, alias, move).set(alias, version, move, evidence)

        self._change(system, change)

    def rollback(self, system: str, alias: str, **move: Unpack[AliasMove]) -> str:
        """Take back the last change of `alias`, and return the version it names now.

        Rolling back again goes one version further back, not to and fro. `reason` is kept in the
        history; with `present` the same rollback twice is one.

        Raises:
            AliasMovedError: the alias names another version than `present`.
            RegistryError: no version stood before, or it is no longer published.
        """

        def back(book: AliasBook) -> AliasBook:
            changed = _required(book, alias, move).rollback(alias, move)
            self.resolve(system, changed.current()[alias])
            return changed

        return self._change(system, back).current()[alias]

    def resolve(self, system: str, ref: str) -> str:
        """The version that an alias names, or the version itself.

        Raises:
            RegistryError: nothing is published under it; the message lists what is.
        """
        version = self.aliases(system).get(ref) if ref in ALIASES else ref
        if version is None:
            raise RegistryError(f"{system}: no {ref} yet; promote one of: {self._known(system)}")
        path = f"{system}/versions/{version}/{MANIFEST}"
        if not VERSION_PATTERN.fullmatch(version) or self._storage.read(path) is None:
            raise RegistryError(
                f"{system}: no version {version!r} in {self.shown}; expected "
                f"{' or '.join(ALIASES)}, or one of: {self._known(system)}"
            )
        return version

    def manifest(self, system: str, ref: str) -> Manifest:
        """The manifest of a version or an alias, without its weights."""
        version = self.resolve(system, ref)
        path = f"{system}/versions/{version}/{MANIFEST}"
        manifest = parse_manifest(self._storage.read(path) or b"", f"{self.shown}/{path}")
        if (manifest.system, manifest.version) != (system, version):
            raise ArtifactError(
                f"{self.shown}/{path}: expected {system} {version}, "
                f"got {manifest.system} {manifest.version}; publish the model again"
            )
        return manifest

    def read_file(self, system: str, ref: str, name: str) -> bytes | None:
        """One file of a version or an alias, verified; None where its manifest lists no such file.

        Raises:
            RegistryError: the version is unknown.
            ArtifactError: the file is not the one that the manifest lists.
        """
        manifest = self.manifest(system, ref)
        if name not in manifest.files:
            return None
        path = f"{system}/versions/{manifest.version}/{name}"
        return verified_file(manifest, name, self._storage.read(path), f"{self.shown}/{path}")

    def fetch(self, system: str, ref: str, into: Path | str) -> Path:
        """Bring a version to `<into>/<system>/<version>`, verified, and return that directory.

        A copy that is there and whole is used again; a damaged one is replaced. A broken
        download leaves nothing behind that a later fetch would take for a model.

        Raises:
            RegistryError: the version is unknown.
            ArtifactError: what the registry holds is damaged.
        """
        manifest = self.manifest(system, ref)
        target = Path(into) / system / manifest.version
        if _is_whole(target):
            return target
        draft = target.parent / f".{target.name}.{uuid.uuid4().hex}.tmp"
        draft.mkdir(parents=True)
        try:
            for name in (*manifest.files, MANIFEST):
                self._storage.download(f"{system}/versions/{manifest.version}/{name}", draft / name)
            verify_artifact(draft)
            _take_place(draft, target)
        except FileNotFoundError as error:
            raise ArtifactError(f"{self.shown}: {system} {manifest.version}: {error}") from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return target

    def _book(self, system: str) -> AliasBook:
        path = f"{_require_system(system)}/aliases.json"
        return parse_book(self._storage.read(path), f"{self.shown}/{path}")

    def _change(self, system: str, change: Callable[[AliasBook], AliasBook]) -> AliasBook:
        path = f"{_require_system(system)}/aliases.json"
        books: list[AliasBook] = []

        def rewrite(text: bytes | None) -> bytes:
            books.append(change(parse_book(text, f"{self.shown}/{path}")))
            return books[-1].to_json()

        self._storage.update(path, rewrite)
        return books[-1]

    def _known(self, system: str) -> str:
        return ", ".join(self.versions(system)) or "(nothing published)"


def _required(book: AliasBook, alias: str, move: AliasMove) -> AliasBook:
    present = move.get("present", ANY_VERSION)
    return book if present == ANY_VERSION else book.require(alias, present)


def _require_system(system: str) -> str:
    if not SYSTEM_PATTERN.fullmatch(system):
        raise RegistryError(f"system: expected a name such as fraud, got {system!r}")
    return system


def _is_whole(directory: Path) -> bool:
    try:
        verify_artifact(directory)
    except ArtifactError:
        return False
    return True


def _take_place(draft: Path, target: Path) -> None:
    damaged = draft.with_suffix(".damaged")
    if target.exists() and not _is_whole(target):
        target.rename(damaged)
    try:
        draft.rename(target)
    except OSError:
        # another process fetched the same version first
        if not _is_whole(target):
            raise
    shutil.rmtree(damaged, ignore_errors=True)
