"""How large a batch or a crop fits in how much memory, from the compiler's numbers.

    python -m benchmarks.memory --method ppc --json benchmarks/results/memory.json

Compiles the training step of a published config at three sizes, without running it, and
reads what the program holds at once: parameters, optimizer, batch and all between. With
P pixels of a photo and B photos (episodes) of a batch this is fitted by

    bytes = a + B (b P + c P^2)

where c is what grows with pairs of cells, such as the pixel correlation of SEAM. Then
the largest batch at the config's crop, and the largest crop of a batch of two, are
solved for. These are the numbers of the compiler for CPUs, whose convolutions take
scratch beside them; compilers for other devices fuse and lay out otherwise, so take
them for a first guess. Needs no data. A method that the JSON file holds is not compiled
again, unless --again is given.
"""

import argparse
import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from benchmarks import config as configs
from benchmarks.facts import facts
from benchmarks.step import program_bytes, random_batch
from ppcjax import cli, methods
from ppcjax.train import mesh as meshes
from ppcjax.train import optim, step

# By name: title, config, number of classes.
PUBLISHED = {
    "ppc": ("PPC, WideResNet-38", "configs/ppc_voc.py", 21),
    "seam": ("SEAM, WideResNet-38", "configs/ppc_voc.py:seam", 21),
    "eps": ("EPS, WideResNet-38", "configs/eps_voc.py", 21),
    "affinity": ("AffinityNet, WideResNet-38", "configs/affinity_voc.py", 21),
    "pixpro": ("PixPro, ResNet-50", "configs/pixpro_imagenet.py", 1000),
    "panet": ("PANet, VGG-16", "configs/panet_voc.py", 21),
    "asgnet": ("ASGNet, ResNet-50", "configs/asgnet_voc.py", 21),
    "deeplab": ("DeepLab v1, WideResNet-38", "configs/deeplab_voc.py", 21),
    "deeplab_v2": ("DeepLab v2, ResNet-101", "configs/deeplab_voc.py:v2", 21),
    "contrastive": (
        "ContrastiveSeg, HRNet-W48, no memory",
        "configs/contrastive_cityscapes.py",
        19,
    ),
}
GIBS = (8, 16, 24, 40, 80)
# Sooner compiled, and of the same memory.
QUICKLY = {"xla_backend_optimization_level": 0}
SMALL = 2  # photos of a batch whose crop is as large as fits


class Fit(NamedTuple):
    """bytes = fixed + batch (linear pixels + square pixels^2)."""

    fixed: float
    linear: float
    square: float

    def each(self, pixels: float) -> float:
        """Bytes of one more photo."""
        return self.linear * pixels + self.square * pixels**2

    def total(self, point: Mapping[str, float]) -> float:
        """Bytes of a point of `measure`, by the fit."""
        return self.fixed + point["batch"] * self.each(point["pixels"])

    def batch(self, pixels: float, most: float) -> int:
        """Largest batch within `most` bytes; 0 where not even one photo fits."""
        return max(0, int((most - self.fixed) / self.each(pixels)))

    def pixels(self, batch: int, most: float) -> float:
        """Most pixels of a photo in a batch within `most` bytes; 0 for none."""
        room = (most - self.fixed) / batch
        if room <= 0:
            return 0.0
        # The root in a form that holds where `square` is 0.
        root = math.sqrt(self.linear**2 + 4 * self.square * room)
        return 2 * room / (self.linear + root)


def fit(points: Sequence[Mapping[str, float]]) -> Fit:
    """The fit through points with "batch", "pixels" and "bytes", of two crops at least.

    Where the square would be negative it is 0, and the others are least squares.
    """
    batch, pixels, size = (
        np.array([point[name] for point in points], np.float64)
        for name in ("batch", "pixels", "bytes")
    )
    unit = pixels.max()
    columns = np.stack([np.ones_like(batch), batch * pixels / unit], 1)
    whole = np.concatenate([columns, (batch * (pixels / unit) ** 2)[:, None]], 1)
    fixed, linear, square = np.linalg.lstsq(whole, size)[0]
    if square < 0:
        (fixed, linear), square = np.linalg.lstsq(columns, size)[0], 0.0
    return Fit(float(fixed), float(linear / unit), float(square / unit**2))


