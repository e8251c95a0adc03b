"""Released checkpoints of the five systems, whole, from files to parameters.

The tests of `tests.golden` take their weights the same way and compare outputs.
"""

import numpy as np
import pytest

from ppcjax.weights.arrays import network_leaves
from tests.golden.arrays import load, published, recipe
from tests.weights.released_files import RELEASED, opened

SMALL = ("panet_step",)
# What predictions do not read: a stage, and networks that only losses see.
UNREAD = ("num_batches_tracked", "layer4", "proj_head", "projector", "value_transform")


def _cases():
    for name in sorted(RELEASED.keys() - {"ppc_step"}):  # of the same names as ppc_net
        marks = [] if name in SMALL else [pytest.mark.slow]
        yield pytest.param(name, marks=marks)


@pytest.mark.parametrize("name", list(_cases()))
def test_every_parameter_is_that_of_the_file(name):
    run, lines = opened(name)
    network, naming = RELEASED[name].names
    assert f"names of {naming}" in lines[0]
    name_of, arrays = published(network, naming), recipe(load(name))
    for path, leaf in network_leaves(run.params, run.model_state).items():
        if path.startswith("heads/projector") and naming == "seam":
            continue  # SEAM has none
        array = arrays.pop(name_of(path))
        if array.ndim == 4:
            array = array.transpose(2, 3, 1, 0)
        np.testing.assert_array_equal(leaf, array, err_msg=path)
    assert all(one.startswith(UNREAD) for one in arrays), arrays.keys()
    skipped = "".join(line for line in lines if line.startswith("  skipped"))
    for unread in UNREAD:
        assert any(one.startswith(unread) for one in arrays) <= (unread in skipped)
