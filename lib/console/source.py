"""Where the console reads one system: its records, its queue, and its registry of models."""

from __future__ import annotations

from dataclasses import dataclass, field

from lib.console.system_records import SystemRecords
from lib.fraud.amounts import AmountScale
from lib.moderation.media.media_store import MediaStore
from lib.registry import Manifest, Registry
from lib.review.queue import ReviewQueue
from lib.review.salt import read_salt
from lib.review.settings import ReviewSettings


@dataclass(frozen=True)
class SystemSource:
    """One system's records and models.

    Attributes:
        system: its name.
        records: its decisions, queue, experiments and incidents.
        registry: its models.
        queue: its reviews, with their rules.
        scale: of its amounts, where it has any.
        media: of its posts, where they can be shown.
    """

    system: str
    records: SystemRecords
    registry: Registry
    queue: ReviewQueue
    scale: AmountScale = field(default_factory=AmountScale)
    media: MediaStore | None = None
    _manifests: dict[str, Manifest] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def open(
        cls,
        system: str,
        records: str,
        registry: str,
        salt: str | None = None,
        scale: AmountScale | None = None,
        media: str | None = None,
    ) -> SystemSource:
        """Open a system.

        Args:
            system: its name.
            records: URL of its records.
            registry: directory or URI of its models.
            salt: address of the salt of its queue, as its own application names it.
            scale: of its amounts; None is that of a currency with two decimals.
            media: folder or URI of the media of its posts; None shows none.
        """
        store = SystemRecords(records, system)
        queue = ReviewQueue(store, ReviewSettings(salt=read_salt(salt)))
        kept = None if media is None else MediaStore(media)
        return cls(system, store, Registry(registry), queue, scale or AmountScale(), kept)

    def manifest(self, version: str) -> Manifest:
        """What a published version says of itself; read once, as a version never changes.

        Raises:
            RegistryError: there is no such version.
            ArtifactError: it is damaged.
        """
        if version not in self._manifests:
            self._manifests[version] = self.registry.manifest(self.system, version)
        return self._manifests[version]
