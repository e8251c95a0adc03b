"""Speed and memory of the training step of a config, on random data.

    python -m benchmarks.step --config configs/ppc_voc.py --num_classes 21

Prints compile seconds, milliseconds per step, images per second, FLOP per step, the
share of this machine's measured matrix product rate, and peak memory. Needs no data.
Of a config on a frozen network the step begins with features, as in training, where
that network has looked at the photos before; its own time is none of the step's.
"""

import argparse
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import config as configs
from ppcjax import cli, methods
from ppcjax.data_pipelines.episodes.arrays import layout
from ppcjax.data_pipelines.episodes.plans import Shape
from ppcjax.nn.remat import rematerialized
from ppcjax.train import mesh as meshes
from ppcjax.train import optim, step
from ppcjax.train.settings import check_devices


def random_batch(data: Mapping[str, Any], *, num_classes: int) -> dict[str, np.ndarray]:
    """Noise in the shape of the training batches of config.data.

    Each image has two tags; masks hold all classes, boxes all of the photo. Where data
    has "features", see `benchmarks.config.of_step`, these stand for images.
    """
    batch = _random_photos(data, num_classes)
    return batch | _random_features(batch, **data.get("features") or {})


def _random_features(batch, stride=0, width=0, second=0) -> dict[str, np.ndarray]:
    """What a frozen network might give of the images of a batch; {} without a width."""
    rng = np.random.default_rng(0)
    sizes = {
        name: (image.shape[:-3], image.shape[-3:-1])
        for name, image in batch.items()
        if width and name.endswith("image")
    }
    if second and "image" in sizes:
        sizes["second_image"] = (sizes["image"][0], (second, second))
    return {
        name: rng.standard_normal(
            (*lead, *(-(-n // stride) for n in sides), width), np.float32
        ).astype(np.float16)
        for name, (lead, sides) in sizes.items()
    }


def _random_photos(data: Mapping[str, Any], num_classes: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    size, crop = data["batch_size"], data["crop"]
    if "way" in data:
        shape = Shape(data["way"], data["shot"], data.get("query", 1))
        return random_episodes(shape, crop, size)
    sides = (crop, crop) if isinstance(crop, int) else tuple(crop)
    if "ratio" in data:
        views = rng.integers(0, 256, (size, 2, *sides, 3), dtype=np.uint8)
        return {"image": views, "box": np.tile(np.float32([0, 0, 1, 1]), (size, 2, 1))}
    tags = np.zeros((size, num_classes), np.float32)
    tags[:, 0] = 1.0
    for row in tags:
        row[rng.choice(np.arange(1, num_classes), 2)] = 1.0
    batch = {
        "image": rng.integers(0, 256, (size, *sides, 3), dtype=np.uint8),
        "valid": np.tile(np.array([0, 0, *sides], np.int32), (size, 1)),
        "tags": tags,
    }
    if data.get("with_masks"):
        mask = rng.integers(0, num_classes, (size, *sides), dtype=np.int32)
        batch["mask"] = mask
    if "saliency" in data:  # its folder, which may be given later
        batch["saliency"] = rng.integers(0, 256, (size, *sides), dtype=np.uint8)
    return batch


def batch_shapes(
    data: Mapping[str, Any], *, num_classes: int, rows: int
) -> dict[str, jax.ShapeDtypeStruct]:
    """`random_batch` of so many rows as shapes, however large."""
    row = random_batch({**data, "batch_size": 1}, num_classes=num_classes)
    return {
        name: jax.ShapeDtypeStruct((rows, *x.shape[1:]), x.dtype)
        for name, x in row.items()
    }


def random_episodes(shape: Shape, side: int, rows: int) -> dict[str, np.ndarray]:
    """Episodes of noise; in each mask a centred square of the first way.

    Args:
        shape: ways, shots and queries.
        side: pixels along a side of the canvases.
        rows: episodes.
    """
    rng = np.random.default_rng(0)
    batch = {
        name: np.zeros((rows, *size), dtype)
        for name, (size, dtype) in layout(shape, side).items()
    }
    square = slice(side // 4, 3 * side // 4)
    for kind in ("support", "query"):
        image = batch[f"{kind}_image"]
        image[:] = rng.integers(0, 256, image.shape, dtype=np.uint8)
        batch[f"{kind}_valid"][:] = (0, 0, side, side)
        batch[f"{kind}_mask"][..., square, square] = 1
    batch["shot_valid"][:] = True
    batch["class_id"][:] = np.arange(1, shape.way + 1)
    return batch


def step_flop(settings: Mapping[str, Any], *, num_classes: int) -> float:
    """FLOP of the gradient of the whole loss, counted without compiling it."""
    method = methods.make(settings["method"], num_classes)
    batch = random_batch(settings["data"], num_classes=num_classes)
    params, model_state = method.init(jax.random.key(0), batch)
    gradient = jax.jit(jax.grad(method.loss, has_aux=True))
    lowered = gradient.lower(params, model_state, batch, jax.random.key(0), 0)
    return lowered.cost_analysis()["flops"]


def matmul_rate() -> float:
    """FLOP per second of a large float32 matrix product on one device."""
    size = 2048 if jax.default_backend() == "cpu" else 8192
    x = jnp.ones((size, size), jnp.float32)
    product = jax.jit(lambda a, b: a @ b)
    jax.block_until_ready(product(x, x))
    return 2 * size**3 / min(seconds(lambda: product(x, x)) for _ in range(10))


def measure(
    settings: Mapping[str, Any], *, num_classes: int, steps: int
) -> dict[str, float]:
    """Compiles the step of a config and runs it `steps` times.

    Returns:
        "compile_s", "step_ms" (median), "images_per_s", "flop" of a step, "share" of
        the matrix product rate of all devices, "program_mib" (what the compiled
        step holds on each device), "peak_mib" (of the device, or of the process
        where the device does not tell).
    """
    data = settings["data"]
    size = data["batch_size"]
    mesh = meshes.make_mesh()
    check_devices(size, settings.get("accumulate", 1))
    batch = random_batch(data, num_classes=num_classes)
    batch = jax.device_put(batch, meshes.sharded(mesh))
    key = jax.random.key(0)
    method = methods.make(settings["method"], num_classes)
    if settings.get("remat"):
        method = method._replace(loss=rematerialized(method.loss))
    optimizer = optim.make(steps=settings["steps"], **settings["optim"])
    state = step.create_state(method, optimizer, key, batch, mesh)

    start = time.perf_counter()
    parts = settings.get("accumulate", 1)
    update = step.make_step(method, optimizer, mesh, key, parts=parts)
    compiled = update.lower(state, batch).compile()
    compile_seconds = time.perf_counter() - start
    times = []
    for _ in range(steps + 1):
        start = time.perf_counter()
        state, scalars = compiled(state, batch)
        jax.block_until_ready((state, scalars))
        times.append(time.perf_counter() - start)
    median = statistics.median(times[1:])  # the first one warms up
    peak = _peak_mib()  # before the matrix product takes its own
    flop = plain_flop(update, state, batch)
    return {
        "compile_s": compile_seconds,
        "step_ms": 1e3 * median,
        "images_per_s": size / median,
        "flop": flop,
        "share": flop / median / (matmul_rate() * mesh.size),
        "program_mib": program_bytes(compiled.memory_analysis()) / 2**20,
        "peak_mib": peak,
    }


def plain_flop(update: Any, *arguments: Any) -> float:
    """FLOP of a jitted step whose convolutions all have the compiler's form.

    What a CPU computes has fewer, where Winograd's tiles save products.
    """
    lowered = update.trace(*arguments).lower(lowering_platforms=("tpu",))
    return lowered.cost_analysis()["flops"]


def seconds(function: Callable[[], Any]) -> float:
    """Wall time of one call, its result awaited."""
    start = time.perf_counter()
    jax.block_until_ready(function())
    return time.perf_counter() - start


def program_bytes(stats: Any) -> int:
    """What a compiled program holds at once, of its `memory_analysis`."""
    return (
        stats.argument_size_in_bytes
        + stats.output_size_in_bytes
        + stats.temp_size_in_bytes
        - stats.alias_size_in_bytes
    )


def _peak_mib() -> float:
    stats = jax.devices()[0].memory_stats()
    if stats and "peak_bytes_in_use" in stats:
        return stats["peak_bytes_in_use"] / 2**20
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def main(argv: list[str] | None = None) -> None:
    """Prints the table of one config."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", required=True, help="a .py[:VARIANT] or .json")
    parser.add_argument("--num_classes", type=int, default=21)
    parser.add_argument("--steps", type=int, default=5, help="timed steps")
    parser.add_argument("--batch_size", type=int, help="instead of the config's")
    parser.add_argument(
        "--crop", type=int, nargs="+", help="pixels, a side or two, for the config's"
    )
    arguments = parser.parse_args(argv)
    settings = configs.of_step(arguments.config)
    crop = arguments.crop
    crop = crop[0] if crop and len(crop) == 1 else crop
    changes = {"batch_size": arguments.batch_size, "crop": crop}
    settings["data"] = settings["data"] | {k: v for k, v in changes.items() if v}
    step.inline_on_cpus()
    result = measure(settings, num_classes=arguments.num_classes, steps=arguments.steps)
    device = jax.devices()[0].device_kind
    data = settings["data"]
    print(f"device        {jax.device_count()} x {device}")
    print(f"batch         {data['batch_size']} x {data['crop']} px")
    if features := data.get("features"):
        print("features      {width} channels, a cell {stride} px".format(**features))
    print(f"compile       {result['compile_s']:.1f} s")
    print(f"step          {result['step_ms']:.1f} ms")
    print(f"speed         {result['images_per_s']:.1f} images/s")
    print(f"work          {result['flop'] / 1e9:.1f} GFLOP per step")
    print(f"share         {result['share']:.1%} of the matrix product rate")
    print(f"step memory   {result['program_mib']:.0f} MiB per device")
    print(f"peak memory   {result['peak_mib']:.0f} MiB")


if __name__ == "__main__":
    cli.one_line(main)
