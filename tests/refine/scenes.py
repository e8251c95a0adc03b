"""Small photos of discs, and scores for them that are wrong in many pixels."""

import numpy as np


def scene(height, width, num_classes, seed=0):
    """image [H, W, 3] uint8, probabilities [H, W, C] float32, truth [H, W]."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    truth = np.zeros((height, width), int)
    for label in range(1, num_classes):
        y, x = rng.random(2) * (height, width)
        radius = 0.35 * max(height, width)
        truth[(rows - y) ** 2 + (columns - x) ** 2 < radius**2] = label
    image = rng.uniform(20, 235, (num_classes, 3))[truth]
    image += rng.normal(0, 5, image.shape)
    logits = 1.5 * np.eye(num_classes)[truth] + rng.normal(0, 1, (*truth.shape, 1))
    logits += rng.normal(0, 0.8, logits.shape)
    exp = np.exp(logits)
    probabilities = (exp / exp.sum(axis=-1, keepdims=True)).astype(np.float32)
    return np.clip(image, 0, 255).astype(np.uint8), probabilities, truth
