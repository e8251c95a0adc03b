"""What travels between eight devices: python -m tests.methods.travelling NAME ...

Prints JSON: name -> kind of collective -> count and bytes. Names are those of METHODS,
with ":MODE" for ContrastiveSeg, and of the choices below.
"""

import json
import sys

import jax
import jax.numpy as jnp

from benchmarks.aot import collectives
from ppcjax.methods import episodes
from ppcjax.ops import prototypes, sampling
from ppcjax.train import mesh as meshes
from ppcjax.train import optim, step
from tests import batches, small_methods

DEVICES = 8
CELLS, CLASSES = 4 * DEVICES, 3
SGD = dict(name="sgd", lr=0.1, momentum=0.9, weight_decay=0.0, power=0.9, steps=10)


def spread(tree):
    """Arrays as shapes with a row for each device."""
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct((DEVICES, *x.shape[1:]), x.dtype), tree
    )


def of_step(name):
    """The program of a training step."""
    name, _, mode = name.partition(":")
    more = {"mode": mode} if mode else {}
    if mode == "mem_official":
        more["region_slots"] = small_methods.SMALL[name]["pixel_slots"]
    method = small_methods.make(name, **more)
    batch = spread(batches.to_train(method))
    mesh, key, optimizer = meshes.make_mesh(), jax.random.key(0), optim.make(**SGD)
    drawn = method.init(key, batch)
    ready = method._replace(init=lambda *_: drawn)
    state = jax.eval_shape(
        lambda: step.create_state(ready, optimizer, key, batch, mesh)
    )
    return step.make_step(method, optimizer, mesh, key).lower(state, batch).compile()


def of_function(function, *arguments):
    """The program of a function of arrays that lie on all devices."""
    sharding = meshes.sharded(meshes.make_mesh())
    return jax.jit(function, in_shardings=sharding).lower(*arguments).compile()


def _half(kind):
    def choose(labels, values):
        if kind == "random":
            return sampling.random_half(labels, jax.random.key(0), CLASSES)
        return sampling.hard_half(labels, values, CLASSES)

    labels = jax.ShapeDtypeStruct((CELLS,), jnp.int32)
    return of_function(choose, labels, jax.ShapeDtypeStruct((CELLS,), jnp.float32))


def _centres():
    def centres(features, scores):
        top = prototypes.most_confident(scores, 5)
        return prototypes.estimate(features, scores, top)

    features = jax.ShapeDtypeStruct((CELLS, 8), jnp.float32)
    scores = jax.ShapeDtypeStruct((CELLS, CLASSES), jnp.float32)
    return of_function(centres, features, scores)


def _photos():
    def both(batch):
        return episodes.split(episodes.all_photos(batch), batch)

    return of_function(both, spread(batches.episodes()))


CHOICES = {
    "random half": lambda: _half("random"),
    "hard half": lambda: _half("hard"),
    "prototypes": _centres,
    "photos of episodes": _photos,
}


def main():
    """Prints what the programs named on the command line move."""
    jax.config.update("jax_num_cpu_devices", DEVICES)
    jax.config.update("jax_enable_compilation_cache", False)
    found = {}
    for name in sys.argv[1:]:
        compiled = CHOICES[name]() if name in CHOICES else of_step(name)
        found[name] = collectives.count(compiled.as_text())
    print(json.dumps(found))


if __name__ == "__main__":
    main()
