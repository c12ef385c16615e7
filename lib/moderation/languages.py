"""Languages of posts as they are told: tags that nobody knows are kept."""

from __future__ import annotations

import re

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
