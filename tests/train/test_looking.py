"""A new run looks at its photos before it trains, and says how many there are."""

from types import SimpleNamespace

import numpy as np
import pytest

from ppcjax.train import looking
from tests.frozen.networks import network


@pytest.mark.parametrize(
    ("photos", "rows", "steps", "batches", "said"),
    [
        (9, 16, 10, 1, "9/9"),
        (9, 4, 10, 3, "9/9"),
        (8, 4, 10, 2, "8/8"),
        (9, 4, 2, 2, "8/8"),  # all that so few steps will see
        (1, 1, 1, 1, "1/1"),
    ],
)
def test_photos_are_counted_once(tmp_path, capfd, photos, rows, steps, batches, said):
    looked = []
    job = SimpleNamespace(
        frozen=looking.Looking(network()),
        method=SimpleNamespace(look=looked.append),
        steps=steps,
    )

    def batches_from(step):
        assert step == 0
        while True:
            yield {"image": np.zeros((rows, 8, 8, 3), np.uint8)}

    looking.begin(job, tmp_path, batches_from, photos)
    assert len(looked) == batches
    assert f"looking at photos: {said} photos" in capfd.readouterr().err
    assert (tmp_path / "frozen.f32").is_file()
