"""What the contrasts of PPC add to a training step, forward and backward.

    python -m benchmarks.ppc_loss --config configs/ppc_voc.py --num_classes 21

Compares the contrasts alone, on random outputs of the sizes that the config gives,
with the whole step: by FLOP, and with --time by seconds (which takes the memory and
the minutes of a real step). Needs no data.
"""

import argparse
import statistics

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import config as configs
from benchmarks.step import measure, random_batch, seconds, step_flop
from ppcjax import cli
from ppcjax.methods import ppc_terms
from ppcjax.nn import backbones
from ppcjax.nn.cam_net import CamOutput


def contrast_step(settings, *, num_classes: int):
    """The jitted gradient of the contrasts, and random outputs to call it with."""
    method, data = settings["method"], settings["data"]
    module, _ = backbones.make(method["backbone"], method.get("backbone_settings"))
    stride = module.stride
    rng = np.random.default_rng(0)

    def output(side):
        shape = (data["batch_size"], -(-side // stride), -(-side // stride))
        refined = rng.random((*shape, num_classes), np.float32)
        projection = rng.random((*shape, method.get("projection", 128)), np.float32)
        return CamOutput(refined, refined, projection)

    outputs = [output(data["crop"]), output(method.get("small_view", 128))]
    tags = random_batch(data | {"crop": 1}, num_classes=num_classes)

    def loss(outputs, tags, key):
        terms, _ = ppc_terms.contrasts(
            outputs,
            tags,
            key,
            mining=ppc_terms.Mining.of(num_classes, 0.1, 0.6),
            prototype_share=0.125,
        )
        return 0.1 * sum(terms.values())

    arguments = (outputs, jnp.asarray(tags["tags"]), jax.random.key(0))
    return jax.jit(jax.grad(loss)), arguments


def main(argv: list[str] | None = None) -> None:
    """Prints the share of the contrasts in a config's step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", required=True, help="a .py[:VARIANT] or .json")
    parser.add_argument("--num_classes", type=int, default=21)
    parser.add_argument("--batch_size", type=int, help="instead of the config's")
    parser.add_argument("--time", action="store_true", help="run the step as well")
    arguments = parser.parse_args(argv)
    settings = configs.of_step(arguments.config)
    if arguments.batch_size:
        settings["data"] = settings["data"] | {"batch_size": arguments.batch_size}
    classes = arguments.num_classes
    function, inputs = contrast_step(settings, num_classes=classes)
    flop = function.lower(*inputs).cost_analysis()["flops"]
    whole = step_flop(settings, num_classes=classes)
    print(f"contrasts     {flop / 1e9:.3f} GFLOP")
    print(f"step          {whole / 1e9:.1f} GFLOP")
    print(f"share         {flop / whole:.2%} of the FLOP")
    jax.block_until_ready(function(*inputs))
    times = [seconds(lambda: function(*inputs)) for _ in range(5)]
    print(f"contrasts     {1e3 * statistics.median(times):.1f} ms")
    if arguments.time:
        result = measure(settings, num_classes=classes, steps=2)
        share = 1e3 * statistics.median(times) / result["step_ms"]
        print(f"step          {result['step_ms']:.1f} ms")
        print(f"share         {share:.2%} of the time")


if __name__ == "__main__":
    cli.one_line(main)
