"""Every kind of report, as it was and with others of its kind."""

import numpy as np
import pytest

from ppcjax.data_pipelines import make_source
from ppcjax.data_pipelines.episodes.supports import read_supports
from tests.data.reading import check_outcome, refusal
from tests.data.reports import REPORTS, supports

MEMBERS = [(kind, name) for kind in sorted(REPORTS) for name in REPORTS[kind]]
EXAMPLES = [(kind, n) for kind, found in supports.KINDS.items() for n in found]


def test_each_kind_has_further_members():
    kinds = REPORTS | supports.KINDS
    few = {kind for kind, members in kinds.items() if len(members) < 3}
    assert not few


@pytest.mark.parametrize(("kind", "name"), MEMBERS)
def test_it_is_read_or_refused_as_it_must_be(tmp_path, kind, name):
    outcome = REPORTS[kind][name](tmp_path)
    problem = check_outcome(outcome, tmp_path)
    assert not problem, problem


@pytest.mark.parametrize("name", REPORTS["photo_12_bit"])
def test_photos_of_more_than_8_bits_are_as_bright_as_they_were(tmp_path, name):
    good = REPORTS["photo_12_bit"][name](tmp_path).good
    source = make_source({"source": "folder", "root": str(tmp_path)}, "all")
    for index, key in enumerate(source.ids):
        photo = source.record(index).photo(0).pixels
        expected = np.repeat(good.scene[key].photo[..., :1], 3, -1)
        assert np.abs(photo.astype(int) - expected).max() <= 24


@pytest.mark.parametrize(("kind", "name"), EXAMPLES)
def test_examples_are_read_or_refused_as_they_must_be(tmp_path, kind, name):
    expected = supports.KINDS[kind][name](tmp_path)
    if expected.refused:
        line = refusal(lambda: read_supports(str(tmp_path)))
        assert any(part in line for part in expected.refused), line
        return
    found = read_supports(str(tmp_path))
    assert found.ids == tuple(expected.scene)
    assert found.names == expected.names
    for key, mask in zip(found.ids, found.masks, strict=True):
        np.testing.assert_array_equal(mask, expected.scene[key].mask)
    assert expected.said in "\n".join((*found.text, *found.warnings))
