"""What an evaluation on episodes shows: pictures of queries, and a table of scores."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from ppcjax.evaluate.episodes.evaluation import Tested
from ppcjax.evaluate.episodes.metric import class_iou, count_query, mean_defined
from ppcjax.evaluate.episodes.page import Picture
from ppcjax.evaluate.masks.files import draw_mask


def picture(tested: Tested, shot: int, classes: Sequence[str]) -> Picture:
    """First support with its mask, query with the truth, query as found.

    Args:
        tested: a query.
        shot: supports of each class of its episode.
        classes: of the data, background first.
    """
    ways = tested.example.row.classes
    counts = count_query(
        tested.found, tested.example.truths[tested.query], ways, len(classes)
    )
    iou = mean_defined(class_iou(counts)[ways])
    return Picture(
        shot,
        tuple(classes[c] for c in ways),
        None if np.isnan(iou) else iou,
        _jpeg(tested),
    )


def _jpeg(tested: Tested) -> bytes:
    arrays, q = tested.example.arrays, tested.query
    support = draw_mask(
        arrays["support_image"][0, 0],
        np.where(arrays["support_mask"][0, 0] == 1, 1, 0),
    )
    _, _, bottom, right = arrays["query_valid"][q]
    query = arrays["query_image"][q, :bottom, :right]
    tiles = [support]
    for mask in (tested.example.truths[q], tested.found):
        # Masks at the photo's own size are shown at the network's.
        small = Image.fromarray(mask.astype(np.uint8)).resize(
            (query.shape[1], query.shape[0]), Image.Resampling.NEAREST
        )
        drawn = draw_mask(query, np.asarray(small))
        tiles.append(np.zeros_like(support))
        tiles[-1][:bottom, :right] = drawn
    content = io.BytesIO()
    Image.fromarray(np.concatenate(tiles, axis=1)).save(content, "JPEG", quality=88)
    return content.getvalue()


def format_result(found: dict[str, Any]) -> str:
    """The result of `evaluate` as lines for a terminal, scores in percent."""
    protocol = found["protocol"]
    lines = [
        f"protocol {protocol['name']}: {protocol['split']}, {protocol['way']}-way, "
        f"{protocol['episodes']} episodes x {len(protocol['seeds'])} seeds, photos "
        f"{protocol['fit']} to {protocol['size']}, scored at {protocol['score']} size"
    ]
    for shot, result in found["shots"].items():
        for name, title in (("mean_iou", "mean IoU"), ("fb_iou", "FB-IoU")):
            lines.append(f"{shot}-shot  {title:9} {_percent(result[name])}")
        lines += [
            f"        {name:20} {_percent(score)}"
            for name, score in result["class_iou"].items()
        ]
    return "\n".join(lines)


def _percent(score: dict[str, Any]) -> str:
    if score["mean"] is None:
        return "nothing to score"
    text = f"{100 * score['mean']:5.1f}  std {100 * score['std']:.1f}"
    if score["interval"] is not None:
        text += f"  95 % interval +-{100 * score['interval']:.1f}"
    return text
