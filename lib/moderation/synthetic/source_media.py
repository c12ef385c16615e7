"""Texts, images and clips of known kinds out of Parquet files, as a YAML file describes them."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
from PIL import Image
from pydantic import ConfigDict

from lib.contract import ContractError
from lib.declaration import did_you_mean, load_declaration, read_yaml_text
from lib.moderation.media.decoder_pool import shared_pool
from lib.moderation.media.limits import MediaError
from lib.moderation.model.outputs import Pixels
from lib.moderation.synthetic.composing import Recipe
from lib.moderation.synthetic.pieces import Pieces
from lib.storage import read_parquet

_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class PieceTable:
    """One Parquet file of pieces."""

    __pydantic_config__ = _STRICT
    path: str
    """file or URI; one that is not absolute lies beside the YAML file"""
    content: str
    """column: texts, encoded images, encoded videos, or lists of encoded frames"""
    kind: str
    """column that says what kind of piece it is"""
    kinds: Mapping[str, str] = field(default_factory=dict)
    """values of that column by the kinds that are composed of; what is absent stands for itself"""
    most: int = 0
    """pieces taken, evenly over the file; 0 takes all"""


@dataclass(frozen=True)
class PieceFiles:
    """A file for each modality, and which kinds of images violate what."""

    __pydantic_config__ = _STRICT
    texts: PieceTable
    images: PieceTable
    clips: PieceTable
    prohibited: tuple[str, ...]
    """kinds of images that are prohibited items"""
    context: tuple[str, ...]
    """kinds of images that violate beside a neutral text alone"""


def read_source_media(path: str) -> tuple[Pieces, Recipe]:
    """Pieces of a YAML file, and how to compose posts of them.

    Raises:
        ContractError: the file, a column or a kind cannot be meant; the message names it.
    """
    files = _read_piece_files(path)
    texts, text_kinds = _column(files.texts, path)
    images, image_kinds = _column(files.images, path)
    clips, clip_kinds = _column(files.clips, path)
    try:
        pieces = Pieces(
            texts=tuple(str(text) for text in texts),
            text_kinds=text_kinds,
            images=tuple(shared_pool().image(image).frames[0] for image in images),
            image_kinds=image_kinds,
            clips=tuple(_clip(clip) for clip in clips),
            clip_kinds=clip_kinds,
        )
    except (MediaError, ValueError) as error:
        raise ContractError(f"--pieces {path}: {error}") from error
    return pieces, Recipe(frozenset(files.prohibited), frozenset(files.context))


def encoded_image(pixels: Pixels) -> bytes:
    """PNG of RGB uint8 (H, W, 3), the same bytes for the same pixels."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def encoded_clip(frames: Pixels, rate: int = 8) -> bytes:
    """MP4 (MPEG-4 part 2, high quality) of RGB uint8 (T, H, W, 3)."""
    buffer = io.BytesIO()
    height, width = (side - side % 2 for side in frames.shape[1:3])
    with av.open(buffer, "w", format="mp4") as output:
        stream = output.add_stream("mpeg4", rate=rate, options={"qscale": "2"})
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        stream.bit_rate = 4_000_000
        for pixels in frames[:, :height, :width]:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            for packet in stream.encode(frame):
                output.mux(packet)
        for packet in stream.encode():
            output.mux(packet)
    return buffer.getvalue()


def _read_piece_files(path: str) -> PieceFiles:
    origin = f"--pieces {path}"
    text = read_yaml_text(path, origin, ContractError)
    return load_declaration(text, PieceFiles, origin, ContractError)


def _column(table: PieceTable, origin: str) -> tuple[list[Any], tuple[str, ...]]:
    """Contents of a file and the kind of each."""
    away = "://" in table.path or Path(table.path).is_absolute()
    address = table.path if away else str(Path(origin).parent / table.path)
    try:
        rows = read_parquet(address)
    except (OSError, pa.ArrowInvalid) as error:
        raise ContractError(f"--pieces {origin}: {table.path}: {error}") from error
    for name in (table.content, table.kind):
        if name not in rows.column_names:
            raise ContractError(
                f"--pieces {origin}: {table.path} has no column {name!r}; "
                f"{did_you_mean(name, rows.column_names)}"
            )
    if table.most and table.most < rows.num_rows:
        indices = np.linspace(0, rows.num_rows - 1, table.most).round().astype(np.int64)
        rows = rows.take(pa.array(indices))
    kinds = (str(kind) for kind in rows[table.kind].to_pylist())
    return rows[table.content].to_pylist(), tuple(table.kinds.get(kind, kind) for kind in kinds)


def _clip(content: bytes | list[bytes]) -> Pixels:
    if isinstance(content, bytes):
        return shared_pool().video(content).frames
    return np.stack([shared_pool().image(frame).frames[0] for frame in content])
