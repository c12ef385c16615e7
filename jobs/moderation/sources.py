"""Where the tables of posts, media and labels are, and how they are read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jobs import ingestion
from jobs.framework.attributes import attribute_fault, require_attributes
from jobs.framework.paths import InputPath
from jobs.framework.tables import TableSources, table_summaries
from lib.contract import Contract, ContractError, MatchCounts
from lib.contract.matches import table_match_warnings
from lib.declaration.yaml_document import decode_yaml
from lib.feature.attributes import Attribute, AttributeFaultError
from lib.moderation.contracts import CONTRACTS, MEDIA, POSTS
from lib.moderation.media.media_fetcher import AddressError, MediaFetcher
from lib.moderation.policies import POLICIES_FILE, Policies, load_policies
from lib.moderation.post_attributes import declared_attributes, renamed
from lib.storage import Storage, open_storage

_MATCHES = "matches"
TABLES = tuple(contract.name for contract in CONTRACTS)
# media are large: few rows at once, and tasks of a few seconds or minutes each
_MEDIA_ROWS, _MEDIA_AT_ONCE = 2048, 16

if TYPE_CHECKING:
    import ray.data


@dataclass(frozen=True, kw_only=True)
class Sources(TableSources):
    """Paths of the tables. Media and labels are optional."""

    contracts = CONTRACTS

    posts: InputPath | None = None
    """posts with author, time, text, language, reports, reach: Parquet or CSV file, folder or
    URI"""
    media: InputPath | None = None
    """images and videos of posts, as bytes or as URIs: Parquet or CSV file, folder or URI"""
    labels: InputPath | None = None
    """labels of people, whether a post violates a policy: Parquet or CSV file, folder or URI"""
    mapping_posts: InputPath | None = None
    """YAML mapping file of --posts; not needed if the columns have the names of the contract"""
    mapping_media: InputPath | None = None
    """YAML mapping file of --media; not needed if the columns have the names of the contract"""
    mapping_labels: InputPath | None = None
    """YAML mapping file of --labels; not needed if the columns have the names of the contract"""
    policies: InputPath | None = None
    """YAML file of the policies; default: the policies of the product"""
    allow: tuple[str, ...] = ()
    """prefixes, ending with /, of URIs that media may be fetched from: file:///, s3://, gs:// or
    https:// with a host; other URIs are quarantined"""

    def check(self) -> None:
        """See `JobOptions`."""
        self.check_tables()

    def check_tables(self) -> None:
        """Refuse policies, mappings and columns that cannot work; reads no rows."""
        if self.posts is None:
            raise ContractError("--posts is missing: say where the posts are")
        read_policies(self.policies)
        self.addresses()
        self.check_mappings()
        self.attributes()

    def attributes(self) -> tuple[Attribute, ...]:
        """Attributes that the mapping of posts declares, not frozen.

        Raises:
            ContractError: one cannot be meant, with its line.
        """
        try:
            return declared_attributes(self.mapping(POSTS).contract)
        except AttributeFaultError as error:
            raise attribute_fault(self.mapping_posts, error) from error

    def require_attributes(self, attributes: Sequence[Attribute]) -> None:
        """Refuse posts without an attribute that a model reads.

        Raises:
            ContractError: the message names it.
        """
        if attributes:
            require_attributes(attributes, self.mapping(POSTS).contract)

    def read_posts(self, quarantine: str) -> ray.data.Dataset:
        """Posts that pass their contract, attributes under the names of `column_names`."""
        attributes = self.attributes()

        def rename(posts: pa.Table) -> pa.Table:
            return renamed(posts, attributes)

        posts = self.read(POSTS, quarantine)
        if not attributes:
            return posts
        return posts.map_batches(rename, batch_format="pyarrow", batch_size=None)

    def read(self, contract: Contract, quarantine: str) -> ray.data.Dataset:
        """Rows of a table that pass its contract.

        Args:
            contract: of a table that is given.
            quarantine: folder or URI; rows that do not pass go to the folder of that table in it.

        Raises:
            ContractError: a column is missing or of the wrong type, or nothing is there to read.
        """
        small = {} if contract is not MEDIA else {
            "piece_rows": _MEDIA_ROWS, "batch_rows": _MEDIA_AT_ONCE
        }  # fmt: skip
        folder = f"{quarantine}/{contract.name}"
        return ingestion.read(self.mapping(contract), getattr(self, contract.name), folder, **small)

    def addresses(self) -> MediaFetcher:
        """The places of media.

        Raises:
            ContractError: a place cannot be meant.
        """
        try:
            return MediaFetcher(self.allow)
        except AddressError as error:
            raise ContractError(f"--allow: {error}") from error


def read_policies(path: str | None) -> Policies:
    """The policies of a file, or those that come with the product.

    Raises:
        ContractError: there is no such file.
        PolicyError: it cannot be meant.
    """
    if path is None:
        return load_policies(POLICIES_FILE.read_text(encoding="utf-8"), POLICIES_FILE.name)
    above, name = str(Path(path).parent) if "://" not in path else path.rpartition("/")[0], path
    content = open_storage(above).read(name.rpartition("/")[2])
    if content is None:
        raise ContractError(f"policies: there is no file {path}")
    return load_policies(decode_yaml(content, path), path)


def intakes(storage: Storage, quarantine: str) -> dict[str, dict[str, Any]]:
    """What became of the rows of each table that was read."""
    summaries = table_summaries(storage, quarantine, TABLES)
    for name, summary in summaries.items():
        counts = _matches(storage, f"{quarantine}/{_MATCHES}/{name}")
        if counts.rows:
            summary["matches"] = counts.to_json()
    return summaries


def write_matches(counts: MatchCounts, table: str, name: str, quarantine: str) -> None:
    """Write how many rows about a group of posts are of posts that are there.

    Args:
        counts: of the group.
        table: of the rows, `media` or `labels`.
        name: of the group, the same in a second run of the task.
        quarantine: folder or URI.
    """
    content = json.dumps(counts.to_json()).encode()
    open_storage(quarantine).write(f"{_MATCHES}/{table}/{name}.json", content)


def _matches(storage: Storage, folder: str) -> MatchCounts:
    entries = (storage.read(path) or b"{}" for path in sorted(storage.files(folder.lstrip("/"))))
    return sum((MatchCounts.from_json(json.loads(entry)) for entry in entries), MatchCounts())


def table_lines(tables: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Closing lines: what became of the rows of each table, as `intakes` counts them."""
    lines = [
        *table_match_warnings(tables, "post"),
        f"{'table':12}{'rows':>12}{'left out':>10}{'repeats':>10}{'quarantined':>13}{'taken':>12}",
    ]
    for name, summary in tables.items():
        dropped_counts = summary.get("left_out", 0), summary["repeats"], summary["quarantined"]
        kept_count = summary["rows_in"] - sum(dropped_counts) - summary.get("merged", 0)
        lines.append(
            f"{name:12}{summary['rows_in']:>12,}{dropped_counts[0]:>10,}{dropped_counts[1]:>10,}{dropped_counts[2]:>13,}{kept_count:>12,}"
        )
        if dropped_counts[0]:
            lines.append(
                f"    {dropped_counts[0]:>8,}  left out by "
                f"{summary.get('left_out_by') or 'the mapping'}"
            )
        lines += [f"    {count:>8,}  {reason}" for reason, count in summary["reasons"].items()]
        lines += ingestion.adjustment_lines(dict(summary))
    return lines
