"""A new run looks at its photos before it trains, and says how many there are."""

from types import SimpleNamespace

import numpy as np
import pytest

from ppcjax.runs import checkpoint
from ppcjax.train import looking
from ppcjax.types import UserError
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


@pytest.mark.parametrize("began", [{}, {"whole_cells": False}, {"whole_cells": True}])
@pytest.mark.parametrize("given", [None, False, True])
def test_a_run_goes_on_with_the_cells_that_it_began_with(
    tmp_path, monkeypatch, began, given
):
    """Runs that note none are of before, when photos stayed as they were."""
    monkeypatch.setattr(
        checkpoint, "newest_meta", lambda workdir: {"config": {"frozen": began}}
    )
    monkeypatch.setattr(looking.kept, "needed", lambda workdir, settings: settings)
    config = SimpleNamespace(
        to_dict=lambda: {
            "frozen": {"backbone": "small_resnet", "whole_cells": given},
            "method": {"backbone": "frozen"},
        }
    )
    before = began.get("whole_cells", False)
    if given in (None, before):
        assert looking.Looking.of(config, tmp_path).network.whole_cells is before
    else:
        with pytest.raises(UserError, match="whole_cells=.* began with"):
            looking.Looking.of(config, tmp_path)
