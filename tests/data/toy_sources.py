"""Sources in memory, whose photos are tags and masks alone."""

import numpy as np

from ppcjax.data_pipelines import survey
from ppcjax.data_pipelines.images import Photo
from ppcjax.data_pipelines.sources.base import Record, Source
from tests.data import fake_data

SHAPE = (8, 10)


def mask_of(*ids):
    """Stripes of the given ids."""
    return fake_data.striped_mask(ids, *SHAPE).astype(np.int32)


def source_of(photos, classes=2, **fields):
    """A source in memory of (tagged classes or None, mask or None)."""
    names = ("background", *(f"c{i}" for i in range(1, classes + 1)))
    names = fields.pop("names", names)

    def record(index):
        tagged, mask = photos[index]
        tags = None
        if tagged is not None:
            tags = np.zeros(len(names), np.float32)
            tags[[0, *tagged]] = 1
        return Record(
            f"p{index}",
            lambda at_least=0: Photo(np.zeros((*SHAPE, 3), np.uint8), *SHAPE),
            lambda: tags,
            lambda: mask,
            lambda: SHAPE,
        )

    ids = tuple(f"p{i}" for i in range(len(photos)))
    return Source("toy (split all)", names, ids=ids, record=record, **fields)


def problems(photos, needs, classes=2, *, own=True, skip=False, **fields):
    source = source_of(photos, classes, **fields)
    return survey.survey(source, needs=needs, own=own, skip=skip).problems


def good(classes, photos=6):
    """Photos of one class each, all of which have masks that say the same."""
    of = [i % classes + 1 for i in range(max(photos, 2 * classes))]
    return [((c,), mask_of(0, c)) for c in of] + [((), mask_of(0))]
