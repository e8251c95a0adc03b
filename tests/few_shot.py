"""A few-shot run of two steps, and what its tests share."""

import numpy as np

from ppcjax.train import loop
from tests.data import fake_data


def train(folder):
    """A run of two checkpoints on scenes of 32 pixels."""
    from ppcjax.configs import panet_shapes

    config = panet_shapes.get_config()
    config.steps, config.checkpoint_every = 2, 1
    config.method.backbone_settings.width = 4
    config.data.update(size=32, train_size=80, test_size=40, crop=32, batch_size=2)
    config.data.update(long_side=(32, 32), shot=1, least_shot=0, query=1)
    config.eval.update(episodes=6, seeds=(0, 1), size=32, shots=(1, 2), gallery=2)
    config.eval.update(choice_episodes=3)
    assert loop.train(config, folder) == 2
    return folder


def write_supports(root):
    """Three photos: with a mask, a scribble and a box."""
    for number in range(3):
        fake_data.write_image(root / "images" / f"p{number}.jpg", seed=number)
    fake_data.write_mask(root / "masks" / "p0.png", fake_data.striped_mask([0, 1, 2]))
    scribble = np.full((20, 30), 255)
    scribble[3, 4:9], scribble[15, 20:25] = 2, 0
    fake_data.write_mask(root / "scribbles" / "p1.png", scribble)
    (root / "boxes.csv").write_text("image,class,x0,y0,x1,y1\np2.jpg,dog,2,3,10,12\n")
    (root / "classes.txt").write_text("cat\ndog\n")
    return root