def sides(crop: int | Sequence[int], factor: float = 1.0) -> tuple[int, int]:
    """Rows and columns of a crop, each times a factor and a multiple of 8 then."""
    pair = (crop, crop) if isinstance(crop, int) else tuple(crop)
    if factor == 1.0:
        return pair
    return tuple(max(8, int(side * factor + 1e-6) // 8 * 8) for side in pair)


def compiled_bytes(settings: Mapping[str, Any], num_classes: int) -> dict[str, float]:
    """Compiles the step of a config: "bytes" that it holds, and "compile_s".

    Args:
        settings: with "method", "data", "optim" and "steps".
        num_classes: classes of the data.
    """
    mesh = meshes.make_mesh()
    batch = random_batch(settings["data"], num_classes=num_classes)
    method = methods.make(settings["method"], num_classes)
    optimizer = optim.make(steps=settings["steps"], **settings["optim"])
    key = jax.random.key(0)
    state = step.create_state(method, optimizer, key, batch, mesh)
    start = time.perf_counter()
    lowered = step.make_step(method, optimizer, mesh, key).lower(state, batch)
    stats = lowered.compile(dict(QUICKLY)).memory_analysis()
    seconds = time.perf_counter() - start
    return {"bytes": program_bytes(stats), "compile_s": seconds}


def measure(config: str, num_classes: int) -> list[dict[str, Any]]:
    """Points of a config: two batches at its crop, and a crop of twice its sides."""
    settings = dict(configs.load(config))
    crop = settings["data"]["crop"]
    points = []
    for batch, factor in ((SMALL, 1.0), (2 * SMALL, 1.0), (SMALL, 2.0)):
        pair = sides(crop, factor)
        side = pair[0] if isinstance(crop, int) else pair
        changes = {"batch_size": batch, "crop": side}
        settings["data"] = settings["data"] | changes
        point = {"batch": batch, "crop": list(pair), "pixels": math.prod(pair)}
        point |= compiled_bytes(settings, num_classes)
        points.append(point)
        print(
            f"{config}: {batch} x {pair}: {point['bytes'] / 2**20:,.0f} MiB", flush=True
        )
    return points


def result(title: str, config: str, points: Sequence[Mapping[str, Any]]) -> dict:
    """What the JSON says of a method."""
    found = fit(points)
    crop = tuple(points[0]["crop"])
    pixels = math.prod(crop)
    table = {}
    for gib in GIBS:
        most = gib * 2**30
        factor = math.sqrt(found.pixels(SMALL, most) / pixels)
        fits = factor * min(crop) >= 8
        table[str(gib)] = {
            "batch": found.batch(pixels, most),
            "crop": list(sides(crop, factor)) if fits else None,
        }
    return {
        "title": title,
        "config": config,
        "points": list(points),
        "fit": found._asdict(),
        "worst": max(abs(found.total(p) / p["bytes"] - 1) for p in points),
        "mib_of_a_photo": found.each(pixels) / 2**20,
        "fixed_mib": found.fixed / 2**20,
        "largest": table,
    }


def table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """The Markdown table of docs/performance.md."""
    head = ["step", "crop", "fixed, MiB", "a photo, MiB"]
    head += [f"{gib} GiB" for gib in GIBS]
    lines = [head, ["---"] * len(head)]
    for found in results.values():
        cells = [found["title"], text(found["points"][0]["crop"])]
        cells += [f"{found['fixed_mib']:,.0f}", f"{found['mib_of_a_photo']:,.0f}"]
        for of in found["largest"].values():
            crop = text(of["crop"]) if of["crop"] else "none"
            cells.append(f"{of['batch']}; {crop}")
        lines.append(cells)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def text(crop: Sequence[int]) -> str:
    """A crop in words, such as "448" or "512 x 1024"."""
    return str(crop[0]) if len(set(crop)) == 1 else " x ".join(map(str, crop))


def main(argv: list[str] | None = None) -> None:
    """Compiles and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--method", nargs="+", choices=list(PUBLISHED), default=list(PUBLISHED))
    add("--json", type=Path, help="file that keeps and adds results")
    add("--again", action="store_true", help="compile what the file holds, too")
    arguments = parser.parse_args(argv)
    jax.config.update("jax_platforms", "cpu")
    file, kept = arguments.json, {}
    if file and file.exists():
        kept = json.loads(file.read_text())
    for name in arguments.method:
        title, config, classes = PUBLISHED[name]
        if name not in kept or arguments.again:
            found = result(title, config, measure(config, classes))
            kept[name] = found | facts("benchmarks.memory", ["--method", name])
            if file:
                file.write_text(json.dumps(kept, indent=1) + "\n")
    print(table({name: kept[name] for name in PUBLISHED if name in kept}))


if __name__ == "__main__":
    cli.one_line(main)
