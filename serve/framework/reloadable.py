"""What is declared as text and replaced while requests run: the active version, as of the rules."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from lib.rules import RuleSet, RuleVersion
from lib.rules.language import RuleLanguage, revision_of
from serve.framework.health import Health

Version = TypeVar("Version")


class Reloadable(Generic[Version]):
    """Keeps the active version; one that cannot be read leaves it as it is.

    Args:
        current: the version to start with.

    Attributes:
        current: the active version.
        error: why the last version was refused; None where it is active.
    """

    def __init__(self, current: Version) -> None:
        self.current = current
        self.error: str | None = None

    def status(self) -> Mapping[str, Any]:
        """What is active, and `error`."""
        raise NotImplementedError

    async def check(self) -> Health:
        """Whether the last version that was asked for is active."""
        return Health(self.error is None, self.status())

    def _replace(self, read: Callable[[], Version]) -> bool:
        """Reads, checks and swaps; whatever is wrong with a text must not take the replica down."""
        try:
            self.current = read()
        except Exception as error:
            self.error = str(error) or type(error).__name__
            return False
        self.error = None
        return True


def read_source(source: str | None, packaged: Path) -> tuple[str, str]:
    """A text and where it is from.

    Args:
        source: path of a file, or the YAML itself (it has more than one line); None: `packaged`.
        packaged: file of the version that comes with the product.
    """
    if source is not None and "\n" in source:
        return source, "user_config"
    path = packaged if source is None else Path(source)
    return path.read_text(encoding="utf-8"), str(path)


@dataclass(frozen=True, slots=True)
class RuleText:
    """Rules as they were written.

    Attributes:
        text: YAML.
        origin: path of a file, `user_config`, or a version of the records.
        revision: version and digest, as decisions name it.
    """

    text: str
    origin: str
    revision: str


class ActiveRules(Reloadable[RuleVersion]):
    """The active rules; a bad text leaves them as they are.

    Args:
        fields: what rules may read, with their types.
        packaged: file of the rules that are in force at first; none are where it does not fit
            the fields, and `error` says so.
        actions: what rules may decide, from the mildest to the hardest.
        without_store: fields that are known while the store is out.
        exploration_key: secret of the exploration sample; empty if no rules have one.

    Attributes:
        language: what rules are checked against.
        file: the last rules of a file that could be loaded, active or not.
        written: the active rules as they were written.
    """

    def __init__(
        self,
        fields: Mapping[str, type],
        packaged: Path,
        actions: tuple[str, ...],
        without_store: Collection[str],
        exploration_key: bytes = b"",
    ) -> None:
        self.language = RuleLanguage(fields, actions, exploration_key)
        self._packaged, self._known = packaged, set(without_store)
        empty = RuleSet(0, (), actions)
        super().__init__(RuleVersion(empty, empty, "none"))
        self.file = self.written = RuleText("", "none", "0-none")
        self.load(None)

    def load(self, source: str | None) -> bool:
        """Reads, checks and swaps. Never raises.

        Args:
            source: see `read_source`.

        Returns:
            Whether these rules are active now; `error` says why not.
        """
        return self._replace(lambda: self._activate(self._read_file(source)))

    def load_text(self, text: str, origin: str) -> bool:
        """As `load`, of a text that stands in no file.

        Args:
            text: YAML.
            origin: its name for messages and the status.
        """
        return self._replace(lambda: self._activate(self._read(text, origin)))

    def check_file(self, source: str | None) -> bool:
        """As `load`, but the active rules stay: the file waits until no version is stored."""

        def checked() -> RuleVersion:
            self._read_file(source)
            return self.current

        return self._replace(checked)

    def status(self) -> Mapping[str, Any]:
        """Version and origin of the active rules, and why the last ones were refused."""
        return {
            "version": self.current.version, "origin": self.written.origin, "error": self.error
        }  # fmt: skip

    def _activate(self, read: tuple[RuleText, RuleVersion]) -> RuleVersion:
        self.written, version = read
        return version

    def _read_file(self, source: str | None) -> tuple[RuleText, RuleVersion]:
        read = self._read(*read_source(source, self._packaged))
        self.file = read[0]
        return read

    def _read(self, text: str, origin: str) -> tuple[RuleText, RuleVersion]:
        rules = self.language.load(text, origin)
        revision = revision_of(rules)
        version = RuleVersion(rules, rules.restrict(self._known), revision)
        return RuleText(text, origin, revision), version
