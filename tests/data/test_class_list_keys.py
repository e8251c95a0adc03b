"""Headings, keys and quotes of class lists, which are no names."""

import pytest

from tests.data.test_class_lists import listed, refuses


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("“cow”\n„tall grass“", ("cow", "tall grass")),
        ("names: [cow, grass]", ("cow", "grass")),
        ("nc: 2\nnames: ['cow', 'grass']\n", ("cow", "grass")),
        ("names:\n  - cow\n  - grass\n", ("cow", "grass")),
        ("names:\n  0: background\n  1: cow\n", ("cow",)),
        ("classes = (cow, grass)", ("cow", "grass")),
        ("Classes: cow, grass", ("cow", "grass")),
        ("[cow, grass]", ("cow", "grass")),
        ("[\n  cow,\n  grass,\n]", ("cow", "grass")),
        ("class\nbackground\ncow", ("cow",)),
        ("id name\n0 background\n1 cow", ("cow",)),
        ("name r g b\ncow 64 0 0\ngrass 0 64 0", ("cow", "grass")),
        ("1: class\n2: cow", ("class", "cow")),
        ("background\nlabel\ncow", ("label", "cow")),
        ("label", ("label",)),
        ("cow\nname tag", ("cow", "name tag")),
    ],
)
def test_keys_headings_and_quotes(tmp_path, content, names):
    assert listed(tmp_path, content).names == names


@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize(
    "word",
    [
        *("class", "Classes", "NAME", "names", "label", "Labels", '"category"', "tags"),
        *("class name", "class_name", "Klasse", "Étiquettes", "clase", "クラス"),
    ],
)
def test_a_first_line_that_may_be_a_heading(tmp_path, word, background):
    message = "may be a heading or a class; remove it"
    refuses(tmp_path, message, f"{word}\ncow\ngrass\n", background=background)


def test_one_name_is_no_names(tmp_path):
    assert listed(tmp_path, "cow").text.startswith("classes.txt, 1 name, ")
