import re

import numpy as np
import pytest

from ppcjax.report import plots


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 97, [0, 25, 50, 75, 100]), (0.2, 0.2, None), (-3, 5, [-4, -2, 0, 2, 4, 6])],
)
def test_ticks_are_round_and_cover(low, high, expected):
    found = plots.ticks(low, high, 4)
    assert found[0] <= low and found[-1] >= high and len(found) >= 2
    if expected:
        assert found == expected


def test_plot_breaks_where_undefined():
    text = plots.line_plot([0, 1, 2, 3], [("a", [1, np.nan, 2, 3])], title="t")
    assert len(re.findall("[ML]", re.search('class="line a" d="(.*?)"', text)[1])) == 3
    assert "nan" not in text
