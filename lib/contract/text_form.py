"""One form for texts that name the same thing: Unicode, case, spaces, numbers printed as floats.

Ids are compared byte for byte everywhere. What a mapping file normalises here, a caller of the
service has to send in the same form.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from lib.contract.cast import to_text, whole_ids
from lib.contract.declaration import Column
from lib.contract.reason import Mask
from lib.contract.row_check import as_mask

FORMS = ("nfc", "casefold", "strip", "whole", "as_written")
PRINTED_AS_FLOATS = "whole numbers printed as floats (1001.0); read without '.0'"

_SCIENTIFIC = r"^[+-]?\d(\.\d+[eE]\+?\d{1,3}|[eE]\+\d{1,3})$"
NULL_WORDS = ("NULL", "null", "None", "NaN", "nan", "<NA>", "\\N", "#N/A")

_POINT_ZERO = r"^([+-]?\d{1,15})\.0+$"


def normalised(texts: pa.Array, forms: tuple[str, ...]) -> pa.Array:
    """`texts` after each of `forms` ("nfc", "casefold", "strip", "whole"), in the given order."""
    for form in forms:
        if form == "nfc":
            texts = pc.utf8_normalize(texts, form="NFC")
        elif form == "strip":
            texts = pc.utf8_trim_whitespace(texts)
        elif form == "whole":
            texts = pc.replace_substring_regex(texts, _POINT_ZERO, r"\1")
        elif form == "casefold":
            texts = _casefolded(texts)
    return texts


def rounded_ids(texts: pa.Array) -> Mask:
    """Texts such as 1.23457E+15, which a spreadsheet leaves of a long number."""
    content = texts.buffers()[2]
    content = b"" if content is None else content.to_pybytes()
    if b"+" not in content and b"." not in content:  # far cheaper than the pattern
        return np.zeros(len(texts), dtype=np.bool_)
    return as_mask(pc.match_substring_regex(texts, _SCIENTIFIC))


def joinable(target: Column, part: pa.Array) -> pa.Array:
    """A part of a joined text or time: whole floats as whole numbers, days without a midnight."""
    if not pat.is_timestamp(target.type):
        return to_text(target.name, part)[0]
    if pat.is_timestamp(part.type):
        days = part.cast(pa.date32(), safe=False)
        return (days if pc.all(pc.equal(days.cast(part.type), part)).as_py() else part).cast(
            pa.string()
        )
    return whole_ids(to_text(target.name, part)[0])[0]


def _casefolded(texts: pa.Array) -> pa.Array:
    encoded = texts.dictionary_encode()
    folded = [None if text is None else text.casefold() for text in encoded.dictionary.to_pylist()]
    return pa.array(folded, pa.string()).take(encoded.indices)
