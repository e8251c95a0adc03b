"""The PyTorch form of PPC on MobileNetV2 takes the step that ours takes."""

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


def _settings():
    """Those of the race, without drop-out; rate and decay show in float32."""
    settings, _ = race_settings.read("ppc_mobilenet", batch=2, crop=(64,))
    settings["method"] |= {"dropout": 0.0, "small_view": 40}
    settings["optim"] |= {"lr": 1.0, "weight_decay": 0.1}
    return settings


def _started(method, batch):
    """First parameters, but with biases: at exactly 0 ReLU6 has no one gradient."""
    params, model_state = method.init(jax.random.key(0), batch)
    rng = np.random.default_rng(0)

    def drawn(path, x):
        is_bias = path[-1].key == "bias"
        return np.float32(0.3 * rng.standard_normal(x.shape)) if is_bias else x

    return jax.tree_util.tree_map_with_path(drawn, params), model_state


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


def _our_step(method, settings, params, model_state, batch):
    """Loss, gradients and next parameters, these two by PyTorch's names."""

    def loss(params):
        return method.loss(params, model_state, batch, jax.random.key(0), 0)[0]

    value, gradients = jax.jit(jax.value_and_grad(loss))(params)
    rule = optim.make(steps=settings["steps"], **settings["optim"])
    updates, _ = rule.update(gradients, rule.init(params), params)
    return value, _theirs(gradients), _theirs(optax.apply_updates(params, updates))


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


def test_loss_gradients_and_update_are_ours(monkeypatch):
    monkeypatch.setattr(sampling, "random_half", _half)
    settings = _settings()
    batch = random_batch(settings["data"], num_classes=CLASSES)
    method = methods.make(settings["method"], CLASSES)
    params, model_state = _started(method, batch)
    ours = _our_step(method, settings, params, model_state, batch)

    net = MobileNetV2(CLASSES, dropout=0.0, centred=settings["method"]["centred"])
    net.load_state_dict({n: tensor(x) for n, x in _theirs(params).items()})
    model = PPC(settings["method"], CLASSES, net=net)
    step = Step(model, settings)
    batch = step.put(batch)
    tags = batch["tags"]
    outputs, sizes = model.views(model.normalize(batch["image"]))
    choices = _choices(model, outputs, tags)
    model.forward = lambda _: model.loss(outputs, tags, sizes, **choices)[0]
    loss = step(batch)

    value, gradients, after = ours
    assert_close(loss, value, 1e-5)
    trained = {name: p for name, p in net.named_parameters() if p.grad is not None}
    assert len(trained) > 80
    for name, p in trained.items():
        assert_close(p.grad, gradients[name], 1e-4)
    for name, p in net.named_parameters():
        assert_close(p.detach(), after[name], 1e-4)
