"""Policies, word lists and hashes of known media in one version."""

from dataclasses import dataclass

from lib.moderation.media.hashes import HashList
from lib.moderation.policies import Policies
from lib.moderation.text_matching.lists import Lists


@dataclass(frozen=True)
class PolicyBundle:
    """What posts are held against, together.

    Attributes:
        policies: in the order of probabilities.
        lists: words, whose hits name only these policies.
        hashes: known media, likewise.
    """

    policies: Policies
    lists: Lists
    hashes: HashList

    @property
    def version(self) -> str:
        """Of the policies; see `Policies.label`."""
        return self.policies.label
