import jax
import numpy as np
import pytest

from benchmarks import contrast
from ppcjax.types import UserError


def test_both_forms_are_the_same_loss():
    arguments = contrast.inputs(40, 60, 5, 8)
    blocks, matrix = (
        jax.jit(jax.value_and_grad(loss))(*arguments)
        for loss in (contrast.in_blocks, contrast.one_matrix)
    )
    np.testing.assert_allclose(blocks[0], matrix[0], rtol=1e-5)
    np.testing.assert_allclose(blocks[1], matrix[1], atol=1e-6)


def test_prints_a_table(capsys):
    contrast.main("--slots 50 --anchors 8 --classes 3 --dim 4 --repeats 1".split())
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and lines[2].startswith("| 50 |")


def test_work_grows_with_slots_not_with_classes():
    few, many = (contrast.contrast_flop(1024, 10**6, c, 256) for c in (19, 171))
    assert few == pytest.approx(many, rel=0.1)


def test_torch_is_asked_for_by_name(monkeypatch):
    monkeypatch.setattr(contrast.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install torch"):
        contrast.main("--torch --slots 50".split())
