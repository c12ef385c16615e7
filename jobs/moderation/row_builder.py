"""Facts of posts become rows: one for each post, with its presence and what people said of it."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from tokenizers import Tokenizer

from jobs import ingestion
from jobs.moderation.post_events import LABEL, MEDIUM, POST
from jobs.moderation.sources import write_matches
from lib.contract import QUARANTINE_REASON, TIME, MatchCounts
from lib.feature.attributes import Attribute, contract_column
from lib.moderation.active_learning.pool import text_keys
from lib.moderation.contracts import LABELS, POSTS
from lib.moderation.model.inputs import Marks
from lib.moderation.model.model_config import TextSize
from lib.moderation.model.outputs import Floats, Ints, Presence
from lib.moderation.model.tokens import encoder_directory, pretrained_tokenizer, tokenise
from lib.moderation.policies import Policies
from lib.moderation.post import MODALITIES
from lib.moderation.post_attributes import attribute_schema, column_names, renamed
from lib.moderation.text_matching.folding import shows

EMPTY_POST = "post: neither a text nor an image nor a video"
OF_NOTHING = "post_id: of a post with neither a text nor an image nor a video"
NO_SUCH_POST = "post_id: of no post that is there"
OLD_VERSION = "policy_version: given under another version of the policy"
_SURE_COLUMNS = ("post_id", "kind", "place")


def rows_schema(policies: int, attributes: Iterable[Attribute] = ()) -> pa.Schema:
    """Schema of the rows: posts, presence of each modality, and a target for each policy."""
    return pa.schema(
        [
            *POSTS.schema,
            ("tokens", pa.list_(pa.int32())),  # null where the vocabulary is yet to be learnt
            ("text_key", pa.int64()),  # equal where texts say the same; negative: like no other
            *((f"{name}_presence", pa.int8()) for name in MODALITIES),
            ("targets", pa.list_(pa.float32(), policies)),  # share of people; NaN unknown
            ("label_known_at", TIME),  # when the last label became known
            *attribute_schema(attributes),
        ]
    )


@dataclass(frozen=True)
class RowBuilder:
    """How facts become rows.

    Attributes:
        policies: in the order of targets.
        quarantine: folder or URI for what belongs to no post.
        words: of what texts become word pieces; None leaves that out.
        attributes: that posts have beside the columns of the contract.
    """

    policies: Policies
    quarantine: str
    words: TextSize | None = None
    attributes: tuple[Attribute, ...] = ()

    def rows(self, facts: pa.Table) -> pa.Table:
        """One row for each post of facts that hold all of its own."""
        if not facts.num_rows:
            return rows_schema(len(self.policies.ids), self.attributes).empty_table()
        posts = self._posts(facts.filter(pc.equal(facts["what"], POST)))
        media = _first_of_each(facts.filter(pc.equal(facts["what"], MEDIUM)))
        labels = facts.filter(pc.equal(facts["what"], LABEL))
        name = _group_name(facts)
        media = self._of_posts(media, posts, "media", name)
        labels = self._of_posts(labels, posts, "labels", name)
        labels = self._of_this_version(labels, name)
        presence = _presence(posts, media)
        empty = (presence == Presence.ABSENT).all(axis=1)
        self._aside(posts, empty, EMPTY_POST, "posts", f"nothing-{name}")
        labels = self._of_read_posts(labels, posts.filter(pa.array(empty)), name)
        targets, known_at = self._targets(posts, labels)
        table = _row_table(posts, presence, targets, known_at, self._tokens(posts))
        for field in attribute_schema(self.attributes):
            table = table.append_column(field, posts[field.name])
        return table.filter(pa.array(~empty))

    def _posts(self, facts: pa.Table) -> pa.Table:
        """Each post once; what contradicts itself, also in an attribute, is set aside."""
        names = [*POSTS.names, *column_names(self.attributes)]
        posts = renamed(facts.select(names), self.attributes, back=True)
        contract = POSTS.with_columns([contract_column(each) for each in self.attributes])
        once = ingestion.deduplicate(posts, contract, "post_id", f"{self.quarantine}/posts")
        return renamed(once, self.attributes)

    def _tokens(self, posts: pa.Table) -> pa.Array:
        """Word pieces of each text as the pretrained encoder takes them."""
        kind = pa.list_(pa.int32())
        if self.words is None or self.words.encoder is None:
            return pa.nulls(posts.num_rows, kind)
        tokenizer = _tokenizer(self.words.encoder, self.words.length)
        texts = [text or "" for text in posts["text"].to_pylist()]
        return pa.array(
            [token_ids.astype(np.int32) for token_ids in tokenise(tokenizer, texts).ids], kind
        )

    def _of_posts(self, rows: pa.Table, posts: pa.Table, table: str, name: str) -> pa.Table:
        there = pc.is_in(rows["post_id"], value_set=posts["post_id"].combine_chunks())
        mask = there.to_numpy(zero_copy_only=False) if rows.num_rows else np.zeros(0, dtype=bool)
        self._aside(rows, ~mask, NO_SUCH_POST, table, f"alone-{name}")
        if rows.num_rows or posts.num_rows:
            write_matches(_matches(rows, mask, posts), table, name, self.quarantine)
        return rows.filter(pa.array(mask, pa.bool_()))

    def _of_read_posts(self, labels: pa.Table, empty: pa.Table, name: str) -> pa.Table:
        """Labels of posts that say nothing go where those posts go."""
        set_aside = pc.is_in(labels["post_id"], value_set=empty["post_id"].combine_chunks())
        self._aside(labels, set_aside.to_numpy(), OF_NOTHING, "labels", f"nothing-{name}")
        return labels.filter(pc.invert(set_aside))

    def _of_this_version(self, labels: pa.Table, name: str) -> pa.Table:
        """Labels under a former version of a policy mean something else now."""
        now = {policy.id: policy.version for policy in self.policies.policies}
        pairs = zip(labels["policy"].to_pylist(), labels["policy_version"].to_pylist(), strict=True)
        old = np.array([v is not None and v != now[p] for p, v in pairs], dtype=bool)
        self._aside(labels, old, OLD_VERSION, "labels", f"version-{name}")
        return labels.filter(pa.array(~old, pa.bool_()))

    def _aside(self, rows: pa.Table, bad: Any, reason: str, table: str, name: str) -> None:
        some = rows.filter(pa.array(np.asarray(bad), pa.bool_()))
        texts = pa.array([reason] * some.num_rows, pa.string())
        some = some.append_column(QUARANTINE_REASON, texts)
        ingestion.quarantine_rows(some, name, f"{self.quarantine}/{table}")

    def _targets(self, posts: pa.Table, labels: pa.Table) -> tuple[Floats, pa.Array]:
        """Shares (n, policies) of people who say that a post violates, and when that was known.

        Of what one person said of a post and a policy, the last word counts.
        """
        count, width = posts.num_rows, len(self.policies.ids)
        order = {name: row for row, name in enumerate(posts["post_id"].to_pylist())}
        verdicts: dict[tuple[int, int, str | None], tuple[int, bool]] = {}
        known_at = np.zeros(count, dtype=np.int64)
        for label in labels.select(list(LABELS.names)).cast(_PLAIN_TIMES).to_pylist():
            row, at_us = order[label["post_id"]], label["known_at"]
            key = row, self.policies.ids.index(label["policy"]), label["by"]
            verdicts[key] = max(verdicts.get(key, (-1, False)), (at_us, label["violates"]))
            known_at[row] = max(known_at[row], at_us)
        total, votes = np.zeros((count, width)), np.zeros((count, width))
        for (row, policy, _), (_, violates) in verdicts.items():
            total[row, policy] += violates
            votes[row, policy] += 1
        shares = np.where(votes > 0, total / np.maximum(votes, 1), np.nan)
        return shares, pa.array(known_at, mask=known_at == 0).cast(TIME)


_PLAIN_TIMES = pa.schema(
    [
        pa.field(field.name, pa.int64() if field.type == TIME else field.type)
        for field in LABELS.schema
    ]
)  # fmt: skip


def _matches(rows: pa.Table, mask: NDArray[np.bool_], posts: pa.Table) -> MatchCounts:
    """Rows whose post is there where `mask` is true."""
    strangers = rows["post_id"].filter(pa.array(~mask, pa.bool_()))
    return MatchCounts(
        rows.num_rows,
        len(strangers),
        pc.min(strangers).as_py() or "",
        pc.min(posts["post_id"]).as_py() or "",
    )


def _first_of_each(media: pa.Table) -> pa.Table:
    """One row for each place of a post, rather one that was decoded.

    A source may hold the same medium twice, and an animation may be decoded in part.
    """
    keys = list(zip(*(media[name].to_pylist() for name in _SURE_COLUMNS), strict=True))
    reasons = media["reason"].to_pylist()
    order = sorted(range(len(keys)), key=lambda row: (reasons[row] is not None, row), reverse=True)
    first = {keys[row]: row for row in order}
    return media.take(pa.array(sorted(first.values()), pa.int64()))


def _presence(posts: pa.Table, media: pa.Table) -> Marks:
    """(n, modalities): failed where there was something and none of it could be decoded."""
    marks = np.full((posts.num_rows, len(MODALITIES)), Presence.ABSENT, dtype=np.int8)
    texts = posts["text"].to_pylist()
    marks[[shows(text) for text in texts], 0] = Presence.PRESENT
    rows = _row_indices(posts, media)
    kinds = np.array([MODALITIES.index(kind) for kind in media["kind"].to_pylist()], dtype=np.int64)
    good = np.array([reason is None for reason in media["reason"].to_pylist()], dtype=bool)
    marks[rows[~good], kinds[~good]] = Presence.FAILED
    marks[rows[good], kinds[good]] = Presence.PRESENT
    return marks


def _row_indices(posts: pa.Table, rows: pa.Table) -> Ints:
    indices = pc.index_in(rows["post_id"], value_set=posts["post_id"].combine_chunks())
    return np.asarray(indices.to_numpy(), dtype=np.int64)


@cache
def _tokenizer(encoder: str, length: int) -> Tokenizer:
    """Once for a process."""
    return pretrained_tokenizer(encoder_directory(encoder), length)


def _row_table(
    posts: pa.Table, presence: Marks, targets: Floats, known_at: pa.Array, tokens: pa.Array
) -> pa.Table:
    schema = rows_schema(targets.shape[1])
    flat = pa.array(targets.astype(np.float32).ravel())
    columns = {name: posts[name] for name in POSTS.names}
    columns["tokens"] = tokens
    columns["text_key"] = pa.array(text_keys(posts["text"].to_pylist()))
    for index, name in enumerate(MODALITIES):
        columns[f"{name}_presence"] = pa.array(presence[:, index])
    columns["targets"] = pa.FixedSizeListArray.from_arrays(flat, targets.shape[1])
    columns["label_known_at"] = known_at
    return pa.table(columns, schema=schema)


def _group_name(facts: pa.Table) -> str:
    """The same for the same posts, in whatever order their facts come."""
    smallest = str(pc.min(facts["post_id"]).as_py())
    return hashlib.sha256(smallest.encode("utf-8", "surrogatepass")).hexdigest()[:24]
