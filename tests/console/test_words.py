"""Numbers with what is counted."""

import pytest

from ppcjax.console.words import counted


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 photos"), (1, "1 photo"), (2, "2 photos"), (21, "21 photos")],
)
def test_one_and_many(count, text):
    assert counted(count, "photo") == text


def test_words_that_have_another_plural():
    assert counted(1, "class has", "classes have") == "1 class has"
    assert counted(3, "class has", "classes have") == "3 classes have"
