"""The active policies, word lists and hashes; an invalid text leaves the old ones active."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lib.moderation.media.hashes import HashList, load_hashes
from lib.moderation.policies import POLICIES_FILE, load_policies
from lib.moderation.policy_bundle import PolicyBundle
from lib.moderation.text_matching.lists import LISTS_FILE, load_lists
from serve.framework.reloadable import Reloadable, read_source
from serve.moderation.settings import ModerationUserConfig

_DIGITS = 12


class ActivePolicies(Reloadable[PolicyBundle]):
    """The active policies; swapped as one, so that lists never name a policy that is gone."""

    def __init__(self) -> None:
        super().__init__(_read(ModerationUserConfig()))

    def load(self, live: ModerationUserConfig) -> bool:
        """Reads, checks and swaps. Never raises; `error` says why nothing was swapped."""
        return self._replace(lambda: _read(live))

    def status(self) -> Mapping[str, Any]:
        """Versions, sizes, and why the last ones were refused."""
        return {
            "policies": self.current.version,
            "lists": self.current.lists.digest[:_DIGITS],
            "hashes": len(self.current.hashes.entries),
            "error": self.error,
        }


def _read(live: ModerationUserConfig) -> PolicyBundle:
    policies = load_policies(*read_source(live.policies, POLICIES_FILE))
    text, source = read_source(live.lists, LISTS_FILE)
    lists = load_lists(text, policies.ids, source)
    hashes = HashList(())
    if live.hashes is not None:
        hashes = load_hashes(Path(live.hashes).read_text(encoding="utf-8"), live.hashes)
    for entry in hashes.entries:
        if entry.policy not in policies.ids:
            raise ValueError(
                f"{live.hashes}: {entry.hash}: policy: expected one of "
                f"{', '.join(policies.ids)}, got {entry.policy!r}"
            )
    return PolicyBundle(policies, lists, hashes)
