"""`shapes`: textured scenes with exact masks, made from nothing but a seed.

Why it looks as it does. Weak supervision fails in a certain way: a classifier needs
only the most telling part of an object, so its class activation map covers the head of
the dog and not the dog. Here that failure is built in and can be measured:

- an object is a large *body* with a small *part* on it;
- the part alone tells the class: each class has its own pattern, drawn in a lighter
  and a darker tone of the body's colour;
- the body tells nothing: form, colour and texture are drawn per object from lists that
  all classes share, and untagged *distractors* are bodies without a part;
- bodies are long and the part sits near one end, so that a blurred map of the part is
  no map of the body;
- within an image each body, and the background, has a colour of its own, and a body
  looks the same all over, so similarity of pixels can carry the evidence from the part
  to its body, and to no other.

There, no two bodies of a class look alike, so that nothing of a class can be learnt but
its part: a prototype of the class averages over all bodies. Photos are not so, as most
cows have the hide of a cow. Hence a second set, `textures="class"`: bodies of a class
have a texture of their own, too faint to tell as much as the part does, and still any
form and colour. It has the same masks and pixels as the first but for these textures.

Image i of a split is a pure function of (seed, split, i): raw Philox bits and integer
arithmetic only, hence the same bytes on every machine.
"""

import functools
from typing import Literal, NamedTuple

import numpy as np

from ppcjax.data_pipelines import textured

CLASSES = ("background", "cross", "rings", "checker", "stripes", "dots")

# The two tones of a part: its body's colour, lighter and darker. A part has no colour
# of its own: only its pattern tells the class.
PART_CONTRAST = 85  # grey levels
# Colours of bodies and backgrounds: muted, and far enough apart to be told apart.
PALETTE = (
    *((150, 110, 80), (95, 125, 90), (95, 115, 150), (165, 150, 110), (120, 90, 125)),
    *((175, 130, 130), (80, 95, 100), (130, 160, 160), (110, 100, 60), (160, 165, 190)),
)
COLOUR_JITTER = 10  # of each channel of a body's colour, grey levels
TEXTURE_STRENGTH = (14, 30)  # range of the amplitude of a texture, grey levels
TAGGED_OBJECTS = (1, 3)
DISTRACTORS = (0, 2)
# Lengths in units of 1/1024 of the image side.
BODY_LENGTH = (230, 310)  # long half axis: bodies are 45 to 60 % of the side
BODY_WIDTH = (105, 145)  # short half axis
PART_SHARE = 680  # half width of the part in 1/1024 of the shorter half axis
PART_OFFSET = (560, 680)  # from the body's centre, in 1/1024 of the long half axis
MARGIN = 90  # least distance of centres of bodies and parts from the border
GAP = 900  # least distance of two centres, in 1/1024 of the sum of their mean radii
ATTEMPTS = 24  # positions tried for an object before it is left out

Textures = Literal["any", "class"]

SPLITS = {"train": 0, "val": 1, "test": 2}
_BODY_FORMS = 3
_TEXTURES = 3
# 32 directions as whole numbers, in 1/1024.
_TURNS = np.round(
    1024 * np.exp(2j * np.pi * np.arange(32) / 32).view(np.float64).reshape(32, 2)
).astype(np.int64)


class Scene(NamedTuple):
    """One image with its truth.

    image: [S, S, 3] uint8 RGB.
    mask: [S, S] uint8 class ids.
    part: [S, S] bool, pixels of parts.
    """

    image: np.ndarray
    mask: np.ndarray
    part: np.ndarray


class _Body(NamedTuple):
    """Lengths in 1/16 pixel; class 0 for a distractor; `part` is along the height."""

    class_id: int
    form: int
    y: int
    x: int
    half_height: int
    half_width: int
    turn: int
    part: int
    part_turn: int


