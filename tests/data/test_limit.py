"""How many masked photos a training split is limited to, and which."""

import pytest

from ppcjax.data_pipelines import make_source
from ppcjax.types import UserError
from tests.data import fake_data


def test_limit_takes_some_masked_photos(tmp_path):
    root = fake_data.write_folder(tmp_path, tags=("cat", "dog") * 4)
    (root / "masks/photo_3.png").unlink()
    config = {
        "source": "folder",
        "root": str(root),
        "train_split": "all",
        "with_masks": True,
        "limit": 3,
    }

    def ids(split="all", evaluation=False, **fields):
        chosen = {**config, **fields}
        return make_source(chosen, split, evaluation=evaluation).ids

    assert len(ids()) == 3 and "photo_3" not in ids(limit=7)
    assert set(ids(limit=2)) < set(ids()) < set(ids(limit=5))
    assert ids() != ids(limit_seed=1)
    assert len(ids(evaluation=True)) == 8 and len(ids(limit=0)) == 8
    assert len(ids(split="train")) == 7  # another split than the one trained on
    assert len(ids(limit=8, with_masks=False)) == 8
    with pytest.raises(UserError, match="limit=8: .* has only 7 images with a mask"):
        ids(limit=8)
    with pytest.raises(
        UserError, match="config.data.limit=-1: give a whole number of at least 0"
    ):
        ids(limit=-1)
