"""How many frames animated images hold, counted in their bytes instead of believed."""

from collections.abc import Iterator

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_SHOWN = (b"tRNS", b"eXIf", b"acTL", b"fcTL", b"fdAT")
"""Chunks that change what a viewer shows, beside the critical ones."""

_GIF_EXTENSION, _GIF_FRAME, _GIF_END = 0x21, 0x2C, 0x3B


def png_without_metadata(content: bytes) -> tuple[bytes, int]:
    """A PNG without profiles, texts and times, and how many frames follow its first picture.

    Compressed metadata may be larger than the pixels; nothing of it is shown.
    """
    kept, frames, has_picture = [content[: len(_PNG_SIGNATURE)]], 0, False
    for name, start, end in _png_chunks(content):
        if not name[0] & 0x20 or name in _PNG_SHOWN:
            kept.append(content[start:end])
        # a frame before the picture itself is the picture
        frames += name == b"fcTL" and has_picture
        has_picture |= name == b"IDAT"
        if name == b"IEND":
            break
    return b"".join(kept), frames


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of each chunk; what is cut off belongs to the last one."""
    start = len(_PNG_SIGNATURE)
    while start + 8 <= len(content):
        name = content[start + 4 : start + 8]
        end = start + 12 + int.from_bytes(content[start : start + 4], "big")
        yield name, start, min(end, len(content))
        start = end


def gif_frames(content: bytes, most: int) -> int:
    """Frames of a GIF, counted up to `most`."""
    frames, offset = 0, 13
    if len(content) > 10 and content[10] & 0x80:
        offset += 3 << ((content[10] & 7) + 1)
    while offset < len(content) and frames < most:
        sign = content[offset]
        if sign == _GIF_END:
            break
        if sign == _GIF_EXTENSION:
            offset = _after_blocks(content, offset + 2)
        elif sign == _GIF_FRAME and offset + 9 < len(content):
            flags = content[offset + 9]
            table = 3 << ((flags & 7) + 1) if flags & 0x80 else 0
            offset = _after_blocks(content, offset + 11 + table)
            frames += 1
        else:
            offset += 1
    return frames


def _after_blocks(content: bytes, position: int) -> int:
    """Where the blocks that begin at a place end."""
    while position < len(content) and content[position]:
        position += content[position] + 1
    return position + 1