def scene(
    seed: int, split: str, index: int, size: int, textures: Textures = "any"
) -> Scene:
    """Draws image `index` of a split.

    Args:
        seed: seed of the whole set.
        split: "train", "val" or "test".
        index: number of the image.
        size: side of the square image, pixels.
        textures: whether a tagged body has any texture, or that of its class.
    """
    bits = np.random.Philox(key=[seed, SPLITS[split]], counter=[0, index, 0, 0])
    numbers = iter(bits.random_raw(1024).tolist())
    grain = _bytes(bits, size * size).reshape(size, size)

    def draw(low, high):
        return low + ((next(numbers) * (high - low + 1)) >> 64)

    bodies = _place_bodies(draw, size)
    colours = _distinct(draw, len(PALETTE), len(bodies) + 1)
    image = np.zeros((size, size, 3), np.uint8)
    mask = np.zeros((size, size), np.uint8)
    part = np.zeros((size, size), bool)
    everywhere = (slice(0, size), slice(0, size))
    image[...] = _textured(draw, bits, grain, everywhere, colours[0], size)
    for body, colour in zip(bodies, colours[1:], strict=True):
        window = _window(body, size)
        inside, on_part, tone = _draw_body(body, window, size)
        of_class = None
        if body.class_id and textures == "class":
            v, u = _along(body, window)
            of_class = textured.of_class(body.class_id, v, u, grain[window], size)
        look = _textured(draw, bits, grain, window, colour, size, of_class)
        if body.class_id:
            change = np.where(tone[on_part], PART_CONTRAST, -PART_CONTRAST)
            toned = look[on_part].astype(np.int32) + change[:, None]
            look[on_part] = np.clip(toned, 0, 255)
        image[window][inside] = look[inside]
        mask[window][inside] = body.class_id
        part[window][inside] = on_part[inside] & (body.class_id > 0)
    return Scene(image, mask, part)


