"""Actors that hold a model, and what they make of media and of posts."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray

from jobs import ingestion
from jobs.model_source import model_directory
from jobs.moderation.media_decoding import DecodeSpec, decode_one
from jobs.moderation.post_events import FACTS, MEDIUM, events_schema
from jobs.moderation.row_builder import RowBuilder
from lib.calibration import sigmoid
from lib.contract import QUARANTINE_REASON
from lib.feature.attributes import Attribute
from lib.moderation.media.limits import MediaError
from lib.moderation.media.media_fetcher import MediaFetcher
from lib.moderation.model import SYSTEM
from lib.moderation.model.fitting import Runtime
from lib.moderation.model.inputs import Marks
from lib.moderation.model.model import ModerationModel, load_model
from lib.moderation.model.outputs import ModalityAnswer, Presence
from lib.moderation.policies import Policies
from lib.moderation.post import MODALITIES
from lib.moderation.post_attributes import features_of
from lib.moderation.routing import Routing

_ANSWER_FIELDS = [("embedding", pa.list_(pa.float32())), ("odds", pa.list_(pa.float64()))]
ANSWERS = pa.schema([*FACTS, *_ANSWER_FIELDS])
"""Facts, and what a model said of each piece of a medium."""


def answers_schema(attributes: Iterable[Attribute]) -> pa.Schema:
    """The same of posts that have attributes."""
    return pa.schema([*events_schema(attributes), *_ANSWER_FIELDS])


@dataclass(frozen=True)
class ModelLocation:
    """From where an actor takes its model, and on what it computes."""

    model: str | None
    registry: str | None
    version: str
    policies: Policies
    threads: int

    def load(self) -> ModerationModel:
        """The model, on a GPU where this process holds one that torch can use."""
        device = "cuda" if torch.cuda.is_available() else "cpu"
        runtime = Runtime(device, self.threads)
        with model_directory(SYSTEM, self.model, self.registry, self.version) as folder:
            return load_model(folder, self.policies.ids, runtime)


class MediaScorer:
    """Decodes media and answers about each image, frame of an animation, or clip.

    Args:
        place: of the model.
        addresses: from which URIs may be fetched.
        quarantine: folder or URI for broken media.
    """

    def __init__(
        self, model_location: ModelLocation, addresses: MediaFetcher, quarantine: str
    ) -> None:
        self._model, self._addresses = model_location.load(), addresses
        self._shape, self._quarantine = shape_of(self._model), quarantine

    def __call__(self, media: pa.Table) -> pa.Table:
        """Rows of `ANSWERS`, one for each piece; one with a reason for a medium that is broken."""
        rows = media.select(["post_id", "kind", "place", "content", "uri"]).to_pylist()
        answers: list[dict[str, Any]] = []
        pieces: dict[str, list[Any]] = {"image": [], "video": []}
        for row in rows:
            about = {name: row[name] for name in ("post_id", "kind", "place")}
            try:
                medium = decode_one(row, self._shape, self._addresses)
            except (MediaError, ValueError) as error:
                answers.append(about | {"reason": str(error)})
                continue
            if medium.fault is not None:
                answers.append(about | {"reason": str(medium.fault)})
            frames = medium.frames
            for pixels in [frames] if row["kind"] == "video" else frames:
                pieces[row["kind"]].append((about, pixels))
        for kind, some in pieces.items():
            answers += self._answers(kind, some)
        self._set_aside(media, answers)
        rows = [answer | {"what": MEDIUM} for answer in answers]
        return pa.Table.from_pylist(rows, schema=answers_schema(self._model.fusion.attributes))

    def _answers(self, kind: str, some: list[Any]) -> list[dict[str, Any]]:
        model = self._model.image if kind == "image" else self._model.video
        if not some:
            return []
        if model is None:
            return [
                about | {"reason": "blind: the model has none of this kind"} for about, _ in some
            ]
        answer = model.answer([pixels for _, pixels in some])
        return [
            about | {"embedding": embedding, "odds": odds}
            for (about, _), embedding, odds in zip(
                some, answer.embeddings.tolist(), answer.log_odds.tolist(), strict=True
            )
        ]

    def _set_aside(self, media: pa.Table, answers: list[dict[str, Any]]) -> None:
        reasons = {
            (answer["post_id"], answer["kind"], answer["place"]): answer["reason"].partition(":")[0]
            for answer in answers
            if answer.get("reason")
        }
        keys = list(zip(*(media[n].to_pylist() for n in ("post_id", "kind", "place")), strict=True))
        slugs = [f"content: {reasons[key]}" if key in reasons else None for key in keys]
        bad = media.append_column(QUARANTINE_REASON, pa.array(slugs, pa.string()))
        bad = bad.filter(pc.is_valid(bad[QUARANTINE_REASON]))
        if bad.num_rows:
            ingestion.quarantine_rows(bad, f"broken-{_name_of(keys)}", f"{self._quarantine}/media")


class PostScorer:
    """Fuses what was said of a post's media with its text, and routes the post.

    Args:
        place: of the model.
        quarantine: folder or URI for what belongs to no post.
        price: of a review beyond its cost.
    """

    def __init__(self, model_location: ModelLocation, quarantine: str, price: float) -> None:
        self._model, self._policies = model_location.load(), model_location.policies
        self._attributes = self._model.fusion.attributes
        self._builder = RowBuilder(model_location.policies, quarantine, attributes=self._attributes)
        self._routing = Routing(model_location.policies, price)

    def __call__(self, answers: pa.Table) -> pa.Table:
        """Rows of `scores_schema`, one for each post."""
        facts = answers.select(events_schema(self._attributes).names)
        if not facts.num_rows:
            return scores_schema(self._policies.ids).empty_table()
        pieces = answers.filter(
            pc.and_(pc.equal(answers["what"], MEDIUM), pc.is_null(answers["reason"]))
        )
        rows = self._builder.rows(facts)
        marks = [rows[f"{m}_presence"].to_numpy() for m in MODALITIES]
        presence = np.stack(marks, axis=1).astype(np.int8)
        modality_answers = self._answers(rows, pieces, presence)
        return self._table(rows, modality_answers, presence, _with_faults(rows, answers))

    def _answers(
        self, rows: pa.Table, pieces: pa.Table, presence: Marks
    ) -> dict[str, ModalityAnswer]:
        """By modality, a row for each post."""
        count, model, answers = rows.num_rows, self._model, {}
        if model.text is not None:
            has = np.flatnonzero(presence[:, 0] == Presence.PRESENT)
            texts = [text or "" for text in rows["text"].take(pa.array(has)).to_pylist()]
            answers["text"] = model.text.answer(texts).spread(has, count)
        ids = rows["post_id"].combine_chunks()
        for kind, member in (("image", model.image), ("video", model.video)):
            if member is None:
                continue
            some = pieces.filter(pc.equal(pieces["kind"], kind))
            some = some.filter(pc.is_in(some["post_id"], value_set=ids))
            some = _in_order(some)
            owners = pc.index_in(some["post_id"], value_set=ids).to_numpy().astype(np.int64)
            answer = ModalityAnswer(
                _matrix(some["embedding"], member.width, np.float32),
                _matrix(some["odds"], len(model.policies), np.float64),
            )
            pooled = kind == "image"
            answers[kind] = answer.pooled(owners, count) if pooled else answer.spread(owners, count)
        return answers

    def _table(
        self,
        rows: pa.Table,
        answers: Mapping[str, ModalityAnswer],
        presence: Marks,
        faulty: NDArray[np.bool_],
    ) -> pa.Table:
        features = features_of(rows, self._attributes)
        log_odds = self._model.fusion.answer(answers, presence, features)
        order = [self._model.policies.index(name) for name in self._policies.ids]
        probabilities = sigmoid(log_odds)[:, order]
        # a post is never allowed where some of it, be it one image of several, was not seen
        failed = (presence == Presence.FAILED).any(axis=1) | faulty
        reach = rows["reach"].fill_null(0).to_numpy()
        routed = self._routing.route(probabilities, reach, failed, rows["language"].to_pylist())
        decisions = [routed.words(k, self._policies) for k in range(rows.num_rows)]
        embeddings = np.concatenate([answer.embeddings for answer in answers.values()], axis=1)
        columns: dict[str, Any] = {
            name: rows[name]
            for name in ("post_id", "author_id", "event_time", "language", "text_key")
        }
        columns["reach"] = reach
        columns |= {f"p_{name}": probabilities[:, k] for k, name in enumerate(self._policies.ids)}
        columns["action"] = [action for action, _ in decisions]
        columns["decided_by"] = [policy for _, policy in decisions]
        columns["risk"] = routed.risk
        columns |= {
            f"{name}_presence": presence[:, k].astype(np.int8) for k, name in enumerate(MODALITIES)
        }
        columns["embedding"] = pa.array(list(embeddings), pa.list_(pa.float32()))
        columns["model_version"] = [self._model.version or ""] * rows.num_rows
        return pa.table(columns, schema=scores_schema(self._policies.ids))


def scores_schema(policies: tuple[str, ...]) -> pa.Schema:
    """One row for each post: probability by policy, action, presence, embedding."""
    return pa.schema(
        [
            ("post_id", pa.string()),
            ("author_id", pa.string()),
            FACTS.field("event_time"),
            ("language", pa.string()),
            ("text_key", pa.int64()),
            ("reach", pa.int64()),
            *((f"p_{name}", pa.float64()) for name in policies),
            ("action", pa.string()),  # one of ALLOW, REVIEW, REMOVE
            ("decided_by", pa.string()),  # policy, or `undecoded`; null where none did
            ("risk", pa.float64()),
            *((f"{name}_presence", pa.int8()) for name in MODALITIES),
            ("embedding", pa.list_(pa.float32())),
            ("model_version", pa.string()),
        ]
    )


def shape_of(model: ModerationModel) -> DecodeSpec:
    """What a model sees of media; of what it has no model of, anything small will do."""
    image = 16 if model.image is None else model.image.size.side
    frames, side = (
        (2, 16) if model.video is None else (model.video.size.frames, model.video.size.side)
    )
    return DecodeSpec(image, frames, side)


def _with_faults(rows: pa.Table, answers: pa.Table) -> NDArray[np.bool_]:
    """Of each row, whether a medium of its post could not be looked at, wholly or in part."""
    is_fault = pc.and_(pc.equal(answers["what"], MEDIUM), pc.is_valid(answers["reason"]))
    posts = set(answers.filter(is_fault)["post_id"].to_pylist())
    return np.array([post_id in posts for post_id in rows["post_id"].to_pylist()], dtype=np.bool_)


def _in_order(pieces: pa.Table) -> pa.Table:
    """By post and place, so that sums do not depend on the order in which answers came."""
    numbered = pieces.append_column("row", pa.array(np.arange(pieces.num_rows)))
    keys = [("post_id", "ascending"), ("place", "ascending"), ("row", "ascending")]
    return numbered.sort_by(keys).drop_columns(["row"])


def _matrix(column: pa.ChunkedArray, width: int, kind: Any) -> Any:
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return np.asarray(flat, dtype=kind).reshape(-1, width)


def _name_of(keys: list[tuple[Any, ...]]) -> str:
    return hashlib.sha256(repr(keys).encode("utf-8", "surrogatepass")).hexdigest()[:24]
