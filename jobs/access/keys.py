"""API keys from the shell: `python -m jobs.access.keys create|list|revoke --file keys.json`."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

import tyro

from jobs.framework.command import run_job
from jobs.framework.paths import LocalInput, LocalOutput
from jobs.framework.progress import JobOptions
from lib.access import KeyRecord, add_key, new_key, read_keys, revoke_key

_DAY = 86_400_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Create(JobOptions):
    """Create a key and print its token, which is not stored: pass it on now."""

    scopes: tuple[str, ...]
    """Scopes of the key: admin, or <system>:<score|label|read|review>, such as fraud:score.
    `review` is for people who decide: claims, verdicts, plans, overrides."""
    file: LocalOutput
    """Key file; created with mode 600 if it does not exist."""
    days: int | None = None
    """Days until the key expires; default: it is valid until it is revoked."""
    note: str = ""
    """Owner and purpose of the key."""
    reviewers: str | None = None
    """Reviewer names that the key may use, separated by commas, such as ann,bob. Default: any name;
    second opinions and appeals then count all of them as one person."""

    def answer(self, now: int) -> str:
        """Add a key and answer its token; `now` in microseconds since 1970 UTC."""
        expires_at = None if self.days is None else now + self.days * _DAY
        names = None if self.reviewers is None else self.reviewers.split(",")
        reviewers = None if names is None else [name.strip() for name in names]
        token, record = new_key(self.scopes, now, expires_at, self.note, reviewers)
        add_key(self.file, record)
        return token


@dataclass(frozen=True)
class List(JobOptions):
    """List every key without its secret."""

    file: LocalInput
    """Key file."""

    def answer(self, now: int) -> str:
        """One line per key; `now` in microseconds since 1970 UTC."""
        lines = [f"{'id':12}  {'state':8}  {'created':10}  {'expires':10}  scopes  (note)"]
        for key in read_keys(self.file).keys:
            created, expires = _day(key.created_at), _day(key.expires_at)
            note = f"  ({key.note})" if key.note else ""
            scopes = " ".join(key.scopes) + _names(key)
            lines.append(f"{key.id}  {_state(key, now):8}  {created}  {expires:10}  {scopes}{note}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Revoke(JobOptions):
    """Revoke a key; running servers refuse it within about a second."""

    key_id: tyro.conf.Positional[str]
    """Id of the key: the part of the token after fw_."""
    file: LocalInput
    """Key file."""

    def answer(self, now: int) -> str:
        """Revoke the key; `now` in microseconds since 1970 UTC."""
        key = revoke_key(self.file, self.key_id, now)
        return f"{key.id} is revoked since {_day(key.revoked_at)}"


Command = (
    Annotated[Create, tyro.conf.subcommand("create")]
    | Annotated[List, tyro.conf.subcommand("list")]
    | Annotated[Revoke, tyro.conf.subcommand("revoke")]
)


def _names(key: KeyRecord) -> str:
    if key.reviewers is not None:
        return f"  as {','.join(key.reviewers)}"
    is_review = any(scope.endswith(":review") for scope in key.scopes)
    return "  as any reviewer" if is_review else ""


def _state(key: KeyRecord, now: int) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= now else "active"


def _day(microseconds: int | None) -> str:
    if microseconds is None:
        return "never"
    try:
        return (_EPOCH + timedelta(microseconds=microseconds)).strftime("%Y-%m-%d")
    except OverflowError:  # written by hand, or by a version that did not check
        return "not a date"


def main(command: Create | List | Revoke, now: int) -> str:
    """Run one command; `now` in microseconds since 1970 UTC.

    Raises:
        KeyFileError: the file or what is asked for; the message says what to do.
    """
    return command.answer(now)


if __name__ == "__main__":
    run_job(Command, lambda command: print(main(command, time.time_ns() // 1000)))
