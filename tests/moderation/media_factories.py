"""Images and videos made for tests: nothing lies in a file."""

import io
import struct
import zlib
from fractions import Fraction

import av
import numpy as np
from PIL import Image

from lib.moderation.media.images import decode_frames
from lib.moderation.media.limits import Limits


def scene(seed: int, side: int = 256) -> Image.Image:
    """A smooth picture with edges in it, as photographs have; the same for the same seed."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    pixels = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC)).copy()
    for _ in range(4):
        left, top = rng.integers(0, side * 3 // 4, 2)
        pixels[top : top + side // 4, left : left + side // 5] = rng.integers(0, 256, 3)
    return Image.fromarray(pixels)


def encoded(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    """The bytes of an image."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def decode_image(content: bytes, limits: Limits | None = None) -> np.ndarray:
    """The first frame of an image."""
    return decode_frames(content, limits).frames[0]


def png_that_claims(width: int, height: int) -> bytes:
    """A PNG whose header says this size, with hardly anything behind it."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1_000_000), 9)
    chunks = [(b"IHDR", header), (b"IDAT", body), (b"IEND", b"")]
    png = b"\x89PNG\r\n\x1a\n"
    for name, data in chunks:
        png += struct.pack(">I", len(data)) + name + data
        png += struct.pack(">I", zlib.crc32(name + data))
    return png


def video(
    frames: list[np.ndarray],
    rate: int = 25,
    codec: str = "libx264",
    container: str = "mp4",
    **options: str,
) -> bytes:
    """A video of uint8 (H, W, 3) frames."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.time_base = Fraction(1, rate)
        for pixels in frames:
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                output.mux(packet)
        for packet in stream.encode():
            output.mux(packet)
    return buffer.getvalue()


def brightening(frames: int, side: int = 64) -> list[np.ndarray]:
    """Grey frames, each a little brighter than the last: frame k has the value 4 * k."""
    return [np.full((side, side, 3), 4 * k, dtype=np.uint8) for k in range(frames)]


def at_times(frames: list[np.ndarray], seconds: list[float]) -> bytes:
    """A video of which each frame is shown from its moment on, to a hundredth of a second."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as output:
        stream = output.add_stream("mjpeg", rate=100)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuvj420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 100)
        for pixels, at in zip(frames, seconds, strict=True):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = round(at * 100), Fraction(1, 100)
            for packet in stream.encode(frame):
                output.mux(packet)
        for packet in stream.encode():
            output.mux(packet)
    return buffer.getvalue()


def two_tracks() -> bytes:
    """An MP4 with two tracks of pictures."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as output:
        streams = [output.add_stream("mpeg4", rate=25) for _ in range(2)]
        for stream in streams:
            stream.height = stream.width = 64
            stream.pix_fmt = "yuv420p"
        for stream in streams:
            pixels = np.full((64, 64, 3), 99, np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                output.mux(packet)
            for packet in stream.encode():
                output.mux(packet)
    return buffer.getvalue()


def pictures_of_another_size(header_side: int, picture: bytes, count: int = 3) -> bytes:
    """An AVI whose header says small frames and whose packets hold this JPEG."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="avi") as output:
        stream = output.add_stream("mjpeg", rate=25)
        stream.height = stream.width = header_side
        stream.pix_fmt = "yuvj420p"
        for index in range(count):
            packet = av.Packet(picture)
            packet.stream, packet.pts, packet.dts = stream, index, index
            packet.time_base, packet.is_keyframe = Fraction(1, 25), True
            output.mux(packet)
    return buffer.getvalue()


def no_frames() -> bytes:
    """An MP4 that is whole, with a stream of pictures and no picture in it."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4", options={"movflags": "empty_moov"}) as output:
        stream = output.add_stream("mpeg4", rate=25)
        stream.height = stream.width = 64
        stream.pix_fmt = "yuv420p"
        output.start_encoding()
    return buffer.getvalue()


def sound() -> bytes:
    """An MP4 with a tone and no picture."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as output:
        stream = output.add_stream("aac", rate=16_000)
        for _ in range(8):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            frame.sample_rate = 16_000
            for packet in stream.encode(frame):
                output.mux(packet)
        for packet in stream.encode():
            output.mux(packet)
    return buffer.getvalue()
