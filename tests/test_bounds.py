"""Every number that anybody may set is declared with a smallest and a largest value."""

import re
from pathlib import Path

import pytest

from ppcjax import fields, methods
from tests import every_setting
from tests.wrong_values import is_checked, unbounded


@pytest.mark.parametrize("one", every_setting.all_declared(), ids=lambda o: str(o[:2]))
def test_every_number_has_both_ends(one):
    assert is_checked(one.hint), f"{one.owner}: {one.name} may be anything"
    assert not unbounded(one.hint), (
        f"{one.owner}: {one.name} may be {fields.describe(one.hint)}: say how large"
    )


def test_modules_are_built_of_known_classes():
    """So that none is built whose fields are not among those above."""
    folder = Path(methods.__file__).parents[1]
    calls = [
        match[1]
        for file in sorted(folder.rglob("*.py"))
        for match in re.finditer(r"modules\.build\(\s*([\w.\[\]]+)", file.read_text())
    ]
    known = {"AuxiliaryHead", "HEADS[head]", "HEADS[network.head]", "entry.make"}
    assert set(calls) == known | {"FeaturePyramid", "VisionTransformer"}
