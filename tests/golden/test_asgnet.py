"""Whole ASGNets, their losses and gradients against recorded numbers."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ppcjax.configs import asgnet_voc
from ppcjax.evaluate.episodes.metric import count_query
from ppcjax.losses import cross_entropy
from ppcjax.methods import asgnet_terms as terms
from ppcjax.nn.asgnet import ASGNet
from ppcjax.nn.enrichment import FeatureEnrichment, PyramidDecoder
from ppcjax.nn.resnet import PFENET, ResNet
from ppcjax.ops import seeds as seed_ops
from ppcjax.ops.resize import resize, shrink_nearest
from ppcjax.train import schedules
from tests.golden.arrays import (
    FACTOR,
    assert_within_noise,
    jit,
    load,
    norms,
    nudged,
    official_shapes,
    paths,
    published,
    recipe_weights,
    statistics,
)

NETWORK = 1e-4
CASES = ("1shot", "1shot_aspp", "1shot_relscales", "5shot")

pytestmark = pytest.mark.slow


class Recorded:
    """A recorded network: its numbers, ours of the same weights, and its batch."""

    def __init__(self, case, frozen):
        self.golden = golden = load(f"asgnet_net_{case}")
        args, shapes = golden.text("args"), golden.shapes()
        width = shapes["cls.0.weight"][0]
        if args["pyramid"]:
            scales = tuple(args["ppm_scales"])
            head = FeatureEnrichment(scales, width, classifier_dropout=0.0)
        else:
            head = PyramidDecoder(
                width=width,
                dropout=0.0,
                classifier_dropout=0.0,
                frozen_statistics=frozen,
            )
        self.net = ASGNet(
            ResNet(args["layers"], **PFENET, frozen_statistics=frozen),
            head,
            low=None if args["pyramid"] else "stage1",
            width=shapes["down_conv.0.weight"][0],
            dropout=0.0,
        )
        self.name_of = published("asgnet", "pyramid" if args["pyramid"] else "aspp")
        x = np.moveaxis(golden["x_x32"] / np.float32(32), 1, -1)
        shots = np.moveaxis(golden["s_x_x32"] / np.float32(32), 2, -1)
        trees = jax.eval_shape(self.net.init, jax.random.key(0), x)
        variables = {
            k: recipe_weights(t, golden, self.name_of) for k, t in trees.items()
        }
        self.inputs = variables, x, shots
        self.batch = {
            "support_mask": golden["s_y"][:, None].astype(np.int32),
            "shot_valid": np.ones((len(x), 1, shots.shape[1]), bool),
        }
        steps = args["train_iter"], args["eval_iter"]
        largest = golden["s_seed"].shape[2]
        self.clustering = terms.Clustering(largest, self._cells(), steps, "released")

    def _cells(self):
        """Area of a superpixel, by which the recorded seeds were placed."""
        masks, seeds = self.golden["s_y"] == 1, self.golden["s_seed"]
        grid = self.golden["prob_map"].shape[2:]
        small = shrink_nearest(masks.reshape(-1, *masks.shape[2:]), grid)
        for cells in range(1, small[0].size):
            placed = seed_ops.place_seeds(small, cells=cells, largest=seeds.shape[2])
            if np.array_equal(placed.cells, seeds.reshape(placed.cells.shape)):
                return cells
        raise AssertionError("no area gives the recorded seeds")

    @functools.partial(jit, static_argnums=0)
    def predict(self, variables, x, shots):
        """Query features, prototypes, allocation and logits."""
        encode = functools.partial(self.net.apply, variables, method="encode")
        query = encode(x)
        supports = encode(shots.reshape(-1, *x.shape[1:]))
        found = terms.prototypes(
            self.clustering, supports.features, self.batch, train=False
        )
        allocation = terms.allocate(query.features, found, prior="sum")
        logits, _ = self.net.apply(variables, query, allocation, method="decode")
        return query.features, found, allocation, logits

    @functools.partial(jit, static_argnums=0)
    def train(self, variables, x, shots):
        """Gradients, losses and labels of a training step."""

        def loss(params):
            state = {"batch_stats": variables["batch_stats"]}

            def apply(method, state, *args):
                return self.net.apply(
                    {"params": params, **state},
                    *args,
                    train=True,
                    method=method,
                    mutable=["batch_stats"],
                )

            query, state = apply("encode", state, x)
            state, found = jax.lax.scan(
                lambda state, x: apply("encode", state, x)[::-1],
                state,
                jnp.moveaxis(shots, 1, 0),
            )
            supports = terms.as_supports(found)
            learnt = terms.prototypes(
                self.clustering, supports.features, self.batch, train=True
            )
            allocation = terms.allocate(query.features, learnt, prior="sum")
            (logits, levels), _ = apply("decode", state, query, allocation)
            mask = self.golden["y"].astype(np.int32)
            maps = [
                resize(m, mask.shape[1:], align_corners=True)
                for m in (logits, *(level for level, _ in levels))
            ]
            main, *others = (cross_entropy(m, mask) for m in maps)
            auxiliary = sum(others) / len(others)
            return main + auxiliary, (main, auxiliary, jnp.argmax(maps[0], axis=-1))

        return jax.grad(loss, has_aux=True)(variables["params"])


def _predicted(recorded, *inputs):
    """What the file holds, by the names that it has there."""
    features, prototypes, allocation, logits = recorded.predict(*inputs)
    full = resize(logits, recorded.golden["out_eval"].shape[2:], align_corners=True)
    found = {
        "query_feat_c64": jnp.moveaxis(features, -1, 1)[:, :64],
        "query_feat_stats_f64": statistics(features),
        "prob_map": allocation.prior[:, None],
        "out_low": jnp.moveaxis(logits, -1, 1),
        "out_eval": jnp.moveaxis(full, -1, 1),
    }
    valid, guides = np.asarray(prototypes.valid), []
    for i, used in enumerate(valid):
        found[f"sp_center_{i}"] = np.asarray(prototypes.centres[i])[used].T
        if used.sum() > 1:
            position = np.cumsum(used) - 1
            guides.append(position[np.asarray(allocation.index[i])])
    return found, guides


@pytest.mark.parametrize("case", CASES)
def test_prediction(case):
    recorded = Recorded(case, True)
    golden = recorded.golden
    variables = recorded.inputs[0]
    official = {n: s for n, s in golden.shapes().items() if not n.startswith("layer4")}
    assert official_shapes(variables, recorded.name_of) == official
    found, guides = _predicted(recorded, *recorded.inputs)
    if guides:
        np.testing.assert_array_equal(guides, golden["guide_maps"])
    moved = nudged(lambda *x: _predicted(recorded, *x)[0], *recorded.inputs)
    assert_within_noise(found, golden, moved, floor=NETWORK)


def _trained(recorded, mode, *inputs):
    """What the file holds, by the names that it has there."""
    grads, (main, auxiliary, labels) = recorded.train(*inputs)
    sizes = norms(grads, recorded.name_of)
    assert all(size == 0 for n, size in sizes.items() if n.startswith("layer"))
    names = recorded.golden.text("gradnorm_names")
    found = {
        f"main_loss_{mode}": main,
        f"aux_loss_{mode}": auxiliary,
        f"gradnorm_{mode}": np.array([sizes[n] for n in names]),
    }
    kernel = grads["reduction"]["conv"]["kernel"][0, 0].T
    found[f"g_down_conv_{mode}_c4"] = kernel[:4]
    found = {name: x for name, x in found.items() if name in recorded.golden}
    return found, np.asarray(labels)


@pytest.mark.parametrize("mode", ["frozen_bn", "batch_bn"])
@pytest.mark.parametrize("case", CASES)
def test_training(case, mode):
    recorded = Recorded(case, mode == "frozen_bn")
    golden = recorded.golden
    compute = functools.partial(_trained, recorded, mode)
    found, labels = compute(*recorded.inputs)
    moved = nudged(compute, *recorded.inputs)
    assert_within_noise(found, golden, [other for other, _ in moved], floor=NETWORK)
    noise = max(np.mean(other != labels) for _, other in moved)
    assert np.mean(labels != golden[f"pred_{mode}"]) <= max(1e-3, FACTOR * noise)


def test_learning_rates():
    golden = load("asgnet_optim")
    steps = int(golden["max_iter"])
    config = asgnet_voc.get_config().optim
    rate = schedules.poly(config.lr, power=config.power, steps=steps)
    # The release counts updates from 1, so that the last one has rate 0.
    for t, recorded in enumerate(golden["lrs_f64"][: steps - 1], 1):
        np.testing.assert_allclose(recorded, rate(t), rtol=1e-5)


def test_parameters_that_the_released_optimizer_moves():
    recorded = Recorded("1shot", True)
    frozen = asgnet_voc.get_config().optim.frozen
    moving = {
        recorded.name_of(path)
        for path in paths(recorded.inputs[0]["params"])
        if not any(re.search(pattern, path) for pattern in frozen)
    }
    groups = load("asgnet_optim").text("groups")
    assert moving == {name for group in groups for name in group}


def test_counts_of_intersection_and_union():
    golden = load("asgnet_optim")
    truth = golden["iou_target"].astype(np.int32)
    classes = len(golden["target"])
    counts = count_query(
        golden["iou_out"], truth, range(1, classes), classes, absent="count"
    )
    np.testing.assert_array_equal(counts.hits, golden["intersection"])
    np.testing.assert_array_equal(sum(counts), golden["union"])
    np.testing.assert_array_equal(counts.hits + counts.misses, golden["target"])
