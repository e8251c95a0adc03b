"""Six photos with a square of their tag's colour, as a folder with a table."""

import numpy as np
from PIL import Image


def write(root):
    """Writes the photos and their tags, and returns the folder."""
    rng = np.random.default_rng(0)
    rows = ["image,tags"]
    for i in range(6):
        pixels = rng.integers(0, 60, (28 + i, 40, 3), dtype=np.uint8)
        pixels[6:22, 8:30, i % 2] = 240
        Image.fromarray(pixels).save(root / f"p{i}.png")
        rows.append(f"p{i}.png,{('red', 'green')[i % 2]}")
    (root / "tags.csv").write_text("\n".join(rows))
    return root
