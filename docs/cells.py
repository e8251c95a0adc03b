"""Drawn photos of cells for docs/label.png, and what a person does with them."""

import json
import re
import subprocess
import sys
import time
import urllib.request
import uuid
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIZE = 480, 360  # width and height, pixels
COUNT = 12
ROUND, ROD = 1, 2  # classes
NAMES = {ROUND: "cell", ROD: "rod"}
_MARKED, _ACCEPTED = 3, 2  # photos that are marked, and accepted
_WEIGHTS = (
    "--config.frozen.backbone=efficientnet_lite0",
    "--config.frozen.weights=imagenet",
    "--config.frozen.endpoint=stage4",
)


def photo(index: int) -> tuple[np.ndarray, list[tuple[int, tuple]]]:
    """A photo [H, W, 3] uint8, and the objects on it: class, (x, y, radius, angle)."""
    rng = np.random.default_rng(index)
    width, height = SIZE
    image = Image.new("RGB", SIZE, (238, 226, 231))
    pen = ImageDraw.Draw(image)
    for _ in range(40):  # a ground that is not even
        x, y, r = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(8, 60)
        shade = tuple(int(v + rng.uniform(-10, 8)) for v in (236, 222, 230))
        pen.ellipse((x - r, y - r, x + r, y + r), fill=shade)
    image = image.filter(ImageFilter.GaussianBlur(14))
    objects: list[tuple[int, tuple]] = []
    for _ in range(200):
        r = rng.uniform(26, 48)
        x, y = rng.uniform(r, width - r), rng.uniform(r, height - r)
        if all(np.hypot(x - o[0], y - o[1]) > r + o[2] + 6 for _, o in objects):
            kind = ROUND if rng.random() < 0.6 else ROD
            objects.append((kind, (x, y, r, rng.uniform(0, np.pi))))
        if len(objects) == 9:
            break
    for kind, place in objects:
        _draw(image, kind, place, rng)
    pixels = np.asarray(image.filter(ImageFilter.GaussianBlur(0.8)), np.float32)
    pixels += rng.normal(0, 1, (height, width, 1))
    return np.clip(pixels, 0, 255).astype(np.uint8), objects


def _draw(image: Image.Image, kind: int, place: tuple, rng) -> None:
    x, y, r, angle = place
    pen = ImageDraw.Draw(image)
    if kind == ROD:
        dx, dy = 0.75 * r * np.cos(angle), 0.75 * r * np.sin(angle)
        for part, shade in ((0.5, (70, 122, 84)), (0.34, (112, 166, 118))):
            width, ends = round(r * part), ((x - dx, y - dy), (x + dx, y + dy))
            pen.line(ends, fill=shade, width=width)
            for ex, ey in ends:
                half = width / 2
                pen.ellipse((ex - half, ey - half, ex + half, ey + half), fill=shade)
        return
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    waves = 1 + 0.06 * np.sin(3 * angles + angle) + 0.04 * np.sin(5 * angles)
    for part, shade in ((0.95, (142, 96, 156)), (0.86, (186, 146, 198))):
        rim = [(x + part * r * w * np.cos(a), y + part * r * w * np.sin(a))
               for a, w in zip(angles, waves, strict=True)]  # fmt: skip
        pen.polygon(rim, fill=shade)
    cx, cy, c = x + rng.uniform(-5, 5), y + rng.uniform(-5, 5), r * 0.36
    pen.ellipse((cx - c, cy - c, cx + c, cy + c), fill=(92, 52, 118))


class Person:
    """Somebody at the page of a server.

    url: the address that the server printed.
    """

    def __init__(self, url: str):
        """Opens the address."""
        self.url = url
        self._base, self._token = re.fullmatch(r"(.*)/\?token=(\w+)", url).groups()

    def _ask(self, path: str, body: dict | None = None) -> dict:
        headers = {"X-Token": self._token, "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(self._base + path, content, headers)
        with urllib.request.urlopen(asked) as answer:
            return json.load(answer)

    def does(self, kind: str, **fields) -> None:
        """An action, which must not be refused."""
        action = {"id": str(uuid.uuid4()), "kind": kind, **fields}
        answer = self._ask("/api/actions", {"actions": [action]})
        assert not answer["refused"], answer

    def marks(self, number: int, objects: list[tuple[int, tuple]]) -> None:
        """A line in one object of each class, and one between them all."""
        seen = set()
        for kind, (x, y, r, angle) in objects:
            if kind in seen:
                continue
            seen.add(kind)
            dx, dy = 0.6 * r * np.cos(angle), 0.6 * r * np.sin(angle)
            points = [[x - dx, y - dy], [x, y], [x + dx, y + dy]]
            self.does("stroke", **{"class": kind}, photo=number, points=points, width=7)
        points = _between(objects)
        self.does("stroke", **{"class": 0}, photo=number, points=points, width=7)

    def proposes(self) -> None:
        """Asks for proposals and waits for them."""
        self._ask("/api/propose", {"photo": _MARKED})
        while self._ask("/api/state")["counts"]["proposed"] < COUNT:
            time.sleep(0.5)


def _between(objects: list[tuple[int, tuple]]) -> list[list[float]]:
    """A line that keeps away from all objects, from the left to the right."""
    found = []
    for x in np.linspace(30, SIZE[0] - 30, 30):
        ys = np.arange(10, SIZE[1] - 10, 4)
        room = np.min([np.hypot(x - o[0], ys - o[1]) - o[2] for _, o in objects], 0)
        last = found[-1][1] if found else SIZE[1] / 2
        free = ys[room > 6]
        near = free[np.abs(free - last) < 26]
        if len(near):
            found.append([float(x), float(near[np.abs(near - last).argmin()])])
    return found


def served(folder: Path) -> tuple[subprocess.Popen, str]:
    """A server of drawn photos that were marked, proposed for and in part accepted.

    Args:
        folder: gets the photos, and the labels beside it; neither is there.

    Returns:
        Its process, and the address of the page.
    """
    folder.mkdir(parents=True)
    scenes = [photo(index) for index in range(COUNT)]
    for index, (pixels, _) in enumerate(scenes):
        Image.fromarray(pixels).save(folder / f"slide{index + 1:02}.png")
    words = [sys.executable, "-m", "ppcjax", "label", str(folder), *_WEIGHTS]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    address = re.search(r"http://\S+", server.stdout.readline())
    if address is None:
        raise SystemExit("ppcjax label does not start")
    person = Person(address[0])
    for name in NAMES.values():
        person.does("class_add", name=name)
    for number in range(_MARKED):
        person.marks(number, scenes[number][1])
    person.proposes()
    for number in range(_MARKED - _ACCEPTED, _MARKED):
        person.does("accept", photo=number)
    return server, address[0]