def _bytes(bits: np.random.Philox, count: int) -> np.ndarray:
    words = bits.random_raw(-(-count // 8)).astype("<u8")
    return words.view(np.uint8)[:count].astype(np.int32)


def _distinct(draw, size: int, count: int) -> list[int]:
    left = list(range(size))
    return [left.pop(draw(0, len(left) - 1)) for _ in range(count)]


def _place_bodies(draw, size: int) -> list[_Body]:
    """Distractors first, so that tagged objects lie in front of them."""
    tagged, others = draw(*TAGGED_OBJECTS), draw(*DISTRACTORS)
    bodies: list[_Body] = []
    # The tagged ones take their places first: the first always finds one.
    for number in range(tagged + others):
        class_id = draw(1, len(CLASSES) - 1) if number < tagged else 0
        body = _place_body(draw, class_id, bodies, size)
        if body is not None:
            bodies.append(body)
    return sorted(bodies, key=lambda body: body.class_id > 0)


def _place_body(draw, class_id: int, others: list[_Body], size: int) -> _Body | None:
    unit = 16 * size  # the side in 1/16 pixel
    half_height = draw(*BODY_LENGTH) * unit // 1024
    half_width = draw(*BODY_WIDTH) * unit // 1024
    turn, form = draw(0, 31), draw(0, _BODY_FORMS - 1)
    part = draw(*PART_OFFSET) * half_height // 1024
    part_turn = draw(0, 31)
    cosine, sine = _TURNS[turn].tolist()
    margin = MARGIN * unit // 1024
    for _ in range(ATTEMPTS):
        y, x = draw(margin, unit - margin), draw(margin, unit - margin)
        tip_y, tip_x = y + (cosine * part >> 10), x - (sine * part >> 10)
        seen = margin <= min(tip_y, tip_x) and max(tip_y, tip_x) <= unit - margin
        if seen and all(
            _apart(y, x, half_height + half_width, other) for other in others
        ):
            return _Body(
                *(class_id, form, y, x, half_height, half_width, turn),
                *(part, part_turn),
            )
    return None


def _apart(y: int, x: int, axes: int, other: _Body) -> bool:
    least = (axes + other.half_height + other.half_width) // 2 * GAP // 1024
    return (y - other.y) ** 2 + (x - other.x) ** 2 >= least**2


def _window(body: _Body, size: int) -> tuple[slice, slice]:
    # Squircles reach beyond their half axes on the diagonal.
    reach = max(body.half_height, body.half_width) * 5 // (4 * 16) + 2
    y, x = body.y // 16, body.x // 16
    return (
        slice(max(y - reach, 0), min(y + reach, size)),
        slice(max(x - reach, 0), min(x + reach, size)),
    )


def _draw_body(body: _Body, window, size: int):
    """Which pixels of the window are body, which are part, and the part's tone."""
    v, u = _along(body, window)
    inside = _body_form(v * 1024 // body.half_height, u * 1024 // body.half_width, body)
    half = min(body.half_height, body.half_width) * PART_SHARE // 1024
    q, p = _turned(v - body.part, u, body.part_turn)
    q, p = q * 1024 // half, p * 1024 // half
    on_part = (np.maximum(abs(q), abs(p)) <= 1024) & (q * q + p * p <= 1200**2) & inside
    return inside, on_part, _part_tone(q, p, body.class_id)


def _along(body: _Body, window):
    """Places of the window's pixels along the body and across it, in 1/16 pixel."""
    y = 16 * np.arange(window[0].start, window[0].stop)[:, None] + 8 - body.y
    x = 16 * np.arange(window[1].start, window[1].stop)[None, :] + 8 - body.x
    return _turned(y, x, body.turn)


def _turned(y, x, turn: int):
    cosine, sine = _TURNS[turn].tolist()
    return (cosine * y - sine * x) >> 10, (sine * y + cosine * x) >> 10


def _body_form(v, u, body: _Body):
    """Ellipse, squircle or pear; v and u are 1024 at the ends of the half axes."""
    if body.form == 0:
        return v * v + u * u <= 1024**2
    if body.form == 1:
        return v**4 + u**4 <= 1024**4
    width = 1024 + v // 3  # narrow at one end
    return v * v * width + u * u * 1024 * 1024 // width <= 1024**2 * width


def _part_tone(q, p, class_id: int):
    """0 or 1 per pixel: the pattern of a class; q and p are in -1024..1024."""
    if class_id == 1:  # cross
        return ((abs(q) < 300) | (abs(p) < 300)).astype(np.int64)
    if class_id == 2:  # rings
        radius = q * q + p * p
        return ((radius < 380**2) | (radius > 800**2)).astype(np.int64)
    if class_id == 3:  # checker
        return ((q + 1024) // 683 + (p + 1024) // 683) % 2
    if class_id == 4:  # stripes
        return (q + 1024 + 0 * p) // 410 % 2
    dot = ((q + 1024) % 1024 - 512) ** 2 + ((p + 1024) % 1024 - 512) ** 2
    return (dot < 330**2).astype(np.int64)


def _textured(
    draw, bits, grain, window, colour: int, size: int, of_class=None
) -> np.ndarray:
    """[rows, columns, 3] uint8: a colour with one of three textures, or a given one."""
    base = [
        channel + draw(-COLOUR_JITTER, COLOUR_JITTER) for channel in PALETTE[colour]
    ]
    kind, strength = draw(0, _TEXTURES - 1), draw(*TEXTURE_STRENGTH)
    cells = (6, 14, 14)[kind]
    lattice = _bytes(bits, (cells + 1) ** 2).reshape(cells + 1, cells + 1)
    rows, columns = _weights(cells, size)[window[0]], _weights(cells, size)[window[1]]
    smooth = (rows @ lattice @ columns.T) >> 16  # 0..255
    noise = (smooth + grain[window]) // 2 if kind == 2 else smooth
    if of_class is not None:  # drawn in vain, so that all else stays as it is
        noise = of_class
    change = ((noise - 128) * strength) >> 7
    look = np.array(base, np.int32) + change[:, :, None]
    return np.clip(look, 0, 255).astype(np.uint8)


@functools.lru_cache(maxsize=16)
def _weights(cells: int, size: int) -> np.ndarray:
    """[size, cells + 1] int32 weights of linear interpolation; rows sum to 256."""
    place = (2 * np.arange(size) + 1) * cells * 128 // size  # in 1/256 of a cell
    cell, share = place // 256, place % 256
    weights = np.zeros((size, cells + 1), np.int32)
    weights[np.arange(size), cell] = 256 - share
    weights[np.arange(size), cell + 1] = share
    return weights
