"""What the contrast of ContrastiveSeg costs: blocks against one matrix, and its share.

    python -m benchmarks.contrast --slots 1000 10000 100000 1000000
    python -m benchmarks.contrast --backbone hrnet_w48 --height 512 --width 1024

For each number of slots, over all classes: the loss with its gradient in blocks, and as
the released program computes it, one matrix of anchors by slots, kept several times
over; milliseconds, and memory besides the inputs. With --backbone, the share of the
contrast in the FLOP of a training step, forward and backward; the network is counted
without being compiled, the contrast by its matrix products. Needs no data.
"""

import argparse
import functools
import importlib.util
import statistics

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.step import seconds, step_flop
from ppcjax import cli
from ppcjax.ops import pixel_contrast
from ppcjax.types import UserError

TEMPERATURE = 0.1
LARGEST_MATRIX = 2**28  # anchors x slots that are tried as one matrix


def inputs(anchors: int, slots: int, classes: int, dim: int):
    """Random unit anchors [S, D], their labels [S], and a full bank."""
    rng = np.random.default_rng(0)

    def unit(*shape):
        x = rng.standard_normal(shape, np.float32)
        return jnp.asarray(x / np.linalg.norm(x, axis=-1, keepdims=True))

    each = -(-slots // classes)
    bank = {"slots": unit(classes, each, dim), "filled": np.full(classes, each)}
    labels = jnp.asarray(rng.integers(0, classes, anchors, dtype=np.int32))
    return unit(anchors, dim), labels, jax.tree.map(jnp.asarray, bank)


def in_blocks(anchors, labels, bank):
    """The loss as it is trained with."""
    return pixel_contrast.contrast(
        anchors,
        labels,
        banks=(bank,),
        with_anchors=False,
        temperature=TEMPERATURE,
        base_temperature=TEMPERATURE,
    )


def one_matrix(anchors, labels, bank):
    """The loss line by line as released: what a plain program computes."""
    classes, each, dim = bank["slots"].shape
    owner = jnp.repeat(jnp.arange(classes), each)
    logits = anchors @ bank["slots"].reshape(-1, dim).T / TEMPERATURE
    logits -= jax.lax.stop_gradient(jnp.max(logits, axis=1, keepdims=True))
    positive = (labels[:, None] == owner[None, :]).astype(jnp.float32)
    exponential = jnp.exp(logits)
    rest = jnp.sum(exponential * (1.0 - positive), axis=1, keepdims=True)
    log_share = logits - jnp.log(exponential + rest)
    return -jnp.mean(jnp.sum(positive * log_share, axis=1) / jnp.sum(positive, axis=1))


def measure(loss, arguments, repeats: int) -> tuple[float, float]:
    """Milliseconds of the loss with its gradient, and MiB besides inputs."""
    compiled = jax.jit(jax.value_and_grad(loss)).lower(*arguments).compile()
    jax.block_until_ready(compiled(*arguments))
    times = [seconds(lambda: compiled(*arguments)) for _ in range(repeats)]
    scratch = compiled.memory_analysis().temp_size_in_bytes
    return 1e3 * statistics.median(times), scratch / 2**20


def measure_torch(anchors, labels, bank, repeats: int) -> float:
    """Milliseconds of `one_matrix` with its gradient in eager PyTorch, float32."""
    import torch

    classes, each, dim = bank["slots"].shape
    queries = torch.tensor(np.asarray(anchors), requires_grad=True)
    slots = torch.tensor(np.asarray(bank["slots"])).reshape(-1, dim)
    owner = torch.arange(classes).repeat_interleave(each)
    positive = (torch.tensor(np.asarray(labels))[:, None] == owner).float()

    def call():
        queries.grad = None
        logits = queries @ slots.T / TEMPERATURE
        logits = logits - logits.max(1, keepdim=True).values.detach()
        exponential = logits.exp()
        rest = (exponential * (1 - positive)).sum(1, keepdim=True)
        log_share = logits - (exponential + rest).log()
        loss = -((positive * log_share).sum(1) / positive.sum(1)).mean()
        loss.backward()
        return loss.item()

    np.testing.assert_allclose(call(), one_matrix(anchors, labels, bank), rtol=1e-4)
    return 1e3 * statistics.median(seconds(call) for _ in range(repeats))


def contrast_flop(anchors: int, slots: int, classes: int, dim: int) -> float:
    """FLOP of the matrix products of `in_blocks`, with its gradient.

    Two products with all slots, and two with those of one class for each tile of 32
    anchors, of which there are at most anchors / 32 + classes.
    """
    tiles = anchors // 32 + classes
    return 2 * 2 * dim * (anchors * slots + 32 * tiles * -(-slots // classes))


def baseline(backbone: str, crop: list[int], images: int) -> dict:
    """The parts of a config that trains this network with cross-entropy alone."""
    head = "hrnet" if backbone.startswith("hrnet") else "v3"
    method = {"name": "contrastive_seg", "weight": 0.0}
    return {
        "method": method | {"backbone": backbone, "head": head},
        "data": {"batch_size": images, "crop": crop, "with_masks": True},
    }


def main(argv: list[str] | None = None) -> None:
    """Prints a Markdown table of slots, and the share of a network's step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slots", type=int, nargs="*", default=[1_000, 10_000])
    parser.add_argument("--anchors", type=int, default=1024)
    parser.add_argument("--classes", type=int, default=19)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--torch", action="store_true", help="compare with PyTorch")
    parser.add_argument("--backbone", help="compare with a step of this network")
    parser.add_argument("--height", type=int, default=512)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--images", type=int, default=2)
    options = parser.parse_args(argv)
    if options.torch and importlib.util.find_spec("torch") is None:
        raise UserError("--torch: PyTorch is not installed; pip install torch")
    make = functools.partial(inputs, options.anchors)
    columns = ["slots", "blocks, ms", "MiB", "one matrix, ms", "MiB"]
    columns += ["PyTorch, ms"] if options.torch else []
    print("| " + " | ".join(columns) + " |")
    print("| " + " | ".join("---" for _ in columns) + " |")
    for slots in options.slots:
        arguments = make(slots, options.classes, options.dim)
        cells = list(measure(in_blocks, arguments, options.repeats))
        if options.anchors * slots <= LARGEST_MATRIX:
            cells += measure(one_matrix, arguments, options.repeats)
            if options.torch:
                cells.append(measure_torch(*arguments, options.repeats))
        cells = [f"{x:.1f}" for x in cells] + ["-"] * (len(columns) - 1 - len(cells))
        print("| " + " | ".join([f"{slots:,}", *cells]) + " |", flush=True)
    if options.backbone:
        crop = [options.height, options.width]
        network = baseline(options.backbone, crop, options.images)
        whole = step_flop(network, num_classes=options.classes)
        print(f"\n{options.backbone}: {whole / 1e12:.3f} TFLOP a step")
        for slots in options.slots:
            flop = contrast_flop(options.anchors, slots, options.classes, options.dim)
            print(f"{slots:>9,} slots: {flop / 1e12:.3f} TFLOP, {flop / whole:.1%}")


if __name__ == "__main__":
    cli.one_line(main)
