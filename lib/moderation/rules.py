"""What a moderation rule may read and decide, and the fields of one post."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lib.feature.attribute_values import AttributeValue
from lib.feature.attributes import Attribute
from lib.moderation.author import AUTHORS
from lib.moderation.media.hashes import Known, Near
from lib.moderation.policies import ACTIONS
from lib.moderation.post import Post
from lib.moderation.text_matching.lists import Hit

RULES_FILE = Path(__file__).with_name("rules.yaml")
"""The rules that stand in front of the models."""

NUMBERS = (
    "known_media",
    "hash_distance",
    "remove_hits",
    "review_hits",
    "text_characters",
    "image_count",
    "video_count",
    "failed_media",
    "reports",
    "reach",
    "language_known",
)
"""Fields of the post itself: counts, and 0 or 1. `known_media` counts media whose very bytes are
listed; `hash_distance` is the bits in which the nearest listed image differs, missing where none is
near; `failed_media` counts what could not be fetched or decoded."""

TEXTS = ("author_id", "language")

Row = dict[str, float | str | None]

# RFC 5646: language, then script, region, variants, extensions and private use
_WELL_FORMED = re.compile(
    r"[a-z]{2,3}(-[a-z]{3}){0,3}(-[a-z]{4})?(-([a-z]{2}|[0-9]{3}))?"
    r"(-([a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*(-[a-wyz0-9](-[a-z0-9]{2,8})+)*(-x(-[a-z0-9]{1,8})+)?"
)

_ISO_639_1 = """
aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy
da de dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu
hy hz ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb
lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om
or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg sh si sk sl sm sn so sq sr ss st su sv
sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu
"""
_NONE = frozenset(("und", "mul", "mis", "zxx", "root"))

__all__ = ["ACTIONS", "NUMBERS", "RULES_FILE", "TEXTS", "language_known", "row_of", "rule_fields"]


def rule_fields(
    features: Iterable[str] = AUTHORS.names, attributes: Sequence[Attribute] = ()
) -> dict[str, type]:
    """The fields a rule may read: the author's features and the post's numbers, and its texts.

    Args:
        features: of the author.
        attributes: that a post may have: categories are texts, flags 0 or 1.
    """
    return {
        **dict.fromkeys(features, float),
        **dict.fromkeys(NUMBERS, float),
        **dict.fromkeys(TEXTS, str),
        **{each.name: str if each.type == "category" else float for each in attributes},
    }


def row_of(
    post: Post,
    history: Mapping[str, float],
    *,
    known_media: Iterable[Known] = (),
    near: Near | None = None,
    hits: Iterable[Hit] = (),
    failed_media: int = 0,
    attributes: Iterable[Attribute] = (),
) -> Row:
    """What the rules read of one post.

    Args:
        post: the post.
        history: the author's features by name; those that are absent are missing (None).
        known_media: listed entries of the very bytes of its media.
        near: the nearest listed entry by looks.
        hits: of the lists in its text.
        failed_media: of its media, how many could not be fetched or decoded.
        attributes: that posts may have; categories are texts, flags 0 or 1.
    """
    actions = [hit.action for hit in hits]
    return {
        **{name: history.get(name) for name in AUTHORS.names},
        "known_media": float(len(list(known_media))),
        "hash_distance": None if near is None else float(near.distance),
        "remove_hits": float(actions.count("remove")),
        "review_hits": float(actions.count("review")),
        "text_characters": float(len(post.text or "")),
        "image_count": float(len(post.images)),
        "video_count": float(post.video is not None),
        "failed_media": float(failed_media),
        "reports": float(post.reports),
        "reach": float(post.reach),
        "language_known": float(post.language is None or language_known(post.language)),
        "author_id": post.author_id,
        "language": post.language,
        **{each.name: _readable(post.attributes.get(each.name)) for each in attributes},
    }


def _readable(value: AttributeValue | None) -> float | str | None:
    return float(value) if isinstance(value, bool) else value


def language_known(tag: str) -> bool:
    """Whether a tag is a well-formed BCP 47 tag of a language.

    Codes of two letters must be in ISO 639-1; those of three letters are believed, but for the ones
    that stand for no language in particular and those of private use (qaa to qtz).
    """
    lowered = tag.lower()
    if not _WELL_FORMED.fullmatch(lowered):
        return False
    language = lowered.partition("-")[0]
    if len(language) == 2:
        return language in _ISO_639_1.split()
    return language not in _NONE and not "qaa" <= language <= "qtz"
