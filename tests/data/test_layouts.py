"""Every layout and format: folder -> source -> batch, and the very ids there."""

import numpy as np
import pytest

from ppcjax.data_pipelines import READERS, make_source, make_train, settings
from tests.data.layouts import LAYOUTS
from tests.data.reading import differences
from tests.data.scenes import WIDTH

# Through tf.data, which takes the rows that the others are compared by, one by one.
IN_BATCHES = ("plain", "coco", "beside_splits")


@pytest.mark.parametrize("name", LAYOUTS)
def test_ids_and_tags_are_those_of_the_folder(tmp_path, name):
    assert not differences(LAYOUTS[name](tmp_path))


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_batch_holds_the_ids_of_its_photos(tmp_path, name):
    good = LAYOUTS[name](tmp_path)
    split, names = next(iter(good.splits.items()))
    masked = good.masks and not set(names) & set(good.missing)
    data = {
        "source": "folder", "root": str(tmp_path), "batch_size": len(names),
        "crop": WIDTH, "long_side": (WIDTH, WIDTH), "with_masks": masked, "workers": 1,
    } | dict(good.data)  # fmt: skip
    source = make_source(data, split)
    if name in IN_BATCHES:
        batch = next(make_train(data, source, reads="dense", seed=0))
    else:
        reader = READERS["dense"]
        stream = settings.make(reader.settings, data, what="a test")
        make, layout = reader.rows(stream, source, 0)
        rows = [make(position) for position in range(len(names))]
        batch = {
            k: np.stack(v) for k, v in zip(layout, zip(*rows, strict=True), strict=True)
        }
    masks = batch["mask"] if masked else [None] * len(names)
    rows = zip(batch["image"], masks, batch["valid"], batch["tags"], strict=True)
    seen = {which(good, *row) for row in rows}
    assert seen == set(names)


def which(good, image, mask, valid, tags):
    """The photo of a row; its mask and tags must be of that photo."""
    top, left, bottom, right = valid
    image = image[top:bottom, left:right].astype(int)
    mask = None if mask is None else mask[top:bottom, left:right]
    for name, view in good.scene.items():
        for step in (1, -1):
            photo = view.photo[:, ::step].astype(int)
            if photo.shape == image.shape and np.abs(photo - image).mean() < 8:
                if mask is not None:
                    np.testing.assert_array_equal(mask, view.mask[:, ::step])
                on = {c for c, t in zip(good.classes, tags, strict=True) if t}
                assert on == {"background", *good.tags_of(name)}
                return name
    raise AssertionError("a photo that is in no split")
