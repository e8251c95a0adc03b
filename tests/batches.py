"""Small batches of every kind that a method reads, random and empty."""

import numpy as np

from ppcjax.types import IGNORE

CLASSES, SIDE, ROWS = 4, 32, 2
COLOURS = np.array([[60, 60, 60], [220, 60, 60], [60, 220, 60], [60, 60, 220]])


def photos(rng, classes):
    """Noisy photos of one square each, whose colour tells its class; their masks."""
    masks = np.zeros((len(classes), SIDE, SIDE), np.int32)
    for mask, label in zip(masks, classes, strict=True):
        y, x = rng.integers(2, SIDE // 2 - 2, 2)
        mask[y - 1 : y + 17, x - 1 : x + 17] = IGNORE
        mask[y : y + 16, x : x + 16] = label
    shown = COLOURS[np.where(masks == IGNORE, 0, masks)]
    noise = rng.integers(-30, 30, (*masks.shape, 3))
    return (shown + noise).astype(np.uint8), masks


def whole(*shape):
    """Rectangles of photos that fill their canvas."""
    return np.tile(np.int32([0, 0, SIDE, SIDE]), (*shape, 1))


def dense(seed=0, *, empty=False):
    """A DenseBatch; empty: nothing has a class, nothing stands out."""
    labels = 1 + np.arange(ROWS) % (CLASSES - 1)
    image, mask = photos(np.random.default_rng(seed), labels)
    tags = np.eye(CLASSES, dtype=np.float32)[0 * labels if empty else labels]
    tags[:, 0] = 1
    saliency = np.where((mask > 0) & (mask != IGNORE), 255, 0).astype(np.uint8)
    return {
        "image": image,
        "valid": whole(ROWS),
        "tags": tags,
        "mask": np.full_like(mask, IGNORE) if empty else mask,
        "saliency": 0 * saliency if empty else saliency,
    }


def episodes(seed=0, *, empty=False):
    """An EpisodeBatch of one way and two shots; empty: no shot counts."""
    rng = np.random.default_rng(seed)
    ways, shots, queries = 1, 2, 1
    of_supports = np.ones(ROWS * ways * shots, int)
    image, mask = photos(rng, of_supports)
    query_image, query_mask = photos(rng, np.ones(ROWS * queries, int))
    side = (SIDE, SIDE)
    return {
        "support_image": image.reshape(ROWS, ways, shots, *side, 3),
        "support_valid": whole(ROWS, ways, shots),
        "support_mask": mask.reshape(ROWS, ways, shots, *side),
        "shot_valid": np.full((ROWS, ways, shots), not empty),
        "query_image": query_image.reshape(ROWS, queries, *side, 3),
        "query_valid": whole(ROWS, queries),
        "query_mask": np.where(empty, IGNORE, query_mask)
        .astype(np.int32)
        .reshape(ROWS, queries, *side),
        "class_id": np.ones((ROWS, ways), np.int32),
    }


def views(seed=0, *, empty=False):
    """A ViewBatch; empty: no place is in both crops."""
    image, _ = photos(np.random.default_rng(seed), np.arange(2 * ROWS) % CLASSES)
    near = ((0.0, 0.0, 0.6, 0.6), (0.3, 0.2, 0.9, 0.8))
    apart = ((0.0, 0.0, 0.2, 0.2), (0.5, 0.5, 0.9, 0.9))
    return {
        "image": image.reshape(ROWS, 2, SIDE, SIDE, 3),
        "box": np.tile(np.float32(apart if empty else near), (ROWS, 1, 1)),
    }


KINDS = {"dense": dense, "episodes": episodes, "views": views}


def to_train(method, seed=0, *, empty=False):
    """A batch of the kind that a method trains on."""
    return KINDS[method.reads](seed, empty=empty)


def to_predict(method, seed=0, *, empty=False):
    """A batch that a method predicts from: without the truth."""
    kind = "episodes" if method.gives == "episodes" else "dense"
    truth = ("tags", "mask", "saliency", "query_mask", "class_id")
    batch = KINDS[kind](seed, empty=empty)
    return {name: array for name, array in batch.items() if name not in truth}
