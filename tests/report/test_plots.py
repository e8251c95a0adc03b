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


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.02, 7, [0.01, 0.1, 1, 10]),
        (1, 1, [1, 10]),
        (1e-9, 1e3, [1e-9, 1e-6, 1e-3, 1, 1e3]),
    ],
)
def test_ticks_of_a_log_scale_are_powers_of_ten(low, high, expected):
    assert plots.log_ticks(low, high, 4) == pytest.approx(expected)


def test_a_log_scale_spaces_ratios_evenly():
    text = plots.line_plot([0, 1, 2], [("a", [100, 10, 1])], title="t", log=True)
    path = re.search('class="line a" d="M(.*?)L(.*?)L(.*?)"', text).groups()
    first, middle, last = (float(point.split()[1]) for point in path)
    assert middle == pytest.approx((first + last) / 2, abs=0.1) and first < last


def test_a_point_without_neighbours_is_a_dot():
    one = plots.line_plot([5], [("a", [2.0])], title="t")
    assert one.count("<circle") == 1
    gaps = plots.line_plot([0, 1, 2, 3], [("a", [1, np.nan, 2, 3])], title="t")
    assert gaps.count("<circle") == 1


def test_names_in_a_plot_are_text():
    text = plots.line_plot([0, 1], [("a", [0, 1])], title='"<b>', x_label="<i>")
    assert "<b>" not in text and "<i>" not in text and "&lt;i&gt;" in text
