"""Speed of the dense CRF on one photo of VOC's size, in NumPy and in JAX.

    python -m benchmarks.crf

Prints, for presets k1, k3 and k5 at 10 iterations, the vertices of the bilateral
lattice, the seconds that building both lattices takes, and those of inference. Takes a
smooth scene with noise that it draws itself, or --image.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from PIL import Image

from ppcjax import cli
from ppcjax.refine import crf, crf_jax
from ppcjax.refine.kernels import kernel_lattice
from ppcjax.refine.lattice import GaussianFilter
from ppcjax.types import UserError

PRESETS = ("k1", "k3", "k5")


def scene(height: int, width: int) -> np.ndarray:
    """[H, W, 3] uint8: shaded discs on a shaded ground, with sensor noise."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:height, :width]
    image = np.full((height, width, 3), 120.0)
    for _ in range(30):
        y, x, radius = rng.random(3) * (height, width, height / 3)
        image[(rows - y) ** 2 + (columns - x) ** 2 < radius**2] = rng.uniform(0, 255, 3)
    image += 40 * np.sin(columns / 90 + rows / 130)[..., None]
    image += rng.normal(0, 4, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def measure(
    image: np.ndarray, num_classes: int, settings: crf.CrfSettings
) -> dict[str, float]:
    """Wall and CPU seconds of the parts, on random probabilities.

    Returns:
        "vertices" of the bilateral lattice; "build_s" of both lattices and
        "inference_s" in NumPy; "jax_compile_s" and "jax_inference_s"; of the seconds
        also "*_cpu_s", the CPU time of the process.
    """
    rng = np.random.default_rng(0)
    scores = rng.random((*image.shape[:2], num_classes), np.float32)
    energies = crf.unary(scores, settings).reshape(-1, num_classes)
    kernels = settings.gaussian, settings.bilateral
    result = {}

    def timed(name: str, function: Callable[[], Any]) -> Any:
        wall, cpu = time.perf_counter(), time.process_time()
        value = jax.block_until_ready(function())
        result[f"{name}_s"] = time.perf_counter() - wall
        result[f"{name}_cpu_s"] = time.process_time() - cpu
        return value

    def build():
        return [kernel_lattice(k, image.shape[:2], image) for k in kernels]

    def filters():
        return [GaussianFilter(lattice) for lattice in build()]

    result["vertices"] = build()[1].steps.shape[1]
    built = timed("build", filters)
    weighted = [(k.compat, f) for k, f in zip(kernels, built, strict=True)]
    timed("inference", lambda: crf.mean_field(energies, weighted, settings.iterations))
    tables = crf_jax.filter_tables(image[None], settings)

    def jitted():
        return crf_jax.mean_field(energies[None], *tables, settings.iterations)

    timed("jax_first", jitted)
    timed("jax_inference", jitted)
    return result


def main(argv: list[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image", type=Path, help="a photo, resized to the size")
    parser.add_argument("--size", type=int, nargs=2, default=(375, 500))
    parser.add_argument("--num_classes", type=int, default=21)
    parser.add_argument("--iterations", type=int, default=10)
    arguments = parser.parse_args(argv)
    height, width = arguments.size
    image = scene(height, width)
    if arguments.image:
        if not arguments.image.is_file():
            raise UserError(f"no photo {str(arguments.image)!r}")
        with Image.open(arguments.image) as photo:
            image = np.asarray(photo.convert("RGB").resize((width, height)))
    print(f"device        {jax.device_count()} x {jax.devices()[0].device_kind}")
    print(f"photo         {width} x {height} px, {arguments.num_classes} classes")
    print("seconds, CPU seconds in brackets; compilation is the first call less")
    for name in PRESETS:
        settings = crf.preset(name)._replace(iterations=arguments.iterations)
        result = measure(image, arguments.num_classes, settings)
        print(f"{name}            {result['vertices']} vertices")
        for part in ("build", "inference", "jax_first", "jax_inference"):
            seconds, cpu = result[f"{part}_s"], result[f"{part}_cpu_s"]
            print(f"  {part:14}{seconds:.2f} ({cpu:.2f})")


if __name__ == "__main__":
    cli.one_line(main)
