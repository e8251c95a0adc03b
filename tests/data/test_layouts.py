"""Every layout and format: folder -> source -> batch, and the very ids there."""

import numpy as np
import pytest

from ppcjax.data_pipelines import make_source, make_train
from tests.data.layouts import LAYOUTS
from tests.data.reading import differences
from tests.data.scenes import WIDTH

IN_BATCHES = ("plain", "beside_splits", "voc_colours", "per_class_folder", "binary")


@pytest.mark.parametrize("name", LAYOUTS)
def test_ids_and_tags_are_those_of_the_folder(tmp_path, name):
    assert not differences(LAYOUTS[name](tmp_path))


@pytest.mark.parametrize("name", IN_BATCHES)
def test_a_batch_holds_the_ids_of_its_photos(tmp_path, name):
    good = LAYOUTS[name](tmp_path)
    split, names = next(iter(good.splits.items()))
    data = {
        "source": "folder", "root": str(tmp_path), "batch_size": len(names),
        "crop": WIDTH, "long_side": (WIDTH, WIDTH), "with_masks": True, "workers": 1,
    } | dict(good.data)  # fmt: skip
    source = make_source(data, split)
    batch = next(make_train(data, source, reads="dense", seed=0))
    rows = zip(
        batch["image"], batch["mask"], batch["valid"], batch["tags"], strict=True
    )
    seen = {which(good, *row) for row in rows}
    assert seen == set(names)


def which(good, image, mask, valid, tags):
    """The photo of a row; its mask and tags must be of that photo."""
    top, left, bottom, right = valid
    image = image[top:bottom, left:right].astype(int)
    mask = mask[top:bottom, left:right]
    for name, view in good.scene.items():
        for step in (1, -1):
            photo = view.photo[:, ::step].astype(int)
            if photo.shape == image.shape and np.abs(photo - image).mean() < 8:
                np.testing.assert_array_equal(mask, view.mask[:, ::step])
                on = {c for c, t in zip(good.classes, tags, strict=True) if t}
                assert on == {"background", *good.tags_of(name)}
                return name
    raise AssertionError("a photo that is in no split")
