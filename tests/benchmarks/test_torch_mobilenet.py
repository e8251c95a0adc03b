"""The PyTorch form of PPC on MobileNetV2 takes the step that ours takes."""

import flax.linen as nn
import jax
import numpy as np
import optax
import pytest

from benchmarks import race_settings
from benchmarks.step import random_batch
from ppcjax import methods
from ppcjax.ops import prototypes, sampling
from ppcjax.train import optim
from tests.golden.arrays import assert_close, paths

torch = pytest.importorskip("torch")

from benchmarks.torch_baseline import ppc_terms  # noqa: E402
from benchmarks.torch_baseline.mobilenet_v2 import MobileNetV2  # noqa: E402
from benchmarks.torch_baseline.ppc import PPC  # noqa: E402
from benchmarks.torch_baseline.step import Step  # noqa: E402
from tests.benchmarks.torch_arrays import tensor  # noqa: E402

pytestmark = pytest.mark.torch

CLASSES = 5
HEADS = {
    "classifier": "fc8",
    "projector": "fc_proj",
    "affinity_stage3": "f8_3",
    "affinity_stage4": "f8_4",
    "affinity": "f9",
}


class Sides:
    """Both sides with the same parameters, before a step on the same batch.

    What differs between them is left out: drop-out, and the random half of each class.
    Rate and decay are such that they show in float32.
    """

    def __init__(self, monkeypatch):
        monkeypatch.setattr(sampling, "random_half", _half)
        settings, _ = race_settings.read("ppc_mobilenet", batch=2, crop=(64,))
        settings["method"] |= {"dropout": 0.0, "small_view": 40}
        settings["optim"] |= {"lr": 1.0, "weight_decay": 0.1}
        self.settings = settings
        self.batch = random_batch(settings["data"], num_classes=CLASSES)
        self.method = methods.make(settings["method"], CLASSES)
        self.params, state = self.method.init(jax.random.key(0), self.batch)
        rng = np.random.default_rng(0)
        self.params = jax.tree.map(
            lambda x: x + np.float32(0.3 * rng.standard_normal(x.shape) * (x.ndim < 2)),
            self.params,
        )
        self.loss = lambda params: self.method.loss(
            params, state, self.batch, jax.random.key(0), 0
        )[0]
        self.net = MobileNetV2(
            CLASSES, dropout=0.0, centred=settings["method"]["centred"]
        )
        self.net.load_state_dict(
            {n: tensor(x) for n, x in _theirs(self.params).items()}
        )

    def our_step(self):
        """Loss, gradients and next parameters, these two by PyTorch's names."""
        loss, gradients = jax.jit(jax.value_and_grad(self.loss))(self.params)
        rule = optim.make(steps=self.settings["steps"], **self.settings["optim"])
        updates, _ = rule.update(gradients, rule.init(self.params), self.params)
        after = optax.apply_updates(self.params, updates)
        return loss, _theirs(gradients), _theirs(after)

    def their_step(self):
        """The loss; the network has gradients and next parameters then."""
        model = PPC(self.settings["method"], CLASSES, net=self.net)
        step = Step(model, self.settings)
        batch = step.put(self.batch)
        tags = batch["tags"]
        outputs, sizes = model.views(model.normalize(batch["image"]))
        choices = _choices(model, outputs, tags)
        model.forward = lambda _: model.loss(outputs, tags, sizes, **choices)[0]
        return step(batch)


def _theirs(params):
    """Our parameters by their names in PyTorch, laid out as there."""
    found = {}
    for path, x in paths(params).items():
        *layer, leaf = path.replace("/conv/", "/").split("/")[1:]
        layer = [HEADS.get(name, name) for name in layer]
        kernel = {"kernel": "weight"}.get(leaf, leaf)
        x = np.asarray(x)
        found[".".join([*layer, kernel])] = x.transpose(3, 2, 0, 1) if x.ndim > 1 else x
    return found


def _half(labels, *_):
    """The pixels that stand for the random half of each class, which none knows."""
    return np.arange(len(labels)) % 2 == 0


def _choices(model, outputs, tags):
    """Pixels that our side chooses where scores are equal, and the halves."""
    grid, threshold = outputs[1].cam.shape[2:], model.settings["pseudo_threshold"]
    top, chosen = [], []
    for output in outputs:
        view = ppc_terms.contrast_view(output, tags, grid, threshold)
        count = max(1, int(grid[0] * grid[1] * 0.125))
        best = np.asarray(prototypes.most_confident(view.scores.numpy(), count))
        top.append(tensor([np.flatnonzero(column) for column in best.T]))
        chosen.append(tensor(_half(view.labels)))
    return {"top": top, "chosen": chosen}


def test_the_loss_is_ours(monkeypatch):
    sides = Sides(monkeypatch)
    assert_close(sides.their_step(), jax.jit(sides.loss)(sides.params), 1e-5)


def test_gradients_and_update_are_ours(monkeypatch):
    # Rounding decides on which side of ReLU6's kinks some of a million numbers lie, and
    # each moves the gradients by a thousandth: here both sides have a smooth form.
    monkeypatch.setattr(nn, "relu6", lambda x: 6 * nn.sigmoid((x - 3) / 1.5))
    monkeypatch.setattr(
        torch.nn.functional, "relu6", lambda x, **_: 6 * torch.sigmoid((x - 3) / 1.5)
    )
    sides = Sides(monkeypatch)
    ours, gradients, after = sides.our_step()
    assert_close(sides.their_step(), ours, 1e-5)
    named = dict(sides.net.named_parameters())
    trained = {name: p.grad for name, p in named.items() if p.grad is not None}
    assert len(trained) > 80
    for name, gradient in trained.items():
        assert_close(gradient, gradients[name], 1e-4)
    for name, p in named.items():
        assert_close(p.detach(), after[name], 1e-4)
