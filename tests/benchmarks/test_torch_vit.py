"""The PyTorch form of a vision transformer gives the tokens that ours gives."""

import jax
import numpy as np
import pytest

from ppcjax.nn import backbones
from ppcjax.weights import namemap
from ppcjax.weights.arrays import to_names
from ppcjax.weights.matching import leaves_of

torch = pytest.importorskip("torch")

from benchmarks.torch_baseline.vit import VisionTransformer  # noqa: E402
from tests.benchmarks.torch_arrays import tensor  # noqa: E402

pytestmark = pytest.mark.torch

SMALL = {"width": 24, "depth": 2, "heads": 3, "grid": (5, 5)}


@pytest.mark.parametrize(("name", "scaled"), [("vit_s14", True), ("vit_s16", False)])
@pytest.mark.parametrize("cells", [(5, 5), (4, 7)])
def test_tokens(name, scaled, cells):
    module, _ = backbones.make(name, SMALL | {"positions": "bicubic"})
    rows, columns = (n * module.patch for n in cells)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, rows, columns, 3), np.float32)
    shapes = jax.eval_shape(module.init, jax.random.key(0), x)["params"]
    params = jax.tree.map(
        lambda leaf: 0.3 * rng.standard_normal(leaf.shape, np.float32), shapes
    )
    state = to_names(leaves_of(params), namemap.namings("vit")["original"])
    theirs = VisionTransformer(module.patch, **SMALL, layer_scale=scaled)
    theirs.load_state_dict({key: tensor(value) for key, value in state.items()})
    with torch.inference_mode():
        expected = theirs(tensor(x.transpose(0, 3, 1, 2)))
    found = jax.jit(module.apply)({"params": params}, x)["embedding"]
    np.testing.assert_allclose(found.reshape(2, -1, 24), expected, atol=1e-4)
