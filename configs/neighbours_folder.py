"""How good features are as they are: your own photos labelled by their nearest patches.

Nothing is trained; a part of the photos with masks is held out and labelled by the
others. Variants as those of neighbours.py.
Run: python eval.py --config configs/neighbours_folder.py --config.data.root=PHOTOS
"""

from ppcjax.configs import neighbours, voc


def get_config(variant=""):
    c = neighbours.get_config(variant)
    network, start, steps = dict(c.method), c.get("init_from"), c.steps
    voc.to_folder(c, train="train", evaluated="val")
    c.name = c.name.replace("neighbours", "neighbours_folder", 1)
    c.method, c.steps = network, steps
    if start is None:
        del c.init_from
    else:
        c.init_from = start
    return c
