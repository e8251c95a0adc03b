"""The benchmark of photos without the class: which photos it takes."""

import numpy as np

from benchmarks.none_of_these import choose


def test_examples_and_photos_are_apart_and_drawn_by_the_seed():
    counts = np.zeros((40, 3), int)
    counts[:, 0] = 100
    counts[:20, 1] = 50
    counts[20, 1] = 1  # too small to be one, and not without
    first, again, other = (choose(counts, 1, seed, 5, 8) for seed in (0, 0, 1))
    assert first == again != other
    assert not set(first.examples) & set(first.shown)
    assert len(first.examples) == 5 and len(first.shown) == len(first.without) == 8
    assert set(first.examples + first.shown) <= set(range(20))
    assert set(first.without) <= set(range(21, 40))
