"""Features of an author's history, declared once for training and serving in a feature file.

What is decided about posts becomes known later, as facts: `removed` (withdrawn when an appeal is
upheld, and then it never counted) and `restored` (an appeal was upheld).
"""

import hashlib
from pathlib import Path

from lib.feature import FeatureSet
from lib.feature.feature_library import FeatureLibrary
from lib.feature.feature_reader import read_packaged
from lib.moderation.text_matching.folding import fold

FEATURES_YAML = Path(__file__).with_name("author_features.yaml")

SHORTEST_WORDING = 12
"""Folded characters below which a text is nothing of its own ("thank you")."""


def wording_key(text: str | None) -> str | None:
    """Names what a text says: equal for texts that differ in case, disguise, signs and spaces.

    None for texts too short to be anybody's own.
    """
    if not text:
        return None
    wording = "".join(sign for sign in fold(text, alike=True).text if sign.isalnum())
    if len(wording) < SHORTEST_WORDING:
        return None
    return hashlib.sha256(wording.encode()).hexdigest()[:32]


def _author_features() -> FeatureSet:
    empty = FeatureSet(
        name="moderation",
        version=1,
        features=(),
        id_column="post_id",
        facts=("removed", "restored"),
    )
    file = read_packaged(
        FEATURES_YAML,
        empty,
        {"author_id": "category", "wording_key": "category"},
        FeatureLibrary(),
    )
    return file.extend(empty)


AUTHORS = _author_features()
