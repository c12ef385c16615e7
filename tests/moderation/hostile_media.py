"""Small files that would cost a decoder gigabytes or minutes, made for tests."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

from tests.moderation.media_factories import brightening, encoded, png_that_claims, scene, video

COUNTS = (50_000_000, 170_000_000)


@dataclass(frozen=True)
class Bomb:
    """A hostile medium.

    Attributes:
        name: in words.
        kind: image or video.
        content: its bytes.
    """

    name: str
    kind: str
    content: bytes


def bombs() -> Iterator[Bomb]:
    """All of them."""
    yield from containers()
    yield from small_images()
    yield from large_images()


def containers() -> Iterator[Bomb]:
    """Videos whose indexes are larger than they are."""
    for count in COUNTS:
        for table in (b"stsz", b"stts", b"ctts", b"stsc", b"stco", b"co64", b"stss", b"elst"):
            yield Bomb(f"mp4, {count:,} in {table.decode()}", "video", mp4_with_table(table, count))
    yield Bomb("mp4, 4 fragments of 60 M samples", "video", mp4_fragments(60_000_000, 4))
    yield Bomb("mp4, 2,000 fragments of 200,000 samples", "video", mp4_fragments(200_000, 2_000))
    yield Bomb(
        "mp4, sound of 170 M samples", "video", mp4_with_table(b"stsz", 170_000_000, b"soun")
    )
    yield Bomb("mkv, 100,000 cues", "video", matroska_cues(100_000))
    yield Bomb("mkv, 500,000 cues in 24 MB", "video", matroska_cues(500_000))
    yield Bomb("mkv, 60,000 laced blocks", "video", matroska_laces(60_000))
    yield Bomb("mkv, an element of 2^40 bytes", "video", matroska_long_element())
    yield Bomb("avi, index entries of 2 GB for 90 streams", "video", avi_index(90))
    yield Bomb("avi, 400,000 index entries", "video", avi_index(1, 400_000))
    yield Bomb("avi, super index of 2^32 entries", "video", avi_super_index())


def small_images() -> Iterator[Bomb]:
    """Images that claim more than they hold, or hold more than is shown."""
    yield Bomb("gif of 100,000 frames", "image", gif_of_many_frames(100_000))
    yield Bomb("gif of 65,535 x 65,535", "image", gif_canvas(65_535, 65_535))
    yield Bomb("webp of 16,383 x 16,383", "image", webp_canvas(16_383, 16_383))
    yield Bomb("webp of 31 M pixels, 20 frames", "image", webp_canvas(5_600, 5_600, 20))
    yield Bomb("apng that claims 2^31 - 1 frames", "image", png_claims_frames((1 << 31) - 1))
    yield Bomb("png of 50,000 x 50,000", "image", png_that_claims(50_000, 50_000))
    yield Bomb("png with a profile of 100 MB", "image", png_with(b"iCCP", 100_000_000))
    yield Bomb("png with 40 texts of 60 MB", "image", png_with(b"zTXt", 60_000_000, 40))
    yield Bomb("png with 40 texts of 60 MB in UTF-8", "image", png_with(b"iTXt", 60_000_000, 40))
    yield Bomb("bmp of 31 M pixels", "image", bmp_that_claims(5_600))


def large_images() -> Iterator[Bomb]:
    """Whole images of the largest size allowed, of one colour: kilobytes, and dear to decode."""
    yield Bomb("gif of 31 M pixels, 40 frames", "image", gif_of_many_frames(40, 5_600))
    yield Bomb("webp of 31 M pixels", "image", blank("WEBP", 5_600, lossless=True, method=0))
    yield Bomb("apng of 31 M pixels, 4 frames", "image", animation("PNG", 5_600, 4))
    yield Bomb("avif of 31 M pixels", "image", blank("AVIF", 5_600, speed=10, quality=10))
    yield Bomb("png of 31 M pixels", "image", blank("PNG", 5_600, compress_level=1))
    yield Bomb("jpeg of 31 M pixels, progressive", "image", progressive(5_600))


def box(name: bytes, content: bytes) -> bytes:
    """An MP4 box."""
    return struct.pack(">I", 8 + len(content)) + name + content


def mp4_with_table(table: bytes, count: int, handler: bytes = b"vide") -> bytes:
    """A whole MP4 of 652 bytes or so, one table of which states `count` entries."""
    plain = {
        b"stsd": struct.pack(">II", 0, 1) + _sample_entry(handler),
        b"stts": struct.pack(">IIII", 0, 1, count, 512),
        b"stsc": struct.pack(">IIIII", 0, 1, 1, 1, 1),
        b"stsz": struct.pack(">III", 0, 1, 1000),
        b"stco": struct.pack(">III", 0, 1, 600),
    }
    stated = {
        b"stsz": struct.pack(">III", 0, 1, count),
        b"stsc": struct.pack(">IIIII", 0, 1, 1, count, 1),
    }
    edits = b""
    if table == b"elst":
        edits = box(b"edts", box(b"elst", struct.pack(">II", 0, count) + bytes(12)))
    elif table == b"stsc":
        plain |= {b"stsz": struct.pack(">III", 0, 1, count), b"stsc": stated[b"stsc"]}
    else:
        plain[table] = stated.get(table, struct.pack(">II", 0, count) + bytes(16))
    tables = box(b"stbl", b"".join(box(name, content) for name, content in plain.items()))
    head = box(b"vmhd", bytes(12)) if handler == b"vide" else box(b"smhd", bytes(8))
    where = box(b"dinf", box(b"dref", struct.pack(">II", 0, 1) + box(b"url ", b"\0\0\0\1")))
    media = box(b"mdhd", struct.pack(">IIIIIHH", 0, 0, 0, 12_800, 12_800, 0, 0))
    media += box(b"hdlr", bytes(8) + handler + bytes(13)) + box(b"minf", head + where + tables)
    matrix = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    track = struct.pack(">IIIIII", 3, 0, 0, 1, 0, 1000) + bytes(16) + matrix + bytes(8)
    about = struct.pack(">IIIII", 0, 0, 0, 1000, 1000) + bytes(80)
    moov = box(b"mvhd", about) + box(b"trak", box(b"tkhd", track) + edits + box(b"mdia", media))
    return box(b"ftyp", b"isom\0\0\2\0isom") + box(b"moov", moov) + box(b"mdat", bytes(64))


def _sample_entry(handler: bytes) -> bytes:
    if handler == b"soun":
        return box(
            b"mp4a", bytes(6) + b"\0\1" + bytes(8) + struct.pack(">HHIHH", 2, 16, 0, 0xAC44, 0)
        )
    sizes = struct.pack(">HHIIIH", 64, 64, 0x480000, 0x480000, 0, 1)
    return box(b"mp4v", bytes(6) + b"\0\1" + bytes(16) + sizes + bytes(32) + b"\0\x18\xff\xff")


def mp4_fragments(samples: int, fragments: int) -> bytes:
    """A fragmented MP4, each fragment of which states so many samples without a byte for them."""
    mp4 = mp4_with_table(b"stsz", 0)
    extends = box(b"mvex", box(b"trex", struct.pack(">IIIIII", 0, 1, 1, 512, 1, 0)))
    start = mp4.index(b"moov") - 4
    size = struct.unpack(">I", mp4[start : start + 4])[0]
    moov = mp4[start + 8 : start + size] + extends
    run = box(b"trun", struct.pack(">II", 0, samples))
    part = box(
        b"moof", box(b"mfhd", bytes(8)) + box(b"traf", box(b"tfhd", struct.pack(">II", 0, 1)) + run)
    )
    return mp4[:start] + box(b"moov", moov) + (part + box(b"mdat", bytes(8))) * fragments


def element(name: str, content: bytes) -> bytes:
    """An EBML element with a length of eight bytes."""
    return bytes.fromhex(name) + (len(content) | 1 << 56).to_bytes(8, "big") + content


def matroska_cues(count: int) -> bytes:
    """A Matroska file with an index of `count` moments."""
    plain = video(brightening(4), codec="mpeg4", container="matroska")
    track = element("b7", element("f7", b"\1") + element("f1", b"\x10"))
    cues = (element("bb", element("b3", b"\1") + track)) * count
    cut = plain.index(b"\x1f\x43\xb6\x75")
    head = bytearray(plain[:cut])
    # a segment of unknown length takes whatever follows
    offset = head.index(b"\x18\x53\x80\x67") + 4
    head[offset : offset + 8] = b"\x01" + b"\xff" * 7
    return bytes(head) + element("1c53bb6b", cues) + plain[cut:]


def matroska_laces(blocks: int) -> bytes:
    """A Matroska file whose blocks hold 256 frames of no byte each."""
    plain = video(brightening(4), codec="mpeg4", container="matroska")
    cut = plain.index(b"\x1f\x43\xb6\x75")
    head = bytearray(plain[:cut])
    offset = head.index(b"\x18\x53\x80\x67") + 4
    head[offset : offset + 8] = b"\x01" + b"\xff" * 7
    block = element("a3", b"\x81\0\0\x04\xff" + b"\0")
    return bytes(head) + element("1f43b675", element("e7", b"\0") + block * blocks)


def matroska_long_element() -> bytes:
    """A Matroska file with a private part of a codec that says it is a terabyte long."""
    plain = bytearray(video(brightening(4), codec="mpeg4", container="matroska"))
    offset = plain.index(b"\x63\xa2") + 2
    plain[offset : offset + 8] = b"\x01\x00\x00\xff\xff\xff\xff\xff"
    return bytes(plain)


def avi_index(streams: int, entries: int = 1) -> bytes:
    """An AVI, the index of which states pieces of sound of 2 GB."""
    sound = (
        b"strh"
        + struct.pack("<I", 56)
        + b"auds"
        + bytes(16)
        + struct.pack("<IIIII", 1, 1, 0, 1 << 30, 0)
    )
    sound += bytes(4) + struct.pack("<I", 1) + bytes(8)
    form = b"strf" + struct.pack("<I", 16) + struct.pack("<HHIIHH", 1, 1, 8000, 8000, 1, 8)
    tracks = b"".join(riff(b"strl", sound + form) for _ in range(streams))
    head = riff(
        b"hdrl",
        b"avih"
        + struct.pack("<I", 56)
        + bytes(12)
        + struct.pack("<I", 0x10)
        + bytes(8)
        + struct.pack("<I", streams)
        + bytes(28)
        + tracks,
    )
    pieces = b"".join(
        (f"{k:02d}wb".encode() + struct.pack("<III", 16, 4, 0x7FFF_FFFF)) * entries
        for k in range(streams)
    )
    index = b"idx1" + struct.pack("<I", len(pieces)) + pieces
    return riff(b"AVI ", head + riff(b"movi", bytes(4096)) + index, b"RIFF")


def avi_super_index() -> bytes:
    """An AVI whose index of indexes states 2^32 entries."""
    plain = video(brightening(4), codec="mpeg4", container="avi")
    offset = plain.index(b"strf")
    table = b"indx" + struct.pack("<I", 24) + struct.pack("<HBBI", 4, 0, 0, 0xFFFF_FFFF) + bytes(16)
    return plain[:offset] + table + plain[offset:]


def riff(name: bytes, content: bytes, kind: bytes = b"LIST") -> bytes:
    """A RIFF list."""
    return kind + struct.pack("<I", 4 + len(content)) + name + content


def blank(kind: str, side: int, **options: object) -> bytes:
    """A square image of one colour."""
    return encoded(Image.new("RGB", (side, side), (9, 99, 199)), kind, **options)


def animation(kind: str, side: int, frames: int) -> bytes:
    """An animation of a large canvas, of which a small part changes."""
    pictures = [Image.new("RGB", (side, side)) for _ in range(frames)]
    for k, picture in enumerate(pictures):
        picture.paste((k, 9, 9), (k, k, k + 2, k + 2))
    return encoded(pictures[0], kind, save_all=True, append_images=pictures[1:], compress_level=1)


def gif_of_many_frames(count: int, side: int = 16) -> bytes:
    """A GIF of frames of 16 x 16 pixels on a square canvas."""
    single = gif_canvas(side, side)
    start = single.index(b"\x2c")
    return single[:start] + single[start : single.rindex(b";")] * count + b";"


def gif_canvas(width: int, height: int) -> bytes:
    """A GIF with a small frame on a canvas of this size."""
    plain = encoded(Image.new("P", (16, 16), 0), "GIF")
    return plain[:6] + struct.pack("<HH", width, height) + plain[10:]


def webp_canvas(width: int, height: int, frames: int = 1) -> bytes:
    """An animated WebP with small pictures on a canvas of this size."""
    still = encoded(Image.new("RGB", (16, 16), 9), "WEBP", lossless=True)[12:]
    frame = (
        (0).to_bytes(6, "little")
        + (15).to_bytes(3, "little") * 2
        + (40).to_bytes(3, "little")
        + b"\0"
    )
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    chunks = b"VP8X" + struct.pack("<I", 10) + b"\2\0\0\0" + size
    chunks += b"ANIM" + struct.pack("<I", 6) + bytes(6)
    chunks += (b"ANMF" + struct.pack("<I", len(frame + still)) + frame + still) * frames
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


def png_chunk(name: bytes, content: bytes) -> bytes:
    """A PNG chunk."""
    return (
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
    )


def png_with(name: bytes, size: int, count: int = 1, picture: Image.Image | None = None) -> bytes:
    """A PNG with metadata that are so large once they are unpacked."""
    packed = zlib.compress(bytes(size), 9)
    text = {b"iCCP": b"p\0\0", b"zTXt": b"t\0\0", b"iTXt": b"t\0\1\0\0\0"}[name] + packed
    plain = encoded(picture or scene(3, 64), "PNG")
    return plain[:33] + png_chunk(name, text) * count + plain[33:]


def png_claims_frames(count: int) -> bytes:
    """An animated PNG of two frames that says it has `count`."""
    frames = [Image.new("RGB", (16, 16), (k, 0, 0)) for k in (1, 250)]
    plain = encoded(frames[0], "PNG", save_all=True, append_images=frames[1:])
    offset = plain.index(b"acTL") - 4
    return plain[:offset] + png_chunk(b"acTL", struct.pack(">II", count, 0)) + plain[offset + 20 :]


def progressive(side: int) -> bytes:
    """A progressive JPEG without subsampled colours: its coefficients are held all at once."""
    image = Image.new("RGB", (side, side), (9, 99, 199))
    return encoded(image, "JPEG", progressive=True, subsampling=0, quality=30)


def bmp_that_claims(side: int) -> bytes:
    """A BMP whose header says this size, with hardly anything behind it."""
    plain = encoded(Image.new("RGB", (16, 16)), "BMP")
    return plain[:18] + struct.pack("<ii", side, side) + plain[26:]


def damaged(content: bytes, length: int, changes: list[tuple[int, int]]) -> bytes:
    """Bytes with some changed and the end cut off."""
    changed = bytearray(content)
    for position, value in changes:
        changed[position % len(changed)] = value
    return bytes(changed[: length % len(changed) + 1])
