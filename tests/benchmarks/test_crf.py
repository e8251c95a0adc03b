"""The benchmark of the dense CRF runs."""

import numpy as np

from benchmarks import crf as benchmark
from ppcjax.refine import crf


def test_parts_are_measured():
    settings = crf.preset("k1")._replace(iterations=2)
    result = benchmark.measure(benchmark.scene(12, 16), 3, settings)
    assert all(np.isfinite(value) and value >= 0 for value in result.values())
    assert result["vertices"] > 0 and result["build_s"] > 0
