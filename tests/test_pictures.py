"""Pictures of the docs: small, shown by a page, and made by docs/pictures.py."""

import inspect
import re
from pathlib import Path

import pytest

from docs import pictures

ROOT = Path(__file__).parents[1]
PICTURES = sorted(path.name for path in (ROOT / "docs").glob("*.png"))
PAGES = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
BY_HAND = {"labelling.png", "shapes.png"}  # of whole runs; their captions say which


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_small_and_a_page_shows_it(name):
    assert (ROOT / "docs" / name).stat().st_size < 200_000
    shown = re.compile(rf"!\[[^\]]{{20,}}\]\((docs/)?{re.escape(name)}\)")
    assert any(shown.search(page.read_text()) for page in PAGES)


def test_all_pictures_are_made_by_the_script():
    source = inspect.getsource(pictures)
    made = set(re.findall(r'"([a-z_]+\.png)"', source))
    assert made | BY_HAND == set(PICTURES)
    assert len(pictures.PICTURES) == len(made)


def test_the_folder_of_scenes_is_one_that_people_have(tmp_path):
    root = pictures.shapes_folder(tmp_path / "photos", 3)
    lines = (root / "tags.csv").read_text().splitlines()
    assert lines[0] == "image,tags" and len(lines) == 4
    assert len(list((root / "images").iterdir())) == 3
    assert len(list((root / "masks").iterdir())) == 3
