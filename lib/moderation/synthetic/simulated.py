"""Simulated pieces: texts from templates, drawn images, moving shapes. They need no data files.

They are made so that a small model can learn them, and say nothing of how well it would do on real
posts. A `fight` is two shapes that move fast and change direction; a calm clip drifts.
"""

import numpy as np
from PIL import Image, ImageDraw

from lib.moderation.model.outputs import Pixels
from lib.moderation.synthetic.composing import Recipe
from lib.moderation.synthetic.pieces import CLIP_KINDS, TEXT_KINDS, Pieces

IMAGE_KINDS = ("disc", "bar", "ring", "stripes", "cross", "dots")

SIMULATED_RECIPE = Recipe(prohibited=frozenset({"cross"}), context=frozenset({"ring", "disc"}))
"""Crosses stand for prohibited items; rings and discs beside neutral texts violate in context."""

_SUBJECTS = ("the bus", "my neighbour", "this recipe", "the match", "our garden", "that film")
_NEUTRAL = (
    "{} was on time today, {}",
    "I really enjoyed {} this week {}",
    "does anyone know more about {}? {}",
    "{} looks lovely in the morning {}",
)
_OFFENSIVE = (
    "{} is complete rubbish you muppet {}",
    "shut up about {} you clown {}",
    "what a stupid lot, {} again {}",
)
# invented names for a group, so that no real one is written here
_HATE = (
    "all glorbs should leave, {} too {}",
    "glorbs are vermin, blame them for {} {}",
    "never trust a zibbet near {} they are filth {}",
)
_ENDS = ("", "!!", "#monday", "😀", "lol", "https://example.org/a1", "@somebody", "ok?")
_TEMPLATES = dict(zip(TEXT_KINDS, (_NEUTRAL, _OFFENSIVE, _HATE), strict=True))


def simulated_pieces(texts: int, images: int, clips: int, seed: int, side: int = 32) -> Pieces:
    """So many pieces of each modality, kinds in turn.

    Args:
        texts: how many.
        images: how many, `side` pixels high and wide.
        clips: how many, of 12 frames.
        seed: of everything that is drawn.
        side: pixels.
    """
    rng = np.random.default_rng(seed)
    text_kinds = tuple(TEXT_KINDS[k % len(TEXT_KINDS)] for k in range(texts))
    image_kinds = tuple(IMAGE_KINDS[k % len(IMAGE_KINDS)] for k in range(images))
    clip_kinds = tuple(CLIP_KINDS[k % len(CLIP_KINDS)] for k in range(clips))
    return Pieces(
        tuple(_text(kind, rng) for kind in text_kinds),
        text_kinds,
        tuple(_image(kind, side, rng) for kind in image_kinds),
        image_kinds,
        tuple(_clip(kind, side, rng) for kind in clip_kinds),
        clip_kinds,
    )


def _text(kind: str, rng: np.random.Generator) -> str:
    template = _TEMPLATES[kind][rng.integers(len(_TEMPLATES[kind]))]
    subject = _SUBJECTS[rng.integers(len(_SUBJECTS))]
    return template.format(subject, _ENDS[rng.integers(len(_ENDS))]).strip()


def _image(kind: str, side: int, rng: np.random.Generator) -> Pixels:
    noise = rng.integers(0, 60, (side, side, 3)) + rng.integers(0, 90, 3)
    image = Image.fromarray(noise.astype(np.uint8))
    pen = ImageDraw.Draw(image)
    colour = tuple(int(channel) for channel in rng.integers(150, 256, 3))
    radius = side * rng.uniform(0.22, 0.32)
    x, y = rng.uniform(radius, side - radius, 2)
    box = (x - radius, y - radius, x + radius, y + radius)
    thick = max(2, side // 10)
    if kind == "disc":
        pen.ellipse(box, fill=colour)
    elif kind == "ring":
        pen.ellipse(box, outline=colour, width=thick)
    elif kind == "bar":
        pen.rectangle((x - radius, y - thick, x + radius, y + thick), fill=colour)
    elif kind == "cross":
        pen.line((box[0], box[1], box[2], box[3]), fill=colour, width=thick)
        pen.line((box[0], box[3], box[2], box[1]), fill=colour, width=thick)
    elif kind == "stripes":
        for offset in range(0, side, 2 * thick):
            pen.line((offset, 0, offset, side), fill=colour, width=thick // 2 + 1)
    else:
        for dot in rng.uniform(0, side, (12, 2)):
            pen.ellipse((dot[0] - 1, dot[1] - 1, dot[0] + 1, dot[1] + 1), fill=colour)
    return np.asarray(image).copy()


def _clip(kind: str, side: int, rng: np.random.Generator, frames: int = 12) -> Pixels:
    speed = side * (rng.uniform(0.12, 0.2) if kind == "fight" else rng.uniform(0.0, 0.02))
    positions = rng.uniform(0.3, 0.7, (2, 2)) * side
    angle = rng.uniform(0, 2 * np.pi, 2)
    ground = (rng.integers(0, 40, (side, side, 3)) + 60).astype(np.uint8)
    shades = [int(shade) for shade in rng.integers(160, 256, 2)]
    radius = side * 0.12
    images = []
    for _ in range(frames):
        image = Image.fromarray(ground)
        pen = ImageDraw.Draw(image)
        for k in range(2):
            x, y = positions[k]
            pen.rectangle((x - radius, y - radius, x + radius, y + radius), fill=(shades[k],) * 3)
        images.append(np.asarray(image).copy())
        if kind == "fight":
            angle = rng.uniform(0, 2 * np.pi, 2)
        move = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        positions = np.clip(positions + speed * move, radius, side - radius)
    return np.stack(images)
